"""What one event costs a sequence by user, with few users in the midst of it and with very many.

    python bench/sequence.py

Beside it the engine of the eql package on the same events in the same run, with the same window (`maxspan`) and, since
walks through all that is open at every event, without any. Conditions, groups and windows are in the figures; reading
events is not. Exit code 1 if many users make an event cost more than half as much again as few.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import eql
from eql.engine import PythonEngine

from sentinel.core.event import read
from sentinel.engine.engine import Engine
from sentinel.loader.assembly import assemble
from sentinel.windows.memory import MemoryWindows

FEW, SOME, MANY = 500, 5_000, 50_000
MOST = 1.5
LOTS, LOT = 40, 500
SLOW_LOT = 20  # where an event costs a tenth of a millisecond and more
START = 1_767_571_200
PLAYBOOK = b"""\
playbook: p
group_by: user
window: 1h
sequence:
  - {event: auth, where: not success}
  - {event: auth, where: success}
  - {event: payout, where: properties.amount > 100}
"""
QUERY = """\
sequence by user {span}
  [auth where success == false]
  [auth where success == true]
  [payout where amount > 100]
"""
Raw = dict[str, Any]


def opened(users: int) -> list[Raw]:
    """Return a failed login of each user: all are in the midst of the sequence then."""
    return [_event(n, START + n * 1000 / users, f"u{n}", "auth", success=False) for n in range(users)]


def stream(users: int, count: int) -> list[Raw]:
    """Return events of users at random in which as many sequences are begun as are ended."""
    dice = random.Random(7)  # the same stream each time
    made = []
    for n in range(count):
        user, at = f"u{dice.randrange(users)}", START + 1000 + n / 100
        kind = dice.randrange(4)
        made.append(
            _event(users + n, at, user, "payout", amount=dice.randrange(50, 150))
            if kind == 3
            else _event(users + n, at, user, "auth", success=kind == 2)
        )
    return made


def _event(number: int, at: float, user: str, name: str, **more: Any) -> Raw:
    return {"id": f"{number:032x}", "at": at, "user": user, "event": name, **more}


def ours(users: int) -> list[float]:
    """Return microseconds an event of our engine, lot by lot."""
    engine = Engine(assemble({"p.yaml": PLAYBOOK}).playbooks.values())
    windows = MemoryWindows(engine.watches())
    newest = 0

    def feed(events: Sequence[Any]) -> None:
        nonlocal newest
        matched = engine.match(events, newest)
        newest = matched.newest
        windows.hit(matched.hits, newest)

    def made(raw: Raw) -> Any:
        own = {"properties": {"amount": raw["amount"]}} if "amount" in raw else {"success": raw["success"]}
        return read({"id": raw["id"], "timestamp": raw["at"], "user": raw["user"], "event": raw["event"], **own})

    return measured(feed, [made(one) for one in opened(users)], [made(one) for one in stream(users, LOTS * LOT)], LOT)


def theirs(users: int, span: str = "") -> list[float]:
    """Return microseconds an event of eql's engine, lot by lot."""
    engine = PythonEngine()
    engine.add_query(eql.parse_query(QUERY.format(span=span)))
    engine.add_output_hook(lambda found: None)

    def feed(events: Sequence[Any]) -> None:
        for event in events:
            engine.stream_event(event)

    def made(raw: Raw) -> Any:
        ticks = int(raw["at"] * 10**7)
        own = {name: value for name, value in raw.items() if name not in ("at", "event")}
        return eql.Event(raw["event"], ticks, own | {"event_type": raw["event"], "timestamp": ticks})

    lot = SLOW_LOT if span else LOT
    return measured(feed, [made(one) for one in opened(users)], [made(one) for one in stream(users, LOTS * lot)], lot)


def measured(
    feed: Callable[[Sequence[Any]], None], before: Sequence[Any], events: Sequence[Any], lot: int
) -> list[float]:
    """Feed what opens, then the events lot by lot; return the microseconds of CPU time an event took in each lot."""
    feed(before)
    gc.collect()
    gc.disable()
    costs = []
    for first in range(0, len(events), lot):
        some = events[first : first + lot]
        start = time.process_time()
        feed(some)
        costs.append((time.process_time() - start) / len(some) * 1e6)
    gc.enable()
    return costs


def main() -> int:
    """Print a line for each engine; return 1 if ours grows with what is open."""
    figures = {
        "sentinel, window 1h": {users: statistics.median(ours(users)) for users in (FEW, SOME, MANY)},
        "eql, no maxspan": {users: statistics.median(theirs(users)) for users in (FEW, SOME, MANY)},
        "eql, maxspan 1h": {users: statistics.median(theirs(users, "with maxspan=1h")) for users in (FEW, SOME)},
    }
    print(f"{'µs an event, users open:':26}{FEW:>10,}{SOME:>10,}{MANY:>10,}{'ratio':>8}")
    for name, costs in figures.items():
        shown = "".join(f"{costs[users]:10.2f}" if users in costs else " " * 10 for users in (FEW, SOME, MANY))
        print(f"{name:26}{shown}{costs[max(costs)] / costs[FEW]:8.2f}")
    own, plain, same = figures.values()
    print(f"at {MANY:,} open users eql without maxspan costs {plain[MANY] / own[MANY]:.2f} times as much")
    print(f"at {SOME:,} open users eql with maxspan costs {same[SOME] / own[SOME]:.1f} times as much")
    return int(own[MANY] / own[FEW] > MOST)


if __name__ == "__main__":
    sys.exit(main())
