"""How things are: what comes in, what was found, what is in force, and whether the server is well."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.visit import Viewer, Visit
from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.errors import StoreBusy
from sentinel.core.record import Filter

router = APIRouter()


@router.get("/overview")
def overview(visit: Viewer) -> Response:
    """Show the overview; a script asks for its middle alone, again and again."""
    template = "overview_now.html" if visit.partial else "overview.html"
    now = visit.now
    return visit.page(
        template, now=now, events=_events(visit, now),
        latest=visit.store.findings.list(visit.app.id, since=now - DAY, limit=8).items,
        decisions=visit.store.decisions.list(visit.app.id, now=now, limit=1000),
        playbooks=visit.here.overview.playbooks(visit.app.id), mistakes=visit.here.overview.mistakes(),
        health=visit.store.health(), streams=visit.here.streams(visit.app.id), day=now - DAY, hour=now - HOUR,
    )  # fmt: skip


def _events(visit: Visit, now: int) -> dict[str, int] | None:
    """Return how many events came in the last minute, hour and day; None while they cannot be searched."""
    try:
        return {
            name: visit.store.events.count(visit.app.id, Filter(since=now - length))
            for name, length in (("minute", MINUTE), ("hour", HOUR), ("day", DAY))
        }
    except StoreBusy:
        return None
