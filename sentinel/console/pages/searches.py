"""Saved searches, and rules made from them."""

from __future__ import annotations

import re
from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.asking import Asked, Search, period
from sentinel.console.forms import Filled, Form
from sentinel.console.parts import Given, Id
from sentinel.console.visit import Analyst, Visit
from sentinel.core.errors import SentinelError
from sentinel.core.record import SavedSearch
from sentinel.edge.errors import require
from sentinel.service import saved
from sentinel.service.search import LONGEST

router = APIRouter()
GROUPS = (("ip", "address"), ("user", "user"), ("ip.network", "network"), ("device", "device"),
          ("", "the whole app"))  # fmt: skip
COUNTED = (("event", "events"), ("user", "different users"), ("ip", "different addresses"),
           ("device", "different devices"))  # fmt: skip
WINDOWS = (("1m", "a minute"), ("10m", "10 minutes"), ("1h", "an hour"), ("1d", "a day"))
FIRST = 10  # the threshold of a playbook before it is known what was usual
_APART = re.compile(r"[^a-z0-9]+")


@router.post("/explorer/searches")
def keep_search(visit: Analyst, form: Filled) -> Response:
    """Keep a search under a name."""
    name, asked = form.text("name", most=120), _asked(form)
    asked.filter(visit, visit.now)  # refused as a search is
    saved.keep(visit.store, visit.app.id, name, asked.q, asked.fields, visit.by, visit.now)
    return visit.done(visit.url("/explorer", **asked.query), "search-kept")


@router.post("/explorer/searches/{id}/rename")
def rename_search(visit: Analyst, form: Filled, id: Id) -> Response:
    """Call a search something else: whoever kept it, or an administrator."""
    found = replace(_own(visit, id), name=form.text("name", most=120), changed=visit.now)
    visit.store.searches.put(visit.app.id, found, visit.by, visit.now)
    return visit.done(visit.url("/explorer", q=found.q, **found.filters), "search-renamed")


@router.post("/explorer/searches/{id}/remove")
def remove_search(visit: Analyst, form: Filled, id: Id) -> Response:
    """Remove a search: whoever kept it, or an administrator."""
    _own(visit, id)
    visit.store.searches.remove(visit.app.id, id, visit.by, visit.now)
    return visit.done(visit.url("/explorer"), "search-removed")


@router.get("/explorer/rule")
def make_rule(visit: Analyst, asked: Asked, title: Given = "") -> Response:
    """Show the text of a rule that takes what a search finds."""
    title = _titled("rule", title, asked)
    name = _named(title)
    text = visit.here.searches.rule(name, title, asked.q, asked.event or None)
    return visit.page("rule.html", name=name, text=text, asked=asked)


@router.get("/explorer/playbook")
def make_playbook(
    visit: Analyst, asked: Asked, title: Given = "", group: Given = "ip", count: Given = "event", window: Given = "10m"
) -> Response:
    """Show which thresholds would fit a playbook that counts what a search finds, each with its text."""
    title = _titled("playbook", title, asked)
    for name, value, among in (("group", group, GROUPS), ("count", count, COUNTED), ("window", window, WINDOWS)):
        if value not in (known := [one for one, _ in among]):
            raise SentinelError(f"`{name}`: `{value[:40]}` is none of {', '.join(filter(None, known))}")

    def text(threshold: float) -> str:
        return visit.here.searches.playbook(
            _named(title), title, asked.q, asked.event or None, group=group, count=count, window=window,
            threshold=threshold,
        )  # fmt: skip

    since, until = asked.period.span(visit.now)
    who = f"{visit.account.id} {visit.app.id} made"
    report = visit.here.workbench.suggest(visit.app.id, who, text(FIRST), since, until)
    return visit.page("fitting.html", title=title, asked=asked, report=report, text=text, first=FIRST)


def _titled(what: str, title: str, asked: Search) -> str:
    """Return the title of what a search is to become; raises SentinelError without one, and for what is no such."""
    if not title.strip():
        raise SentinelError("`title`: missing", "fill it in")
    if asked.user or asked.ip:
        raise SentinelError(f"a {what} is not about one user or address", "leave the field out")
    return title.strip()[:120]


def _named(title: str) -> str:
    """Return the id that a title makes."""
    return _APART.sub("-", title.lower()).strip("-")[:64] or "search"


def _own(visit: Visit, id: str) -> SavedSearch:
    return require(saved.own(visit.store, visit.app.id, id, visit.by, visit.may("admin")), "search", id)


def _asked(form: Form) -> Search:
    event, user, ip = (form.text(name, most=512, empty=True) for name in ("event", "user", "ip"))
    when = period(*(form.text(name, most=512, empty=True) for name in ("range", "from", "to", "at")))
    return Search(form.text("q", most=LONGEST, empty=True), event, user, ip, when)
