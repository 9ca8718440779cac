"""A finding as an alert document of the Elastic Common Schema (ECS, version 8.17.0).

Returns plain objects, not text. What ECS has no field for is under `sentinel`, as the schema leaves such names to
products.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from sentinel import __version__
from sentinel.core.finding import TRIPPED, tally_texts

VERSION = "8.17.0"
_SEVERITIES = {"info": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
_USERS = {"id": "id", "email": "email", "username": "name", "login": "name"}
_OWN = ("mode", "group", "tally", "threshold", "effects", "historical", "approximate", "acted")


def alert(told: Mapping[str, Any], status: str = "new") -> dict[str, Any]:
    """Return the document of a finding; `told` is its body as webhooks have it, or what `guarded` makes of that.

    It may also hold `opened` and `last`, the times of the finding's making and of its newest event.
    """
    user, ip = told.get("user"), told.get("ip")
    document: dict[str, Any] = {
        "@timestamp": told["at"],
        "ecs": {"version": VERSION},
        "message": told["title"] or told["playbook"],
        "event": _event(told),
        "rule": {"id": told["playbook"], "name": told["title"] or told["playbook"], "version": told["version"]},
        "observer": {"vendor": "Sentinel", "product": "Sentinel", "type": "ids", "version": __version__},
        "service": {"name": told["app"]},
        "related": {"ip": [ip] if ip else [], "user": [user.partition(":")[2] or user] if user else []},
        "sentinel": {
            "finding": {name: told.get(name) for name in _OWN}
            | {"status": status, "events": told.get("events", [])}
            | ({"guard": told["guard"]} if told.get("guard") else {})
        },
    }
    if user:
        kind, _, value = user.partition(":")
        document["user"] = {_USERS.get(kind, "id"): value or user}
    if ip and _is_address(ip):
        document["source"] = {"ip": ip, "address": ip}
    return document


def _event(told: Mapping[str, Any]) -> dict[str, Any]:
    done = [str(effect.get("kind")) for effect in told["effects"] if effect.get("held") is None]
    denied = any(kind.startswith("block") for kind in done)
    event = {
        "kind": "alert",
        "category": ["intrusion_detection"],
        "type": ["denied" if denied else "info"],
        "id": told["id"],
        "code": TRIPPED if told.get("guard") else told["playbook"],
        "action": TRIPPED if told.get("guard") else done[0] if done else "monitor",
        "severity": _SEVERITIES.get(str(told["severity"]), 0),
        "module": "sentinel",
        "dataset": "sentinel.finding",
        "provider": "sentinel",
        "reason": ", ".join(
            f"{name} {text}" for name, text in tally_texts(told["tally"], str, told["threshold"]).items()
        ),
        "created": told.get("opened") or told["at"],
        "start": told["at"],
        "end": told.get("last") or told["at"],
    }
    return event | ({"url": told["url"]} if told.get("url") else {})


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
