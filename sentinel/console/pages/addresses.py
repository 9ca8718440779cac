"""The addresses that requests of an app came from, and everything about one address or network."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from sentinel.console.asking import CHOICES, When
from sentinel.console.parts import LENGTHS, Given, Key
from sentinel.console.timeline import lines, shares
from sentinel.console.visit import Viewer
from sentinel.core.decision import Single
from sentinel.core.duration import DAY
from sentinel.core.explore import TopWanted
from sentinel.core.record import Filter
from sentinel.service import about, hand
from sentinel.service.answer import answer

router = APIRouter()
SORTS = (("events", "most events"), ("users", "most users"), ("findings", "most findings"))
SHOWN = 50


@router.get("/addresses")
def list_addresses(
    visit: Viewer, when: When, sort: Literal["events", "users", "findings"] = "events"
) -> Response:  # fmt: skip
    """List the addresses of a period: with most events, most users, or most findings."""
    since, until = when.span(visit.now, "7d")
    found = about.most_found(visit.store, visit.app.id, since, "ip")
    rows: list[tuple[str, int | None, int | None]]
    approximate = False
    if sort == "findings":
        rows = [(value, None, None) for value, _, _ in found[:SHOWN]]
    else:
        top = visit.store.explorer.top(
            visit.app.id, TopWanted(Filter(since=since, until=until), "ip", sort, SHOWN, previous=False)
        )  # fmt: skip
        rows = [(one.value, one.now.events, one.now.users) for one in top.items if isinstance(one.value, str)]
        approximate = top.approximate
    met = about.met(visit.store, visit.app.id, "ip", [ip for ip, _, _ in rows], visit.now)
    return visit.page(
        "addresses.html", rows=rows, counts={value: number for value, number, _ in found}, met=met, period=when,
        query={"sort": sort, **when.query}, choices=CHOICES[:-1], sorts=SORTS, approximate=approximate,
        full=len(rows) == SHOWN,
    )  # fmt: skip


@router.get("/addresses/find")
def find_address(visit: Viewer, ip: Given = "") -> Response:
    """Lead to an address or a network as somebody types it."""
    to = visit.url("/addresses", hand.spot("ip", ip.strip())) if ip.strip() else visit.url("/addresses")
    return RedirectResponse(to.unescape(), 303)


@router.get("/addresses/{ip:path}")
def show_address(visit: Viewer, ip: Key) -> Response:
    """Show everything about one address or network."""
    now, app, meant = visit.now, visit.app.id, hand.spot("ip", ip)
    found = about.place_of(visit.store, app, meant, Filter(ip=meant, since=0, until=now + DAY), now)
    titles = visit.here.overview.titles()
    scope: Single = "network" if "/" in meant else "ip"
    said = answer(found.decisions, titles, now, "network" if scope == "network" else "address")
    return visit.page(
        "address.html", now=now, ip=meant, scope=scope, found=found, was=found.activity,
        shares=shares(found.activity, ("users", "devices", "countries", "browsers", "os", "events")),
        timeline=lines(found, titles), standing=about.standing(found.decisions, now),
        over=about.overruled(found.decisions, now), lengths=LENGTHS, answer=said, titles=titles,
        beside=about.beside(visit.store, app, "user", found, now),
    )  # fmt: skip
