"""A stored event in the form of Exceptionless' API, whole or in short. Any sender may have chosen its properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN = ("source", "message", "geo", "value", "count", "tags")


def shown(one: Mapping[str, Any], app: str) -> dict[str, Any]:
    """Return a stored event as Exceptionless writes it."""
    own, request = one["properties"], one.get("request", {})
    data: dict[str, Any] = dict(_part(own, "data"))
    described = description(own) if own.get("description") else None
    told = {
        "@user": _user(one), "@error": own.get("error"), "@environment": own.get("environment"),
        "@request": _request(one, request) if request else None, "@version": own.get("version"),
        "@level": own.get("level"), "@user_description": described,
        **{f"@ref:{name}": id for name, id in _part(own, "refs").items()}, "@ref:session": own.get("session"),
    }  # fmt: skip
    data |= {name: value for name, value in told.items() if value}
    found = {name: own[name] for name in _SHOWN if name in own}
    return {
        "id": one["id"], "organization_id": app, "project_id": app, "stack_id": own.get("stack", ""),
        "type": own["exceptionless"], "date": one["timestamp"], "reference_id": own.get("reference"),
        **found, "data": data,
    }  # fmt: skip


def summary(one: Mapping[str, Any], what: str = "event") -> dict[str, Any]:
    """Return a stored event, or the stack that it is of, in short; a stack's own fields stand beside it."""
    own = one["properties"]
    error, kind = _part(own, "error"), own["exceptionless"]
    said = {"Message": own.get("message"), "Source": own.get("source"), "Type": error.get("type")}
    said |= {
        "Identity": one.get("user", {}).get("id") or one.get("user", {}).get("email"),
        "Name": own.get("user_name"),
    }
    data = {name: value for name, value in said.items() if value}
    short = {"template_key": f"{what}-{'error' if error else kind}-summary", "data": data}
    return short if what == "stack" else {"id": one["id"], **short, "date": one["timestamp"]}


def _part(own: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object among properties, which any of the app's senders may have written."""
    found = own.get(name)
    return found if isinstance(found, Mapping) else {}


def _user(one: Mapping[str, Any]) -> dict[str, Any]:
    user, own = one.get("user", {}), one["properties"]
    identity = user.get("id") or user.get("email") or user.get("username")
    found = {"identity": identity, "name": own.get("user_name") or user.get("username"), "email": user.get("email")}
    return {name: value for name, value in found.items() if value}


def _request(one: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "http_method": request.get("method"), "path": request.get("path"), "host": request.get("host"),
        "user_agent": request.get("user_agent"), "client_ip_address": one.get("ip"),
        "query_string": request.get("params"), "headers": one["properties"].get("headers"),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def description(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a user said of an event, which is among its properties."""
    said = _part(own, "description")
    return {"email_address": said.get("email", ""), "description": said.get("text", "")}
