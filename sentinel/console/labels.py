"""The labels of form fields as people see them, so that errors name a field by its label and not by its parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping

LABELS: Mapping[str, str] = {
    "again": "New password again", "apps": "Apps", "back": "Came back to", "begins": "Key begins with", "by": "Order",
    "code": "Code of the link", "facet": "Another field", "for": "For", "from": "From (UTC)", "group": "Group",
    "group_by": "A line for each", "id": "Id", "interval": "In", "ip": "Address",
    "ipv6": "IPv6 addresses are grouped and blocked by their first … bits", "key": "Key", "kind": "Kind",
    "metric": "Show", "name": "Name", "new": "New password", "note": "Note", "of": "Of the property",
    "old": "Password you have now", "origins": "Origins", "other": "At", "over": "Which", "password": "Password",
    "path": "Property", "playbook": "Playbook", "protocol": "For the clients of", "q": "Only events for which",
    "range": "When", "reason": "Why", "retention": "Events are kept for", "role": "Role", "scope": "Scope",
    "settings": "Settings", "severity": "Severity", "since": "Over", "sort": "Order", "start": "Began with",
    "status": "Status", "step": "First, then", "target": "Whom", "text": "Text of the file", "title": "What it takes",
    "to": "To (UTC)", "user": "User", "value": "Whom", "who": "Whom", "why": "Why", "window": "Within",
}  # fmt: skip

# By the last step of the path that a form is sent to, where it is called something else.
OTHERS: Mapping[str, Mapping[str, str]] = {
    "addresses": {"range": "Seen in"},
    "audit": {"action": "What", "by": "Who", "target": "On"},
    "decide": {"kind": "Do"},
    "decisions": {"by": "Made by"},
    "delete": {"again": "Type the key to confirm"},
    "edit": {"name": "File"},
    "explorer": {"q": "Condition, in the language of rules"},
    "find": {"ip": "Address or network", "key": "Key, address or reference"},
    "free": {"for": "And let no playbook act on them"},
    "funnel": {"group_by": "Each value of", "range": "Begun in"},
    "keys": {"name": "What it is for"},
    "label": {"name": "Label"},
    "new": {"to": "To"},
    "pardon": {"for": "Allow them for"},
    "people": {"range": "Seen in"},
    "playbook": {"count": "Count", "group": "Of each", "name": "What it finds", "title": "What it finds"},
    "retention": {"interval": "By"},
    "rule": {"name": "What it takes", "q": "Condition, in the language of rules"},
    "searches": {"q": "Condition, in the language of rules"},
    "welcome": {"again": "Password again"},
}
_PLACE = re.compile(r"`(\w+)`(?=: )")


def label(name: str, path: str) -> str:
    """Return what stands beside a field of the form that is sent to a path, the field's name where nothing does."""
    return OTHERS.get(path.rpartition("/")[2], {}).get(name) or LABELS.get(name, name)


def place(message: str) -> str:
    """Return the name of the field that a message is about, nothing where it is about none."""
    found = _PLACE.match(message)
    return found[1] if found else ""


def labelled(message: str, path: str) -> str:
    """Return a message about a field of a form with the field called what people see beside it."""
    found = _PLACE.match(message)
    return f"`{label(found[1], path)}`{message[found.end() :]}" if found else message
