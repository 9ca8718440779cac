"""Who may ask: the keys of an app, and the accounts of those who use the console. Secrets are shown once."""

from __future__ import annotations

import re
from typing import Any, cast

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.forms import Filled, Form
from sentinel.console.parts import Id
from sentinel.console.visit import Admin, ServerAdmin, Visit
from sentinel.core.errors import SentinelError
from sentinel.core.record import EVERY_APP, KEY_SCOPES, ROLES, KeyScope, Role
from sentinel.edge.errors import not_found
from sentinel.edge.protocols import read_settings
from sentinel.service.accounts import Invitation

router = APIRouter()
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


@router.get("/settings/keys")
def list_keys(visit: Admin) -> Response:
    """List the app's keys, revoked ones last."""
    return _keys(visit)


@router.post("/settings/keys")
def make_key(visit: Admin, form: Filled) -> Response:
    """Make a key and show it, once."""
    scope, protocol = cast(KeyScope, form.choice("scope", KEY_SCOPES)), form.text("protocol", most=40, empty=True)
    _, secret = visit.store.access.make_key(
        visit.app.id, scope, visit.by, visit.now, name=form.text("name", most=100, empty=True),
        protocol=protocol or None, settings=_origins(form, scope) | _settings(visit, form, protocol, scope),
    )  # fmt: skip
    return _keys(visit, secret)


@router.post("/settings/keys/{id}/revoke")
def revoke_key(visit: Admin, id: Id) -> Response:
    """Revoke a key."""
    if not visit.store.access.revoke(visit.app.id, id, visit.by, visit.now):
        raise not_found("key in use", id)
    visit.here.told_all()
    return visit.done(visit.url("/settings/keys"), "key-revoked")


@router.get("/settings/accounts")
def list_accounts(visit: ServerAdmin) -> Response:
    """List who may sign in."""
    return _accounts(visit)


@router.post("/settings/accounts")
def invite(visit: ServerAdmin, form: Filled) -> Response:
    """Invite somebody, and show the link by which they choose a password, once."""
    role = cast(Role, form.choice("role", ROLES))
    made = visit.here.accounts.invite(form.text("name", most=100), role, _apps(form), visit.by)
    return _accounts(visit, made)


@router.post("/settings/accounts/{id}/change")
def change_account(visit: ServerAdmin, form: Filled, id: Id) -> Response:
    """Give somebody another role or other apps."""
    role = cast(Role, form.choice("role", ROLES))
    if visit.here.accounts.change(id, role, _apps(form), visit.by) is None:
        raise not_found("account", id)
    return visit.done(visit.url("/settings/accounts"), "account-changed")


@router.post("/settings/accounts/{id}/reset")
def reset_account(visit: ServerAdmin, id: Id) -> Response:
    """Take a password away, sign its owner out, and show a new link."""
    _not_oneself(visit, id)
    made = visit.here.accounts.reset(id, visit.by)
    if made is None:
        raise not_found("account", id)
    return _accounts(visit, made)


@router.post("/settings/accounts/{id}/remove")
def remove_account(visit: ServerAdmin, id: Id) -> Response:
    """Remove somebody."""
    _not_oneself(visit, id)
    if not visit.store.accounts.remove(id, visit.by, visit.now):
        raise not_found("account", id)
    return visit.done(visit.url("/settings/accounts"), "account-removed")


def _keys(visit: Visit, secret: str = "") -> Response:
    keys = sorted(visit.store.access.keys(visit.app.id), key=lambda key: (key.revoked is not None, -key.made))
    forms = sorted(visit.here.key_forms.items())
    return visit.page("settings_keys.html", keys=keys, scopes=KEY_SCOPES, forms=forms, secret=secret, now=visit.now)


def _accounts(visit: Visit, made: Invitation | None = None) -> Response:
    link = f"{visit.here.public_url or _here(visit)}/welcome#{made.code}" if made else ""
    return visit.page(
        "settings_accounts.html", accounts=visit.store.accounts.list(), roles=ROLES, every=EVERY_APP, link=link,
        invited=made.account.name if made else "", now=visit.now,
    )  # fmt: skip


def _here(visit: Visit) -> str:
    return str(visit.request.base_url).rstrip("/")


def _apps(form: Form) -> list[str]:
    return form.all("apps") or [EVERY_APP]


def _not_oneself(visit: Visit, id: str) -> None:
    if id == visit.account.id:
        raise SentinelError("it is your own account", "another administrator of the server can do that")


def _settings(visit: Visit, form: Form, protocol: str, scope: KeyScope) -> dict[str, Any]:
    """Return the settings of a key for a foreign protocol, each a line of the form; others have none."""
    given: dict[str, str] = {}
    for line in form.text("settings", empty=True).splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.strip() and not (name and equals):
            raise SentinelError(f"`settings`: `{line[:80]}` is no setting", "write `name=value`, one a line")
        given |= {name: value} if name else {}
    if protocol:
        return read_settings(visit.here.key_forms, protocol, scope, given)
    if given:
        raise SentinelError("`settings`: only keys for a foreign protocol have them", "choose its protocol")
    return {}


def _origins(form: Form, scope: KeyScope) -> dict[str, list[str]]:
    origins = form.text("origins", empty=True).replace(",", " ").split()
    if (scope == "browser") != bool(origins):
        hint = "such as `https://shop.example`" if scope == "browser" else "leave them out"
        raise SentinelError("`origins`: browser keys have some, other keys have none", hint)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise SentinelError(f"`origins`: `{origin[:80]}` is not an origin", "write `https://shop.example`")
    return {"origins": origins} if origins else {}
