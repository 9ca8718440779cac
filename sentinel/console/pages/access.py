"""The keys of an app, and the accounts of those who use the console. Secrets are shown once."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.forms import Filled, Form
from sentinel.console.parts import Cursor, Id
from sentinel.console.visit import Admin, ServerAdmin, Visit
from sentinel.core.errors import SentinelError
from sentinel.core.record import EVERY_APP, KEY_SCOPES, ROLES, KeyScope, Role
from sentinel.edge.errors import ApiError, not_found, refusal, require
from sentinel.edge.protocols import read_settings
from sentinel.service import apps
from sentinel.service.accounts import Invitation

router = APIRouter()
_NOTHING = Form()


@router.get("/settings/keys")
def list_keys(visit: Admin, cursor: Cursor = None) -> Response:
    """List the app's keys, revoked ones last."""
    return _keys(visit, cursor=cursor)


@router.post("/settings/keys")
def make_key(visit: Admin, form: Filled) -> Response:
    """Make a key and show it, once."""
    try:
        secret = _made(visit, form)
    except SentinelError as error:
        return _keys(visit, given=form, error=refusal(error))
    return _keys(visit, secret)


def _made(visit: Visit, form: Form) -> str:
    scope = cast(KeyScope, form.choice("scope", KEY_SCOPES))
    protocol = form.text("protocol", most=40, empty=True) or None
    origins = apps.origins(scope, form.text("origins", empty=True).replace(",", " ").split())
    settings = read_settings(visit.here.key_forms, protocol, scope, _lines(form.text("settings", empty=True)))
    _, secret = visit.store.access.make_key(
        visit.app.id, scope, visit.by, visit.now, name=form.text("name", most=100, empty=True), protocol=protocol,
        settings=settings | origins,
    )  # fmt: skip
    return secret


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
    try:
        role = cast(Role, form.choice("role", ROLES))
        made = visit.here.accounts.invite(form.text("name", most=100), role, form.all("apps"), visit.by)
    except SentinelError as error:
        return _accounts(visit, given=form, error=refusal(error))
    return _accounts(visit, made)


@router.post("/settings/accounts/{id}/change")
def change_account(visit: ServerAdmin, form: Filled, id: Id) -> Response:
    """Give somebody another role or other apps."""
    role = cast(Role, form.choice("role", ROLES))
    require(visit.here.accounts.change(id, role, form.all("apps"), visit.by), "account", id)
    return visit.done(visit.url("/settings/accounts"), "account-changed")


@router.post("/settings/accounts/{id}/reset")
def reset_account(visit: ServerAdmin, id: Id) -> Response:
    """Take a password away, sign its owner out, and show a new link."""
    _not_oneself(visit, id)
    made = require(visit.here.accounts.reset(id, visit.by), "account", id)
    return _accounts(visit, made)


@router.post("/settings/accounts/{id}/remove")
def remove_account(visit: ServerAdmin, id: Id) -> Response:
    """Remove somebody."""
    _not_oneself(visit, id)
    if not visit.store.accounts.remove(id, visit.by, visit.now):
        raise not_found("account", id)
    return visit.done(visit.url("/settings/accounts"), "account-removed")


def _keys(
    visit: Visit, secret: str = "", given: Form = _NOTHING, error: ApiError | None = None, cursor: str | None = None
) -> Response:
    page = visit.store.access.list_keys(visit.app.id, cursor=cursor)
    forms = sorted(visit.here.key_forms.items())
    return visit.page(
        "settings_keys.html", error.status if error else 200, page=page, scopes=KEY_SCOPES, forms=forms, secret=secret,
        given=given, error=error, now=visit.now,
    )  # fmt: skip


def _accounts(
    visit: Visit, made: Invitation | None = None, given: Form = _NOTHING, error: ApiError | None = None
) -> Response:  # fmt: skip
    link = f"{visit.here.public_url or _here(visit)}/welcome#{made.code}" if made else ""
    return visit.page(
        "settings_accounts.html", error.status if error else 200, accounts=visit.store.accounts.list(), roles=ROLES,
        every=EVERY_APP, link=link, given=given, error=error, invited=made.account.name if made else "", now=visit.now,
    )  # fmt: skip


def _here(visit: Visit) -> str:
    return str(visit.request.base_url).rstrip("/")


def _not_oneself(visit: Visit, id: str) -> None:
    if id == visit.account.id:
        raise SentinelError("it is your own account", "another administrator of the server can do that")


def _lines(text: str) -> dict[str, str]:
    """Return the settings of a key for a foreign protocol, as they were written: one a line."""
    given: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.strip() and not (name and equals):
            raise SentinelError(f"`settings`: `{line[:80]}` is no setting", "write `name=value`, one a line")
        given |= {name: value} if name else {}
    return given
