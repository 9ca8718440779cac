"""The explorer over DuckDB, with a time limit for each question."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import duckdb

from sentinel.core.errors import SentinelError
from sentinel.core.record import Filter
from sentinel.store.embedded.duck import Duck
from sentinel.store.embedded.events import Events, drained
from sentinel.store.embedded.projector import Projector
from sentinel.store.embedded.schema import Schema
from sentinel.store.embedded.words import DUCKDB_WORDS
from sentinel.store.explorer.explorer import Explorer
from sentinel.store.explorer.machine import SHORTER, Machine
from sentinel.store.sql import Sql

LONGEST = 20.0  # seconds for one query


class Asker:
    """Asks one file."""

    def __init__(self, duck: Duck, longest: float = LONGEST) -> None:
        self._duck = duck
        self._longest = longest

    def __call__(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raises SentinelError where it takes too long or too much memory."""
        with self._duck.cursor() as own:
            return self._rows(own, query, values)

    def _rows(self, own: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        timer = threading.Timer(self._longest, own.interrupt)
        timer.daemon = True
        timer.start()
        try:
            return drained(own.execute(query, list(values)))
        except duckdb.InterruptException:
            raise SentinelError(f"the answer takes longer than {self._longest:g} s", SHORTER) from None
        except duckdb.OutOfMemoryException:
            raise SentinelError("the answer takes more memory than there is", SHORTER) from None
        finally:
            timer.cancel()


def explorer(duck: Duck, events: Events, projector: Projector, schema: Schema) -> Explorer:
    """Return the explorer of a file."""

    def where(app: str, filter: Filter) -> Sql:
        found = events.where(app, filter)
        return Sql(" AND ".join(found.wanted), tuple(found.values))

    return Explorer(Machine(Asker(duck), where, projector.pending, schema.slots, DUCKDB_WORDS))
