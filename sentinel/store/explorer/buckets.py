"""The number of the bucket that an event lies in, as SQL. What buckets are is in `core.buckets`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

from sentinel.core.buckets import SIZES, Buckets, offset
from sentinel.core.duration import DAY

Divided = Callable[[str, int], str]


def number_of(over: Buckets, since: int, divided: Divided) -> str:
    """Return SQL for the number of the bucket that `ts` lies in, right for times from `since` to the last one's end.

    `divided` returns SQL for a piece of SQL divided by a whole number, without the rest.
    """
    if over.interval in SIZES:
        return divided("ts", SIZES[over.interval])
    day = divided(f"(ts + {_offsets(over.zone, since, over.end())})", DAY)
    if over.interval == "day":
        return day
    if over.interval == "week":
        return divided(f"({day} + 3)", 7)
    of = f"(DATE '1970-01-01' + CAST({day} AS INTEGER))"
    return f"CAST(extract(year FROM {of}) * 12 + extract(month FROM {of}) - 1 AS BIGINT)"


def _offsets(zone: ZoneInfo, since: int, until: int) -> str:
    """Return SQL for a zone's offset at `ts` in microseconds, right for times between two moments."""
    changes = list(_changes(zone, since, until))
    if not changes:
        return f"{offset(zone, since)}"
    cases = " ".join(f"WHEN ts < {at} THEN {offset(zone, at - 1)}" for at in changes)
    return f"CASE {cases} ELSE {offset(zone, until - 1)} END"


def _changes(zone: ZoneInfo, since: int, until: int) -> Iterator[int]:
    """Give the moments at which a zone's offset changes; two changes within a day would be taken for one or none."""
    low, before = since, offset(zone, since)
    while low < until:
        high = min(low + DAY, until)
        after = offset(zone, high)
        if after != before:
            yield _change(zone, low, high)
        low, before = high, after


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """Return the first moment after `low` that has the offset of `high`, found by bisection."""
    wanted = offset(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if offset(zone, middle) == wanted else (middle, high)
    return high
