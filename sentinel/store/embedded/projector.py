"""Copies events from the journal into the searched table, in lumps, each with its watermark in one transaction.

A row of the journal is dropped only after a checkpoint past it, so whatever becomes of DuckDB's log, the rows above the
watermark of its last checkpoint are still there. No failure here reaches those who commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from sentinel.core.errors import StoreError
from sentinel.core.event import Event
from sentinel.core.record import KeptEvent
from sentinel.core.repeats import Identity, identity
from sentinel.store import rows
from sentinel.store.arrival import BITS
from sentinel.store.embedded.columns import Columns, columns, listed, of_rows, together
from sentinel.store.embedded.control import Control
from sentinel.store.embedded.duck import Duck
from sentinel.store.embedded.formatter import MUCH, Formatter
from sentinel.store.embedded.journal import Journal, Row
from sentinel.store.embedded.schema import Schema

LUMP = 20_000  # events in one transaction
SIP = 5_000  # events that whoever asks for events makes searchable on the way
_PATIENCE = 0.25  # seconds that they wait for the lump under way
_SLOWEST = 50  # calls between two attempts to open the file again
_ALONE = " USING COMPRESSION zstd"  # else a dictionary is read to its end for one text of it
_COLUMNS = ", ".join(f'"{name}" {kind}{_ALONE if name in rows.MANY else ""}' for name, kind in rows.COLUMNS.items())
_TABLES = (
    f"CREATE TABLE IF NOT EXISTS events ({_COLUMNS})",
    "CREATE TABLE IF NOT EXISTS watermark (journal BIGINT)",
    "CREATE TABLE IF NOT EXISTS meta (name VARCHAR, value VARCHAR)",
)
_INSERT = "INSERT INTO events ({names}) SELECT {names} FROM {source}"
_BAD_DATA = (
    duckdb.ConversionException, duckdb.InvalidInputException, duckdb.TypeMismatchException,
    duckdb.OutOfRangeException, UnicodeError, ValueError, OverflowError, TypeError,
)  # fmt: skip


class _Refused(Exception):
    """Something in a lump is no value of its column."""


Stored = Callable[[duckdb.DuckDBPyConnection, str, Sequence[tuple[int, str]]], set[Identity]]


def prepare(connection: duckdb.DuckDBPyConnection, store: str) -> None:
    """Make what tables and columns there are not; raises StoreError for the file of another store or program."""
    connection.execute("BEGIN")
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables and "watermark" not in tables:
        raise StoreError("the file is another program's: it has tables, and no `watermark`", "move it away")
    for table in _TABLES:
        connection.execute(table)
    there = {name for (name,) in connection.execute("SELECT column_name FROM (DESCRIBE events)").fetchall()}
    for name, kind in rows.COLUMNS.items():
        if name not in there:
            connection.execute(f'ALTER TABLE events ADD COLUMN "{name}" {kind}')
    found = connection.execute("SELECT value FROM meta WHERE name = 'store'").fetchall()
    if not found:
        connection.execute("INSERT INTO meta VALUES ('store', ?)", [store])
    connection.execute("COMMIT")
    if found and found[0][0] != store:
        raise StoreError("the file holds the events of another store", "move it away, and its log with it")


def sifted(table: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows that DuckDB takes, tried one by one on a table of no importance."""
    good = []
    with duckdb.connect() as scratch:
        scratch.execute(_TABLES[0])
        appender = scratch.appender("events")
        for row in table:
            try:
                appender.append_row(*row)
                good.append(row)
            except _BAD_DATA:  # it has half of a row, and to make another takes as long as fifty rows
                appender.clear()
                appender = scratch.appender("events")
        appender.clear()
    return good


