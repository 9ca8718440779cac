"""/v1/decisions and /v1/allow: what is in force, what people add, lift and except."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from sentinel.api.context import Admin, Context, Here, Listener, Reader
from sentinel.api.models import (
    AllowanceView,
    DecisionView,
    Length,
    Listing,
    Model,
    Moment,
    Reason,
    Revision,
)
from sentinel.api.parts import Cursor, Id, Limit, inside, until
from sentinel.api.views import allowance_view, decision_view, listing
from sentinel.core import address, identity
from sentinel.core.decision import PAIRS, Decision, Kind, Scope, pair, place
from sentinel.core.record import Allowance, KeptDecision
from sentinel.edge.errors import ApiError, not_found
from sentinel.sdk.ids import new_id

router = APIRouter()
Target = Annotated[str, Field(min_length=1, max_length=512)]
_MOST_LIFTED = 10_000


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

    scope: Literal["user", "ip", "network"]
    value: Target
    reason: Reason
    for_: Length | None = Field(None, alias="for")
    until: Moment | None = None
    lift: bool = True


@router.get("/v1/decisions", response_model=Listing[DecisionView], tags=["decisions"])
def list_decisions(
    here: Here, caller: Listener, kind: Kind | None = None, scope: Scope | None = None,
    value: Annotated[str | None, Query(max_length=4096)] = None, playbook: Id | None = None, finding: Id | None = None,
    all: Annotated[bool, Query(description="Also those that are over.")] = False,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return decisions, newest first: those in force, or with `all` those that are over too."""
    now = here.clock()
    page = here.store.decisions.list(
        caller.app, now=None if all else now, kind=kind, scope=scope, value=value, playbook=playbook, finding=finding,
        limit=limit, cursor=cursor,
    )  # fmt: skip
    return listing(page, lambda kept: decision_view(kept, now))


@router.get("/v1/decisions/{id}", response_model=DecisionView, tags=["decisions"])
def get_decision(here: Here, caller: Listener, id: Id) -> Any:
    """Return one decision with its reasons."""
    kept = here.store.decisions.get(caller.app, id)
    if kept is None:
        raise not_found("decision", id)
    return decision_view(kept, here.clock())


@router.post("/v1/decisions", response_model=DecisionView, status_code=201, tags=["decisions"])
def add_decision(here: Here, caller: Admin, new: NewDecision) -> Any:
    """Decide by hand; every connected SDK knows at once."""
    now = here.clock()
    decision = Decision(
        id=new_id(now // 1000), kind=new.kind, scope=new.scope, value=_target(new.scope, new.value), to=new.to,
        made=now, until=until(new.for_, new.until, now), reason=new.reason, by=caller.by, logins_only=new.logins_only,
    )  # fmt: skip
    here.store.decisions.add(caller.app, decision, caller.by, now)
    here.told(caller.app)
    return get_decision(here, caller, decision.id)


@router.delete("/v1/decisions/{id}", response_model=Revision, tags=["decisions"])
def lift_decision(here: Here, caller: Admin, id: Id, why: Annotated[str, Query(max_length=500)] = "") -> Any:
    """End a decision for good: its finding never decides again."""
    revision = here.store.decisions.lift(caller.app, id, caller.by, why, here.clock())
    if revision is None:
        raise not_found("decision", id)
    here.told(caller.app)
    return {"revision": revision}


@router.get("/v1/allow", response_model=Listing[AllowanceView], tags=["decisions"])
def list_allowances(
    here: Here, caller: Reader, all: Annotated[bool, Query(description="Also those that are over.")] = False
) -> Any:
    """Return whom nobody acts on."""
    found = here.store.allow.list(caller.app, None if all else here.clock())
    return {"items": [allowance_view(one) for one in found]}


@router.post("/v1/allow", response_model=AllowanceView, status_code=201, tags=["decisions"])
def add_allowance(here: Here, caller: Admin, new: NewAllowance) -> Any:
    """Let nobody act on a user, an address or a network."""
    now = here.clock()
    value = _target(new.scope, new.value)
    if new.scope != "user":
        value = str(place(value)) if new.scope == "network" else value
    made = Allowance(new_id(now // 1000), new.scope, value, new.reason, now, until(new.for_, new.until, now), caller.by)
    here.store.allow.add(caller.app, made, caller.by, now)
    if new.lift:
        _lift_all(here, caller.app, made, caller.by, now)
    return allowance_view(made)


@router.delete("/v1/allow/{id}", status_code=204, tags=["decisions"])
def remove_allowance(here: Here, caller: Admin, id: Id, why: Annotated[str, Query(max_length=500)] = "") -> None:
    """Take an allowance back."""
    if not here.store.allow.remove(caller.app, id, caller.by, why, here.clock()):
        raise not_found("allowance", id)


def _target(scope: str, value: str | tuple[str, str]) -> str:
    """Return a target in the one spelling it is kept in."""
    if scope in PAIRS:
        if isinstance(value, str):
            return value
        other = _address(value[1]) if scope == "user+ip" else value[1]
        return pair(identity.read_key(value[0]), other)
    if not isinstance(value, str):
        raise ApiError("invalid", f"`value`: a pair, and the scope is `{scope}`", "pairs belong to `user+ip`")
    if scope == "user":
        return identity.read_key(value)
    return _address(value) if scope == "ip" else str(place(value))


def _address(value: str) -> str:
    found = address.normalise(value)
    if found is None:
        raise ApiError("invalid", f"`value`: `{value[:64]}` is not an address", "write `203.0.113.9`")
    return address.group(found)


def _lift_all(here: Context, app: str, allowance: Allowance, by: str, now: int) -> None:
    """Lift what playbooks have decided about somebody nobody acts on from now on."""
    why = f"allowlisted: {allowance.reason}"
    lifted = [
        here.store.decisions.lift(app, kept.decision.id, by, why, now)
        for kept in _concerning(here, app, allowance, now)
    ]
    if lifted:
        here.told(app)


def _concerning(here: Context, app: str, allowance: Allowance, now: int) -> list[KeptDecision]:
    by_playbooks = (kept for kept in _in_force(here, app, allowance, now) if not kept.decision.manual)
    if allowance.scope == "user":
        return list(by_playbooks)
    wanted = place(allowance.value)
    return [kept for kept in by_playbooks if inside(place(kept.decision.value), wanted)]


def _in_force(here: Context, app: str, allowance: Allowance, now: int) -> Iterator[KeptDecision]:
    scopes = ["user"] if allowance.scope == "user" else ["ip", "network"]
    values = here.store.people.keys(app, allowance.value) if allowance.scope == "user" else (None,)
    for scope, value in product(scopes, values):
        cursor: str | None = None
        for _ in range(_MOST_LIFTED // 1000):
            page = here.store.decisions.list(app, now=now, scope=scope, value=value, limit=1000, cursor=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                break
