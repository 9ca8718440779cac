"""Parameters that several routes take, and how they are read."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

from sentinel.core.errors import SentinelError
from sentinel.service import hand
from sentinel.service.ports import Store

LONGEST = 512
_PLUS = re.compile(r" \d\d:?\d\d$")  # an offset's, read as the space that it means in an address


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("not a text of printable characters")
    return text


Word = Annotated[str, AfterValidator(_printable)]
Id = Annotated[Word, Path(max_length=128)]
Filter = Annotated[Word | None, Query(max_length=LONGEST)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Bundle = Annotated[int | None, Query(ge=0, lt=2**63, description="What the delivery of this id tells with others.")]
Cursor = Annotated[str | None, Query(max_length=LONGEST, description="The `cursor` of the page before.")]
TIME = "RFC 3339, seconds since 1970, or how long ago, such as `24h`."
Time = Annotated[str | None, Query(max_length=40, description=TIME)]


def time(name: str, value: str | None, now: int) -> int | None:
    """Return the moment of a parameter, None where it was not given."""
    if value is None:
        return None
    try:
        return hand.past(name, value, now)
    except SentinelError as error:
        hint = "in an address a `+` is written `%2B`" if _PLUS.search(value) else error.hint
        raise SentinelError(error.message, hint) from None


def user_key(store: Store, app: str, value: str | None) -> str | None:
    """Return the user key that a parameter means in an app, None where it was not given."""
    return None if value is None else hand.known_user(store, app, "user", value)


def network(ip: str | None) -> str | None:
    """Return an address, or a network, in its one spelling; None where none was given."""
    return None if ip is None else hand.spot("ip", ip)
