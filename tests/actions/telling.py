"""Deliveries as the store gives them, for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sentinel.actions.channel import Channel, channels
from sentinel.core.bundle import KIND, fold
from sentinel.core.finding import Effect, Finding
from sentinel.core.record import Delivery
from sentinel.service.pipeline import as_json

AT = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

FINDING: dict[str, Any] = as_json(
    Finding(
        id="f" * 32, playbook="credential-stuffing", version="abc123", severity="high", mode="enforce",
        key="203.0.113.9", group={"ip": "203.0.113.9"}, at=AT + 45_000_000, event_id="e10",
        tally={"distinct.user": 10}, threshold={"distinct.user": ">= 10"}, title="One address tries many accounts",
        user="id:42", ip="203.0.113.9", events=("e9", "e10"), acted=True,
        effects=(
            Effect("block_ip", target="203.0.113.9", length=900_000_000),
            Effect("notify", channel="security"),
        ),
    )
)  # fmt: skip


def delivery(**fields: Any) -> Delivery:
    """Return a delivery of FINDING; `body` replaces parts of the finding."""
    usual: dict[str, Any] = {
        "id": 7, "app": "shop", "key": f"{'f' * 32}:1", "kind": "notify", "channel": "security", "finding": "f" * 32,
        "made": AT,
    }  # fmt: skip
    return Delivery(**(usual | fields | {"body": FINDING | fields.get("body", {})}))


def bundle(*found: dict[str, Any], **fields: Any) -> Delivery:
    """Return the delivery of a bundle of findings, each FINDING but for parts."""
    body = fold({}, [FINDING | one for one in found])
    return replace(delivery(kind=KIND, finding=None, key=f"{KIND}:f:1", **fields), body=body)


def webhook(url: str, *secrets: str) -> Channel:
    """Return a webhook's channel as the settings make it."""
    setting = {"kind": "webhook", "url": url, "secret": list(secrets or (SECRET,))}
    return channels({"security": setting})["security"]
