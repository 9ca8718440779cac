"""The explorer over DuckDB: few questions at a time, each for a bounded time, so that ingest is not held up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import duckdb

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Filter
from sentinel.store.embedded.duck import Duck
from sentinel.store.embedded.events import Events, drained
from sentinel.store.embedded.projector import Projector
from sentinel.store.embedded.schema import Schema
from sentinel.store.embedded.words import DUCKDB_WORDS
from sentinel.store.explorer.explorer import Explorer
from sentinel.store.explorer.machine import Machine
from sentinel.store.sql import Sql

AT_ONCE = 4
PATIENCE = 10.0  # seconds to wait for a place
LONGEST = 20.0  # seconds for one query
_SHORTER = "ask for a shorter time, or for fewer values"


class Asker:
    """Asks one file, a few at a time."""

    def __init__(
        self, duck: Duck, longest: float = LONGEST, at_once: int = AT_ONCE, patience: float = PATIENCE
    ) -> None:
        self._duck = duck
        self._longest = longest
        self._patience = patience
        self._places = threading.BoundedSemaphore(at_once)

    def __call__(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raises SentinelError where it takes too long or too much memory."""
        if not self._places.acquire(timeout=self._patience):
            raise StoreBusy("too many questions at once", "try again in a moment", retry_after=5)
        try:
            with self._duck.cursor() as own:
                return self._rows(own, query, values)
        finally:
            self._places.release()

    def _rows(self, own: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        timer = threading.Timer(self._longest, own.interrupt)
        timer.daemon = True
        timer.start()
        try:
            return drained(own.execute(query, list(values)))
        except duckdb.InterruptException:
            raise SentinelError(f"the answer takes longer than {self._longest:g} s", _SHORTER) from None
        except duckdb.OutOfMemoryException:
            raise SentinelError("the answer takes more memory than there is", _SHORTER) from None
        finally:
            timer.cancel()


def explorer(duck: Duck, events: Events, projector: Projector, schema: Schema) -> Explorer:
    """Return the explorer of a file."""

    def where(app: str, filter: Filter) -> Sql:
        found = events.where(app, filter)
        return Sql(" AND ".join(found.wanted), tuple(found.values))

    return Explorer(Machine(Asker(duck), where, projector.pending, schema.slots, DUCKDB_WORDS))
