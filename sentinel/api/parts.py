"""Parameters that several addresses take, and how they are read."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

from sentinel.core import address, identity, moment
from sentinel.core.decision import Place, place
from sentinel.core.duration import parse_duration
from sentinel.core.errors import SentinelError
from sentinel.edge.errors import ApiError

LONGEST = 512


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("not a text of printable characters")
    return text


Word = Annotated[str, AfterValidator(_printable)]
Id = Annotated[Word, Path(max_length=128)]
Filter = Annotated[Word | None, Query(max_length=LONGEST)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=LONGEST, description="The `cursor` of the page before.")]
Time = Annotated[str | None, Query(max_length=40, description="RFC 3339, or seconds since 1970.")]


def until(length: str | None, end: str | None, now: int) -> int | None:
    """Return when something ends that lasts so long, or until then; None for ever."""
    if length is not None and end is not None:
        raise ApiError("invalid", "`for`: there is an `until` already", "leave one of them out")
    if end is not None:
        at = _time("until", end)
        if at <= now:
            raise ApiError("invalid", f"`until`: `{end}` is over")
        return at
    if length is None or length == "forever":
        return None
    try:
        lasting = parse_duration(length)
    except SentinelError as error:
        raise ApiError("invalid", f"`for`: {error.message}", error.hint) from None
    if lasting <= 0:
        raise ApiError("invalid", f"`for`: `{length}` is over at once")
    return now + lasting


def time(name: str, value: str | None) -> int | None:
    """Return the moment of a parameter, None where it was not given."""
    return None if value is None else _time(name, value)


def _time(name: str, value: str) -> int:
    try:
        number = float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else value
        return moment.parse(number)
    except SentinelError as error:
        raise ApiError("invalid", f"`{name}`: {error.message.partition(': ')[2]}", error.hint) from None


def user_key(value: str | None) -> str | None:
    """Return the user key that was meant, None where none was given."""
    return None if value is None else identity.read_key(value)


def network(name: str, value: str | None) -> str | None:
    """Return an address, or a network, in its one spelling; None where none was given."""
    if value is None:
        return value
    if "/" in value:
        return str(place(value))
    found = address.normalise(value)
    if found is None:
        raise ApiError("invalid", f"`{name}`: `{value[:64]}` is not an address", "write `203.0.113.9`")
    return found


def inside(one: Place, other: Place) -> bool:
    """Say whether an address or network lies within another, or is the same."""
    if one.version != other.version or one.length < other.length:
        return False
    return one.bits >> (one.length - other.length) == other.bits
