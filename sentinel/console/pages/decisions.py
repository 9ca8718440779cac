"""Decisions in force, those that people add and lift, and the allowlist."""

from __future__ import annotations

from typing import cast, get_args

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.forms import Filled, Form
from sentinel.console.parts import LENGTHS, Cursor, Given, Id, length
from sentinel.console.render import actor
from sentinel.console.visit import Analyst, Viewer, Visit
from sentinel.core import identity
from sentinel.core.decision import PAIRS, SCOPES, Kind, Scope, Single, unpair
from sentinel.core.errors import SentinelError
from sentinel.core.record import BY_HAND
from sentinel.edge.errors import not_found, require
from sentinel.service import about, hand

router = APIRouter()
KINDS: tuple[Kind, ...] = get_args(Kind)
EXCEPTED = get_args(Single)


@router.get("/decisions")
def list_decisions(
    visit: Viewer, kind: Given = "", who: Given = "", playbook: Given = "", by: Given = "", over: Given = "",
    cursor: Cursor = None,
) -> Response:  # fmt: skip
    """List decisions, newest first: those in force, or with `over` those that ended too."""
    kind = kind if kind in KINDS else ""
    page = visit.store.decisions.list(
        visit.app.id, now=None if over else visit.now, kind=kind or None,
        value=_spelling(who) if who else None, playbook=playbook or None, maker=by or None,
        cursor=cursor, counted=True,
    )  # fmt: skip
    query = {"kind": kind, "who": who, "playbook": playbook, "by": by, "over": over}
    playbooks = sorted({*visit.here.overview.titles(), playbook} - {""})
    makers = sorted({*visit.store.decisions.makers(visit.app.id, visit.now), by} - {"", BY_HAND})
    return visit.page(
        "decisions.html", page=page, query=query, kinds=KINDS, playbooks=playbooks, hand=BY_HAND,
        makers=[(one, actor(one)) for one in makers],
        now=visit.now,
        over=about.overruling(visit.store, visit.app.id, page.items, visit.now), filtered=any(query.values()),
    )  # fmt: skip


@router.get("/decisions/new")
def show_new(visit: Analyst, scope: Given = "user", value: Given = "") -> Response:
    """Show the form of a decision by hand."""
    return visit.page(
        "decision_new.html", kinds=KINDS, scopes=SCOPES, lengths=LENGTHS, scope=scope, value=value
    )  # fmt: skip


@router.post("/decisions/new")
def add_decision(visit: Analyst, form: Filled) -> Response:
    """Decide by hand; every connected process knows at once."""
    now, scope = visit.now, cast(Scope, form.choice("scope", SCOPES))
    decision = hand.decide(
        visit.store, visit.app.id, cast(Kind, form.choice("kind", KINDS)), scope, _target(visit, scope, form),
        hand.until(length(form), None, now), form.text("reason", most=500), visit.by, now,
        to=form.text("to", empty=True) or None, logins_only=form.flag("logins_only"),
    )  # fmt: skip
    visit.here.told(visit.app.id)
    return visit.done(visit.url(f"/decisions/{decision.id}"), "blocked")


@router.post("/decisions/lift")
def lift_decisions(visit: Analyst, form: Filled) -> Response:
    """End all that a playbook decided, or people by hand, for good."""
    playbook, by = form.text("playbook", empty=True), form.text("by", empty=True)
    kind = form.choice("kind", ("", *KINDS))
    hand.lift_all(
        visit.store, visit.app.id, form.text("why", most=500), visit.by, visit.now, playbook=playbook or None,
        maker=by or None, kind=kind or None,
    )  # fmt: skip
    visit.here.told(visit.app.id)
    return visit.done(visit.url("/decisions", playbook=playbook, by=by, kind=kind), "all-lifted")


@router.get("/decisions/{id}")
def show_decision(visit: Viewer, id: Id) -> Response:
    """Show why there is a decision, and what became of it."""
    why = require(visit.here.explainer.decision(visit.app.id, id), "decision", id)
    one = why.decision.decision
    over = about.overruling(visit.store, visit.app.id, (why.decision,), visit.now).get(one.id)
    scope, whom = ("user", unpair(one.value)[0]) if one.scope in PAIRS else (one.scope, one.value)
    stopping = about.stopping(visit.store, visit.app.id, cast(Single, scope), whom, visit.now)
    return visit.page(
        "decision.html", kept=why.decision, one=one, finding=why.finding, over=over, now=visit.now,
        page=visit.url("/people" if scope == "user" else "/addresses", whom),
        others=[kept for kept in stopping if kept.decision.id != one.id],
    )  # fmt: skip


@router.post("/decisions/{id}/lift")
def lift_decision(visit: Analyst, form: Filled, id: Id) -> Response:
    """End a decision for good."""
    why = form.text("why", most=500)
    require(visit.store.decisions.lift(visit.app.id, id, visit.by, why, visit.now), "decision", id)
    visit.here.told(visit.app.id)
    return visit.done(visit.url(f"/decisions/{id}"), "lifted")


@router.get("/decisions/allowed/list")
def list_allowances(visit: Viewer, who: Given = "", cursor: Cursor = None) -> Response:
    """List whom nobody acts on, newest first."""
    page = visit.store.allow.page(
        visit.app.id, now=visit.now, values=[_spelling(who)] if who else None, cursor=cursor
    )  # fmt: skip
    return visit.page("allowed.html", page=page, who=who, scopes=EXCEPTED, lengths=LENGTHS, now=visit.now)


@router.post("/decisions/allowed/add")
def add_allowance(visit: Analyst, form: Filled) -> Response:
    """Let nobody act on a user, an address or a network; what playbooks decided about them is lifted."""
    now = visit.now
    scope = cast(Single, form.choice("scope", EXCEPTED))
    whom = hand.target(scope, _meant(scope, form.text("value", most=512)), visit.app.ipv6)
    _, lifted = hand.allow(
        visit.store, visit.app.id, scope, whom,
        hand.until(length(form), None, now), form.text("reason", most=500), visit.by, now,
    )  # fmt: skip
    if lifted:
        visit.here.told(visit.app.id)
    return visit.done(visit.url("/decisions/allowed/list"), "allow-added")


@router.post("/decisions/allowed/{id}/remove")
def remove_allowance(visit: Analyst, form: Filled, id: Id) -> Response:
    """Take an allowance back."""
    if not visit.store.allow.remove(visit.app.id, id, visit.by, form.text("why", most=500), visit.now):
        raise not_found("allowance", id)
    return visit.done(visit.url("/decisions/allowed/list"), "allow-removed")


def _target(visit: Visit, scope: Scope, form: Form) -> str:
    value = _meant(scope, form.text("value", most=512))
    return hand.target(scope, (value, form.text("other", most=512)) if scope in PAIRS else value, visit.app.ipv6)


def _meant(scope: Scope, value: str) -> str:
    """Return whom a form names; raises SentinelError for an address where a user is to be named: few are called so."""
    if scope in ("ip", "network"):
        return value
    try:
        where = hand.spot("value", value)
    except SentinelError:
        return value
    hint = f"choose `{'network' if '/' in where else 'ip'}`, or write `id:{value[:64]}`"
    raise SentinelError(f"`value`: `{value[:64]}` is an address, and the scope is `{scope}`", hint)


def _spelling(who: str) -> str:
    """Return whom somebody looks for as decisions name them: an address, a network or a user key."""
    try:
        return hand.spot("ip", who)
    except SentinelError:
        return identity.read_key(who)
