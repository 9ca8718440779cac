"""/v1/reports: what happened in a period, compared with the period before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from sentinel.api.asking import Since, Until
from sentinel.api.context import ASKED_IN_TURN, Here, Reader
from sentinel.api.models import Model, Moment
from sentinel.api.parts import Time, time
from sentinel.api.shares import NamesView, SeriesView, TopView, change, names_view, series_view, top_view
from sentinel.api.sums import Zone
from sentinel.api.views import when
from sentinel.core.explore import SeriesWanted, TopWanted
from sentinel.core.record import Filter
from sentinel.edge.errors import ApiError
from sentinel.service import reports

router = APIRouter(tags=["explorer"], dependencies=ASKED_IN_TURN)
At = Annotated[Time, Query(description="A moment in the hour, day, week or month; without it, the one of now.")]


class FigureView(Model):
    """A figure, that of the period before, and the change as a share of it."""

    now: int
    previous: int
    change: float | None


class CountView(FigureView):
    """A figure of something that has a name."""

    name: str


class ReportView(Model):
    """A period, and the one from `previous_since` to `since`. `approximate`: users are estimated."""

    period: str
    zone: str
    since: Moment
    to: Moment
    previous_since: Moment
    events: FigureView
    users: FigureView
    ips: FigureView
    findings: list[CountView]
    decisions: list[CountView]
    series: SeriesView
    names: NamesView
    tops: list[TopView]
    approximate: bool


@router.get("/v1/reports/{period}", response_model=ReportView)
def get_report(
    here: Here, caller: Reader, period: Literal["hour", "day", "week", "month", "period"], at: At = None,
    zone: Zone = "UTC", since: Since = None, until: Until = None,
) -> Any:  # fmt: skip
    """Report on the hour, day, week or month of a moment, or with `period` on what lies between `from` and `to`."""
    now = here.clock()
    if period == "period":
        if at is not None:
            raise ApiError("invalid", "`at`: a period lies between `from` and `to`", "leave it out")
        span = _between(time("from", since, now), time("to", until, now))
    else:
        if since is not None or until is not None:
            raise ApiError(
                "invalid", f"`from`: a report on a {period} is of a moment", "give `at`, or ask for `period`"
            )
        moment = time("at", at, now)
        span = reports.around(period, zone, now if moment is None else moment)
    return report_view(period, zone, reports.report(here.store, caller.app, *span, zone))


def _between(since: int | None, until: int | None) -> tuple[int, int, int]:
    if since is None or until is None:
        raise ApiError("invalid", f"`{'from' if since is None else 'to'}`: missing", "a period has both ends")
    if since >= until:
        raise ApiError("invalid", "`from`: it does not lie before `to`")
    return reports.between(since, until)


def report_view(period: str, zone: str, found: reports.Report) -> dict[str, Any]:
    """Return a report as it is shown."""
    filter, step = Filter(since=found.since, until=found.until), reports.interval(found.since, found.until)
    return {
        "period": period, "zone": zone, "since": when(found.since), "to": when(found.until),
        "previous_since": when(max(found.previous, 0)),
        **{name: _figure(getattr(found.now, name), getattr(found.before, name)) for name in ("events", "users", "ips")},
        "findings": _counts(found.told.findings, found.told_before.findings),
        "decisions": _counts(found.told.decisions, found.told_before.decisions),
        "series": series_view(SeriesWanted(filter, step, zone=zone), found.series),
        "names": names_view(filter, found.names),
        "tops": [top_view(TopWanted(filter, path), top) for path, top in found.tops.items()],
        "approximate": found.now.approximate or found.before.approximate,
    }  # fmt: skip


def _figure(now: int, before: int) -> dict[str, Any]:
    return {"now": now, "previous": before, "change": change(now, before)}


def _counts(now: Mapping[str, int], before: Mapping[str, int]) -> list[dict[str, Any]]:
    names = sorted({*now, *before}, key=lambda name: (-now.get(name, 0), -before.get(name, 0), name))
    return [{"name": name, **_figure(now.get(name, 0), before.get(name, 0))} for name in names]
