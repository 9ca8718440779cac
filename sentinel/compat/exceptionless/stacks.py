"""Which events belong to one stack: its signature, id and title. They are stored as properties of its events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from sentinel.compat.naming import first, folded, text

DEEPEST = 20  # errors within errors
LONGEST_TITLE = 300
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|[0-9]+", re.IGNORECASE)


class Stack(NamedTuple):
    """What events that belong together share: 24 hexadecimal digits, and a title."""

    id: str
    title: str


def stack(kind: str, source: str, message: str, data: Mapping[str, Any]) -> Stack:
    """Return the stack of an event; `data` are its known fields by folded name.

    It is what the sender chose, else the kind of an error and where it was thrown, else the event's type and source.
    """
    manual = folded(data.get("@stack"))
    title = first(manual, "title")
    chosen = manual.get("signaturedata")
    if isinstance(chosen, Mapping) and chosen:
        return _stack([f"{name}={one}" for name, one in sorted(chosen.items())], title or message or source or kind)
    if error := folded(data.get("@error")):
        return _stack(_thrown(error), title or message or first(error, "type") or kind)
    simple = folded(data.get("@simpleerror"))
    trace = first(simple, "stacktrace") or text(data.get("@stack"))
    if simple or trace:
        named = first(simple, "type") or kind
        return _stack([named, trace or _alike(first(simple, "message") or message)], title or message or named)
    return _stack([kind, source], title or source or message or kind)


def innermost(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error that the others were caused by."""
    found = dict(error)
    for _ in range(DEEPEST):
        inner = folded(found.get("inner"))
        if not inner:
            break
        found = inner
    return found


def extra(error: Mapping[str, Any]) -> str:
    """Return the text of what was thrown and is no error."""
    return text(folded(error.get("data")).get("@ext"))


def _thrown(error: Mapping[str, Any]) -> list[str]:
    """Return an error's type, code, and the method it was thrown in, or its message where no method is known."""
    cause = innermost(error)
    parts = [first(cause, "type"), text(cause.get("code"))]
    target = _method(cause.get("targetmethod")) or _target(cause.get("stacktrace"))
    return [*parts, target or _alike(first(cause, "message") or extra(cause))]


def _target(frames: Any) -> str:
    found = [folded(frame) for frame in frames if isinstance(frame, Mapping)] if type(frames) is list else []
    marked = [frame for frame in found if frame.get("issignaturetarget") is True]
    return next((named for named in map(_method, marked or found) if named), "")


def _method(raw: Any) -> str:
    """Return a method's full name, or its file where it has no name."""
    method = folded(raw)
    name = first(method, "name")
    place = [first(method, "declaringnamespace"), first(method, "declaringtype")]
    file = first(method, "filename").partition("?")[0]
    return ".".join(one for one in (*place, name) if one) if name else file


def _alike(message: str) -> str:
    """Return a message with `#` for each number in it, by which messages of one kind differ."""
    return _NUMBERS.sub("#", message)


def _stack(values: list[str], title: str) -> Stack:
    said = "\0".join(values).encode(errors="replace")
    return Stack(blake2b(said, digest_size=12).hexdigest(), title[:LONGEST_TITLE])
