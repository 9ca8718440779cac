"""What would hourly counts beside the events bring over PostgreSQL, and what would they cost a commit?

    python -m bench.rollup [EVENTS]

The explorer's own plain questions over thirty days, beside the same figures read from a table of counts by app, hour
and name, in the same run; then commits of 500 rows by one writer and by two, with and without these counts raised in
the same transaction. Two writers count in the same rows, so that one waits for the other's commit.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from bench.explorer import DAYS, END, NAMES, START
from sentinel.core.duration import DAY, HOUR
from sentinel.core.explore import SeriesWanted
from sentinel.core.record import App, Filter
from sentinel.store.postgres.store import Postgres, open_postgres
from tests.postgres import Server

RUNS, BATCH, BATCHES = 5, 500, 60
ROWS = """
INSERT INTO events (seq, app, ts, received, name, id, user_key, user_h, ip, ip_h, trust, props)
SELECT n << 20, 'shop', %(start)s + n * %(step)s, %(start)s, (%(names)s::text[])[1 + mod(h, 12)], 'e' || n,
       'id:' || mod(h, 200000), mod(h, 200000), '198.18.' || mod(h, 200) || '.' || mod(n, 250), mod(h, 50000), 'server',
       jsonb_build_object('plan', mod(h, 3))
FROM (SELECT n, abs(hashint8(n))::bigint AS h FROM generate_series(%(first)s, %(last)s::bigint) AS n) AS made
"""
COUNTS = f"SELECT app, ts / {HOUR} AS hour, name, count(*) AS n FROM events GROUP BY 1, 2, 3"
RAISE = """
INSERT INTO hourly
SELECT 'shop', %(hour)s, name, count(*) FROM unnest(%(names)s::text[]) AS name GROUP BY name ORDER BY name
ON CONFLICT (app, hour, name) DO UPDATE SET n = hourly.n + excluded.n
"""


def fill(server: Server, count: int) -> Postgres:
    """Return a store of so many events of the thirty days before a moment, vacuumed."""
    store = open_postgres(server.url("postgres"))
    store.access.add_app(App("shop"), "bench", START)
    for first in range(START // DAY, END // DAY + 1, 20):
        store.prepare([day for day in range(first, first + 20) for _ in range(500)], END)
    words = {"start": START, "step": (END - START) // count, "names": list(NAMES)}
    with psycopg.connect(server.url("postgres"), autocommit=True) as own:
        for first in range(0, count, 200_000):
            own.execute(ROWS, {**words, "first": first, "last": min(first + 200_000, count) - 1})
        own.execute("CREATE TABLE hourly (app text, hour bigint, name text, n bigint, PRIMARY KEY (app, hour, name))")
        own.execute(f"INSERT INTO hourly {COUNTS}".encode())
        own.execute("VACUUM ANALYZE")
    return store


def median(work: Callable[[], Any]) -> float:
    """Return the median milliseconds of some runs after one that does not count."""
    took = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:]) * 1000


def questions(store: Postgres, own: psycopg.Connection[Any]) -> None:
    """Print what plain questions take, and what reading the counts takes."""
    whole, days = Filter(since=START, until=END), DAY // HOUR
    one = Filter(since=START, until=END, name="auth")
    counted = f"SELECT {{}}, sum(n) FROM hourly WHERE app = 'shop' AND hour >= {START // HOUR} {{}} GROUP BY 1"
    asked: dict[str, tuple[Callable[[], Any], str]] = {
        "events by day, 30 d": (
            lambda: store.explorer.series("shop", SeriesWanted(whole, "day", previous=False)),
            counted.format(f"hour / {days}", ""),
        ),
        "  of one name": (
            lambda: store.explorer.series("shop", SeriesWanted(one, "day", previous=False)),
            counted.format(f"hour / {days}", "AND name = 'auth'"),
        ),
        "  by name": (
            lambda: store.explorer.series("shop", SeriesWanted(whole, "day", group_by="event", previous=False)),
            counted.format(f"(hour / {days}, name)", ""),
        ),
        "event names, with their users": (lambda: store.explorer.names("shop", whole), counted.format("name", "")),
    }
    print(f"{'':32} {'events':>8} {'counts':>8}   ms")
    for name, (ask, query) in asked.items():
        plain, held = median(ask), median(lambda query=query: own.execute(query.encode()).fetchall())
        print(f"{name:32} {plain:8.1f} {held:8.1f}   events / counts {plain / held:.0f}", flush=True)


def write(server: Server, first: int, raised: bool) -> None:
    """Commit batches."""
    hour = END // HOUR
    words = {"start": END, "step": 1, "names": list(NAMES)}
    names = [NAMES[n % len(NAMES)] for n in range(BATCH)]
    with psycopg.connect(server.url("postgres")) as own:
        for number in range(BATCHES):
            start = first + number * BATCH
            own.execute(ROWS, {**words, "first": start, "last": start + BATCH - 1})
            if raised:
                own.execute(RAISE, {"hour": hour, "names": names})
            own.commit()


def commits(server: Server) -> None:
    """Print what raising the counts in the same transaction costs, in two rounds each."""
    first = 10**9
    for writers in (1, 2):
        rates: dict[bool, list[float]] = {False: [], True: []}
        for raised in (False, True) * 2:
            threads = []
            for _ in range(writers):
                threads.append(threading.Thread(target=write, args=(server, first, raised)))
                first += BATCHES * BATCH
            began = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rates[raised].append(writers * BATCHES / (time.perf_counter() - began))
        without, held = (statistics.mean(rates[raised]) for raised in (False, True))
        print(f"{writers} writing: {without:.0f} commits/s, {held:.0f} with counts raised; {held / without:.2f}")


def main() -> None:
    """Print the figures and ratios."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    server = Server(fsync="on", autovacuum="off", shared_buffers="256MB", max_wal_size="4GB")
    try:
        store = fill(server, count)
        with psycopg.connect(server.url("postgres"), autocommit=True) as own:
            print(f"{count:,} events of {DAYS} days")
            questions(store, own)
        store.close()
        commits(server)
    finally:
        server.end()


if __name__ == "__main__":
    main()
