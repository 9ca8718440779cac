"""The explorer over PostgreSQL, with a time limit for each question."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Filter
from sentinel.store.explorer.explorer import Explorer
from sentinel.store.explorer.machine import SHORTER, Machine
from sentinel.store.postgres.control import Control, driver
from sentinel.store.postgres.copying import signed
from sentinel.store.postgres.events import Events
from sentinel.store.postgres.words import POSTGRES_WORDS
from sentinel.store.sql import Sql

LONGEST = 20_000  # milliseconds for one query
_MEMORY = "64MB"


def ask(control: Control, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a query; raises SentinelError where it takes too long."""
    try:
        with control.read() as connection:
            own = driver(connection)
            own.execute(f"SET LOCAL statement_timeout = {LONGEST}; SET LOCAL work_mem = '{_MEMORY}'".encode())
            return own.execute(query.encode(), [_given(value) for value in values]).fetchall()
    except StoreBusy as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise SentinelError(f"the answer takes longer than {LONGEST / 1000:g} s", SHORTER) from None
        raise


def explorer(control: Control, events: Events) -> Explorer:
    """Return the explorer of a database."""

    def where(app: str, filter: Filter) -> Sql:
        wanted, values = events.where(app, filter)
        return Sql(" AND ".join(wanted).replace("%s", "?"), tuple(values))

    return Explorer(Machine(partial(ask, control), where, lambda: 0, lambda app: {}, POSTGRES_WORDS))


def _given(value: Any) -> Any:
    """Return a value as PostgreSQL takes it: what is larger than its integers is a hash."""
    return signed(value) if type(value) is int else value
