"""One event of a file: either as its sender would write it, or as a server shows it (`GET /v1/events` and its exports).

In the second form, `user` is the person whom the event was found to be about, and `identifiers` is what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sentinel.core import identity
from sentinel.core.event import Event, read

_KEPT = (
    "id", "event", "timestamp", "success", "ip", "device", "request", "properties", "geo", "network", "agent",
    "user_labels", "ip_labels", "trust",
)  # fmt: skip


def is_shown(raw: object) -> bool:
    """Say whether decoded JSON is an event as a server shows it: no sender says when it was received, and its trust."""
    return type(raw) is dict and "trust" in raw and ("received" in raw or "identifiers" in raw)


def as_sent(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server shows as its sender would write it, with what was found; nothing is historical here."""
    raw = {name: value for name in _KEPT if (value := shown.get(name)) not in (None, {}, [])}
    return raw | {"user": shown["identifiers"]} if shown.get("identifiers") else raw


def event_of(
    raw: Any, order: tuple[str, ...] = identity.DEFAULT_ORDER, new_id: Callable[[], str] | None = None
) -> Event:
    """Return the event of decoded JSON in either form; raises EventError for what is none.

    What was stored keeps the person it was found to be about; `order` says which identifiers name another's user.
    """
    if not is_shown(raw):
        return read(raw, new_id=new_id, enriched=True, reserved=True, order=order)
    event = read(as_sent(raw), new_id=new_id, enriched=True, reserved=True)
    event.user = str(raw["user"]) if raw.get("user") else None
    return event
