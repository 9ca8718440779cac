"""Aggregated figures: a report on a period, what most users do, funnels, and retention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Query
from starlette.responses import Response

from sentinel.console.asking import (
    BETWEEN,
    CHOICES,
    Asked,
    Period,
    When,
    answered,
    field_time,
    meant,
    span_of,
    zone_of,
)
from sentinel.console.parts import Given
from sentinel.console.visit import Viewer, Visit
from sentinel.core.duration import DAY, SECOND
from sentinel.core.explore import (
    MOST_STEPS,
    MOST_VALUES,
    By,
    FunnelWanted,
    Interval,
    RetentionWanted,
    Series,
    TopWanted,
)
from sentinel.core.record import Filter
from sentinel.service import hand, reports

router = APIRouter()
PERIODS: tuple[Interval, ...] = ("hour", "day", "week", "month")
WINDOWS = (("1h", "an hour"), ("1d", "a day"), ("7d", "a week"), ("30d", "30 days"))
LONG = CHOICES[2:-1]  # of a funnel: a day and more
NAMES = 100
FIGURES = ("events", "users", "ips")
Steps = Annotated[list[str] | None, Query(max_length=MOST_STEPS + 2)]


class Change(NamedTuple):
    """A figure and that of the period before; `share` is the change, None where nothing was before."""

    name: str
    now: int
    before: int

    @property
    def share(self) -> float | None:
        return (self.now - self.before) / self.before if self.before else None


@router.get("/reports")
def show_report(
    visit: Viewer, when: When, period: Literal["hour", "day", "week", "month", "period"] = "day", at: Given = ""
) -> Response:  # fmt: skip
    """Report on the hour, day, week or month of a moment, or on what lies between two, beside the one before."""
    zone, app, now = zone_of(visit), visit.app.id, visit.now
    if period == "period":
        span = reports.between(*Period(BETWEEN, when.since, when.until).span(now, "7d"))
    else:
        span = reports.around(period, zone, hand.time("at", at) if at else now)
    since, until, previous = span
    found = reports.report(visit.store, app, since, until, previous, zone)
    titles = visit.here.overview.titles()
    told = found.told, found.told_before
    return visit.page(
        "report.html", found=found, period=period, periods=PERIODS, zone=zone, titles=titles, now=now,
        figures=[Change(name, getattr(found.now, name), getattr(found.before, name)) for name in FIGURES],
        findings=_changes(told[0].findings, told[1].findings), decisions=_changes(told[0].decisions, told[1].decisions),
        chart=_chart(found.series, now), earlier=(previous, since), later=_later(since, until, now),
        fields=(field_time(since), field_time(until)), step=reports.interval(since, until),
    )  # fmt: skip


@router.get("/reports/names")
def show_names(visit: Viewer, asked: Asked, by: By = "users") -> Response:
    """Show each event's name with its events and its users: many events of one are not events of many."""
    filter, flaws = meant(visit, asked)
    names = visit.store.explorer.names(visit.app.id, filter, by, NAMES) if filter else None
    return visit.page(
        "names.html", 422 if flaws else 200, asked=asked, by=by, names=names, choices=CHOICES, flaws=flaws,
        now=visit.now, span=span_of(filter), full=names is not None and len(names.items) == NAMES,
    )  # fmt: skip


@router.get("/reports/funnel")
def show_funnel(visit: Viewer, when: When, step: Steps = None, window: Given = "7d", group_by: Given = "") -> Response:
    """Show how many users do one thing after another, and how long it takes them."""
    steps = tuple(name.strip() for name in step or () if name.strip())[:MOST_STEPS]
    since, until = when.span(visit.now, "30d")
    funnel, problem = None, None
    if len(steps) >= 2:
        filter = Filter(since=since, until=until)
        funnel, problem = answered(lambda: visit.store.explorer.funnel(
            visit.app.id, FunnelWanted(filter, steps, hand.lasting("window", window), group_by or None)
        ))  # fmt: skip
    return visit.page(
        "funnel.html", 422 if problem else 200, funnel=funnel, problem=problem, steps=steps, window=window,
        group_by=group_by, period=when, choices=LONG, windows=WINDOWS, most=MOST_STEPS,
        names=_names(visit, since, until),
    )  # fmt: skip


@router.get("/reports/retention")
def show_retention(
    visit: Viewer, when: When, interval: Literal["day", "week", "month"] = "day", start: Given = "", back: Given = ""
) -> Response:  # fmt: skip
    """Show of the users who began in a day, week or month how many came back in each later one."""
    since, until = when.span(visit.now, "30d")
    asked = RetentionWanted(Filter(since=since, until=until), interval, start or None, back or None, zone_of(visit))
    found, problem = answered(lambda: visit.store.explorer.retention(visit.app.id, asked))
    return visit.page(
        "retention.html", 422 if problem else 200, found=found, problem=problem, interval=interval, start=start,
        back=back, period=when, choices=LONG, names=_names(visit, since, until), zone=zone_of(visit), now=visit.now,
    )  # fmt: skip


def _later(since: int, until: int, now: int) -> tuple[int, int] | None:
    """Return the period after this one, as long, and cut off at `now`; None where this one is not over."""
    return (until, min(2 * until - since, now)) if until < now else None


def _names(visit: Visit, since: int, until: int) -> list[str]:
    """Return the names of events that may be chosen, the most frequent first."""
    filter = Filter(since=max(since, until - 7 * DAY), until=until)
    wanted = TopWanted(filter, "event", "events", MOST_VALUES, previous=False, users=False)
    return [str(one.value) for one in visit.store.explorer.top(visit.app.id, wanted).items]


def _changes(now: Mapping[str, int], before: Mapping[str, int]) -> list[Change]:
    found = [Change(name, now.get(name, 0), before.get(name, 0)) for name in {*now, *before}]
    return sorted(found, key=lambda one: (-one.now, -one.before, one.name))


def _chart(series: Series, now: int) -> dict[str, object]:
    """Return the lines of a chart; what is still to come has no figure."""
    line = series.lines[0] if series.lines else None
    nothing = [0.0] * len(series.starts)
    return {
        "x": [start // SECOND for start in series.starts],
        "now": [
            int(point or 0) if start <= now else None
            for start, point in zip(series.starts, line.points if line else nothing, strict=True)
        ],
        "before": [int(point or 0) for point in (line.previous if line else nothing)],
    }
