"""Read objects, values in them, and times out of a foreign event without failing on unexpected types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel.core import moment
from sentinel.core.errors import EventError, SentinelError


def element(raw: Any) -> dict[str, Any]:
    """Return an element that is an object; raises EventError for any other."""
    if type(raw) is not dict:
        raise EventError("event", "not an object")
    return raw


def part(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object in an object, empty where there is none."""
    found = raw.get(name)
    return found if type(found) is dict else {}


def time(value: Any) -> str | None:
    """Return a time as it was sent, None where there is none that can be read."""
    try:
        moment.parse(value)
    except SentinelError:
        return None
    return value if type(value) is str else None
