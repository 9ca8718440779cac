"""A finding as an OCSF Detection Finding (class 2004 of https://schema.ocsf.io, version 1.4.0), for SIEMs and lakes.

Returns plain objects, not text: the caller chooses the JSON library. The same finding is always the same document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sentinel import __version__
from sentinel.core import moment
from sentinel.core.finding import TRIPPED, tally_texts

VERSION = "1.4.0"
CLASS, CATEGORY = 2004, 2
CREATE, UPDATE, CLOSE = 1, 2, 3
_ACTIVITIES = {CREATE: "Create", UPDATE: "Update", CLOSE: "Close"}
_SEVERITIES = {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_SEVERITY_NAMES = ("Unknown", "Informational", "Low", "Medium", "High", "Critical")
_STATUSES = {
    "new": (1, "New", CREATE), "confirmed": (2, "In Progress", UPDATE), "false-positive": (3, "Suppressed", CLOSE),
    "closed": (4, "Resolved", CLOSE), "retracted": (99, "Retracted", CLOSE),
}  # fmt: skip
_IP, _USER_NAME, _EMAIL, _SUBNET = 2, 4, 5, 12
_OBSERVABLES = {_IP: "IP Address", _USER_NAME: "User Name", _EMAIL: "Email Address", _SUBNET: "Subnet"}


def detection(told: Mapping[str, Any], status: str = "new") -> dict[str, Any]:
    """Return the document of a finding; `told` is its body as webhooks have it, or what `guarded` makes of that.

    It may also hold `opened` and `last`, the times of the finding's making and of its newest event.
    """
    severity = _SEVERITIES.get(str(told["severity"]), 0)
    status_id, status_name, activity = _STATUSES.get(status, (0, "Unknown", UPDATE))
    at = _millis(told["at"])
    return {
        "activity_id": activity,
        "activity_name": _ACTIVITIES[activity],
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity,
        "type_name": f"Detection Finding: {_ACTIVITIES[activity]}",
        "time": _millis(told.get("opened") or told["at"]),
        "end_time": _millis(told.get("last") or told["at"]),
        "severity_id": severity,
        "severity": _SEVERITY_NAMES[severity],
        "status_id": status_id,
        "status": status_name,
        "is_alert": activity == CREATE and not told.get("historical"),
        **_outcome(told),
        "message": _message(told),
        "metadata": {
            "version": VERSION,
            "profiles": ["security_control"],
            "product": {"name": "Sentinel", "vendor_name": "Sentinel", "version": __version__},
            "tenant_uid": told["app"],
            "event_code": TRIPPED if told.get("guard") else told["playbook"],
        },
        "finding_info": _info(told, at),
        "evidences": list(_evidences(told)),
        "observables": list(_observables(told)),
        "unmapped": {name: told.get(name) for name in _OWN} | ({"guard": told["guard"]} if told.get("guard") else {}),
    }


_OWN = ("mode", "group", "tally", "threshold", "effects", "historical", "approximate", "event_id")


def _info(told: Mapping[str, Any], at: int) -> dict[str, Any]:
    events = told.get("events") or [told["event_id"]]
    info = {
        "uid": told["id"],
        "title": told["title"] or told["playbook"],
        "desc": _message(told),
        "types": [TRIPPED if told.get("guard") else told["playbook"]],
        "created_time": _millis(told.get("opened") or told["at"]),
        "first_seen_time": at,
        "last_seen_time": _millis(told.get("last") or told["at"]),
        "analytic": {
            "uid": told["playbook"], "name": told["title"] or told["playbook"], "version": told["version"],
            "type_id": 1, "type": "Rule",
        },
        "related_events": [{"uid": id} for id in events],
        "related_events_count": max(told.get("evidence") or 0, len(events)),
    }  # fmt: skip
    return info | ({"src_url": told["url"]} if told.get("url") else {})


def _outcome(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was done about it: denied where somebody is blocked, observed where nothing acts."""
    done = [effect for effect in told["effects"] if effect.get("held") is None]
    if any(str(effect.get("kind")).startswith("block") for effect in done):
        return {"action_id": 2, "action": "Denied", "disposition_id": 2, "disposition": "Blocked"}
    if told.get("acted"):
        return {"action_id": 4, "action": "Modified", "disposition_id": 7, "disposition": "Custom Action"}
    return {"action_id": 3, "action": "Observed", "disposition_id": 15, "disposition": "Detected"}


def _message(told: Mapping[str, Any]) -> str:
    needs = told["threshold"]
    tally = tally_texts(told["tally"], str, needs)
    reached = "; ".join(f"{name} {text} (needs {needs.get(name, '?')})" for name, text in tally.items())
    return f"{told['title'] or told['playbook']}: {reached}"


def _evidences(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {"data": {"group": told["group"], "tally": told["tally"]}}
    if told.get("user"):
        found["actor"] = {"user": _user(str(told["user"]))}
    if told.get("ip"):
        found["src_endpoint"] = {"ip": told["ip"]}
    yield found


def _user(key: str) -> dict[str, Any]:
    kind, _, value = key.partition(":")
    if kind == "email":
        return {"uid": key, "name": value, "email_addr": value}
    return {"uid": key, "name": value or key}


def _observables(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if told.get("user"):
        yield _observable("evidences[0].actor.user.name", _USER_NAME, _user(str(told["user"]))["name"])
        if str(told["user"]).startswith("email:"):
            yield _observable("evidences[0].actor.user.email_addr", _EMAIL, _user(str(told["user"]))["name"])
    if told.get("ip"):
        yield _observable("evidences[0].src_endpoint.ip", _IP, str(told["ip"]))
    group = told["group"].get("ip")
    if isinstance(group, str) and "/" in group:
        yield _observable("evidences[0].data.group.ip", _SUBNET, group)


def _observable(name: str, kind: int, value: str) -> dict[str, Any]:
    return {"name": name, "type_id": kind, "type": _OBSERVABLES[kind], "value": value}


def _millis(text: str) -> int:
    return moment.parse(text) // 1000
