"""/v1/decisions and /v1/allow: decisions in force, those that people add and lift, and the allowlist."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from sentinel.api.context import Admin, Context, Here, Listener, Reader
from sentinel.api.models import (
    CONFLICT,
    AllowanceView,
    DecisionView,
    Length,
    Lifted,
    Listing,
    Model,
    Moment,
    OneDecision,
    Reason,
    Revision,
)
from sentinel.api.parts import Cursor, Id, Limit, Word
from sentinel.api.views import allowance_view, decision_view, listing
from sentinel.core.decision import Kind, Scope, Single
from sentinel.core.record import BY_HAND
from sentinel.edge.access import Caller
from sentinel.edge.errors import not_found, require
from sentinel.service import about, hand

router = APIRouter()
Target = Annotated[str, Field(min_length=1, max_length=512)]
Value = Annotated[str | None, Query(max_length=4096)]
Over = Annotated[bool, Query(description="Also those that are over.")]
Maker = Annotated[
    Word | None,
    Query(min_length=1, max_length=128, description=f"Who made them by hand, as `by` says it; `{BY_HAND}`: anybody."),
]


class NewDecision(Model):
    """A decision by hand. `for` or `until` says how long; without either it holds for ever.

    `value` is a user key (`id:42`, or `42`), an address, a network, or a pair `[user, address or device]`.
    """

    kind: Kind
    scope: Scope
    value: Target | tuple[Target, Target]
    reason: Reason
    to: Annotated[str, Field(max_length=2048)] | None = None
    for_: Length | None = Field(None, alias="for")
    until: Moment | None = None
    logins_only: bool = False


class NewAllowance(Model):
    """Somebody nobody acts on. What playbooks have decided about them is lifted, unless `lift` is false."""

    scope: Single
    value: Target
    reason: Reason
    for_: Length | None = Field(None, alias="for")
    until: Moment | None = None
    lift: bool = True


@router.get("/v1/decisions", response_model=Listing[DecisionView], tags=["decisions"])
def list_decisions(
    here: Here, caller: Listener, kind: Kind | None = None, scope: Scope | None = None,
    value: Value = None, playbook: Id | None = None, by: Maker = None, finding: Id | None = None, all: Over = False,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return decisions, newest first: those in force, or with `all` those that are over too.

    A `value` is read as where decisions are made; without a `scope`, as whatever it may be.
    """
    now = here.clock()
    values = None if value is None else hand.spellings(value, scope, _prefix(here, caller))
    page = here.store.decisions.list(
        caller.app, now=None if all else now, kind=kind, scope=scope, values=values, playbook=playbook,
        maker=by, finding=finding, limit=limit, cursor=cursor, counted=True,
    )  # fmt: skip
    over = about.overruling(here.store, caller.app, page.items, now)
    return listing(page, lambda kept: decision_view(kept, now, over))


@router.get("/v1/decisions/{id}", response_model=OneDecision, tags=["decisions"])
def get_decision(here: Here, caller: Listener, id: Id) -> Any:
    """Return one decision with its reasons."""
    now, kept = here.clock(), require(here.store.decisions.get(caller.app, id), "decision", id)
    over = about.overruling(here.store, caller.app, (kept,), now)
    return decision_view(kept, now, over) | {"warnings": hand.warnings(kept.decision, here.never)}


@router.post("/v1/decisions", response_model=OneDecision, status_code=201, tags=["decisions"])
def add_decision(here: Here, caller: Admin, new: NewDecision) -> Any:
    """Decide by hand; every connected SDK knows at once."""
    now = here.clock()
    value, end = hand.target(new.scope, new.value, _prefix(here, caller)), hand.until(new.for_, new.until, now)
    decision = hand.decide(
        here.store, caller.app, new.kind, new.scope, value, end, new.reason, caller.by, now, to=new.to,
        logins_only=new.logins_only,
    )  # fmt: skip
    here.told(caller.app)
    return get_decision(here, caller, decision.id)


@router.delete("/v1/decisions/{id}", response_model=Revision, tags=["decisions"])
def lift_decision(here: Here, caller: Admin, id: Id, why: Annotated[str, Query(max_length=500)] = "") -> Any:
    """End a decision for good: its finding never decides again."""
    revision = require(here.store.decisions.lift(caller.app, id, caller.by, why, here.clock()), "decision", id)
    here.told(caller.app)
    return {"revision": revision}


@router.delete("/v1/decisions", response_model=Lifted, tags=["decisions"])
def lift_decisions(
    here: Here, caller: Admin, playbook: Annotated[Word | None, Query(min_length=1, max_length=128)] = None,
    by: Maker = None, kind: Kind | None = None, why: Annotated[str, Query(max_length=500)] = "",
) -> Any:  # fmt: skip
    """End all that a playbook decided, or people by hand, and that is in force; with `kind` those of it alone.

    It is for good: the findings behind it never decide again.
    """
    revision, lifted = hand.lift_all(
        here.store, caller.app, why, caller.by, here.clock(), playbook=playbook, maker=by, kind=kind
    )
    here.told(caller.app)
    return {"revision": revision, "lifted": lifted}


@router.get("/v1/allow", response_model=Listing[AllowanceView], tags=["decisions"])
def list_allowances(
    here: Here, caller: Reader, value: Value = None, all: Over = False, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """Return whom nobody acts on, newest first: now, or with `all` ever."""
    values = None if value is None else hand.spellings(value, None, _prefix(here, caller))
    page = here.store.allow.page(
        caller.app, now=None if all else here.clock(), values=values, limit=limit, cursor=cursor
    )  # fmt: skip
    return listing(page, allowance_view)


@router.post("/v1/allow", response_model=AllowanceView, status_code=201, responses=CONFLICT, tags=["decisions"])
def add_allowance(here: Here, caller: Admin, new: NewAllowance) -> Any:
    """Let nobody act on a user, an address or a network."""
    now = here.clock()
    value, end = hand.target(new.scope, new.value, _prefix(here, caller)), hand.until(new.for_, new.until, now)
    made, lifted = hand.allow(
        here.store, caller.app, new.scope, value, end, new.reason, caller.by, now, lift=new.lift
    )  # fmt: skip
    if lifted:
        here.told(caller.app)
    return allowance_view(made)


@router.delete("/v1/allow/{id}", status_code=204, tags=["decisions"])
def remove_allowance(here: Here, caller: Admin, id: Id, why: Annotated[str, Query(max_length=500)] = "") -> None:
    """Take an allowance back."""
    if not here.store.allow.remove(caller.app, id, caller.by, why, here.clock()):
        raise not_found("allowance", id)


def _prefix(here: Context, caller: Caller) -> int:
    return require(here.store.access.app(caller.app), "app", caller.app).ipv6
