"""Older forms of Exceptionless events put into today's: errors of version 1 clients, and events in a query string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel.compat.naming import fold, folded

_ERROR = ("type", "message", "code", "stacktrace", "inner", "targetmethod")
_KEYS = {"access_token", "api_key", "apikey"}
_NAMED = {"source", "message", "date", "geo"}


def error(raw: Any) -> Any:
    """Return an error of the first version as an event."""
    if type(raw) is not dict:
        return raw
    given = folded(raw)
    more = given.get("extendeddata")
    data = dict(more) if isinstance(more, Mapping) else {}
    data["@error"] = {name: given[name] for name in _ERROR if given.get(name) is not None}
    data["@user"] = {"identity": given.get("username"), "email": given.get("useremail")}
    data["@user_description"] = {"email_address": given.get("useremail"), "description": given.get("userdescription")}
    for name, sent in (("@request", "requestinfo"), ("@environment", "environmentinfo")):
        if given.get(sent) is not None:
            data[name] = given[sent]
    return {
        "type": "error", "date": given.get("occurrencedate"), "reference_id": given.get("id"),
        "tags": given.get("tags"), "data": data,
    }  # fmt: skip


def query(asked: Mapping[str, str], kind: str | None) -> dict[str, Any]:
    """Return an event that was sent in a query string; what has no name there is data."""
    event: dict[str, Any] = {"type": kind or asked.get("type")}
    data: dict[str, Any] = {}
    for name, value in asked.items():
        known = fold(name)
        if known in _NAMED:
            event[known] = value
        elif known in ("reference", "referenceid"):
            event["reference_id"] = value
        elif known == "tags":
            event["tags"] = value.split(",")
        elif known in ("count", "value"):
            event[known] = _number(value)
        elif known not in ("type", "identity", "identityname") and name not in _KEYS:
            data[name] = value
    data["@user"] = {"identity": asked.get("identity"), "name": asked.get("identityname")}
    return event | {"data": data}


def _number(value: str) -> int | float | None:
    try:
        found = float(value)
    except ValueError:
        return None
    if not abs(found) < 1 << 53:
        return None
    return int(found) if found == int(found) else found