class Projector:
    """Moves events on; `through` is the last journal row that can be searched, `durable` the last check-pointed.

    Rows up to `doubtful` may tell of persons who were deleted since; events of later ones were looked at as they came.
    """

    def __init__(
        self, control: Control, journal: Journal, schema: Schema, duck: Duck, stored: Stored, formatter: Formatter
    ) -> None:
        self.through = 0
        self.deleted: Callable[[str, Event], bool] = lambda app, event: False  # of a person who was deleted since
        self.durable = journal.floor
        self.doubtful = journal.last
        self._warnings: list[str] = []
        self.skipped = 0
        self._control = control
        self._journal = journal
        self._schema = schema
        schema.next_lump = self.next_lump
        self._duck = duck
        self._stored = stored
        self._formatter = formatter
        self._lock = threading.RLock()
        self._waited = 0
        self._wait = 1

    @property
    def warnings(self) -> list[str]:
        """What events cannot be searched, and why; one line each."""
        odd = f"events that cannot be searched, for something in them is no value of its column: {self.skipped}"
        return [*self._warnings, *([odd] if self.skipped else [])]

    def open(self) -> bool:
        """Open the file and find out how far it goes; say whether events can be searched."""
        with self._lock:
            self._duck.open()
            if self._duck.failure is not None:
                return False
            with self._duck.cursor() as cursor:
                (mark,) = cursor.execute("SELECT coalesce(max(journal), 0) FROM watermark").fetchall()[0]
            if mark < self._journal.floor and not self.through:
                self._warnings.append(f"events of journal rows {mark + 1} to {self._journal.floor} cannot be searched")
            self._journal.begin_after(mark)
            self.through = mark
            return True

    def project(self, most: int = LUMP) -> int:
        """Make the next lump searchable and return how many events; never raises."""
        with self._lock:
            if self._duck.failure is not None and not self._reopened():
                return 0
            try:
                return self._lump(most)
            except (StoreError, duckdb.Error) as error:
                self._duck.fail(error.__cause__ if isinstance(error.__cause__, duckdb.Error) else error)
            return 0

    @contextmanager
    def next_lump(self) -> Iterator[int]:
        """Let no lump be written meanwhile, and give the place in the journal that the next one begins at."""
        with self._lock:
            yield (self.through + 1) << BITS

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nothing be written or check-pointed meanwhile; what is committed stays in the journal."""
        with self._lock:
            yield

    def catch_up(self) -> int:
        """Make what is in the journal now searchable, if it is little, and return how many events are still behind."""
        if self.through < self._journal.last and self._acquired():
            try:
                if self.through < self._journal.last:
                    self.project(SIP)
            finally:
                self._lock.release()
        return self.pending()

    def pending(self) -> int:
        """Return how many events of the journal cannot be searched yet."""
        return self._journal.pending(self.through) if self.through < self._journal.last else 0

    def checkpoint(self) -> bool:
        """Make what is searchable durable and drop its journal rows; say whether that could be done."""
        with self._lock:
            through = self.through
            try:
                self._schema.keep(counts=True)
                if through > self.durable:
                    with self._duck.cursor() as cursor:
                        cursor.execute("DELETE FROM watermark WHERE journal < ?", [through]).fetchall()
                        cursor.execute("CHECKPOINT").fetchall()
                    self.durable = through
                self._journal.drop(min(through, self.durable))
            except (StoreError, duckdb.Error):
                return False
            return True

    def _acquired(self) -> bool:
        """Take the lock; whoever holds the right to write does not wait for one that may want it."""
        return self._lock.acquire(blocking=False) if self._control.held else self._lock.acquire(timeout=_PATIENCE)

    def _reopened(self) -> bool:
        """Try to open the file again, ever less often."""
        self._waited += 1
        if self._waited < self._wait:
            return False
        self._waited, self._wait = 0, min(2 * self._wait, _SLOWEST)
        if not self.open():
            return False
        self._wait = 1
        return True

    def _lump(self, most: int) -> int:
        """Make the next rows of the journal searchable, about `most` events, and return how many events they hold."""
        lump = self._journal.rows(self.through, most)
        if not lump:
            return 0
        if not self._written_apart(lump):
            try:
                self._write(lump, partial(self._append, lump, sift=False))
            except _Refused:
                self._write(lump, partial(self._append, lump, sift=True))
        self.through = lump[-1].id
        return sum(row.events for row in lump)

    def _written_apart(self, lump: Sequence[Row]) -> bool:
        """Write a large lump from the file of columns that another process makes; say whether that could be done."""
        if sum(row.events for row in lump) < MUCH or any(row.unchecked or row.id <= self.doubtful for row in lump):
            return False
        with self._formatter.formatted(lump, self._schema.of) as made:
            if made is None:
                return False
            try:
                self._write(lump, partial(_read_in, *made))
            except _Refused:
                return False
        self._journal.release(lump)
        return True

    def _write(self, lump: Sequence[Row], append: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        with self._duck.cursor() as cursor:
            try:
                cursor.execute("BEGIN")
                append(cursor)
            except _BAD_DATA as error:
                raise _Refused from error
            self._schema.keep()
            cursor.execute("INSERT INTO watermark VALUES (?)", [lump[-1].id]).fetchall()
            cursor.execute("COMMIT")
        self._duck.protect()

    def _append(self, lump: Sequence[Row], cursor: duckdb.DuckDBPyConnection, *, sift: bool) -> None:
        """Append the events of a lump; with `sift` without those that DuckDB refuses, which are counted."""
        tables: list[tuple[int, Columns]] = []
        for row in lump:
            if row.unchecked:  # those before it are asked for
                _put(tables, cursor)
                tables = []
            kept = self._events(row, cursor)
            events, positions = [one.event for one in kept], [one.position for one in kept]
            schema = self._schema.of(row.app)
            schema.version += 1  # the other process knows nothing of what is learnt here
            learnt = [schema.read(event) for event in events]
            if sift:
                found = [rows.write(row.app, one, *of) for one, of in zip(kept, learnt, strict=True)]
                good = sifted(found)
                self.skipped += len(found) - len(good)
                tables.append(of_rows(good))
            elif kept:
                tables.append((len(kept), columns(row.app, events, positions, learnt)))
        _put(tables, cursor)

    def _events(self, row: Row, cursor: duckdb.DuckDBPyConnection) -> list[KeptEvent]:
        """Return the events of a journal row, without those of deleted persons and repeats not told as they came in."""
        events = self._journal.take(row)
        if row.id <= self.doubtful:
            events = [kept for kept in events if not self.deleted(row.app, kept.event)]
        return self._fresh(row.app, events, cursor) if row.unchecked else events

    def _fresh(self, app: str, events: list[KeptEvent], cursor: duckdb.DuckDBPyConnection) -> list[KeptEvent]:
        """Return the events that are not stored yet."""
        sent = [(kept.event.sent, kept.event.id) for kept in events if kept.event.sent is not None]
        stored = self._stored(cursor, app, sent)
        return [kept for kept in events if identity(kept.event.sent, kept.event.id) not in stored]


def _put(tables: Sequence[tuple[int, Columns]], cursor: duckdb.DuckDBPyConnection) -> None:
    """Append tables; columns that are empty throughout are not handed over, for each costs every row."""
    lump = together(tables)
    if lump:
        cursor.execute(_INSERT.format(names=listed(lump), source="lump")).fetchall()


def _read_in(file: Path, names: Sequence[str], cursor: duckdb.DuckDBPyConnection) -> None:
    """Append the file that another process wrote."""
    if names:
        cursor.execute(_INSERT.format(names=listed(names), source="read_parquet(?)"), [str(file)]).fetchall()
