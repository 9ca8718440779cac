"""What people do about a user or an address from its page: make decisions, put labels on, take them off."""

from __future__ import annotations

from typing import cast, get_args

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from sentinel.console.forms import Filled, Form
from sentinel.console.parts import LENGTHS, length
from sentinel.console.visit import Analyst, Visit
from sentinel.core.batch import Label, LabelKind
from sentinel.core.decision import Kind, Single
from sentinel.core.errors import SentinelError
from sentinel.edge.errors import not_found, require
from sentinel.service import about, hand

router = APIRouter()
KINDS: tuple[Kind, ...] = ("block", "challenge")
FREED = ("", *(value for value, _ in LENGTHS))


@router.post("/people/decide")
def decide(visit: Analyst, form: Filled) -> Response:
    """Block or challenge somebody by hand; every connected process knows at once."""
    now, scope = visit.now, _scope(form)
    hand.decide(
        visit.store, visit.app.id, cast(Kind, form.choice("kind", KINDS)), scope,
        hand.target(scope, form.text("value", most=512), visit.app.ipv6), hand.until(length(form), None, now),
        form.text("reason", most=500), visit.by, now,
    )  # fmt: skip
    visit.here.told(visit.app.id)
    return visit.done(_page(visit, form), "blocked")


@router.post("/people/lift")
def lift(visit: Analyst, form: Filled) -> Response:
    """End a decision for good, and stay with whom it was about."""
    id, why = form.text("id", most=128), form.text("why", most=500)
    require(visit.store.decisions.lift(visit.app.id, id, visit.by, why, visit.now), "decision", id)
    visit.here.told(visit.app.id)
    return visit.done(_page(visit, form), "lifted")


@router.post("/people/free")
def free(visit: Analyst, form: Filled) -> Response:
    """End all that stops somebody, for good; and, where a length is chosen, let nobody act on them for so long."""
    now, app, scope, why = visit.now, visit.app.id, _scope(form), form.text("why", most=500)
    whom, chosen = hand.target(scope, form.text("value", most=512), visit.app.ipv6), form.choice("for", FREED)
    held = [kept.decision.id for kept in about.stopping(visit.store, app, scope, whom, now)]
    if chosen:  # first: nothing is ended where there is no room for one more
        hand.allow(visit.store, app, scope, whom, hand.until(chosen, None, now), why, visit.by, now)
    visit.store.decisions.lift_these(app, held, visit.by, why, now)
    visit.here.told(app)
    return visit.done(_page(visit, form), "let-in")


@router.post("/people/label")
def put_label(visit: Analyst, form: Filled) -> Response:
    """Put a label on a user or an address; the next event sees it."""
    now, name = visit.now, form.text("name", most=64)
    if not name.isprintable():
        raise SentinelError("`name`: not a text of printable characters")
    kind, target = _bearer(visit, form)
    label = Label(kind, target, name, hand.until(length(form), None, now), by=visit.by)
    visit.store.labels.put(visit.app.id, label, visit.by, now)
    return visit.done(_page(visit, form), "label-put")


@router.post("/people/unlabel")
def take_label(visit: Analyst, form: Filled) -> Response:
    """Take a label off."""
    kind, target = _bearer(visit, form)
    name = form.text("name", most=64)
    if not visit.store.labels.take(visit.app.id, kind, target, name, visit.by, visit.now):
        raise not_found("label", name, "it is not on them, or no longer")
    return visit.done(_page(visit, form), "label-taken")


def _scope(form: Form) -> Single:
    return cast(Single, form.choice("scope", get_args(Single)))


def _bearer(visit: Visit, form: Form) -> tuple[LabelKind, str]:
    kind: LabelKind = "user" if _scope(form) == "user" else "ip"
    return kind, hand.bearer(visit.store, visit.app.id, kind, form.text("value", most=512))


def _page(visit: Visit, form: Form) -> Markup:
    """Return the address of whom the form is about."""
    return visit.url("/people" if _scope(form) == "user" else "/addresses", form.text("value", most=512))
