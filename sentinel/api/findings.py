"""/v1/findings: what playbooks found, and what people make of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from sentinel.api.context import Admin, Here, Reader
from sentinel.api.models import FindingView, Listing, Model, Text
from sentinel.api.parts import Cursor, Filter, Id, Limit, Time, network, time, user_key
from sentinel.api.views import finding_view, listing
from sentinel.core.record import Status
from sentinel.edge.errors import not_found

router = APIRouter(tags=["findings"])


class Judgement(Model):
    """What a person makes of a finding; `lift` also ends its decisions, for good."""

    status: Literal["new", "confirmed", "false-positive", "closed"]
    note: Text | None = None
    lift: Annotated[bool, Field(description="End the decisions it led to: they are not made again.")] = False


@router.get("/v1/findings", response_model=Listing[FindingView])
def list_findings(
    here: Here, caller: Reader, playbook: Filter = None, status: Status | None = None, user: Filter = None,
    ip: Filter = None, since: Time = None, limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return findings by the time of their anchor, newest first."""
    page = here.store.findings.list(
        caller.app, playbook=playbook, status=status, user=user_key(user), ip=network("ip", ip),
        since=time("since", since), limit=limit, cursor=cursor,
    )  # fmt: skip
    return listing(page, finding_view)


@router.get("/v1/findings/{id}", response_model=FindingView)
def get_finding(here: Here, caller: Reader, id: Id) -> Any:
    """Return one finding with its reasons, effects and what became of it."""
    kept = here.store.findings.get(caller.app, id)
    if kept is None:
        raise not_found("finding", id)
    return finding_view(kept)


@router.patch("/v1/findings/{id}", response_model=FindingView)
def judge_finding(here: Here, caller: Admin, id: Id, judgement: Judgement) -> Any:
    """Confirm or close a finding, or call it a false positive."""
    revision = here.store.findings.mark(
        caller.app, id, judgement.status, caller.by, here.clock(), judgement.note, judgement.lift
    )
    if revision is None:
        raise not_found("finding", id)
    if judgement.lift:
        here.told(caller.app)
    return get_finding(here, caller, id)
