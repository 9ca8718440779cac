"""What can be changed while the server runs (the off switch, keys, apps, accounts), and the settings that cannot."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.asking import CHOICES, When, ends
from sentinel.console.forms import Filled
from sentinel.console.parts import Cursor, Given, Id
from sentinel.console.render import actor
from sentinel.console.visit import Admin, ServerAdmin, Viewer
from sentinel.core.errors import SentinelError
from sentinel.core.record import BY_HAND
from sentinel.edge.errors import not_found, require
from sentinel.service import apps
from sentinel.service.upkeep import pin, pinned

router = APIRouter()
COLUMNS = ("string", "number")  # the types of properties that can have a column
OFFERED = 500  # properties


@router.get("/settings")
def settings(visit: Viewer) -> Response:
    """Show the app, its switch, its channels and what its events hold."""
    known, fixed = visit.store.schema.properties(visit.app.id), pinned(visit.store, visit.app.id)
    return visit.page(
        "settings.html", channels=visit.here.channels, promoted=[one for one in known if one.slot is not None],
        properties=len(known), pinned=fixed,
        offered=[one.path for one in known if one.type in COLUMNS and one.path not in fixed][:OFFERED],
        server_on=visit.here.enforcement.state(None), app_on=visit.here.enforcement.state(visit.app.id), now=visit.now,
        dead=visit.store.outbox.list(visit.app.id, dead=True, limit=20).items,
        growing=visit.store.outbox.growing(visit.app.id),
    )  # fmt: skip


@router.post("/settings/app")
def change_app(visit: Admin, form: Filled) -> Response:
    """Change the app's name, how long its events are kept, and how its addresses are grouped."""
    keep = apps.retention(form.text("retention", most=40, empty=True) or "none")
    prefix = form.text("ipv6", most=3, empty=True) or str(visit.app.ipv6)
    if not prefix.isdecimal() or not 32 <= int(prefix) <= 128:
        raise SentinelError(f"`ipv6`: `{prefix}` is not between 32 and 128", "64 is what one household has")
    given = {"name": form.text("name", most=100, empty=True), "retention": keep, "ipv6": int(prefix)}
    require(visit.store.access.change_app(visit.app.id, given, visit.by, visit.now), "app", visit.app.id)
    return visit.done(visit.url("/settings"), "app-changed")


@router.post("/settings/properties")
def promote_property(visit: Admin, form: Filled) -> Response:
    """Give a property a column of its own for the events to come, or leave that to how often it is asked for."""
    path, on = form.text("path", most=512), form.choice("turn", ("on", "off")) == "on"
    require(pin(visit.store, visit.app.id, path, on, visit.by, visit.now), "property", path)
    return visit.done(visit.url("/settings"), "property-promoted" if on else "property-left")


@router.post("/settings/enforcement")
def turn_app(visit: Admin, form: Filled) -> Response:
    """Stop or start enforcement in the app."""
    return _turn(visit, form, visit.app.id)


@router.post("/settings/server/enforcement")
def turn_server(visit: ServerAdmin, form: Filled) -> Response:
    """Stop or start enforcement everywhere."""
    return _turn(visit, form, None)


@router.post("/settings/deliveries/revive")
def revive_all(visit: Admin) -> Response:
    """Try again all that was given up."""
    visit.store.outbox.revive_all(visit.app.id, visit.by, visit.now)
    return visit.done(visit.url("/settings"), "all-revived")


@router.post("/settings/deliveries/{id}/revive")
def revive(visit: Admin, id: Id) -> Response:
    """Try again what was given up."""
    if not id.isdecimal() or not visit.store.outbox.revive(visit.app.id, int(id[:18]), visit.by, visit.now):
        raise not_found("dead delivery", id, "only those that were given up are tried again")
    return visit.done(visit.url("/settings"), "revived")


@router.get("/settings/apps")
def list_apps(visit: ServerAdmin) -> Response:
    """List the apps of the server."""
    return visit.page("settings_apps.html")


@router.post("/settings/apps")
def add_app(visit: ServerAdmin, form: Filled) -> Response:
    """Add an app, apart from all others."""
    apps.add(visit.store, form.text("id", most=63), form.text("name", most=100, empty=True), visit.by, visit.now)
    return visit.done(visit.url("/settings/apps"), "app-added")


@router.get("/settings/audit")
def audit(
    visit: Admin, when: When, by: Given = "", action: Given = "", target: Given = "", server: Given = "",
    cursor: Cursor = None,
) -> Response:  # fmt: skip
    """Show who did what: in the app, or on the whole server to its administrators."""
    whole = bool(server) and visit.account.server
    since, until = when.span(visit.now) if when.range else (None, None)
    page = visit.store.audit.list(
        None if whole else visit.app.id, cursor=cursor, counted=True, by=by or None, action=action or None,
        target=target or None, since=since, until=until,
    )  # fmt: skip
    query = {"by": by, "action": action, "target": target, **when.query}
    return visit.page(
        "settings_audit.html", page=page, query=query, filtered=any(query.values()), server="1" if whole else "",
        hand=BY_HAND, known=(by, actor(by)), period=when, choices=(("", "any time"), *CHOICES), span=ends(since, until),
    )  # fmt: skip


def _turn(visit: Admin, form: Filled, app: str | None) -> Response:
    on = form.choice("turn", ("on", "off")) == "on"
    visit.here.enforcement.turn(app, on, visit.by, form.text("why", most=500), visit.now)
    visit.here.told_all()
    return visit.done(visit.url("/settings"), f"enforcement-{'on' if on else 'off'}")
