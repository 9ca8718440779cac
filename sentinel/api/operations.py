"""/v1/playbooks, /v1/outbox, /v1/audit, /v1/backup and /v1/enforcement: the state of the server, and its off switch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from pydantic import Field

from sentinel.api.asking import Since, Until, span
from sentinel.api.context import Admin, Here, Reader, server_only
from sentinel.api.models import AuditView, DeliveryView, Listing, Model, PlaybooksView, Reason, Revived, VersionView
from sentinel.api.parts import Bundle, Cursor, Filter, Id, Limit, Word
from sentinel.api.views import audit_view, delivery_view, listing, mistake_view, playbook_view, version_view, whole
from sentinel.core import moment
from sentinel.core.record import BY_HAND
from sentinel.edge.errors import ApiError, not_found
from sentinel.service.upkeep import BACKED

router = APIRouter(tags=["operations"])
Doer = Annotated[
    Word | None,
    Query(min_length=1, max_length=128, description=f"Who, as `actor` says it; `{BY_HAND}`: all but playbooks."),
]
Deed = Annotated[
    Word | None,
    Query(min_length=1, max_length=64, description="What: one such as `decision.lift`, or all of `decision`."),
]


class EnforcementView(Model):
    """Whether decisions are carried out: in this app, and on the whole server. Both must be on."""

    app: bool
    server: bool


class Turn(Model):
    """Turn enforcement on or off; `server` means the whole server, which only its own administrator may."""

    on: bool
    why: Reason
    server: bool = False


@router.get("/v1/playbooks", response_model=PlaybooksView)
def list_playbooks(here: Here, caller: Reader) -> Any:
    """Return the playbooks as the engine has them: mode, version, and whether one is still rebuilding."""
    guarded = here.overview.guarded(caller.app, here.clock())
    listed = whole(here.overview.playbooks(caller.app), lambda one: playbook_view(one, guarded.get(one.id)))
    return listed | {"mistakes": [mistake_view(one) for one in here.overview.mistakes()]}


@router.get("/v1/playbooks/{id}/versions", response_model=Listing[VersionView])
def list_versions(here: Here, caller: Reader, id: Id, limit: Limit = 50, cursor: Cursor = None) -> Any:
    """Return the texts of a playbook as they changed, newest first."""
    found = here.store.playbooks.history(caller.app, id, limit, cursor)
    if not found.items and cursor is None:
        raise not_found("playbook", id)
    return listing(found, version_view)


@router.get("/v1/outbox", response_model=Listing[DeliveryView])
def list_deliveries(
    here: Here, caller: Reader, dead: bool | None = None, bundle: Bundle = None, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return notifications and webhooks, newest first; with `dead` those that were given up, or all others."""
    return listing(here.store.outbox.list(caller.app, dead, limit, cursor, bundle, counted=True), delivery_view)


@router.post("/v1/outbox/revive", response_model=Revived)
def revive_deliveries(here: Here, caller: Admin) -> Any:
    """Try again all that was given up."""
    return {"revived": here.store.outbox.revive_all(caller.app, caller.by, here.clock())}


@router.post("/v1/outbox/{id}/revive", status_code=204)
def revive_delivery(here: Here, caller: Admin, id: Annotated[int, InPath(ge=0, lt=2**63)]) -> None:
    """Try again what was given up."""
    if not here.store.outbox.revive(caller.app, id, caller.by, here.clock()):
        raise not_found("dead delivery", str(id), "only those that were given up are tried again")


@router.get("/v1/audit", response_model=Listing[AuditView])
def list_audit(
    here: Here, caller: Admin, by: Doer = None, action: Deed = None, target: Filter = None, since: Since = None,
    until: Until = None, limit: Limit = 50, cursor: Cursor = None,
    server: Annotated[bool, Query(description="What concerns the whole server.")] = False,
) -> Any:  # fmt: skip
    """Return who did what, newest first; `to` is the first moment that is not meant."""
    if server:
        server_only(caller)
    begins, ends = span(since, until, here.clock())
    page = here.store.audit.list(
        None if server else caller.app, limit, cursor, counted=True, by=by, action=action, target=target, since=begins,
        until=ends,
    )  # fmt: skip
    return listing(page, audit_view)


class BackupWanted(Model):
    """Where a backup goes: an empty folder on the server's own machine that nobody else may look into."""

    folder: Annotated[Word, Field(min_length=1, max_length=1024)]


class BackupView(Model):
    """A backup as made: when, its bytes, and how many events are in it."""

    folder: str
    at: str
    bytes: int
    events: int


@router.post("/v1/backup", response_model=BackupView)
def back_up(here: Here, caller: Admin, wanted: BackupWanted) -> Any:
    """Copy all that is kept into an empty folder of the server's machine, while everything goes on; check the copy."""
    server_only(caller)
    folder, now = Path(wanted.folder), here.clock()
    if not folder.is_absolute():
        raise ApiError("invalid", "`folder`: not an absolute path", "write `/var/backups/sentinel`")
    made = here.store.backup(folder, now)
    here.store.settings.put(BACKED, now, caller.by, now)
    return {"folder": str(folder), "at": moment.to_text(made.at), "bytes": made.size, "events": made.events}


@router.get("/v1/enforcement", response_model=EnforcementView)
def get_enforcement(here: Here, caller: Reader) -> Any:
    """Say whether decisions are carried out."""
    return {"app": here.enforcement.state(caller.app), "server": here.enforcement.state(None)}


@router.put("/v1/enforcement", response_model=EnforcementView)
def turn_enforcement(here: Here, caller: Admin, turn: Turn) -> Any:
    """Stop carrying decisions out, at once and everywhere, or begin again; what was decided is kept."""
    if turn.server:
        server_only(caller)
    here.enforcement.turn(None if turn.server else caller.app, turn.on, caller.by, turn.why, here.clock())
    here.hub.tell_all()
    return get_enforcement(here, caller)
