"""How long does the backtest of a draft take over a million stored events, beside the replay of all of them?

    python bench/draft.py [EVENTS] [FOLDER]

Each playbook is judged on thirty days of events of 200,000 users, with some attacks among them: by reading what can
matter, as the editor does; by reading what it matches, as `sentinel backtest --since` does; and by reading everything,
which must come to the same. Prints seconds by the clock, the number of events read, and the ratios. The events are
those of `explorer.py`; the folder is removed afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import duckdb

from bench.explorer import END, START, fill
from sentinel.content import folder
from sentinel.core.batch import Batch
from sentinel.core.duration import DAY, HOUR, SECOND
from sentinel.core.event import Event, read
from sentinel.loader.content import load
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.summary import summary
from sentinel.service.trials.swift import Swift
from sentinel.store.embedded.store import EVENTS, Embedded, open_store
from sentinel.windows.memory import windows_of

JUDGED = ("credential-stuffing", "address-brute-force", "account-takeover", "new-country", "impossible-travel")
ATTACKS = 20


def attacks() -> Iterator[Event]:
    """Give twenty addresses that try a hundred accounts each."""
    for attack in range(ATTACKS):
        for n in range(100):
            at = START + (attack + 2) * DAY + 7 * HOUR + n * 2 * SECOND
            raw = {"id": f"a{attack}-{n}", "event": "auth", "success": False, "timestamp": at / 1e6}
            yield read(raw | {"user": str(n * 31 + attack), "ip": f"203.0.113.{attack}"}, enriched=True)


def all_of(store: Embedded) -> Iterator[list[Event]]:
    """Give every stored event of the time."""
    events = store.events.in_order("shop", START)
    while lot := list(islice(events, 500)):
        for event in lot:
            event.historical = False
        yield lot


def measure(store: Embedded, plan: Plan) -> tuple[float, float, float, int]:
    """Return the seconds that the ways take, and how many events the first one read."""
    with closing(Backtest(plan)) as swift, closing(Backtest(plan)) as whole, closing(Backtest(plan)) as full:
        began = time.perf_counter()
        reading = Swift(store.events, "shop", START, END + DAY).judge(swift)
        quick = time.perf_counter() - began
        began = time.perf_counter()
        whole.run_stored(Swift(store.events, "shop", START, END + DAY).whole(plan.playbooks))
        report = time.perf_counter() - began
        began = time.perf_counter()
        full.run_stored(all_of(store))
        slow = time.perf_counter() - began
        assert summary(whole)["playbooks"] == summary(full)["playbooks"]
        assert list(swift.findings.lines()) == list(full.findings.lines())
        assert (swift.harm.owners, swift.harm.refused) == (full.harm.owners, full.harm.refused)
        print(f"    {swift.findings.count.total():,} findings")
    return quick, report, slow, reading.events


def main(count: int, place: Path) -> None:
    """Measure each of some shipped playbooks."""
    fill(place, count)
    with duckdb.connect(str(place / EVENTS)) as connection:  # replays read up to the journal's end: these lie before it
        connection.execute(f"UPDATE events SET seq = seq - {1 << 60}").fetchall()
        connection.execute("CHECKPOINT").fetchall()
    store = open_store(place)
    with store.unit() as unit:
        unit.commit([Batch("shop", END, tuple(attacks()))])
    store.project()
    shipped = load([folder("playbooks")]).playbooks
    for name in JUDGED:
        quick, report, slow, some = measure(store, Plan([shipped[name]], windows_of))
        print(
            f"{name:24} {quick:6.2f} s reading {some:>7,} events, the whole report {report:6.2f} s, all {slow:6.1f} s: "
            f"{slow / quick:5.0f} and {slow / report:5.1f} times"
        )
    store.close()


if __name__ == "__main__":
    events = int(sys.argv[1].replace(",", "").replace("_", "")) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="sentinel-bench-", dir=sys.argv[2] if len(sys.argv) > 2 else None) as where:
        main(events, Path(where))
