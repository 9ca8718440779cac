"""Searching stored events: how many there were and when, what they have in common, and each event."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from sentinel.console.asking import BETWEEN, CHOICES, Asked, Search, around, ends, zone_of
from sentinel.console.narrowing import Narrowing
from sentinel.console.pages.searches import COUNTED, GROUPS, WINDOWS
from sentinel.console.parts import Cursor, Given, Id
from sentinel.console.visit import Viewer, Visit
from sentinel.core.duration import DAY, SECOND
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.explore import MOST_VALUES, By, Ranked, Scalar, SeriesWanted, TopWanted
from sentinel.core.identity import placeholders
from sentinel.core.properties import conflicting
from sentinel.core.record import EventFormat, Filter, KeptEvent
from sentinel.edge.errors import require
from sentinel.engine.fields import FIELDS
from sentinel.engine.functions import FUNCTIONS
from sentinel.service import reports
from sentinel.service.search import LONGEST, QueryError, literal, narrowed

router = APIRouter()
FACETS = ("event", "user", "ip", "geo.country", "success", "request.route")
VALUES = 6  # of a facet
MORE = 50  # of the one that is asked for
SHOWN = 50  # events of a page


class FacetValue(NamedTuple):
    """A value with its share; `only` and `without` are the conditions that ask for it alone, and for all others."""

    value: Scalar
    number: int
    share: float
    only: str
    without: str


class Facet(NamedTuple):
    """The values a field has most; `more` says that there are others, `inner` which fields lie in it."""

    field: str
    values: list[FacetValue]
    approximate: bool = False
    more: bool = False
    inner: tuple[str, ...] = ()


@router.get("/explorer")
def explore(visit: Viewer, asked: Asked, by: By = "events", facet: Given = "", cursor: Cursor = None) -> Response:
    """Show the events of a search, how many there were when, and the values they have most."""
    now = visit.now
    shown: dict[str, Any] = {
        "asked": asked, "by": by, "facet": facet, "now": now, "choices": CHOICES, "between": BETWEEN, "flaws": (),
        "saved": visit.store.searches.list(visit.app.id), "groups": GROUPS, "counted": COUNTED, "windows": WINDOWS,
    }  # fmt: skip
    try:
        filter = asked.filter(visit, now)
    except QueryError as error:
        span = asked.period.span(now)
        return visit.page("explorer.html", 422, **shown | {"flaws": error.flaws, "span": ends(*span)})
    page = visit.store.events.search(visit.app.id, filter, SHOWN, cursor)
    assert filter.since is not None and filter.until is not None
    step = reports.interval(filter.since, filter.until)
    series = visit.store.explorer.series(
        visit.app.id, SeriesWanted(filter, step, zone=zone_of(visit), previous=False)
    )  # fmt: skip
    bars = series.lines[0].points if series.lines else (0,) * len(series.starts)
    facets, problem = _facets(visit, asked, filter, by, facet)
    pinned = asked.query | ({} if asked.period.range == BETWEEN else {"at": str(filter.until)})
    return visit.page(
        "explorer.html", 422 if problem else 200, **shown, page=page, pinned=pinned, facets=facets, problem=problem,
        span=ends(filter.since, filter.until),
        since=filter.since, until=filter.until,
        chart={"x": [start // SECOND for start in series.starts], "bars": [int(bar or 0) for bar in bars]},
        total=visit.store.events.count(visit.app.id, filter), narrowing=_narrowing(visit, asked, by, facet),
    )  # fmt: skip


@router.get("/explorer/words")
def words(visit: Viewer) -> Response:
    """Give what a condition may be made of, for completion."""
    now = visit.now
    week = Filter(since=max(now - 7 * DAY, 0), until=now + DAY)
    wanted = TopWanted(week, "event", "events", MOST_VALUES, previous=False, users=False)
    names = visit.store.explorer.top(visit.app.id, wanted).items
    paths = [one for one in visit.store.schema.properties(visit.app.id) if one.path.isprintable()]
    return JSONResponse({
        "fields": [{"text": name, "note": str(spec.kind)} for name, spec in FIELDS.items()],
        "functions": [{"text": name, "note": one.doc, "example": one.example} for name, one in FUNCTIONS.items()],
        "properties": [{"text": f"properties.{one.path}", "note": one.type} for one in paths[:1000]],
        "events": [{"text": literal(str(one.value)[:200]), "note": f"{one.now.events:,}"} for one in names],
    })  # fmt: skip


@router.get("/explorer/export")
def export(visit: Viewer, asked: Asked, format: EventFormat = "ndjson") -> Response:
    """Give the events of a search as a file."""
    return visit.here.records.export(visit.app.id, visit.by, visit.lasts, asked.filter(visit, visit.now), format)


@router.get("/explorer/tail")
def tail(visit: Viewer, asked: Asked) -> Response:
    """Tell the events of a search as they come, as rows of the page's table."""
    wanted = asked.filter(visit, visit.now)
    filter = Filter(wanted.name, wanted.user, wanted.ip, q=wanted.q)
    shown = {"visit": visit, "narrowing": _narrowing(visit, asked), "fresh": True}

    def row(kept: KeptEvent) -> dict[str, str]:
        return {"html": visit.answers.piece("explorer_rows.html", events=[kept], **shown)}

    return visit.here.records.tail(visit.app.id, visit.by, visit.lasts, filter, row)


