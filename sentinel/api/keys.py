"""/v1/keys and /v1/apps: who may ask, and for what."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from sentinel.api.context import Admin, Context, Here, server_only
from sentinel.api.models import AppView, ErrorAnswer, KeyView, Listing, Model, NewKeyView, Text
from sentinel.api.parts import Id
from sentinel.api.views import app_view, key_view
from sentinel.core.duration import HOUR, parse_duration
from sentinel.core.record import App, KeyScope
from sentinel.edge.errors import ApiError, not_found
from sentinel.edge.protocols import read_settings

router = APIRouter(tags=["keys and apps"])
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


class NewKey(Model):
    """A key to make. Browser keys name the origins they may be used from: `https://shop.example`.

    With `protocol` it is for a foreign client and for nothing else; `settings` are that protocol's own.
    """

    scope: KeyScope
    name: Text | Annotated[str, Field(max_length=0)] = ""
    origins: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=50)] = Field(default_factory=list)
    protocol: Annotated[str, Field(max_length=40)] | None = None
    settings: Annotated[dict[str, Any], Field(max_length=50)] = Field(default_factory=dict)


class NewApp(Model):
    """An app to add."""

    id: Slug
    name: Text | Annotated[str, Field(max_length=0)] = ""


class AppChange(Model):
    """What to change of an app; what is left out stays. `retention`: a duration, or `none` for the server's setting."""

    name: Text | None = None
    retention: Annotated[str, Field(max_length=40)] | None = None
    ipv6: Annotated[int, Field(ge=32, le=128)] | None = None
    identifiers: Annotated[list[Identifier], Field(min_length=1, max_length=20)] | None = None


@router.get("/v1/keys", response_model=Listing[KeyView])
def list_keys(here: Here, caller: Admin) -> Any:
    """Return the app's keys, revoked ones too, oldest first."""
    return {"items": [key_view(key, here.key_forms) for key in here.store.access.keys(caller.app)]}


@router.post("/v1/keys", response_model=NewKeyView, status_code=201)
def make_key(here: Here, caller: Admin, new: NewKey) -> Any:
    """Make a key. Its secret is in this answer and nowhere else."""
    if (new.scope == "browser") != bool(new.origins):
        hint = 'such as `["https://shop.example"]`' if new.scope == "browser" else "leave them out"
        raise ApiError("invalid", "`origins`: browser keys have some, other keys have none", hint)
    for origin in new.origins:
        if not _ORIGIN.fullmatch(origin):
            raise ApiError("invalid", f"`origins`: `{origin[:80]}` is not an origin", "write `https://shop.example`")
    settings = _protocol_settings(here, new) | ({"origins": new.origins} if new.origins else {})
    key, secret = here.store.access.make_key(
        caller.app, new.scope, caller.by, here.clock(), name=new.name, protocol=new.protocol, settings=settings
    )
    return key_view(key, here.key_forms) | {"secret": secret}


def _protocol_settings(here: Context, new: NewKey) -> dict[str, Any]:
    if new.protocol is not None:
        return read_settings(here.key_forms, new.protocol, new.scope, new.settings)
    if new.settings:
        raise ApiError("invalid", "`settings`: only keys for a foreign protocol have them", "name its `protocol`")
    return {}


@router.delete("/v1/keys/{id}", status_code=204)
def revoke_key(here: Here, caller: Admin, id: Id) -> None:
    """Revoke a key; its streams end within five seconds."""
    if not here.store.access.revoke(caller.app, id, caller.by, here.clock()):
        raise not_found("key in use", id)
    here.hub.tell_all()


@router.get("/v1/apps", response_model=Listing[AppView])
def list_apps(here: Here, caller: Admin) -> Any:
    """Return the apps the caller administers: all of them, or the key's own."""
    apps = here.store.access.apps()
    return {"items": [app_view(app) for app in apps if caller.server or app.id == caller.app]}


@router.post("/v1/apps", response_model=AppView, status_code=201, responses={409: {"model": ErrorAnswer}})
def add_app(here: Here, caller: Admin, new: NewApp) -> Any:
    """Add an app, apart from all others; only the server's own administrator may."""
    server_only(caller)
    if here.store.access.app(new.id) is not None:
        raise ApiError("conflict", f"there is an app `{new.id}` already")
    now = here.clock()
    here.store.access.put_app(App(new.id, new.name, made=now), caller.by, now)
    return app_view(_app(here.store.access.app(new.id), new.id))


@router.patch("/v1/apps/{id}", response_model=AppView)
def change_app(here: Here, caller: Admin, id: Id, change: AppChange) -> Any:
    """Change an app's name, retention, or how its users and addresses are grouped."""
    if not caller.server and id != caller.app:
        raise not_found("app", id)
    app = _app(here.store.access.app(id), id)
    given: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
    given = {name: value for name, value in given.items() if value is not None}
    if "retention" in given:
        given["retention"] = _retention(given["retention"])
    if "identifiers" in given:
        given["identifiers"] = tuple(dict.fromkeys(given["identifiers"]))
    changed = replace(app, **given)
    here.store.access.put_app(changed, caller.by, here.clock())
    here.changed(changed)
    return app_view(changed)


def _app(app: App | None, id: str) -> App:
    if app is None:
        raise not_found("app", id)
    return app


def _retention(text: str) -> int | None:
    if text == "none":
        return None
    micros = parse_duration(text)
    if micros < HOUR:
        raise ApiError("invalid", f"`retention`: `{text}` is shorter than an hour")
    return micros
