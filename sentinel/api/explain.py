"""/v1/explain: why an event counts or not, how near a group is to a finding, and what a decision rests on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from sentinel.api.context import Here, Reader
from sentinel.api.models import DecisionView, EventView, FindingView, Model, Moment, Number
from sentinel.api.parts import LONGEST, Id, Time, Word, time
from sentinel.api.views import decision_view, event_view, finding_view, when
from sentinel.edge.errors import require
from sentinel.engine.playbook import Mode
from sentinel.service import about
from sentinel.service.why import Nearness

router = APIRouter(tags=["explain"])
Given = Annotated[
    list[Annotated[Word, Query(max_length=LONGEST)]],
    Query(max_length=16, description="`field=value`, once for each field of the group; none: the whole app."),
]


class ClauseView(Model):
    """One condition on the event. `truth` null: unknown, because something is missing. Values are by their text."""

    source: str
    truth: bool | None
    fields: dict[str, Any]
    operands: dict[str, Any]


class PartView(Model):
    """One selection of events: a rule, a playbook's own, a step. `named`: it takes events of this name."""

    name: str
    rule: str | None
    named: bool
    matches: bool
    clauses: list[ClauseView]


class JudgedView(Model):
    """What a playbook makes of the event; `why` says why it does not count, `group` for which group it does."""

    id: str
    title: str
    mode: Mode
    counts: bool
    why: str | None
    group: dict[str, Any] | None
    parts: list[PartView]


class EventWhyView(Model):
    """An event with what every rule and every playbook makes of it."""

    event: EventView
    rules: list[PartView]
    playbooks: list[JudgedView]


class OpenedView(Model):
    """A finding's anchor, and whether it acted."""

    at: Moment
    acted: bool


class NearnessView(Model):
    """How near the group is to a playbook's finding. Null in `tally`: nothing can be said; times null: there is none.

    `fires` says what would open the next finding, `empties` when the last of what is counted leaves the window,
    `held` until when an earlier finding holds back the next. `spared` has the fields that name somebody nobody acts
    on, and why: `{"ip": "private or local address"}`.
    """

    id: str
    title: str
    mode: Mode
    group: dict[str, Any]
    tally: dict[str, Number | None]
    threshold: dict[str, str]
    fires: str
    empties: Moment | None
    held: Moment | None
    approximate: bool
    opened: list[OpenedView]
    spared: dict[str, str]


class GroupWhyView(Model):
    """How near a group is to the findings of every playbook that groups by nothing but the fields given."""

    at: Moment
    playbooks: list[NearnessView]


class DecisionWhyView(Model):
    """A decision with its finding, null for a person's, and the events that rests on, oldest first."""

    decision: DecisionView
    finding: FindingView | None
    events: list[EventView]


@router.get("/v1/explain/event/{id:path}", response_model=EventWhyView)
def explain_event(here: Here, caller: Reader, id: Id, at: Time = None) -> Any:
    """Say which rules and playbooks an event matches, clause by clause."""
    found = require(here.explainer.event(caller.app, id, time("at", at, here.clock())), "event", id)
    return {
        "event": event_view(found.event),
        "rules": [asdict(one) for one in found.rules],
        "playbooks": [asdict(one) for one in found.playbooks],
    }


@router.get("/v1/explain/group", response_model=GroupWhyView)
def explain_group(here: Here, caller: Reader, group: Given = []) -> Any:  # noqa: B006  FastAPI copies it
    """Say how near a group is to each playbook's finding, and what would open it."""
    here.overview.require_windows()
    now = here.clock()
    return {"at": when(now), "playbooks": [_near(one) for one in here.explainer.group(caller.app, group, now)]}


@router.get("/v1/explain/decision/{id}", response_model=DecisionWhyView)
def explain_decision(here: Here, caller: Reader, id: Id) -> Any:
    """Say why there is a decision: its finding, the tally, the events, who or what made it, and when it ends."""
    now, found = here.clock(), require(here.explainer.decision(caller.app, id), "decision", id)
    over = about.overruling(here.store, caller.app, (found.decision,), now)
    return {
        "decision": decision_view(found.decision, now, over),
        "finding": finding_view(found.finding) if found.finding else None,
        "events": [event_view(one) for one in found.events],
    }


def _near(one: Nearness) -> dict[str, Any]:
    opened = [{"at": when(at), "acted": acted} for at, acted in one.opened]
    return asdict(one) | {"empties": when(one.empties), "held": when(one.held), "opened": opened}
