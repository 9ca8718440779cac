"""A metric of stored events over time: how many events or users, or a property; a line for each value of a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.asking import BETWEEN, CHOICES, Asked, Search, answered, meant, span_of, zone_of
from sentinel.console.parts import Given
from sentinel.console.render import stamp, valued
from sentinel.console.visit import Viewer
from sentinel.core.duration import SECOND
from sentinel.core.errors import SentinelError
from sentinel.core.explore import INTERVALS, NUMERIC, Line, Metric, MetricKind, Series, SeriesWanted
from sentinel.core.number import finite
from sentinel.service import reports
from sentinel.service.search import LONGEST, narrowed

router = APIRouter()
LINES = 5  # of values, beside that of the others
METRICS: Mapping[MetricKind, str] = {
    "count": "Events", "users": "Users", "ips": "Addresses", "sum": "Sum of", "avg": "Average of", "min": "Least of",
    "max": "Greatest of", "p95": "95 % are below, of",
}  # fmt: skip
NAMELESS = SentinelError("no property is named", "write it in its box, such as `properties.total`")
STEPS = (("", "as fits"), *((name, f"{name}s") for name in INTERVALS))


class Drawn(NamedTuple):
    """One line: what it is called, what it comes to now and before, and the condition that asks for it alone."""

    label: str
    points: list[float | None]
    total: float | None
    before: float | None
    only: str


@router.get("/reports/series")
def show_series(
    visit: Viewer, asked: Asked, interval: Literal["", "minute", "hour", "day", "week", "month"] = "",
    metric: MetricKind = "count", of: Given = "", group_by: Given = "", previous: Given = "",
) -> Response:  # fmt: skip
    """Show a figure over time, beside the period before, or for each of the values a field has most."""
    filter, flaws = meant(visit, asked)
    found, problem = None, None
    if filter is not None and filter.since is not None and filter.until is not None:
        step = interval or reports.interval(filter.since, filter.until)
        wanted = SeriesWanted(
            filter, step, Metric(metric, of if metric in NUMERIC else None),
            group_by or None, LINES, zone_of(visit), previous=bool(previous),
        )  # fmt: skip
        ask = lambda: visit.store.explorer.series(visit.app.id, wanted)  # noqa: E731
        found, problem = answered(ask) if of or metric not in NUMERIC else (None, NAMELESS)
    return visit.page(
        "series.html", 422 if flaws or problem else 200, asked=asked, flaws=flaws, problem=problem, series=found,
        lines=_lines(found, asked.q, group_by, visit.now) if found else [], x=_seconds(found), metric=metric, of=of,
        group_by=group_by, interval=interval, previous=previous, metrics=METRICS, steps=STEPS, choices=CHOICES,
        span=span_of(filter), zone=zone_of(visit), inside=_inside(asked, found) if found else {},
    )  # fmt: skip


def _lines(found: Series, q: str, field: str, now: int) -> list[Drawn]:
    """Return the lines to draw; beside a single line the period before is drawn as a second one."""
    drawn = [_drawn(line, found.starts, q, field, now) for line in found.lines]
    if not field and found.previous_starts:
        before = ((list(map(finite, line.previous)), finite(line.previous_total)) for line in found.lines)
        drawn += [Drawn("The period before", points, total, None, "") for points, total in before]
    return drawn


def _drawn(line: Line, starts: tuple[int, ...], q: str, field: str, now: int) -> Drawn:
    only = narrowed(q, field, line.value) if field and not line.rest else ""
    label = "All others" if line.rest else valued(line.value)
    points = [finite(point) if start <= now else None for start, point in zip(starts, line.points, strict=True)]
    return Drawn(label if field else "This period", points, finite(line.total), finite(line.previous_total),
                 only if len(only) <= LONGEST else "")  # fmt: skip


def _inside(asked: Search, found: Series) -> dict[str, str]:
    """Return the parameters of an address that asks for the events that were counted: those of whole buckets."""
    edges = {"range": BETWEEN, "from": stamp(found.starts[0]), "to": stamp(found.until)}
    return {"q": asked.q, **asked.fields, **edges}


def _seconds(found: Series | None) -> list[int]:
    return [start // SECOND for start in found.starts] if found else []
