"""From the bytes of a body to JSON values: strictly, or else leniently. What the values mean is not known here.

A body that the strict decoder refuses is read again: invalid Unicode is mended, and a number that is none (NaN,
Infinity) or nesting without end costs only the event it is in. A body that is no JSON at all is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from sentinel.core.errors import EventError
from sentinel.core.text import whole
from sentinel.edge.errors import ApiError

FORM = 'send one event such as `{"event": "invoice.created"}`, or a list of them'
MOST_CONTAINERS = 250_000  # eight megabytes of brackets would hold everybody up for seconds
DEEPEST = 64  # levels that are decoded: an event has 18
_LONGEST_NUMBER = 40
_PACKED = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_TO_BRACKET = re.compile(rb'(?:[^][{}"]++|"(?:[^"\\]++|\\.)*+")*+[][{}]', re.DOTALL)  # past texts, which may hold some


def decode(data: bytes) -> tuple[Any, bool]:
    """Return a body's JSON, and whether it took the lenient reading; raises ApiError for what is no JSON.

    What is nested too deep to be decoded is cut off below DEEPEST levels: its event is refused as too deep all the
    same, and costs no other.
    """
    countable(data)
    try:
        return _decoded(data)
    except RecursionError:
        pass
    try:
        return _decoded(_shallow(data))
    except (ApiError, RecursionError):
        raise ApiError("malformed", "the body is nested too deep", FORM) from None


def _decoded(data: bytes) -> tuple[Any, bool]:
    try:
        return msgspec.json.decode(data), False
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:
        text = data.decode("utf-8-sig", "replace")
        return json.loads(text, parse_constant=_NoNumber, parse_float=_float, parse_int=_int), True
    except ValueError as error:
        where = str(error)[:80] if data else "it is empty"
        raise ApiError("malformed", f"the body is not JSON: {where}", _remedy(data, where)) from None


def _remedy(data: bytes, where: str) -> str:
    """Return what to do about a body that is no JSON, by what it looks like."""
    packed = next((name for name, magic in _PACKED.items() if data.startswith(magic)), None)
    if packed is not None:
        return f"it looks like {packed}: say so with `Content-Encoding: {packed}`"
    return f"lines of JSON are no list: {FORM}" if where.startswith("Extra data: line 2") else FORM


def _shallow(data: bytes) -> bytes:
    """Return JSON without what lies deeper than DEEPEST levels: lists and objects there are empty."""
    parts: list[bytes] = []
    depth = at = kept = 0
    while found := _TO_BRACKET.match(data, at):
        at = found.end()
        depth += 1 if data[at - 1] in b"[{" else -1
        if depth == DEEPEST and data[at - 1] in b"]}":
            kept = at - 1
        elif depth == DEEPEST + 1 and data[at - 1] in b"[{":
            parts.append(data[kept:at])
            kept = len(data)
    return b"".join([*parts, data[kept:]])


def countable(data: bytes) -> None:
    """Raise the refusal of a body with more objects and lists than memory should hold, before they are made."""
    if data.count(b"{") + data.count(b"[") > MOST_CONTAINERS:
        raise ApiError("too_large", "too many objects and lists in one request", "send fewer events at a time")


class _NoNumber(str):
    """Stands where a number was written that is none, or none that can be kept."""

    __slots__ = ()


def _float(text: str) -> float | _NoNumber:
    value = float(text)
    return value if abs(value) != float("inf") else _NoNumber(text)


def _int(text: str) -> int | _NoNumber:
    return int(text) if len(text) <= _LONGEST_NUMBER else _NoNumber(text)


def mended(raw: Any) -> Any:
    """Return a copy in which every text is Unicode; raises EventError for what stands for a number and is none."""
    try:
        return _mend(raw)
    except RecursionError:
        raise EventError("event", "nested too deep") from None


def _mend(value: Any) -> Any:
    if type(value) is str:
        return whole(value)
    if type(value) is _NoNumber:
        raise EventError(
            "event", f"`{value[:20]}` is not a number that can be kept", "send it as a text, or not at all"
        )
    if type(value) is dict:
        return {whole(key): _mend(one) for key, one in value.items()}
    return [_mend(one) for one in value] if type(value) is list else value
