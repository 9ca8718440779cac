"""The OpenAPI description of the routes that FastAPI does not serve: those of `ingest` and `feed`."""

from __future__ import annotations

import json
import re
from typing import Any

from sentinel.api.models import DecisionView, Listing
from sentinel.core.event import NAME_LENGTH

ABOUT = """Events in, decisions out, and all that is seen and done on the way.

A request carries one key, as `Authorization: Bearer`. The token of the server's own administrator stands for a key of
scope `admin` in the app that the header `Sentinel-App` names, else in `default`. Times are RFC 3339 in UTC. Lists
come in pages, newest first: `cursor` asks for the next, null means the last. Every refusal has one form; its `code` is
a promise, its `message` is for people."""
_TEXT = {"type": "string"}
_OPEN = {"type": "object", "additionalProperties": True}
_MOMENT = {"type": "string", "format": "date-time"}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_REFUSED = (400, 401, 403, 404, 408, 413, 415, 422)
_TELLS = {"decision": ("id", "kind", "scope", "value", "to", "until", "reason", "playbook", "finding", "logins_only")}
_USER = {
    "description": "Identifiers by name; a bare text or integer means `id`.",
    "anyOf": [
        {"type": "string"},
        {"type": "integer"},
        {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
    ],
}
SCHEMAS: dict[str, Any] = {
    "Event": {
        "type": "object",
        "description": "Who did what, when, from where.",
        "required": ["event"],
        "additionalProperties": False,
        "properties": {
            "event": {**_TEXT, "minLength": 1, "maxLength": NAME_LENGTH, "examples": ["invoice.created"]},
            "id": {
                "anyOf": [{**_TEXT, "minLength": 1, "maxLength": 64}, {"type": "integer"}],
                "description": "The sender's own; without one a retry is a new event.",
            },
            "timestamp": {"anyOf": [_MOMENT, {"type": "number"}], "description": "RFC 3339 or seconds since 1970."},
            "success": {"type": "boolean", "description": "Of events named `auth` only."},
            "user": _USER,
            "ip": _TEXT,
            "device": {**_TEXT, "maxLength": 256},
            "request": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    **dict.fromkeys(("method", "path", "route", "host", "user_agent", "referer"), _TEXT),
                    "accept_language": {
                        **_TEXT,
                        "description": "The header, for `device` where the event names none; it is not kept.",
                    },
                    "status": {"type": "integer"},
                    "params": _OPEN,
                },
            },
            "properties": {**_OPEN, "description": "The sender's own values, at most 32 KiB."},
            "trust": {"enum": ["browser"], "description": "Where a server passes on what a browser told it."},
        },
    },
    "Receipt": {
        "type": "object",
        "description": "What became of the events, after they were written.",
        "required": ["accepted", "duplicates", "rejected", "revision"],
        "properties": {
            "accepted": {"type": "integer"},
            "duplicates": {"type": "integer"},
            "rejected": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "id", "error"],
                    "properties": {"index": {"type": "integer"}, "id": {"type": ["string", "null"]}, "error": _TEXT},
                },
            },
            "revision": {"type": "integer"},
        },
    },
    "Delta": {
        "type": "object",
        "description": "What changed in the decision list; with `reset` it starts from nothing.",
        "required": ["now", "revision", "reset", "added", "removed"],
        "properties": {
            "now": _MOMENT,
            "revision": {"type": "integer"},
            "reset": {"type": "boolean"},
            "added": {"type": "array", "items": {"$ref": "#/components/schemas/FeedDecision"}},
            "removed": {"type": "array", "items": _TEXT},
        },
    },
}


def complete(described: dict[str, Any]) -> dict[str, Any]:
    """Return FastAPI's description with the plain paths added, and without refusals of a body where none is read."""
    for methods in described["paths"].values():
        for status in ("408", "413"):
            methods.get("get", {}).get("responses", {}).pop(status, None)
        for parameter in (one for operation in methods.values() for one in operation.get("parameters", ())):
            parameter["schema"] = _without_null(parameter["schema"])
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(SCHEMAS)
    shown = DecisionView.model_json_schema()["properties"]
    schemas["FeedDecision"] = {
        "type": "object",
        "required": list(_TELLS["decision"]),
        "properties": {name: shown[name] for name in _TELLS["decision"]},
    }
    for path, method, operation in _operations():
        described["paths"].setdefault(path, {})[method] = operation
    return _listed(described)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: in an address nothing is null, so it may only be left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return (
        {**kinds[0], **{name: what for name, what in schema.items() if name != "anyOf"}} if len(kinds) == 1 else schema
    )


def _listed(described: dict[str, Any]) -> dict[str, Any]:
    """Return a description in which lists are called and described as people would: a `DecisionList`."""
    named = re.sub(r"Listing[_\[](\w+?)View[_\]]", r"\1List", json.dumps(described))
    found: dict[str, Any] = json.loads(named)
    for name, schema in found["components"]["schemas"].items():
        if name.endswith("List"):
            schema["description"] = Listing.__doc__
    return found


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    since = {"name": "since", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 10**17}}
    last = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}
    enforce = {"name": "enforce", "in": "query", "schema": {"type": "boolean"}}
    return [
        ("/v1/events", "post", _sending("send_events", "Send events; 200 after they are on disk.", [])),
        ("/v1/import", "post", _sending("import_events", "Send past events: they act on nobody.", [enforce])),
        ("/v1/feed", "get", _reading("poll_feed", "What changed in the decision list.", [since], _json("Delta"))),
        (
            "/v1/feed/stream", "get",
            _reading("follow_feed", "The same as server-sent events.", [last, since], {"text/event-stream": {}}),
        ),
    ]  # fmt: skip


def _sending(name: str, summary: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    events = {"type": "array", "items": event, "maxItems": 5000}
    named = {"type": "object", "required": ["events"], "properties": {"events": events}}
    body = {"application/json": {"schema": {"anyOf": [event, events, named]}}}
    described = _described(name, summary, "events", parameters, _json("Receipt"), _REFUSED)
    described["responses"] |= {
        "429": _refusal("The app, or the browser's address, sent too much; see Retry-After"),
        "503": _refusal("The store cannot take it now; see Retry-After"),
    }
    return described | {"requestBody": {"required": True, "content": body}}


def _reading(name: str, summary: str, parameters: list[dict[str, Any]], answer: dict[str, Any]) -> dict[str, Any]:
    return _described(name, summary, "decisions", parameters, answer, (400, 401, 403, 404, 422, 503))


def _described(
    name: str, summary: str, tag: str, parameters: list[dict[str, Any]], answer: dict[str, Any], codes: tuple[int, ...]
) -> dict[str, Any]:
    refusals = {str(code): _refusal("Refused") for code in codes}
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "parameters": parameters,
        "security": [{"HTTPBearer": []}],
        "responses": {"200": {"description": "Done", "content": answer}, **refusals},
    }


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _refusal(text: str) -> dict[str, Any]:
    return {"description": text, "content": _ERROR}