@router.get("/explorer/events/{id:path}")
def show_event(visit: Viewer, id: Id, at: Annotated[int | None, Query(ge=0, lt=2**63)] = None) -> Response:
    """Show all of one event, and what rules and playbooks make of it."""
    why = require(visit.here.explainer.event(visit.app.id, id, at), "event", id)
    event = why.event.event
    odd = conflicting(visit.store.schema.properties(visit.app.id), event.properties)
    nobody = [(name, event.identifiers[name]) for name in placeholders(event.identifiers)]
    narrowing = Narrowing(visit, "", **around(visit.now, event.at))
    return visit.page(
        "event.html", kept=why.event, event=event, why=why, odd=odd.items(), nobody=nobody, narrowing=narrowing
    )


def _narrowing(visit: Visit, asked: Search, by: By = "events", facet: str = "") -> Narrowing:
    """Return what makes the values of a search's events links that narrow it."""
    kept = asked.query | {"at": None, "by": by if by != "events" else None, "facet": facet}
    return Narrowing(visit, asked.q, **{name: kept[name] for name in kept if name != "q"})


def _facets(
    visit: Visit, asked: Search, wanted: Filter, by: By, more: str
) -> tuple[list[Facet], SentinelError | None]:  # fmt: skip
    """Return the values of the usual fields and of one more, and what is wrong with that one."""
    facets: list[Facet] = []
    problem = None
    for field in filter(None, dict.fromkeys((*FACETS, more))):
        try:
            found = _facet(visit, asked.q, wanted, field, by, MORE if field == more else VALUES)
            if not found and field == more:
                found = [Facet(field, [], inner=_inner(visit, field))]
            facets += found
        except SentinelError as error:
            if field == more and isinstance(error, StoreBusy):
                raise
            problem = error if field == more else problem
    return facets, problem


def _inner(visit: Visit, field: str) -> tuple[str, ...]:
    """Return the properties that lie right in another."""
    paths = (f"properties.{one.path}" for one in visit.store.schema.properties(visit.app.id))
    return tuple(one for one in paths if one.rpartition(".")[0] == field)[:MORE]


def _facet(visit: Visit, q: str, wanted: Filter, field: str, by: By, most: int) -> list[Facet]:
    found = visit.store.explorer.top(visit.app.id, TopWanted(wanted, field, by, most + 1, previous=False, users=False))
    whole = getattr(found.total, by) or 0
    values = [_facet_value(q, field, one, by, whole) for one in found.items]
    if all(one.value is None for one in values):
        return []
    return [Facet(field, values[:most], found.approximate and by == "users", len(values) > most)]


def _facet_value(q: str, field: str, one: Ranked, by: By, whole: int) -> FacetValue:
    number = getattr(one.now, by) or 0
    only, without = (narrowed(q, field, one.value, out=out) for out in (False, True))
    share = min(number / whole, 1.0) if whole else 0.0
    fits = max(len(only), len(without)) <= LONGEST
    return FacetValue(one.value, number, share, only if fits else "", without if fits else "")
