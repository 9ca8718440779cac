"""Pages of rows, newest first. A cursor is the place of the last row given, so that nothing is skipped or repeated."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_

from sentinel.core.errors import SentinelError
from sentinel.core.record import MOST_COUNTED, Page

LARGEST = 1000
T = TypeVar("T")


def cursor(place: Sequence[int | str]) -> str:
    """Return the cursor of a place: an opaque text."""
    text = json.dumps(list(place), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(text: str, *kinds: type) -> list[Any]:
    """Return the place of a cursor, as values of these types; raises SentinelError for any other text."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and [type(value) for value in found] == list(kinds) and all(map(_small, found)):
        return found
    raise SentinelError(f"`cursor`: `{text[:64]}` was not given by this list", "leave it out to begin at the newest")


def _small(value: object) -> bool:
    """Say whether every database can look a value up: an integer of 64 bits, a text of Unicode without NUL."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, int) or abs(value) < 1 << 63


def bounded(limit: int) -> int:
    """Return a limit as it is; raises SentinelError unless it is between 1 and LARGEST."""
    if not 1 <= limit <= LARGEST:
        raise SentinelError(f"`limit`: `{limit}` is not between 1 and {LARGEST}")
    return limit


def during(time: ColumnElement[int], since: int | None, until: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions that a time lies in a period; an end that is None is open."""
    found = [] if since is None else [time >= since]
    return found if until is None else [*found, time < until]


def page(
    connection: Connection, query: Select[Any], order: Sequence[ColumnElement[Any]], kinds: Sequence[type], limit: int,
    after: str | None, read: Callable[[Row[Any]], T], counted: bool = False,
) -> Page[T]:  # fmt: skip
    """Return one page of a query, sorted by the columns `order`, falling; `kinds` are the types of these columns.

    `after` is a cursor, `read` makes an item of a row. With `counted` the page has a total.
    """
    later = query if after is None else query.where(tuple_(*order) < tuple_(*place(after, *kinds)))
    rows = connection.execute(later.order_by(*(column.desc() for column in order)).limit(bounded(limit) + 1)).all()
    more = len(rows) > limit
    names = [column.name for column in order]
    last = cursor([getattr(rows[limit - 1], name) for name in names]) if more else None
    total = len(rows) if after is None and not more else _total(connection, query, order) if counted else None
    return Page(tuple(read(row) for row in rows[:limit]), last, total=total)


def _total(connection: Connection, query: Select[Any], order: Sequence[ColumnElement[Any]]) -> int | None:
    """Return how many rows a query has, None where there are more than are counted.

    They are counted in the page's order: SQLite is to look into the index that the page is read by, not into a shorter.
    """
    few = query.with_only_columns(order[-1]).order_by(*(column.desc() for column in order)).limit(MOST_COUNTED + 1)
    some = few.subquery()
    number = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return int(number) if number <= MOST_COUNTED else None
