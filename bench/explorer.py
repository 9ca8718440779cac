"""How long do the explorer's answers take over ten million stored events of thirty days?

    python bench/explorer.py [EVENTS] [FOLDER]

Prints the median of 20 warm runs of each question by the clock, and half of its processor time, which is what two free
cores would take at best; beside it the goal, and a plain SELECT that takes what it asks for out of the events' JSON, as
one would without columns of its own. The events are written straight into the table, in the form and order in which
the projector leaves them; the folder is removed afterwards.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from sentinel.core.batch import Batch
from sentinel.core.duration import DAY, HOUR
from sentinel.core.event import Event, read
from sentinel.core.explore import FunnelWanted, Metric, RetentionWanted, SeriesWanted, TopWanted, UsersWanted
from sentinel.core.record import App, Filter
from sentinel.engine.expression import compile_expression
from sentinel.store.embedded.backup import EVENTS
from sentinel.store.embedded.store import Embedded, open_store
from sentinel.store.rows import hash_of, numbers_of

END = 1_795_210_200_000_000
DAYS = 30
START = END - DAYS * DAY
USERS, ADDRESSES, DEVICES = 200_000, 50_000, 100_000
LOT = 500_000
RUNS = 20
NAMES = ("page.view",) * 4 + ("api.call",) * 2 + ("search", "item.view", "auth", "invoice.created", "export", "signup")

# One row in `lot` events; `h` and `g` are two random numbers a row. One in four events is of one of 2,000 busy users.
ROWS = """
INSERT INTO events BY NAME
WITH ranged AS (
  SELECT range AS n, CAST(hash(range) >> 1 AS BIGINT) AS h, CAST(hash(range + 7777777777) >> 1 AS BIGINT) AS g
  FROM range(?, ?)
), numbers AS (
  SELECT *, (['free', 'pro', 'team'])[1 + h % 3] AS plan, h % 500 + 0.5 AS total FROM ranged
)
SELECT n << 20 AS seq, '$app' AS app, $start + n * $step + h % 1000 AS ts, 0 AS ahead, ts + 40000 AS received,
  ($names)[1 + h % $named] AS name, '0193' || lpad(to_hex(n), 12, '0') || '-7abc-8def' AS id,
  CASE WHEN name = 'auth' THEN g % 10 > 0 END AS success, people.user_key, people.user_h,
  '{"id":"' || people.i || '","email":"user' || people.i || '@example.com"}' AS identifiers,
  places.ip, places.ip_h, places.ip4, devices.device, devices.device_h, 'server' AS trust,
  FALSE AS clamped, FALSE AS historical, 'POST' AS method, '/item/' || (h % 300) AS path, '/item/{id}' AS route,
  200 AS status, 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0' AS user_agent,
  (['DE', 'US', 'FR', 'GB', 'JP', 'BR', 'IN', 'PL', 'ES', 'IT', 'NL', 'SE'])[1 + g % 12] AS country,
  'Berlin' AS city, 52.5 AS lat, 13.4 AS lon, 64500 AS asn, 'Example' AS org, FALSE AS private,
  (['Firefox', 'Chrome', 'Safari'])[1 + g % 3] AS browser, 'Linux' AS os, 'Other' AS agent_device, FALSE AS bot,
  '{"plan":"' || plan || '","cart":{"total":' || total || '},"feature":"f' || (g % 40) || '","ref":"' || to_hex(h)
    || CASE WHEN name = 'invoice.created' THEN '","coupon":"c' || (g % 20) ELSE '' END || '"}' AS props,
  plan AS $plan, total AS $total
FROM numbers
JOIN people ON people.i = CASE WHEN g % 4 = 0 THEN (h >> 20) % 2000 ELSE (h >> 20) % $users END
JOIN places ON places.i = (h >> 33) % $places
JOIN devices ON devices.i = g % $phones
ORDER BY n
"""


class Question(NamedTuple):
    """What is asked, within how many milliseconds it should be answered, and the plain SELECT beside it."""

    name: str
    goal: float
    ask: Callable[[Embedded], object]
    plain: str | None = None


def seed(number: int, trust: str, at: int) -> Event:
    """Return an event by which the store learns which properties there are: a browser's get no column."""
    promoted = {"plan": "pro", "cart": {"total": 1.5}}
    properties = promoted if trust == "server" else {"feature": "f1", "ref": "x", "coupon": "c1"}
    made = read({"id": f"seed{number}", "event": "seed", "timestamp": at / 1e6 - 1, "properties": properties})
    made.trust = trust
    return made


