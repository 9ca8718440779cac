"""Field names as foreign serialisers spell them: `reference_id`, `referenceId` and `ReferenceId` are the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel.core.errors import EventError
from sentinel.core.event import RESERVED


def folded(raw: object) -> dict[str, Any]:
    """Return an object's fields by name in small letters without `_` and `-`, empty for what is none."""
    found: dict[str, Any] = {}
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            found.setdefault(fold(str(name)), value)
    return found


def fold(name: str) -> str:
    """Return a name in lower case without `_` and `-`: what all spellings of it have in common."""
    return name.replace("_", "").replace("-", "").lower()


def text(value: object) -> str:
    """Return a value as a text without blanks around it: empty for what is neither text nor whole number."""
    if type(value) is str:
        return value.strip()
    return str(value) if type(value) is int and -(10**40) < value < 10**40 else ""


def first(found: Mapping[str, Any], *names: str) -> str:
    """Return the text of the first of these fields that has one, an empty text where none has."""
    return next((one for one in (text(found.get(name)) for name in names) if one), "")


def sound(value: object, most: int) -> str:
    """Return a text of valid Unicode and at most `most` characters; an empty text for anything else."""
    if type(value) is not str or len(value) > most:
        return ""
    return value if value.isascii() or value == value.encode(errors="replace").decode() else ""


def unreserved(name: str) -> str:
    """Return an event's name; raises EventError for those that no foreign client sends, whatever its key may."""
    if name.startswith(RESERVED):
        raise EventError("event", f"`{name[:64]}` is reserved", "names that start with `sentinel.` or `sq.` are ours")
    return name
