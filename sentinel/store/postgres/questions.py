"""The explorer over PostgreSQL: few questions at a time, each for a bounded time, so that ingest is not held up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import psycopg

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Filter
from sentinel.store.explorer.explorer import Explorer
from sentinel.store.explorer.machine import Machine
from sentinel.store.postgres.control import Control, driver
from sentinel.store.postgres.copying import signed
from sentinel.store.postgres.events import Events
from sentinel.store.postgres.words import POSTGRES_WORDS
from sentinel.store.sql import Sql

AT_ONCE = 4
PATIENCE = 10.0  # seconds to wait for a place
LONGEST = 20_000  # milliseconds for one query
_MEMORY = "64MB"
_SHORTER = "ask for a shorter time, or for fewer values"


class Asker:
    """Asks one database, a few questions at a time."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def __call__(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raises SentinelError where it takes too long."""
        if not self._places.acquire(timeout=PATIENCE):
            raise StoreBusy("too many questions at once", "try again in a moment", retry_after=5)
        try:
            with self._control.read() as connection:
                own = driver(connection)
                own.execute(f"SET LOCAL statement_timeout = {LONGEST}; SET LOCAL work_mem = '{_MEMORY}'".encode())
                return own.execute(query.encode(), [_given(value) for value in values]).fetchall()
        except StoreBusy as error:
            if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise SentinelError(f"the answer takes longer than {LONGEST / 1000:g} s", _SHORTER) from None
            raise
        finally:
            self._places.release()


def explorer(control: Control, events: Events) -> Explorer:
    """Return the explorer of a database."""

    def where(app: str, filter: Filter) -> Sql:
        wanted, values = events.where(app, filter)
        return Sql(" AND ".join(wanted).replace("%s", "?"), tuple(values))

    return Explorer(Machine(Asker(control), where, lambda: 0, lambda app: {}, POSTGRES_WORDS))


def _given(value: Any) -> Any:
    """Return a value as PostgreSQL takes it: what is larger than its integers is a hash."""
    return signed(value) if type(value) is int else value