def fill(folder: Path, count: int, end: int = END, app: str = "shop") -> None:
    """Store so many events of an app, of the thirty days before a moment."""
    start = end - DAYS * DAY
    store = open_store(folder)
    if store.access.app(app) is None:
        store.access.add_app(App(app), "bench", start)
    with store.unit() as unit:
        unit.commit([Batch(app, start, (seed(1, "browser", start), seed(2, "server", start)))])
    store.project()
    slots = {path: slot.column for path, slot in store.schema.slots(app).items()}
    store.close()
    words = {
        "app": app, "start": start, "step": (end - start) // count, "named": len(NAMES), "names": repr(list(NAMES)),
        "users": USERS, "places": ADDRESSES, "phones": DEVICES, "plan": slots["plan"], "total": slots["cart.total"],
    }  # fmt: skip
    query = ROWS
    for name, value in sorted(words.items(), key=lambda one: -len(one[0])):
        query = query.replace(f"${name}", str(value))
    with duckdb.connect(str(folder / EVENTS), config={"memory_limit": "512MB", "threads": 2}) as connection:
        known(connection)
        for first in range(0, count, LOT):
            connection.execute(query, [first, min(first + LOT, count)]).fetchall()
            connection.execute("CHECKPOINT").fetchall()


def known(connection: duckdb.DuckDBPyConnection) -> None:
    """Make tables of the users, addresses and devices, with their hashes."""
    connection.execute("CREATE TEMP TABLE people (i BIGINT, user_key VARCHAR, user_h UBIGINT)")
    connection.execute("CREATE TEMP TABLE devices (i BIGINT, device VARCHAR, device_h UBIGINT)")
    connection.execute("CREATE TEMP TABLE places (i BIGINT, ip VARCHAR, ip_h UBIGINT, ip4 UINTEGER)")
    ips = [f"198.{18 + i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(ADDRESSES)]
    _append(connection, "people", [(i, f"id:{i}", hash_of(f"id:{i}")) for i in range(USERS)])
    _append(connection, "devices", [(i, f"d{i}", hash_of(f"d{i}")) for i in range(DEVICES)])
    _append(connection, "places", [(i, ip, hash_of(ip), numbers_of(ip)[0]) for i, ip in enumerate(ips)])


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    appender = connection.appender(table)
    appender.append_rows(rows)
    appender.flush()
    appender.clear()


def questions(page: str) -> Iterator[Question]:
    """Give what is asked; `page` is a cursor from the midst of the events."""
    everything = Filter(since=START, until=END)
    week = replace(everything, since=END - 7 * DAY)
    day = replace(everything, since=END - DAY)
    of = "SELECT {} FROM events WHERE app = 'shop' AND ts >= " + str(week.since)
    plan, feature, ref, coupon = (
        f"json_extract_string(props, '$.{name}')" for name in ("plan", "feature", "ref", "coupon")
    )
    is_feature, no_feature, never = map(
        compile_expression,
        ("properties.feature == 'f7'", "properties.feature != 'f7'", "properties.ref == 'never'"),
    )
    who = "json_extract_string(identifiers, '$.id')"
    steps, users = ("signup", "search", "export"), Metric("users")
    rare = Filter(user="id:77777")
    yield Question("a rare user's newest 50", 100, lambda s: s.events.search("shop", rare),
                   f"SELECT * FROM events WHERE app = 'shop' AND {who} = '77777'")  # fmt: skip
    yield Question("a busy user's newest 50", 100, lambda s: s.events.search("shop", Filter(user="id:77")))
    yield Question("a rare user's page", 100, lambda s: s.explorer.user("shop", ("id:77777",), everything))
    yield Question("a busy user's page", 100, lambda s: s.explorer.user("shop", ("id:77",), everything))
    ip = replace(everything, ip="198.18.7.7")
    yield Question("an address's page", 100, lambda s: s.explorer.ip("shop", ip))
    yield Question("the newest 50", 100, lambda s: s.events.search("shop", Filter()))
    yield Question("a page in the midst", 100, lambda s: s.events.search("shop", Filter(), cursor=page))
    yield Question("users, newest first (7 d)", 100, lambda s: s.explorer.users("shop", UsersWanted(week)))
    yield Question(
        "series by hour (7 d, and before)", 100, lambda s: s.explorer.series("shop", SeriesWanted(week, "hour"))
    )
    yield Question("series by day (all)", 100, lambda s: s.explorer.series("shop", SeriesWanted(everything, "day")))
    yield Question("users by day (all, about)", 100,
                   lambda s: s.explorer.series("shop", SeriesWanted(everything, "day", users)))  # fmt: skip
    yield Question("series by day by country (7 d)", 100,
                   lambda s: s.explorer.series("shop", SeriesWanted(week, "day", group_by="geo.country")))  # fmt: skip
    yield Question("  by a promoted property", 100,
                   lambda s: s.explorer.series("shop", SeriesWanted(week, "day", group_by="properties.plan")),
                   of.format(f"ts // {DAY}, {plan}, count(*)") + " GROUP BY 1, 2")  # fmt: skip
    yield Question("  by another property", 300,
                   lambda s: s.explorer.series("shop", SeriesWanted(week, "day", group_by="properties.feature")),
                   of.format(f"ts // {DAY}, {feature}, count(*)") + " GROUP BY 1, 2")  # fmt: skip
    alone = SeriesWanted(week, "day", group_by="properties.feature", previous=False)
    yield Question("  and the week alone", 300, lambda s: s.explorer.series("shop", alone))
    yield Question("  by a property of one name", 300,
                   lambda s: s.explorer.series("shop", SeriesWanted(week, "day", group_by="properties.coupon")),
                   of.format(f"ts // {DAY}, {coupon}, count(*)") + " GROUP BY 1, 2")  # fmt: skip
    yield Question("  where another property is a text", 300,
                   lambda s: s.explorer.series("shop", SeriesWanted(replace(week, q=is_feature), "day")),
                   of.format(f"ts // {DAY}, count(*)") + f" AND {feature} = 'f7' GROUP BY 1")  # fmt: skip
    yield Question("  where it is another text", 300,
                   lambda s: s.explorer.series("shop", SeriesWanted(replace(week, q=no_feature), "day")),
                   of.format(f"ts // {DAY}, count(*)") + f" AND {feature} <> 'f7' GROUP BY 1")  # fmt: skip
    yield Question("a text that no event has (7 d)", 300,
                   lambda s: s.events.search("shop", replace(week, q=never)),
                   of.format("*") + f" AND {ref} = 'never' ORDER BY ts DESC LIMIT 50")  # fmt: skip
    yield Question("p95 of a promoted property (7 d)", 100, lambda s: s.explorer.series(
                   "shop", SeriesWanted(week, "day", Metric("p95", "properties.cart.total"))))  # fmt: skip
    yield Question(
        "top countries (7 d, and before)", 100, lambda s: s.explorer.top("shop", TopWanted(week, "geo.country"))
    )
    yield Question("top countries by users (all, about)", 100,
                   lambda s: s.explorer.top("shop", TopWanted(everything, "geo.country", "users")))  # fmt: skip
    yield Question("top users (7 d, and before)", 100, lambda s: s.explorer.top("shop", TopWanted(week, "user")))
    yield Question("top users (1 d)", 100, lambda s: s.explorer.top("shop", TopWanted(day, "user")))
    yield Question("top values of a promoted property", 100,
                   lambda s: s.explorer.top("shop", TopWanted(week, "properties.plan")),
                   of.format(f"{plan}, count(*)") + " GROUP BY 1 ORDER BY 2 DESC LIMIT 10")  # fmt: skip
    yield Question("top values of another property", 300,
                   lambda s: s.explorer.top("shop", TopWanted(week, "properties.feature")),
                   of.format(f"{feature}, count(*)") + " GROUP BY 1 ORDER BY 2 DESC LIMIT 10")  # fmt: skip
    yield Question("  and the week alone, by events", 300, lambda s: s.explorer.top(
                   "shop", TopWanted(week, "properties.feature", previous=False, users=False)))  # fmt: skip
    yield Question("  and the week alone, with users", 300, lambda s: s.explorer.top(
                   "shop", TopWanted(week, "properties.feature", previous=False)))  # fmt: skip
    yield Question("names with most users (all, about)", 100, lambda s: s.explorer.names("shop", everything))
    yield Question("names with their users, exact (7 d)", 100, lambda s: s.explorer.names("shop", week))
    yield Question(
        "funnel of three steps (7 d)", 100, lambda s: s.explorer.funnel("shop", FunnelWanted(week, steps, DAY))
    )
    yield Question("funnel of three steps (all, about)", 100,
                   lambda s: s.explorer.funnel("shop", FunnelWanted(everything, steps, 7 * DAY)))  # fmt: skip
    yield Question("  and of all users, exact", 600, lambda s: s.explorer.funnel(
                   "shop", FunnelWanted(everything, steps, 7 * DAY, exact=True)))  # fmt: skip
    yield Question("  by a promoted property (7 d)", 100, lambda s: s.explorer.funnel(
                   "shop", FunnelWanted(week, steps, DAY, "properties.plan")))  # fmt: skip
    yield Question(
        "retention by day (30 d)", 600, lambda s: s.explorer.retention("shop", RetentionWanted(everything, "day"))
    )
    yield Question("distinct users, exact (30 d)", 600,
                   lambda s: s.explorer.sums("shop", everything, exact=True),
                   f"SELECT count(DISTINCT {who}), count(DISTINCT ip) FROM events WHERE app = 'shop'")  # fmt: skip


def median(work: Callable[[], Any], runs: int) -> tuple[float, float]:
    """Return the median milliseconds of some runs after two that do not count: by the clock, and of two free cores."""
    took, busy = [], []
    for _ in range(runs + 2):
        began, spent = time.perf_counter(), time.process_time()
        work()
        took.append(time.perf_counter() - began)
        busy.append((time.process_time() - spent) / 2)
    return statistics.median(took[2:]) * 1000, statistics.median(busy[2:]) * 1000


def middle(store: Embedded) -> str:
    """Return a cursor from the midst of the events."""
    page = store.events.search("shop", Filter(until=END - DAYS * DAY // 2 + HOUR))
    assert page.cursor is not None
    return page.cursor


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        folder = Path(name) / "data"
        began = time.perf_counter()
        fill(folder, count)
        size = (folder / EVENTS).stat().st_size / 1e6
        print(f"{count:,} events of {DAYS} days in {size:.0f} MB, written in {time.perf_counter() - began:.0f} s")
        store = open_store(folder)
        print(f"{'':36} {'ms':>6} {'cpu':>6} {'goal':>6} {'plain':>7}   plain / ours, by processor time")
        for one in questions(middle(store)):
            took, busy = median(lambda asked=one: asked.ask(store), RUNS)
            plain = beside(store, one.plain) if one.plain else None
            ratio = "" if plain is None else f"{plain[0]:7.0f}   {plain[1] / busy:.1f}"
            over = "" if took <= one.goal else "  OVER" if busy > one.goal else "  over: the machine is shared"
            print(f"{one.name:36} {took:6.0f} {busy:6.0f} {one.goal:6.0f} {ratio}{over}", flush=True)
        store.close()
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, goal 1,536")


def beside(store: Embedded, query: str) -> tuple[float, float]:
    """Return the median milliseconds of a plain SELECT over the same file."""
    with store._duck.cursor() as own:
        return median(lambda: own.execute(query).fetchall(), 5)


if __name__ == "__main__":
    main()
