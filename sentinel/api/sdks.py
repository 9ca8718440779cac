"""/v1/sdks: the state of the SDK in each process of an app, as it last reported it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
from fastapi import APIRouter

from sentinel.api.context import Here, Reader
from sentinel.api.models import Listing, Model, Moment
from sentinel.api.parts import Limit
from sentinel.core import moment
from sentinel.core.wire import SDK_HEADER
from sentinel.edge.access import Caller
from sentinel.edge.wire import Headers
from sentinel.service.processes import Processes

router = APIRouter(tags=["operations"])
_NAME = SDK_HEADER.lower().encode()
_LONGEST = 4096


class SdkView(Model):
    """One process. `list_age`: for how many seconds nobody had confirmed its decision list; `dropped`: by reason."""

    instance: str
    seen: Moment
    host: str
    version: str
    pid: int
    uptime: float
    enforcing: bool
    streaming: bool
    list_age: float | None
    revision: int
    decisions: int
    queued: int
    sent: int
    rejected: int
    failures: int
    enforced: int
    unenforced: int
    errors: int
    dropped: dict[str, int]


@router.get("/v1/sdks", response_model=Listing[SdkView])
def list_sdks(here: Here, caller: Reader, limit: Limit = 50) -> Any:
    """Return the processes that hold a key of the app, whoever was heard last first; silent ones are forgotten."""
    found = here.processes.of(caller.app)[:limit]
    return {"items": [asdict(one) | {"seen": moment.to_text(one.seen)} for one in found]}


def listen(processes: Processes, caller: Caller, headers: Headers) -> None:
    """Take the report that came with a request of an SDK, if one did."""
    text = headers.get(_NAME)
    if text is None or len(text) > _LONGEST or caller.scope != "sdk":
        return
    try:
        report = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return
    processes.heard(caller.app, report)
