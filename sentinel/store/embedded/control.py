"""The SQLite file: how it is opened, refused, read and written. What is in it is not known here.

One connection writes, under one lock; others read what was last committed. Every failure becomes a StoreBusy, after
which nothing was done, or a StoreError, after which nothing can be done.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import QueuePool

from sentinel.core.errors import StoreBusy, StoreError

LARGEST_CHECK = 256 << 20  # bytes of a file that is read through before it is used
_PAGES = 4000  # of the log before they go to the file, 16 MB: new people's keys lie anywhere, and come again and again
_CACHED = 64_000  # KB of pages that whoever writes keeps; those who read keep a quarter
_PATIENCE = 5.0  # seconds to wait for a connection, and for another process
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_RESTORE = "nothing in it was changed; move the data folder away, then `sentinel restore` a backup, or begin anew"
_ELSEWHERE = "nothing in it was changed; give this server a data folder of its own, or move the file away"


class Control:
    """One SQLite file, opened by one process. One that has tables, but not `table`, is another program's: refused."""

    def __init__(self, path: Path, table: str | None = None) -> None:
        self.path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.RLock()
        self._writing = False
        self._holder: int | None = None
        with translated(path):
            check(path, table)
            self.engine = _engine(path)
            self._writer = self.engine.connect()
            self.raw: sqlite3.Connection = _driver(self._writer)
            self.raw.execute(f"PRAGMA cache_size=-{_CACHED}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write until the block is left, over several transactions if need be."""
        with self._lock:
            before, self._holder = self._holder, threading.get_ident()
            try:
                yield
            finally:
                self._holder = before

    @property
    def held(self) -> bool:
        """Whether this thread holds the right to write: then it must not wait for one that may want it."""
        return self._holder == threading.get_ident()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give the connection of one transaction: all of it is on disk afterwards, or, with an error, none."""
        with self.writing(), translated(self.path):
            if self._writing:
                raise RuntimeError("a transaction cannot begin within another")
            self._writing = True
            try:
                self.raw.execute("BEGIN IMMEDIATE")
                yield self._writer
                self.raw.execute("COMMIT")
            finally:
                self._writing = False
                self._settle()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment."""
        with translated(self.path), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    def look(self, query: str, app: str, keys: Sequence[str]) -> list[Any]:
        """Return the rows of a query over an app's `keys`, as the writer's connection sees them.

        It is for whoever holds the right to write, so that they wait for nobody.
        """
        with self._lock, translated(self.path):
            return self.raw.execute(_worded(query), {"app": app, "keys": json.dumps(keys)}).fetchall()

    def alone(self, _app: str) -> bool:
        """Say that no other process links keys: the file is one process's."""
        return False

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            self._writer.close()
            self.engine.dispose()

    def _settle(self) -> None:
        """Roll back what was not committed, and let the connection's own bookkeeping follow."""
        try:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
        finally:
            self._writer.rollback()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StoreBusy or StoreError for what SQLite raises."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise _meant(error.orig, path) from error
        raise
    except sqlite3.Error as error:
        raise _meant(error, path) from error
    except NoConnection as error:
        raise StoreBusy("too many are reading at once", retry_after=2) from error


def _meant(error: sqlite3.Error, path: Path) -> Exception:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code in _DAMAGED:
        return StoreError(f"`{path}` is damaged: {error}", _RESTORE)
    if code == sqlite3.SQLITE_FULL:
        return StoreBusy("the disk is full", "make room where the server keeps its data", retry_after=10)
    if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:  # that one is a mistake of ours
        return StoreBusy(f"`{path.name}` cannot be used now: {error}", retry_after=5)
    return error


@lru_cache(maxsize=64)
def _worded(query: str) -> str:
    return query.replace(":among", "IN (SELECT value FROM json_each(:keys))")


def check(path: Path, table: str | None) -> None:
    """Raise where the file is no sound SQLite database of ours; nothing is written, a log is not replayed into it."""
    log = path.with_name(f"{path.name}-wal")
    logged = log.exists() and log.stat().st_size > 0
    if not path.stat().st_size and not logged:
        return
    how = "mode=ro" if logged else "mode=ro&immutable=1"  # else a look alone would leave files beside it
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=5)
    try:
        answer = _sound(connection) if path.stat().st_size <= LARGEST_CHECK else "ok"
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()
    if answer != "ok":
        raise StoreError(f"`{path}` is damaged: {answer.splitlines()[-1]}", _RESTORE)
    if table is not None and names and table not in names:
        raise StoreError(f"`{path}` is another program's database: it has tables, and no `{table}`", _ELSEWHERE)


def _sound(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", poolclass=QueuePool, pool_size=4, max_overflow=28, pool_timeout=_PATIENCE,
        json_serializer=lambda value: msgspec.json.encode(value).decode(), json_deserializer=msgspec.json.decode,
        connect_args={"check_same_thread": False, "timeout": _PATIENCE, "cached_statements": 256},
    )  # fmt: skip
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    sizes = (f"cache_size=-{_CACHED // 4}", f"wal_autocheckpoint={_PAGES}")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", *sizes):
        connection.execute(f"PRAGMA {pragma}")


def _driver(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise TypeError(f"not an SQLite connection: {type(raw).__name__}")
    return raw
