"""/v1/keys and /v1/apps: apps, and the keys that give access to them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, Field, WithJsonSchema

from sentinel.api.context import Admin, Here, server_only
from sentinel.api.models import CONFLICT, AppView, KeyView, Listing, Model, NewKeyView, Text
from sentinel.api.parts import Cursor, Id, Limit
from sentinel.api.views import app_view, key_view, listing, whole
from sentinel.core.record import KeyScope
from sentinel.edge.errors import not_found, require
from sentinel.edge.protocols import read_settings
from sentinel.service import apps

router = APIRouter(tags=["keys and apps"])
IDENTIFIER = r"^[a-z][a-z0-9_]{0,62}$"


def _identifier(text: str) -> str:
    if not re.fullmatch(IDENTIFIER, text):
        raise ValueError(f"`{text[:64]}` is no identifier (lower case, digits and `_`, such as `customer_id`)")
    return text


Slug = Annotated[str, WithJsonSchema({"type": "string", "pattern": apps.ID})]  # what is none is told by `apps`
Identifier = Annotated[str, AfterValidator(_identifier), WithJsonSchema({"type": "string", "pattern": IDENTIFIER})]


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
def list_keys(here: Here, caller: Admin, limit: Limit = 50, cursor: Cursor = None) -> Any:
    """Return the app's keys, those in use before revoked ones, newest first."""
    return listing(here.store.access.list_keys(caller.app, limit, cursor), lambda key: key_view(key, here.key_forms))


@router.post("/v1/keys", response_model=NewKeyView, status_code=201, responses=CONFLICT)
def make_key(here: Here, caller: Admin, new: NewKey) -> Any:
    """Make a key. Its secret is in this answer and nowhere else."""
    origins = apps.origins(new.scope, new.origins)
    settings = read_settings(here.key_forms, new.protocol, new.scope, new.settings) | origins
    key, secret = here.store.access.make_key(
        caller.app, new.scope, caller.by, here.clock(), name=new.name, protocol=new.protocol, settings=settings
    )
    return key_view(key, here.key_forms) | {"secret": secret}


@router.delete("/v1/keys/{id}", status_code=204)
def revoke_key(here: Here, caller: Admin, id: Id) -> None:
    """Revoke a key; its streams end within five seconds."""
    if not here.store.access.revoke(caller.app, id, caller.by, here.clock()):
        raise not_found("key in use", id)
    here.hub.tell_all()


@router.get("/v1/apps", response_model=Listing[AppView])
def list_apps(here: Here, caller: Admin) -> Any:
    """Return the apps the caller administers: all of them, or the key's own."""
    known = here.store.access.apps()
    return whole([app for app in known if caller.server or app.id == caller.app], app_view)


@router.post("/v1/apps", response_model=AppView, status_code=201, responses=CONFLICT)
def add_app(here: Here, caller: Admin, new: NewApp) -> Any:
    """Add an app, apart from all others; only the server's own administrator may."""
    server_only(caller)
    return app_view(apps.add(here.store, new.id, new.name, caller.by, here.clock()))


@router.patch("/v1/apps/{id}", response_model=AppView)
def change_app(here: Here, caller: Admin, id: Id, change: AppChange) -> Any:
    """Change an app's name, retention, or how its users and addresses are grouped."""
    if not caller.server and id != caller.app:
        raise not_found("app", id)
    app = require(here.store.access.app(id), "app", id)
    given: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
    given = {name: value for name, value in given.items() if value is not None}
    if "retention" in given:
        given["retention"] = apps.retention(given["retention"])
    if "identifiers" in given:
        given["identifiers"] = list(dict.fromkeys(given["identifiers"]))
    if given:
        app = require(here.store.access.change_app(id, given, caller.by, here.clock()), "app", id)
    return app_view(app)
