"""/v1/events/timeseries, /v1/events/top, /v1/events/names, /v1/funnel and /v1/retention: aggregates of stored events.

The events meant are given as in a search. Without `from`, the period is the week before `to` (by default now), or
about as long as there are buckets for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from sentinel.api.asking import Q, Since, Until, wanted
from sentinel.api.context import ASKED_IN_TURN, Context, Here, Reader
from sentinel.api.parts import LONGEST, Filter, Word
from sentinel.api.shares import (
    FunnelView,
    NamesView,
    RetentionView,
    SeriesView,
    TopView,
    funnel_view,
    names_view,
    retention_view,
    series_view,
    top_view,
)
from sentinel.core import record
from sentinel.core.duration import DAY, HOUR
from sentinel.core.explore import (
    MOST_SERIES,
    MOST_STEPS,
    MOST_VALUES,
    By,
    FunnelWanted,
    Interval,
    Metric,
    MetricKind,
    RetentionWanted,
    SeriesWanted,
    TopWanted,
)
from sentinel.service.hand import lasting

router = APIRouter(tags=["explorer"], dependencies=ASKED_IN_TURN)
WEEK = 7 * DAY
SERIES: Mapping[Interval, int] = {"minute": DAY}  # how long where nobody says; else a week
COHORTS: Mapping[Interval, int] = {"minute": HOUR, "hour": 2 * DAY}  # else 30 days
Zone = Annotated[str, Query(max_length=64, description="Whose days, weeks and months: such as `Europe/Berlin`.")]
Field = Annotated[str | None, Query(max_length=512, examples=["geo.country", "properties.plan"])]
Step = Annotated[Word, Query(max_length=LONGEST)]
Series = Annotated[int, Query(ge=1, le=MOST_SERIES, description="How many values have a line; the others share one.")]
Previous = Annotated[bool, Query(description="Look at the period before as well, which takes as long again.")]
Exact = Annotated[bool, Query(description="Count distinct users also where they would be estimated.")]


def bounded(here: Context, filter: record.Filter, length: int = WEEK) -> record.Filter:
    """Return a filter with a beginning and an end, so long before now where they were not given."""
    until = here.clock() + 1 if filter.until is None else filter.until
    return replace(filter, since=max(until - length, 0) if filter.since is None else filter.since, until=until)


@router.get("/v1/events/timeseries", response_model=SeriesView)
def get_series(
    here: Here, caller: Reader, interval: Interval = "hour", metric: MetricKind = "count", of: Field = None,
    group_by: Field = None, top: Series = 10, zone: Zone = "UTC", exact: Exact = False,
    previous: Previous = True, q: Q = None, event: Filter = None, user: Filter = None, ip: Filter = None,
    since: Since = None, until: Until = None,
) -> Any:  # fmt: skip
    """Return a metric over time in whole buckets, and the same of as many buckets before them."""
    filter = wanted(here, caller.app, q, event, user, ip, since, until)
    filter = bounded(here, filter, SERIES.get(interval, WEEK))
    asked = SeriesWanted(filter, interval, Metric(metric, of), group_by, top, zone, exact, previous)
    return series_view(asked, here.store.explorer.series(caller.app, asked))


@router.get("/v1/events/top", response_model=TopView)
def get_top(
    here: Here, caller: Reader, field: Annotated[str, Query(max_length=512, examples=["ip"])], by: By = "events",
    limit: Annotated[int, Query(ge=1, le=MOST_VALUES)] = 10, exact: Exact = False, previous: Previous = True,
    q: Q = None, event: Filter = None, user: Filter = None, ip: Filter = None, since: Since = None, until: Until = None,
) -> Any:  # fmt: skip
    """Return the values of a field that most events have, or most users, with their shares and how they changed."""
    filter = bounded(here, wanted(here, caller.app, q, event, user, ip, since, until))
    asked = TopWanted(filter, field, by, limit, exact, previous)
    return top_view(asked, here.store.explorer.top(caller.app, asked))


@router.get("/v1/events/names", response_model=NamesView)
def get_names(
    here: Here, caller: Reader, by: By = "users", limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    exact: Exact = False, q: Q = None, user: Filter = None, ip: Filter = None, since: Since = None,
    until: Until = None,
) -> Any:  # fmt: skip
    """Return each event name with its events and its users: many events of one are not events of many."""
    filter = bounded(here, wanted(here, caller.app, q, None, user, ip, since, until))
    return names_view(filter, here.store.explorer.names(caller.app, filter, by, limit, exact))


@router.get("/v1/funnel", response_model=FunnelView)
def get_funnel(
    here: Here, caller: Reader, step: Annotated[list[Step], Query(min_length=2, max_length=MOST_STEPS)],
    window: Annotated[str, Query(max_length=40)] = "7d", group_by: Field = None, top: Series = 10,
    exact: Exact = False, q: Q = None, ip: Filter = None, since: Since = None, until: Until = None,
) -> Any:  # fmt: skip
    """Return how many users do one thing after another within a window, and how long it takes them."""
    filter = bounded(here, wanted(here, caller.app, q, None, None, ip, since, until))
    asked = FunnelWanted(filter, tuple(step), lasting("window", window), group_by, top, exact)
    return funnel_view(asked, here.store.explorer.funnel(caller.app, asked))


@router.get("/v1/retention", response_model=RetentionView)
def get_retention(
    here: Here, caller: Reader, interval: Interval = "day", start: Filter = None, back: Filter = None,
    zone: Zone = "UTC", q: Q = None, ip: Filter = None, since: Since = None, until: Until = None,
) -> Any:  # fmt: skip
    """Return for each bucket the users who first did `start` in it, and how many did `back` in each bucket since."""
    filter = wanted(here, caller.app, q, None, None, ip, since, until)
    filter = bounded(here, filter, COHORTS.get(interval, 30 * DAY))
    asked = RetentionWanted(filter, interval, start, back, zone)
    return retention_view(asked, here.store.explorer.retention(caller.app, asked))
