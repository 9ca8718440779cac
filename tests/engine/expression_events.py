"""Events for tests of expressions, made from field paths and values, without the checks of core.event.read."""

from __future__ import annotations

from typing import Any

from sentinel.core.event import Event

ATTRIBUTES = {
    "event": "name", "id": "id", "success": "success", "trust": "trust", "user": "user", "ip": "ip",
    "device": "device", "user.labels": "user_labels", "ip.labels": "ip_labels",
}  # fmt: skip
MAPPINGS = {
    "user": "identifiers", "request": "request", "properties": "properties", "geo": "geo", "network": "network",
    "agent": "agent",
}  # fmt: skip
AT = 1_767_571_200_000_000  # 2026-01-05T00:00Z, a Monday


def make(fields: dict[str, Any]) -> Event:
    """Return an event with these fields, such as {"user": "id:1", "geo.country": "FR", "properties.a.b": 3}."""
    event = Event()
    event.id, event.name, event.at = "1", "test", AT
    for path, value in fields.items():
        if path == "timestamp":
            event.at = round(value * 1_000_000)
        elif path in ATTRIBUTES:
            setattr(event, ATTRIBUTES[path], value)
        else:
            _nest(event, path, value)
    return event


def _nest(event: Event, path: str, value: Any) -> None:
    top, *keys = path.split(".")
    attribute = MAPPINGS[top]
    if not isinstance(getattr(event, attribute), dict):
        setattr(event, attribute, {})
    inner = getattr(event, attribute)
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    inner[keys[-1]] = value
