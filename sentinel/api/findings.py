"""/v1/findings: what playbooks found, and how people judged it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import Field

from sentinel.api.asking import Since, Until, span
from sentinel.api.context import Admin, Context, Here, Reader
from sentinel.api.downloads import Download, Seated
from sentinel.api.hub import Seat
from sentinel.api.models import CONFLICT, FindingView, Length, Listing, Model, Text
from sentinel.api.parts import Bundle, Cursor, Filter, Id, Limit, network, user_key
from sentinel.api.views import finding_view, listing, when
from sentinel.core import ecs, ocsf
from sentinel.core.duration import ENDLESS
from sentinel.core.finding import Severity
from sentinel.core.record import FindingFormat, Judged, KeptFinding, Page, Status
from sentinel.edge.access import Caller
from sentinel.edge.errors import ApiError, require
from sentinel.service import hand
from sentinel.service.pipeline import as_json
from sentinel.service.ports.findings import Findings

router = APIRouter(tags=["findings"])
TYPE = "application/x-ndjson"
AtLeast = Annotated[Severity | None, Query(description="Those that are at least so severe.")]
Form = Callable[[Mapping[str, Any], str], dict[str, Any]]
FORMS: Mapping[str, Form] = {"ocsf": ocsf.detection, "ecs": ecs.alert}
_LOT = 200  # findings read at a time


class Judgement(Model):
    """What a person makes of a finding; `lift` also ends its decisions, for good.

    With `allow` a false positive does so too, and nobody acts on whom it was about for so long.
    """

    status: Judged
    note: Text | None = None
    lift: Annotated[bool, Field(description="End the decisions it led to: they are not made again.")] = False
    allow: Length | None = None


@router.get("/v1/findings", response_model=Listing[FindingView])
def list_findings(
    here: Here, caller: Reader, playbook: Filter = None, status: Status | None = None, user: Filter = None,
    ip: Filter = None, since: Since = None, until: Until = None, severity: AtLeast = None, bundle: Bundle = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return findings by the time of their anchor, newest first; `to` is the first moment that is not meant."""
    asked = _asked(here, caller, user, ip, since, until)
    page = here.store.findings.list(
        caller.app, playbook=playbook, status=status, severity=severity, bundle=bundle, limit=limit, cursor=cursor,
        counted=True, **asked,
    )  # fmt: skip
    return listing(page, finding_view)


@router.get(
    "/v1/findings/export",
    response_class=Response,
    responses={200: {"content": {TYPE: {}}, "description": "A finding a line."}},
)
def export_findings(
    here: Here, caller: Reader, seat: Seated, format: FindingFormat, playbook: Filter = None,
    status: Status | None = None, user: Filter = None, ip: Filter = None, since: Since = None, until: Until = None,
    severity: AtLeast = None, bundle: Bundle = None,
) -> Response:  # fmt: skip
    """Give findings as lines of JSON, newest first: OCSF Detection Findings, or documents of the Elastic schema."""
    asked = _asked(here, caller, user, ip, since, until)
    return download(
        seat, here.store.findings, caller.app, format, playbook=playbook, status=status, severity=severity,
        bundle=bundle, **asked,
    )  # fmt: skip


def _asked(
    here: Context, caller: Caller, user: str | None, ip: str | None, since: str | None, until: str | None
) -> dict[str, Any]:
    """Return what parameters ask of a list of findings, as the store takes it."""
    begins, ends = span(since, until, here.clock())
    who = user_key(here.store, caller.app, user)
    return {"user": who, "ip": network(ip), "since": begins, "until": ends}


def download(seat: AbstractContextManager[Seat], findings: Findings, app: str, format: str, **asked: Any) -> Response:
    """Return the answer that sends findings as a file in `format`; `asked` are the filters of `Findings.list`."""
    ask = partial(findings.list, app, **asked, limit=_LOT)
    return Download(seat, _lines(ask(), ask, FORMS[format], app), f"findings.{format}.ndjson", TYPE)


def _lines(page: Page[KeptFinding], ask: Callable[..., Page[KeptFinding]], form: Form, app: str) -> Iterator[bytes]:
    """Give each finding's line, a page of them at a time."""
    while True:
        yield b"".join(msgspec.json.encode(form(_told(kept, app), kept.status)) + b"\n" for kept in page.items)
        if page.cursor is None:
            return
        page = ask(cursor=page.cursor)


def _told(kept: KeptFinding, app: str) -> dict[str, Any]:
    last = kept.last or kept.finding.at
    more = {"opened": when(kept.opened), "last": when(last), "evidence": kept.evidence}
    return {"app": app, **as_json(kept.finding), **more}


@router.get("/v1/findings/{id}", response_model=FindingView)
def get_finding(here: Here, caller: Reader, id: Id) -> Any:
    """Return one finding with its reasons, effects and what became of it."""
    kept = require(here.store.findings.get(caller.app, id), "finding", id)
    return finding_view(kept)


@router.patch("/v1/findings/{id}", response_model=FindingView, responses=CONFLICT)
def judge_finding(here: Here, caller: Admin, id: Id, judgement: Judgement) -> Any:
    """Confirm or close a finding, or call it a false positive."""
    now = here.clock()
    if judgement.allow is not None:
        _pardon(here, caller, id, judgement, judgement.allow, now)
    else:
        marked = here.store.findings.mark(
            caller.app, id, judgement.status, caller.by, now, judgement.note, judgement.lift
        )
        require(marked, "finding", id)
    if judgement.lift or judgement.allow:
        here.told(caller.app)
    return get_finding(here, caller, id)


def _pardon(here: Context, caller: Caller, id: str, judgement: Judgement, length: str, now: int) -> None:
    if judgement.status != "false-positive":
        raise ApiError("invalid", "`allow`: only a false positive makes an exception", "leave it out")
    if length != ENDLESS:
        hand.lasting("allow", length, endless=True)
    kept = require(here.store.findings.get(caller.app, id), "finding", id)
    why = judgement.note or kept.note or "a false positive"
    hand.pardon(here.store, caller.app, kept, why, length, caller.by, now)
