"""Read objects, values in them, and times out of a foreign event without failing on unexpected types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel.core import moment
from sentinel.core.errors import EventError, SentinelError


def element(raw: Any) -> dict[str, Any]:
    """Return an element of a body, which must be an object: raises EventError for anything else."""
    if type(raw) is not dict:
        raise EventError("event", "not an object")
    return raw


def part(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object under a name of an object, an empty one where there is none."""
    found = raw.get(name)
    return found if type(found) is dict else {}


def time(value: Any) -> str | None:
    """Return a time as the text it was sent as, None for anything that is not the text of a time."""
    try:
        moment.parse(value)
    except SentinelError:
        return None
    return value if type(value) is str else None
