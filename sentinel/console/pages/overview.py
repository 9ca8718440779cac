"""The overview: what comes in, what was found, what is in force, and whether the server is well."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.asking import zone_of
from sentinel.console.render import local
from sentinel.console.visit import Viewer, Visit
from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.errors import StoreBusy
from sentinel.core.explore import SeriesWanted
from sentinel.core.record import Filter
from sentinel.service import about

router = APIRouter()
SHOWN = 8


class Traffic(NamedTuple):
    """Events of the last hour by minute, oldest first, and of the last whole minute; the newest minute is not over."""

    bars: list[tuple[str, int]]
    minute: int
    hour: int
    before: int


@router.get("/overview")
def overview(visit: Viewer) -> Response:
    """Show the overview; a script asks for its middle alone, again and again."""
    app, store, now = visit.app.id, visit.store, visit.now
    found = store.findings.tally(app, now - DAY, now + DAY)
    return visit.page(
        "overview_now.html" if visit.partial else "overview.html", now=now, traffic=_traffic(visit, now), found=found,
        found_before=sum(store.findings.tally(app, now - 2 * DAY, now - DAY).values()),
        top=sorted(found.items(), key=lambda one: -one[1])[:SHOWN], standing=about.in_force(store, app, now),
        latest=store.findings.list(app, since=now - 7 * DAY, limit=SHOWN).items,
        playbooks={one.id: one for one in visit.here.overview.playbooks(app)},
        mistakes=visit.here.overview.mistakes(), health=store.health(), warnings=visit.here.overview.warnings(app),
        processes=visit.here.processes.of(app), dead=len(store.outbox.list(app, dead=True, limit=100).items),
    )  # fmt: skip


def _traffic(visit: Visit, now: int) -> Traffic | None:
    """Return how many events came in; None while they cannot be searched."""
    try:
        since = now - now % MINUTE - HOUR + MINUTE
        series = visit.store.explorer.series(
            visit.app.id, SeriesWanted(Filter(since=since, until=now + 1), "minute")
        )  # fmt: skip
    except StoreBusy:
        return None
    points = [int(point or 0) for point in series.lines[0].points] if series.lines else [0] * len(series.starts)
    before = int(sum(point or 0 for point in series.lines[0].previous)) if series.lines else 0
    zone = zone_of(visit)
    bars = [(local(start, zone)[11:], point) for start, point in zip(series.starts, points, strict=True)]
    return Traffic(bars, points[-2] if len(points) > 1 else 0, sum(points), before)
