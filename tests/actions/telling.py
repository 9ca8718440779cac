"""Deliveries as the store gives them, for the tests of this room."""

from __future__ import annotations

from typing import Any

from sentinel.actions.channel import Channel, channels
from sentinel.core.record import Delivery

AT = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

FINDING: dict[str, Any] = {
    "id": "f" * 32, "playbook": "credential-stuffing", "version": "abc123", "title": "One address tries many accounts",
    "severity": "high", "mode": "enforce", "group": {"ip": "203.0.113.9"}, "at": "2026-01-05T00:00:45Z",
    "event_id": "e10", "user": "id:42", "ip": "203.0.113.9", "tally": {"distinct.user": 10},
    "threshold": {"distinct.user": ">= 10"}, "acted": True, "historical": False, "approximate": False,
    "effects": [
        {"kind": "block_ip", "target": "203.0.113.9", "for_s": 900, "label": None, "channel": None, "held": None},
        {"kind": "notify", "target": None, "for_s": None, "label": None, "channel": "security", "held": None},
    ],
}  # fmt: skip


def delivery(**fields: Any) -> Delivery:
    """Return a delivery of FINDING; `body` replaces parts of the finding."""
    usual: dict[str, Any] = {
        "id": 7, "app": "shop", "key": f"{'f' * 32}:1", "kind": "notify", "channel": "security", "finding": "f" * 32,
        "made": AT,
    }  # fmt: skip
    return Delivery(**(usual | fields | {"body": FINDING | fields.get("body", {})}))


def webhook(url: str, *secrets: str) -> Channel:
    """Return a webhook's channel as the settings make it."""
    setting = {"kind": "webhook", "url": url, "secret": list(secrets or (SECRET,))}
    return channels({"security": setting})["security"]
