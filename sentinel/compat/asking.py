"""What foreign protocols ask of stored events, written as conditions of our language. The store runs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sentinel.core.duration import DAY
from sentinel.core.errors import EventError
from sentinel.core.event import stored
from sentinel.core.moment import parse
from sentinel.core.record import Filter
from sentinel.edge.errors import ApiError
from sentinel.engine.expression import Expression, compile_expression
from sentinel.service.ports import Store

LONGEST = 256  # characters of a text that is asked for
_PAGE = 500


def equal(path: str, value: str) -> str:
    """Return the condition that a field equals a text."""
    return f"{path} == {quoted(value)}"


def quoted(value: str) -> str:
    """Return a text as the language writes it; raises the refusal of a very long one."""
    if len(value) > LONGEST:
        raise ApiError("malformed", f"a text of more than {LONGEST} characters is asked for")
    return repr(value)


def every(conditions: Iterable[str]) -> Expression | None:
    """Return the compiled conjunction of some conditions, None where there are none."""
    parts = [f"({condition})" for condition in conditions]
    return compile_expression(" and ".join(parts)) if parts else None


def newest(store: Store, app: str, filter: Filter, skip: int, most: int) -> list[dict[str, Any]]:
    """Return stored events as JSON values, newest first, without the first `skip`."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < skip + most:
        page = store.events.search(app, filter, min(_PAGE, skip + most - len(found)), cursor)
        found += [stored(kept.event) for kept in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    return found[skip : skip + most]


def moment(query: Mapping[str, str], name: str) -> int | None:
    """Return a time that a parameter gives, None where it gives none; a day without a time begins at midnight UTC."""
    given = query.get(name)
    if not given:
        return None
    try:
        return parse(given.replace(" ", "+") if "T" in given else given)
    except EventError as error:
        raise ApiError("malformed", f"`{name}`: {error.message}") from None


def past(query: Mapping[str, str], name: str) -> int | None:
    """Return the end of a period, exclusive: a day without a time belongs to it."""
    at = moment(query, name)
    return at if at is None or len(query[name]) > 10 else at + DAY


def number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a whole number from 1 to `most` that a parameter gives; more becomes the most."""
    given = query.get(name) or str(default)
    if not (given.isascii() and given.isdigit()) or len(given) > 9 or int(given) < 1:
        raise ApiError("malformed", f"`{name}`: `{given[:20]}` is no number from 1 to {most}")
    return min(int(given), most)
