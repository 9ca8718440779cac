"""The shapes of the explorer's aggregated answers: shares of a total, and changes since the period before.

A share is between 0 and 1. A change is the difference divided by the earlier value, null where that was 0.
"""

from __future__ import annotations

from typing import Any

from sentinel.api.models import Model, Moment, Number
from sentinel.api.views import when
from sentinel.core.duration import SECOND, format_duration
from sentinel.core.explore import (
    Funnel,
    FunnelWanted,
    Interval,
    Line,
    MetricKind,
    Names,
    Ranked,
    Retention,
    RetentionWanted,
    Series,
    SeriesWanted,
    Top,
    TopWanted,
    Way,
)
from sentinel.core.number import finite
from sentinel.core.record import Filter

Value = str | bool | int | float | None


class LineView(Model):
    """The metric of one value, bucket by bucket; with `rest` of all values that have no line of their own."""

    value: Value
    rest: bool
    points: list[Number | None]
    previous: list[Number | None]
    total: Number | None
    previous_total: Number | None


class SeriesView(Model):
    """Lines over buckets that begin at `starts`; `previous` are as many before them. `approximate`: estimated."""

    interval: Interval
    zone: str
    metric: MetricKind
    of: str | None
    group_by: str | None
    starts: list[Moment]
    previous_starts: list[Moment]
    to: Moment
    series: list[LineView]
    approximate: bool
    behind: int


class AmountView(Model):
    """Some events, and their distinct users; null: not counted."""

    events: int
    users: int | None


class RankedView(AmountView):
    """A value with its amounts. `share` and `change` are of what it is ranked by; null is what lacks the field."""

    value: Value
    share: float | None
    previous: AmountView
    change: float | None


class TopView(Model):
    """The values first in rank beside all events. `approximate`: users are estimated."""

    field: str
    by: str
    since: Moment
    to: Moment
    total: AmountView
    previous: AmountView
    items: list[RankedView]
    approximate: bool
    behind: int


class NameView(AmountView):
    """An event name; `share` is that of all users who did anything."""

    event: str
    share: float | None
    first: Moment
    last: Moment


class NamesView(Model):
    """Event names beside all events. `approximate`: users are estimated."""

    since: Moment
    to: Moment
    total: AmountView
    items: list[NameView]
    approximate: bool
    behind: int


class StepView(Model):
    """Who came so far: as a share of those who began, and of those at the step before; median seconds since both."""

    event: str
    users: int
    share: float | None
    share_of_last: float | None
    median_s: Number | None
    median_since_last_s: Number | None


class WayView(Model):
    """The steps of the users whose first event has a value; with `all` of all users."""

    value: Value
    all: bool
    steps: list[StepView]


class FunnelView(Model):
    """All users first, then by value. `approximate`: estimated from one in eight users."""

    since: Moment
    to: Moment
    window: str
    group_by: str | None
    ways: list[WayView]
    approximate: bool
    behind: int


class CohortView(Model):
    """The users who began in a bucket, and how many of them were back in it and in each later one."""

    at: Moment
    users: int
    back: list[int]
    shares: list[float | None]


class RetentionView(Model):
    """One cohort a bucket, oldest first."""

    interval: Interval
    zone: str
    start: str | None
    back: str | None
    to: Moment
    cohorts: list[CohortView]
    behind: int


def series_view(asked: SeriesWanted, found: Series) -> dict[str, Any]:
    """Return a series as it is shown."""
    return {
        "interval": asked.interval, "zone": asked.zone, "metric": asked.metric.kind, "of": asked.metric.field,
        "group_by": asked.group_by, "starts": [when(at) for at in found.starts],
        "previous_starts": [when(max(at, 0)) for at in found.previous_starts], "to": when(found.until),
        "series": [_line(line) for line in found.lines], "approximate": found.approximate, "behind": found.behind,
    }  # fmt: skip


def top_view(asked: TopWanted, found: Top) -> dict[str, Any]:
    """Return tops as they are shown."""
    whole = getattr(found.total, asked.by)
    return _span(asked.filter) | {
        "field": asked.field, "by": asked.by, "total": found.total._asdict(), "previous": found.before._asdict(),
        "items": [_ranked(one, asked.by, whole) for one in found.items], "approximate": found.approximate,
        "behind": found.behind,
    }  # fmt: skip


def names_view(filter: Filter, found: Names) -> dict[str, Any]:
    """Return event names as they are shown."""
    items = [
        {"event": one.name, **one.amount._asdict(), "share": share(one.amount.users, found.total.users),
         "first": when(one.first), "last": when(one.last)}
        for one in found.items
    ]  # fmt: skip
    more = {"total": found.total._asdict(), "approximate": found.approximate, "behind": found.behind}
    return _span(filter) | more | {"items": items}


def funnel_view(asked: FunnelWanted, found: Funnel) -> dict[str, Any]:
    """Return a funnel as it is shown."""
    return _span(asked.filter) | {
        "window": format_duration(asked.window), "group_by": asked.group_by,
        "ways": [{"value": _shown(way.value), "all": way.all, "steps": _steps(asked, way)} for way in found.ways],
        "approximate": found.approximate, "behind": found.behind,
    }  # fmt: skip


def retention_view(asked: RetentionWanted, found: Retention) -> dict[str, Any]:
    """Return retention as it is shown."""
    cohorts = [
        {"at": when(one.at), "users": one.users, "back": list(one.back),
         "shares": [share(count, one.users) for count in one.back]}
        for one in found.cohorts
    ]  # fmt: skip
    return {
        "interval": asked.interval, "zone": asked.zone, "start": asked.start, "back": asked.back,
        "to": when(found.until), "cohorts": cohorts, "behind": found.behind,
    }  # fmt: skip


def share(part: float | None, whole: float | None) -> float | None:
    """Return a part of a whole, None of nothing; what was estimated is never more than all."""
    return round(min(part / whole, 1.0), 6) if whole and part is not None else None


def change(now: float, before: float) -> float | None:
    """Return how much more there is than before, None where there was nothing."""
    return round((now - before) / before, 6) if before else None


def _line(line: Line) -> dict[str, Any]:
    return {
        "value": _shown(line.value), "rest": line.rest, "points": [finite(one) for one in line.points],
        "previous": [finite(one) for one in line.previous], "total": finite(line.total),
        "previous_total": finite(line.previous_total),
    }  # fmt: skip


def _ranked(one: Ranked, by: str, whole: int) -> dict[str, Any]:
    now, before = getattr(one.now, by), getattr(one.before, by)
    return {
        "value": _shown(one.value), **one.now._asdict(), "share": share(now, whole),
        "previous": one.before._asdict(), "change": change(now, before),
    }  # fmt: skip


def _steps(asked: FunnelWanted, way: Way) -> list[dict[str, Any]]:
    first = way.steps[0].users
    lasts = (first, *(step.users for step in way.steps))
    return [
        {"event": name, "users": step.users, "share": share(step.users, first),
         "share_of_last": share(step.users, last), "median_s": _seconds(step.from_start),
         "median_since_last_s": _seconds(step.from_last)}
        for name, step, last in zip(asked.steps, way.steps, lasts, strict=False)
    ]  # fmt: skip


def _seconds(micros: float | None) -> float | None:
    return None if micros is None else micros / SECOND


def _span(filter: Filter) -> dict[str, Any]:
    return {"since": when(filter.since), "to": when(filter.until)}


def _shown(value: Value) -> Value:
    return value[:512] if isinstance(value, str) else value
