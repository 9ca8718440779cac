"""/healthz, /readyz and /metrics: for whoever operates the server."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response

from sentinel.api.context import Context, Here, measured
from sentinel.api.models import ANSWERED, Model
from sentinel.api.refusals import REFUSALS
from sentinel.core.errors import SentinelError
from sentinel.edge.access import Caller
from sentinel.edge.wire import Headers

router = APIRouter(tags=["health"])
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Alive(Model):
    """The process answers."""

    model_config = ANSWERED

    status: Literal["ok"] = "ok"


class Ready(Model):
    """Whether the server does its work, and what keeps it from it."""

    model_config = ANSWERED

    status: Literal["ok", "starting", "unavailable", "degraded"]
    detail: str | None = None
    warnings: tuple[str, ...] = ()


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that the process answers, also where every thread waits for a database."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(here: Here, request: Request, response: Response) -> Ready:
    """Say whether events are taken: 503 while windows are restored, or the database or what keeps windows is away.

    A search that is down is `degraded`, not down.

    Anybody may ask; what exactly is wrong, and where, is told to keys of scope `read` and above.
    """
    starting = here.overview.starting()
    if starting is not None:
        response.status_code = 503
        return Ready(status="starting", detail=starting)
    health, trouble = here.store.health(), here.overview.trouble()
    caller = await _known(here, request)
    known = caller is not None
    warnings = here.overview.warnings(None if caller.server else caller.app) if caller else ()
    if trouble is not None:
        response.status_code = 503
        why = f": {trouble}" if known else ""
        return Ready(status="unavailable", detail=f"events cannot be taken{why}", warnings=warnings)
    if health.explorer is not None:
        why = f": {health.explorer}" if known else ""
        return Ready(status="degraded", detail=f"events cannot be searched{why}", warnings=warnings)
    return Ready(status="ok", warnings=warnings)


async def _known(here: Context, request: Request) -> Caller | None:
    try:
        caller = await here.gate.admit(Headers(request.scope["headers"]), request.scope["query_string"])
        caller.require("read")
    except SentinelError:
        return None
    return caller


@router.get("/metrics", response_class=Response, responses=REFUSALS | {200: {"content": {"text/plain": {}}}})
def metrics(here: Here, app: Annotated[str | None, Depends(measured)]) -> Response:
    """Return figures for Prometheus: those of the key's app, all for the server's `metrics_key` and administrator."""
    return Response(here.metrics(app), media_type=PROMETHEUS)
