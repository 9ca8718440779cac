"""The users of an app, and everything about one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from sentinel.console.asking import CHOICES, When
from sentinel.console.forms import Filled
from sentinel.console.parts import LENGTHS, Cursor, Given, Key
from sentinel.console.timeline import lines, shares
from sentinel.console.visit import Admin, Viewer, Visit
from sentinel.core import identity
from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError
from sentinel.core.explore import UsersWanted
from sentinel.core.record import Filter, Page
from sentinel.edge.errors import ApiError, require
from sentinel.service import about, hand
from sentinel.service.answer import answer
from sentinel.service.search import literal

router = APIRouter()
SORTS = (("last", "last seen"), ("events", "most active"), ("findings", "most findings"))
SHOWN = 50
_PHONE = re.compile(r"\+?\d[\d ()/.-]{3,}")


class Seen(NamedTuple):
    """One line of the list; what is not known of a line is None."""

    key: str
    events: int | None
    first: int | None
    last: int | None
    findings: int
    labels: tuple[str, ...]
    kind: str | None


@router.get("/people")
def list_people(
    visit: Viewer, when: When, begins: Given = "", sort: Literal["last", "events", "findings"] = "last",
    cursor: Cursor = None,
) -> Response:  # fmt: skip
    """List the users of a period: seen last, most active, or with most findings."""
    since, until = when.span(visit.now, "7d")
    found = about.most_found(visit.store, visit.app.id, since, "user")
    labels, counts, after, behind = visit.store.labels, {key: number for key, number, _ in found}, None, 0
    rows: Sequence[tuple[str, int | None, int | None, int]]
    if sort == "findings":
        rows = [(key, None, None, at) for key, _, at in found if key.startswith(begins)][:SHOWN]
    else:
        wanted = UsersWanted(Filter(since=since, until=until), begins, sort, SHOWN, cursor)
        page = visit.store.explorer.users(visit.app.id, wanted)
        after, behind = page.cursor, page.behind
        rows = [(item.key, item.events, item.first, item.last) for item in page.items]
    met = about.met(visit.store, visit.app.id, "user", [key for key, *_ in rows], visit.now)
    people = [
        Seen(key, events, first, last, counts.get(key, 0), labels.of(visit.app.id, "user", key, visit.now),
             met.get(key))
        for key, events, first, last in rows
    ]  # fmt: skip
    query = {"begins": begins, "sort": sort, **when.query}
    return visit.page(
        "people.html", people=people, page=Page((), after, behind), query=query, choices=CHOICES[:-1], sorts=SORTS,
        now=visit.now, period=when, full=sort == "findings" and len(people) == SHOWN,
    )  # fmt: skip


@router.get("/people/find")
def find_person(visit: Viewer, key: Given = "") -> Response:
    """Lead to the person of a key as somebody types it, to an address, or to the decision that a reference is of."""
    return RedirectResponse(_meant(visit, key.strip()).unescape(), 303)


def _meant(visit: Visit, typed: str) -> Markup:
    if not typed:
        return visit.url("/people")
    if visit.store.decisions.get(visit.app.id, typed) is not None:
        return visit.url("/decisions", typed)
    try:
        return visit.url("/addresses", hand.spot("key", typed))
    except SentinelError:
        return visit.url("/people", hand.known_user(visit.store, visit.app.id, "key", typed))


def _otherwise(key: str) -> tuple[str, str] | None:
    """Return what a key looks like instead (`telephone number`, `e-mail address`), and a search for it; None for other.

    It is shown for users of whom nothing is known.
    """
    told = key.partition(":")[2]
    if _PHONE.fullmatch(told):
        return "telephone number", f"user.phone == {literal(told)}"
    return ("e-mail address", f"user.email == {literal(told.lower())}") if "@" in told else None


@router.get("/people/{key:path}")
def show_person(visit: Viewer, key: Key) -> Response:
    """Show everything about one person."""
    now, app = visit.now, visit.app.id
    who = about.known_person(visit.store, app, hand.known_user(visit.store, app, "key", key))
    found = about.person(visit.store, app, who, Filter(since=0, until=now + DAY), now)
    titles = visit.here.overview.titles()
    return visit.page(
        "person.html", now=now, who=who, found=found, was=found.activity, timeline=lines(found, titles),
        shares=shares(found.activity, ("ips", "devices", "countries", "browsers", "os", "events")),
        standing=about.standing(found.decisions, now), over=about.overruled(found.decisions, now),
        lengths=LENGTHS, titles=titles, answer=answer(found.decisions, titles, now),
        others=[one for one in who.identifiers if one != who.key],
        beside=about.beside(visit.store, app, "ip", found, now),
        search=_otherwise(who.key),
        blank=not (found.activity.events or found.findings or found.decisions or who.made),
    )  # fmt: skip


@router.post("/people/delete")
def delete_person(visit: Admin, form: Filled) -> Response:
    """Delete a person for good, once their key was typed."""
    key = identity.read_key(form.text("key", most=512))
    if identity.read_key(form.text("again", most=512)) != key:
        raise ApiError("invalid", "`again`: that is not this person's key", f"type `{key[:80]}`")
    visit.here.overview.require_windows()
    visit.here.deleter.delete(visit.app.id, key, visit.by, form.text("why", most=500, empty=True), visit.now)
    visit.here.told(visit.app.id)
    return visit.done(visit.url("/people"), "person-deleted")


@router.post("/people/part")
def part_link(visit: Admin, form: Filled) -> Response:
    """Part an identifier from the person it is linked with, for good."""
    key = identity.read_key(form.text("key", most=512))
    person = require(visit.store.people.get(visit.app.id, key), "link of", key)
    require(visit.store.people.cut(visit.app.id, key, visit.by, visit.now), "link of", key)
    visit.here.told(visit.app.id)
    return visit.done(visit.url("/people", person.key), "link-parted")
