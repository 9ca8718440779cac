"""What is left out of a foreign event: credentials in headers, and what is too large or too deep for an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

MOST_HEADERS = 40
LONGEST_HEADER = 512
DEEPEST = 12
_SECRET = ("authorization", "cookie", "token", "secret", "password", "apikey", "api-key", "session", "csrf", "xsrf")
_pack = msgspec.msgpack.Encoder().encode


def sparing(headers: Any) -> dict[str, str]:
    """Return the headers of a request without credentials: at most MOST_HEADERS, each a text of LONGEST_HEADER."""
    found: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        name = str(name).lower()[:64]
        if len(found) < MOST_HEADERS and not any(word in name for word in _SECRET):
            one = ", ".join(map(str, value)) if type(value) is list else str(value)
            found[name] = one[:LONGEST_HEADER]
    return found


def unsaid(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name without those whose names say that they are secret."""
    return {name: one for name, one in values.items() if not any(word in name.lower() for word in _SECRET)}


def shallow(value: Any, depth: int = DEEPEST) -> Any:
    """Return a value without what lies deeper than `depth` levels; integers over 64 bits become texts."""
    if type(value) is dict:
        return {name: shallow(one, depth - 1) for name, one in value.items()} if depth > 0 else {}
    if type(value) is list:
        return [shallow(one, depth - 1) for one in value] if depth > 0 else []
    return str(value) if type(value) is int and not -(1 << 63) <= value < 1 << 63 else value


def size(value: Any) -> int:
    """Return the bytes that a value takes as MessagePack; 2 to the 62nd for one that cannot be written."""
    try:
        return len(_pack(value))
    except (OverflowError, RecursionError):
        return 1 << 62
