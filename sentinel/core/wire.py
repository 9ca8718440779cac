"""Decisions and deltas as JSON. One malformed decision never costs the others.

Objects in and out, no text: the caller chooses the JSON library, and the feed decides how long a delta may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel.core import moment
from sentinel.core.decision import Decision, Delta
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


def read_delta(raw: object) -> Delta:
    """Return the Delta of a JSON object, without the decisions that cannot be read: these are counted.

    Raises DecisionError where the delta itself is none.
    """
    if not isinstance(raw, Mapping):
        raise DecisionError("delta", "not an object")
    revision, reset = raw.get("revision"), raw.get("reset", False)
    if type(revision) is not int or revision < 0:
        raise DecisionError("revision", "not a number")
    if not isinstance(reset, bool):
        raise DecisionError("reset", "neither true nor false")
    added, rejected = [], 0
    for one in _list(raw, "added"):
        try:
            added.append(read_decision(one))
        except DecisionError:
            rejected += 1
    removed = _list(raw, "removed")
    ids = tuple(id for id in removed if isinstance(id, str))
    return Delta(revision, tuple(added), ids, reset, rejected + len(removed) - len(ids))


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


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise DecisionError(name, "not a list")
    return value
