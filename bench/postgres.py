"""What a durable batch costs over PostgreSQL, by size of batch: the store's whole commit beside a plain COPY.

    python bench/postgres.py

The plain COPY writes the same rows in the same batches into a table without indexes, a synced transaction each; one
COPY of everything at once is what the server can take at all. All go to one real server (the tests' own, with `fsync`
on), in turns. The clock is what counts here: the server's work is not this process's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from bench.store import AT, commit, events
from sentinel.core.event import Event
from sentinel.core.record import App, KeptEvent
from sentinel.store.postgres.copying import COLUMNS, TYPES, row
from sentinel.store.postgres.store import open_postgres
from tests.postgres import Server

SIZES = {1: 500, 20: 6_000, 500: 40_000}  # events, by size of batch
NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
Rows = Sequence[Sequence[Any]]


def rows(made: Sequence[Event]) -> Rows:
    """Return events as rows, ready to be copied."""
    return [row("shop", KeptEvent(event, number)) for number, event in enumerate(made)]


def copy(connection: psycopg.Connection[Any], some: Rows, form: str = "BINARY") -> None:
    """Copy rows in and commit."""
    with connection.cursor().copy(f"COPY plain ({NAMES}) FROM STDIN (FORMAT {form})".encode()) as target:
        if form == "BINARY":
            target.set_types(TYPES)
        for one in some:
            target.write_row(one)
    connection.commit()


def timed(work: Callable[[Sequence[Any]], None], all_of_it: Sequence[Any], size: int) -> tuple[float, float]:
    """Return batches a second, and the microseconds of this process's CPU an event takes."""
    began, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(all_of_it), size):
        work(all_of_it[start : start + size])
    batches = -(-len(all_of_it) // size)
    return batches / (time.perf_counter() - began), (time.process_time() - cpu) / len(all_of_it) * 1e6


def main() -> None:
    """Print the figures and ratios."""
    server = Server(fsync="on", autovacuum="on", shared_buffers="256MB", max_wal_size="4GB")
    try:
        measure(server)
    finally:
        server.end()


def measure(server: Server) -> None:
    """Measure on one server."""
    store = open_postgres(server.url("postgres"))
    store.access.add_app(App("shop"), "bench", AT)
    made, begin = events(sum(SIZES.values()) + 1), 1
    commit(store, made[:1])
    store.project()
    with psycopg.connect(server.url("postgres")) as plain:
        plain.execute("CREATE TABLE plain (LIKE events)")
        plain.commit()
        print("durable batches a second (events a second; µs of CPU an event in this process)")
        for size, count in SIZES.items():
            some, begin = made[begin : begin + count], begin + count
            whole, own = timed(lambda batch: commit(store, batch), some, size)
            bare, less = timed(lambda batch: copy(plain, rows(batch)), some, size)
            print(
                f"batches of {size:3}: store {whole:6.0f} ({whole * size:7.0f}; {own:5.1f}), "
                f"plain COPY {bare:6.0f} ({bare * size:7.0f}; {less:5.1f}); store / COPY {whole / bare:.2f}"
            )
        ready = rows(made)
        for form in ("BINARY", "TEXT"):
            most, cpu = timed(lambda lot, form=form: copy(plain, lot, form), ready, len(ready))
            print(f"one COPY of {len(ready)} rows, {form.lower():6}: {most * len(ready):7.0f} a second; {cpu:.1f} µs")
    store.close()


if __name__ == "__main__":
    main()
