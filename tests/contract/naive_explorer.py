"""What the explorer means, in naive lines over a list of events. Slow, and held against every backend."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sentinel.core.event import Event
from sentinel.core.explore import (
    Amount,
    Cohort,
    FunnelWanted,
    Metric,
    NameSeen,
    RetentionWanted,
    SeriesWanted,
    Step,
)
from sentinel.core.record import Filter
from sentinel.engine.fields import compile_field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def value(path: str, event: Event) -> Any:
    """Return what a field holds, lists and objects as nothing; 5 and 5.0 are the same."""
    found = compile_field(path)(event)
    if isinstance(found, dict | list | tuple):
        return None
    return (type(found).__name__, found) if isinstance(found, bool) else found


def shown(found: Any) -> Any:
    return found[1] if isinstance(found, tuple) else found


def begin(at: int, interval: str, zone: str) -> int:
    """Return when the bucket of a moment begins."""
    local = (EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo("UTC" if interval in ("minute", "hour") else zone))
    if interval == "minute":
        local = local.replace(second=0, microsecond=0)
    elif interval == "hour":
        local = local.replace(minute=0, second=0, microsecond=0)
    else:
        day = local.date()
        if interval == "week":
            day -= timedelta(days=day.weekday())
        if interval == "month":
            day = day.replace(day=1)
        local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return (local - EPOCH) // timedelta(microseconds=1)


def following(start: int, interval: str, zone: str) -> int:
    """Return when the next bucket begins: the first minute of another one."""
    step = {"minute": 1, "hour": 60}.get(interval, 60)
    at = start
    while (found := begin(at, interval, zone)) == start:
        at += step * 60_000_000
    return found


def preceding(start: int, interval: str, zone: str) -> int:
    return begin(start - 1, interval, zone)


def metric(events: Iterable[Event], wanted: Metric) -> float | None:
    """Return the metric of some events."""
    events = list(events)
    if wanted.kind == "count":
        return len(events)
    if wanted.kind in ("users", "ips"):
        name = {"users": "user", "ips": "ip"}[wanted.kind]
        return len({getattr(one, name) for one in events} - {None})
    assert wanted.field is not None
    found = [compile_field(wanted.field)(one) for one in events]
    numbers = sorted(float(one) for one in found if isinstance(one, int | float) and not isinstance(one, bool))
    if not numbers:
        return None
    return {
        "sum": math.fsum, "avg": lambda some: math.fsum(some) / len(some), "min": min, "max": max,
        "p95": lambda some: some[math.ceil(len(some) * 0.95) - 1],
    }[wanted.kind](numbers)  # fmt: skip


def within(events: Iterable[Event], filter: Filter) -> list[Event]:
    return [
        one
        for one in events
        if (filter.since is None or one.at >= filter.since) and (filter.until is None or one.at < filter.until)
        and (filter.name is None or one.name == filter.name)
    ]  # fmt: skip


def span(wanted: SeriesWanted | RetentionWanted) -> tuple[list[int], int]:
    """Return when each bucket of a question begins, and when the last one ends."""
    assert wanted.filter.since is not None
    assert wanted.filter.until is not None
    starts = [begin(wanted.filter.since, wanted.interval, wanted.zone)]
    while (next_one := following(starts[-1], wanted.interval, wanted.zone)) < wanted.filter.until:
        starts.append(next_one)
    return starts, next_one


def series(events: list[Event], wanted: SeriesWanted) -> dict[str, Any]:
    """Return starts, and for each value's line (`rest` for the rest) its points, those before, and both totals."""
    starts, end = span(wanted)
    before = [starts[0]]
    for _ in starts:
        before.insert(0, preceding(before[0], wanted.interval, wanted.zone))
    now = within(events, replace(wanted.filter, since=starts[0], until=end))
    past = within(events, replace(wanted.filter, since=before[0], until=starts[0]))

    def line(of: Callable[[Event], bool]) -> Any:
        return tuple(
            (
                [
                    metric([one for one in some if a <= one.at < b and of(one)], wanted.metric)
                    for a, b in pairwise(edges)
                ],
                metric([one for one in some if of(one)], wanted.metric),
            )
            for some, edges in ((now, [*starts, end]), (past, before))
        )

    found = {"starts": starts, "until": end, "before": before[:-1]}
    if wanted.group_by is None:
        return found | {"lines": {(None, False): line(lambda one: True)}}
    path = wanted.group_by
    ranked = ranks(now, path, wanted.metric if wanted.metric.kind in ("count", "users", "ips", "sum") else Metric())
    return found | {
        "ranks": ranked,
        "line": lambda key: line(lambda one: value(path, one) == key),
        "rest": lambda keys: line(lambda one: value(path, one) not in keys),
    }


def ranks(events: Iterable[Event], path: str, by: Metric) -> dict[Any, float | None]:
    """Return the metric of each value."""
    groups = defaultdict(list)
    for one in events:
        groups[value(path, one)].append(one)
    return {key: metric(some, by) for key, some in groups.items()}


def amount(events: Iterable[Event]) -> Amount:
    events = list(events)
    return Amount(len(events), len({one.user for one in events} - {None}))


def names(events: list[Event], filter: Filter) -> list[NameSeen]:
    groups = defaultdict(list)
    for one in within(events, filter):
        groups[one.name].append(one)
    found = [
        NameSeen(name, amount(some), min(one.at for one in some), max(one.at for one in some))
        for name, some in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.amount.users, -one.amount.events, one.name))


def way(events: list[Event], wanted: FunnelWanted, only: Callable[[Event], bool]) -> tuple[Step, ...]:
    """Follow each user from their first event of the first name."""
    reached: list[list[list[int]]] = [[] for _ in wanted.steps]
    users = {one.user for one in events} - {None}
    for user in users:
        mine = sorted((one for one in within(events, wanted.filter) if one.user == user), key=lambda one: one.at)
        first = [one for one in mine if one.name == wanted.steps[0]]
        if not first or not only(first[0]):
            continue
        times = [first[0].at]
        for number, name in enumerate(wanted.steps[1:], 1):
            again = name in wanted.steps[:number]
            later = [
                one.at
                for one in mine
                if one.name == name
                and (one.at > times[-1] or (one.at == times[-1] and not again))
                and one.at <= times[0] + wanted.window
            ]
            if not later:
                break
            times.append(later[0])
        for number in range(len(times)):
            reached[number].append(times[: number + 1])
    return tuple(
        Step(len(some), *_medians(some) if number and some else (None, None)) for number, some in enumerate(reached)
    )


def _medians(some: list[list[int]]) -> tuple[float, float]:
    return float(median(one[-1] - one[0] for one in some)), float(median(one[-1] - one[-2] for one in some))


def retention(events: list[Event], wanted: RetentionWanted) -> list[Cohort]:
    """Put each user where they began, and look where they were."""
    starts, end = span(wanted)
    edges = list(pairwise([*starts, end]))
    some = within(events, wanted.filter)

    def there(name: str | None, a: int, b: int) -> set[str]:
        found = {one.user for one in some if a <= one.at < b and (name is None or one.name == name)}
        return {user for user in found if user is not None}

    began: set[str] = set()
    cohorts = []
    for number, (a, b) in enumerate(edges):
        fresh = there(wanted.start, a, b) - began
        began |= fresh
        back = tuple(len(fresh & there(wanted.back, *later)) for later in edges[number:])
        cohorts.append(Cohort(a, len(fresh), back))
    return cohorts
