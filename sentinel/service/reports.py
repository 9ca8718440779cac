"""A report: what happened in an hour, a day, a week, a month or any period, compared with the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sentinel.core.buckets import buckets
from sentinel.core.duration import DAY, HOUR
from sentinel.core.explore import Interval, Names, Series, SeriesWanted, Sums, Top, TopWanted
from sentinel.core.record import Filter
from sentinel.service.ports import Store

FIELDS = ("user", "ip", "geo.country", "request.route")
_INTERVALS: tuple[tuple[int, Interval], ...] = ((2 * HOUR, "minute"), (3 * DAY, "hour"), (100 * DAY, "day"))
_WIDEST: Interval = "month"


@dataclass(frozen=True, slots=True)
class Told:
    """How many findings there were of each playbook, and decisions of each kind."""

    findings: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """A period from `since` to `until`, and the one from `previous` to `since`. Tops are by field."""

    since: int
    until: int
    previous: int
    now: Sums
    before: Sums
    series: Series
    names: Names
    tops: Mapping[str, Top]
    told: Told
    told_before: Told


def around(period: Interval, zone: str, at: int) -> tuple[int, int, int]:
    """Return when the hour … month of a moment begins and ends, and when the one before it begins."""
    found = buckets(period, zone, at, at + 1, 1)
    return found.start(found.first), found.end(), found.start(found.first - 1)


def between(since: int, until: int) -> tuple[int, int, int]:
    """Return a period and when the one before it begins, which is as long."""
    return since, until, max(2 * since - until, 0)


def interval(since: int, until: int) -> Interval:
    """Return in what steps a period is shown."""
    return next((one for longest, one in _INTERVALS if until - since <= longest), _WIDEST)


def report(store: Store, app: str, since: int, until: int, previous: int, zone: str) -> Report:
    """Return the report of a period and the one before it."""
    explorer = store.explorer
    now, before = Filter(since=since, until=until), Filter(since=max(previous, 0), until=since)
    return Report(
        since, until, previous,
        now=explorer.sums(app, now),
        before=explorer.sums(app, before) if max(previous, 0) < since else Sums(),
        series=explorer.series(app, SeriesWanted(now, interval(since, until), zone=zone)),
        names=explorer.names(app, now, limit=20),
        tops={path: explorer.top(app, TopWanted(now, path)) for path in FIELDS},
        told=_told(store, app, since, until),
        told_before=_told(store, app, previous, since),
    )  # fmt: skip


def _told(store: Store, app: str, since: int, until: int) -> Told:
    return Told(store.findings.tally(app, since, until), store.decisions.tally(app, since, until))
