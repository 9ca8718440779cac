"""Decisions as JSON: objects in and out, no text, so that the caller chooses the JSON library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel.core import moment
from sentinel.core.decision import Decision
from sentinel.core.errors import DecisionError, EventError

SDK_HEADER = "Sentinel-SDK"  # in which an SDK tells the server of itself
_TEXTS = ("id", "kind", "scope", "value")
_OPTIONAL = ("to", "playbook", "version", "finding", "by")


def write_decision(decision: Decision) -> dict[str, Any]:
    """Return a decision as a JSON object, times as RFC 3339 (`until` null for ever)."""
    return {
        "id": decision.id,
        "kind": decision.kind,
        "scope": decision.scope,
        "value": decision.value,
        "to": decision.to,
        "until": None if decision.until is None else moment.to_text(decision.until),
        "reason": decision.reason,
        "playbook": decision.playbook,
        "finding": decision.finding,
        "logins_only": decision.logins_only,
    }


def read_decision(raw: object) -> Decision:
    """Return the Decision of a JSON object; raises DecisionError. Fields it does not know are passed over."""
    if not isinstance(raw, Mapping):
        raise DecisionError("decision", "not an object")
    fields: dict[str, Any] = {name: _text(raw, name) for name in _TEXTS}
    fields |= {name: _text(raw, name) or None for name in _OPTIONAL if raw.get(name) is not None}
    logins_only = raw.get("logins_only", False)
    if not isinstance(logins_only, bool):
        raise DecisionError("logins_only", "neither true nor false")
    until = raw.get("until")
    return Decision(
        **fields,
        reason=str(raw.get("reason") or ""),
        until=None if until is None else _moment("until", until),
        made=0 if raw.get("made") is None else _moment("made", raw["made"]),
        logins_only=logins_only,
    )


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise DecisionError(name, "missing" if value is None else "not a text")
    return value


def _moment(name: str, value: object) -> int:
    try:
        return moment.parse(value)
    except EventError:
        raise DecisionError(name, f"`{str(value)[:40]}` is not a time", "write `2026-11-20T21:30:00Z`") from None
