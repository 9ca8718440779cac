"""What keeping an event costs, by size of batch: the store's commit and projection beside a bare append.

    python bench/store.py

The bare append is what one would write first: one `executemany` of JSON texts into an SQLite table, one synced
transaction a batch. CPU time, since syncing waits on whatever disk there is; the wall time of a commit beside it.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sentinel.core import identity
from sentinel.core.batch import Batch, Sighting, proves
from sentinel.core.event import Event, read
from sentinel.core.record import App
from sentinel.store.embedded.store import Embedded, open_store

AT = 1_795_210_200_000_000
TOTAL = {1: 600, 20: 8_000, 500: 40_000}  # events, by size of batch


def events(count: int) -> list[Event]:
    """Return plausible events: logins and page views of 5,000 users."""
    return [event(number) for number in range(count)]


def event(number: int) -> Event:
    """Return one event, enriched as the server does it."""
    login = number % 10 == 0
    at = AT + number * 2_000
    made = read(
        {
            "id": f"0193{number:012x}-7abc-8def-{number * 7919 % 65536:04x}",
            "event": "auth" if login else "page.view",
            "timestamp": at / 1e6,
            **({"success": number % 30 != 0} if login else {}),
            "user": {"id": str(number % 5000), "email": f"user{number % 5000}@example.com"},
            "ip": f"198.51.{number % 100}.{number % 250}",
            "request": {
                "method": "POST", "path": f"/item/{number % 300}", "route": "/item/{id}", "status": 200,
                "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
            },
            "properties": {"plan": "free", "cart": {"total": number % 500 + 0.5}},
        },
        received=at + 40_000,
    )  # fmt: skip
    made.geo = {"country": "DE", "city": "Berlin", "lat": 52.5, "lon": 13.4, "asn": 64500, "org": "Example"}
    made.agent = {"browser": "Firefox", "os": "Linux", "device": "Other", "bot": False}
    made.network = {"private": False}
    return made


def commit(store: Embedded, batch: Sequence[Event]) -> None:
    """Claim, resolve and commit one batch, as the pipeline does."""
    with store.unit() as unit:
        fresh = unit.claim("shop", batch)
        sightings = [Sighting(identity.naming_keys(one.identifiers), proves(one), one.at) for one in batch]
        for one, user in zip(batch, unit.resolve("shop", sightings), strict=True):
            one.user = user
        kept = tuple(one for one, new in zip(batch, fresh, strict=True) if new)
        unit.commit([Batch("shop", batch[-1].at, kept)])


def bare(folder: Path) -> Callable[[Sequence[Event]], None]:
    """Return the naive append."""
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE event (id TEXT, name TEXT, at INTEGER, user TEXT, ip TEXT, body TEXT)")

    def append(batch: Sequence[Event]) -> None:
        connection.execute("BEGIN")
        rows = [(one.id, one.name, one.at, one.user, one.ip, json.dumps(vars(one))) for one in batch]
        connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")

    return append


def each(work: Callable[[Sequence[Event]], None], made: Sequence[Event], size: int) -> tuple[float, float]:
    """Return the microseconds of CPU an event takes, and those of the clock a batch takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    for start in range(0, len(made), size):
        work(made[start : start + size])
    spent, passed = time.process_time() - cpu, time.perf_counter() - wall
    return spent / len(made) * 1e6, passed / (len(made) / size) * 1e6


def main() -> None:
    """Print the figures and ratios."""
    print("CPU µs an event (wall µs a batch)")
    with tempfile.TemporaryDirectory() as name:
        append = bare(Path(name))
        store = open_store(Path(name) / "data")
        store.access.add_app(App("shop"), "bench", AT)
        made, begin = events(sum(TOTAL.values())), 0
        commit(store, made[:1])
        for size, count in TOTAL.items():
            some, begin = made[begin : begin + count], begin + count
            store.project()
            cpu, wall = each(lambda batch: commit(store, batch), some, size)
            before = time.process_time()
            projected = 0
            while lump := store.project():
                projected += lump
            projection = (time.process_time() - before) / max(projected, 1) * 1e6
            plain, waited = each(append, some, size)
            print(
                f"batches of {size:3}: commit {cpu:6.1f} ({wall:6.0f}), projection {projection:5.1f}, "
                f"bare append {plain:6.1f} ({waited:6.0f}); commit / bare {cpu / plain:.2f}"
            )
        store.close()


if __name__ == "__main__":
    main()
