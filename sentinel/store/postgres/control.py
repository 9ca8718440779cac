"""The connections to a PostgreSQL database: made, lost, made again, and what their failures mean.

What is in the database is not known here. Every failure becomes a StoreBusy, after which nothing was done, even one
that somebody has to mend, such as a password or a right: that is mended while servers run. No error names the password.
"""

from __future__ import annotations

import re
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import QueuePool

from sentinel.core import dsn
from sentinel.core.errors import SentinelError, StoreBusy, StoreError
from sentinel.store.changes import TOUCHED, Touched
from sentinel.store.postgres.patient import READING, WRITING, Patient, Pulse
from sentinel.store.postgres.text import adapt

PATIENCE = 5  # seconds to wait for a connection
LOCK_PATIENCE = 10_000  # milliseconds to wait for what another process holds
_NOTICED = {  # a host that vanished without a word is noticed within half a minute: by itself TCP takes hours
    "tcp_user_timeout": 30_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4,
}  # fmt: skip
_NOW_NOT = (
    "08",
    "53",
    "57P",
    "58",
    "40",
    "25006",
    "55P03",
    "57014",
    "23505",
    "23514",
)  # connection, resources, shutdown, the system, conflicts, a standby, locks, cancelled, added by another meanwhile: a
# row, or the partition that a row belongs to
_NEVER = {
    "28": "the user or the password is refused", "3D": "there is no such database",
    "42501": "the user lacks a right there", "3F": "there is no such schema",
}  # fmt: skip
_FATAL = re.compile(r"FATAL:\s+(.*)")
_REFUSED = re.compile(  # without a state
    r"does not exist|authentication failed|pg_hba\.conf|is not permitted|no password supplied|does not support SSL|"
    r"certificate"
)
_SCHEMA = (  # the one where tables are already, else the first
    "SELECT coalesce((SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid "
    "WHERE pg_class.oid = to_regclass('alembic_version')), current_schema()), pg_is_in_recovery()"
)
_SETTINGS = "see `database` in the settings"
_AWAY = "the database cannot be used now"


class Control:
    """One database as this process uses it. `committed` hears which rooms of which apps a transaction touched."""

    def __init__(self, url: str) -> None:
        self.parts = parts(url)
        self.where = place(self.parts)
        self.committed: Callable[[Touched], None] = lambda touched: None
        self._lock = threading.RLock()
        self._current: Connection | None = None
        self._writer: Patient | None = None  # of the transaction under way
        self.pulse = Pulse()
        self.schema = ""  # where our tables are, or will be; of each connection from when it is known
        self.engine = _engine(self)
        self._readers = self.engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            with self.translated(), self.engine.connect() as connection:
                row = connection.exec_driver_sql(_SCHEMA).one()
                connection.invalidate()
        except BaseException:
            self.engine.dispose()
            raise
        if row[0] is None or row[1]:
            self.engine.dispose()
            what = "is a standby" if row[1] else "has no schema that this user may use"
            raise StoreError(f"{self.where} {what}", "name another in `database`")
        self.schema = row[0]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold this process's right to write, over several transactions if need be."""
        with self._lock:
            yield

    @contextmanager
    def begin(self, longest: float | None = None) -> Iterator[Connection]:
        """Give the connection of one transaction that is undone unless `commit` is called.

        A statement that is not done after `longest` seconds is given up, and the connection with it; None waits.
        """
        with self.writing(), self.translated(), self.engine.connect() as connection:
            if self._current is not None:
                raise RuntimeError("a transaction cannot begin within another")
            self._current = connection
            try:
                self._writer = driver(connection)
                self._writer.longest = longest
                connection.begin()  # what the driver is told itself is part of it
                with _let_go(connection):
                    yield connection
            finally:
                self._current = self._writer = None

    def stuck(self) -> float:
        """Return for how many seconds the one who writes has waited for a statement, 0 before a third of all it may."""
        writer = self._writer
        if writer is None or writer.longest is None:
            return 0.0
        waited = writer.waited()
        return waited if waited > writer.longest / 3 else 0.0

    def commit(self, connection: Connection) -> None:
        """Commit, and let others know."""
        touched: Touched = connection.info.pop(TOUCHED, {})
        connection.commit()
        if touched:
            self.committed(touched)

    @contextmanager
    def write(self, longest: float | None = WRITING) -> Iterator[Connection]:
        """Give the connection of one transaction: all of it is kept afterwards, or, with an error, none."""
        with self.begin(longest) as connection:
            connection.info.pop(TOUCHED, None)
            yield connection
            self.commit(connection)

    @contextmanager
    def read(self, longest: float | None = READING) -> Iterator[Connection]:
        """Give a connection that sees one moment; a statement that takes longer than so many seconds is given up."""
        with self.translated(), self._readers.connect() as connection:
            driver(connection).longest = longest
            with _let_go(connection):
                yield connection

    @contextmanager
    def beside(self, longest: float | None = WRITING) -> Iterator[Connection]:
        """Give the connection of one transaction beside that of whoever writes, who does not wait for it."""
        with self.translated(), self.engine.connect() as connection:
            driver(connection).longest = longest
            with _let_go(connection):
                yield connection
                connection.commit()

    def look(self, query: str, app: str, keys: Sequence[str]) -> list[Any]:
        """Return rows as the transaction under way sees them."""
        values = {"app": app, "keys": list(keys)}
        if self._current is not None:
            return driver(self._current).execute(_worded(query), values).fetchall()
        with self.read() as connection:
            return driver(connection).execute(_worded(query), values).fetchall()

    def alone(self, app: str) -> bool:
        """Be the only one who links keys of an app until the transaction ends; what was read before may be old."""
        if self._current is None:
            raise RuntimeError("there is no transaction to be alone in")
        self._current.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self.key("people", app),))
        return True

    def key(self, *parts: str) -> int:
        """Return the number of an advisory lock of this schema."""
        text = "\0".join((self.schema, *parts))
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise StoreBusy or StoreError for what PostgreSQL raises."""
        try:
            yield
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.Error):
                raise self._meant(error.orig) from error.orig
            raise
        except psycopg.Error as error:
            raise self._meant(error) from error
        except NoConnection as error:
            raise StoreBusy("too many are asking the database at once", retry_after=2) from error

    def _meant(self, error: psycopg.Error) -> Exception:
        state = error.sqlstate or ""
        text = _said(error)
        for prefix, meaning in _NEVER.items():
            if state.startswith(prefix):
                return StoreBusy(f"{self.where}: {meaning}: {text}", _SETTINGS, 5, _AWAY)
        if not state and _REFUSED.search(text):
            return StoreBusy(f"{self.where} refuses this server: {text}", _SETTINGS, 5, _AWAY)
        if state.startswith(_NOW_NOT) or (not state and isinstance(error, psycopg.OperationalError)):
            return StoreBusy(f"{self.where} cannot be used now: {text}", outside=_AWAY)
        return error


def parts(url: str) -> dict[str, Any]:
    """Return what a PostgreSQL URL says, by libpq's names; raises StoreError, which does not repeat it."""
    hint = "write `postgresql://user:password@host:5432/name`, with %-codes for odd characters"
    try:
        dsn.read(url, "database")
        return dict(conninfo_to_dict(url))
    except psycopg.Error:
        raise StoreError("`database`: not a URL that PostgreSQL understands", hint) from None
    except SentinelError as error:
        raise StoreError(error.message, error.hint) from None


def place(parts: dict[str, Any]) -> str:
    """Return what a database is called in messages: never with a password."""
    host = parts.get("host") or "localhost"
    port = f":{parts['port']}" if "port" in parts else ""
    return f"the database `{parts.get('dbname') or parts.get('user') or ''}` at `{host}{port}`"


def driver(connection: Connection) -> Patient:
    """Return psycopg's own connection."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, Patient):
        raise TypeError(f"not a PostgreSQL connection: {type(raw).__name__}")
    return raw


def connect(parts: dict[str, Any], pulse: Pulse | None = None, longest: float | None = None) -> Patient:
    """Open a connection of its own."""
    usual: dict[str, Any] = {"connect_timeout": PATIENCE, "application_name": "sentinel", **_NOTICED}
    connection = Patient.connect(**usual | parts)
    connection.pulse, connection.longest = pulse, longest
    return connection


@contextmanager
def _let_go(connection: Connection) -> Iterator[None]:
    """Let nobody have a connection again, nor undo anything on it, that broke under what was asked there.

    So it is with one that may only read: it may lead to what was the primary, and keeps what was set when it was made.
    """
    try:
        yield
    except BaseException as error:
        if not connection.invalidated and (driver(connection).broken or _is_read_only(error)):
            connection.invalidate()
        raise


def _is_read_only(error: BaseException) -> bool:
    return isinstance(getattr(error, "orig", error), psycopg.errors.ReadOnlySqlTransaction)


@lru_cache(maxsize=64)
def _worded(query: str) -> bytes:
    return query.replace(":among", "= ANY(%(keys)s)").replace(":app", "%(app)s").encode()


def _said(error: psycopg.Error) -> str:
    """Return the first line of what went wrong, which holds no values."""
    text = error.diag.message_primary or str(error)
    fatal = _FATAL.search(text)  # why a connection was refused stands behind where to
    first = fatal[1] if fatal else (text.splitlines() or [type(error).__name__])[0]
    return first.strip().rstrip(".")


def _engine(control: Control) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://", poolclass=QueuePool, pool_size=8, max_overflow=24, pool_timeout=PATIENCE,
        creator=lambda: _prepared(_one_more(control.parts, control.pulse), control.schema),
        json_serializer=lambda value: msgspec.json.encode(value).decode(), json_deserializer=msgspec.json.decode,
    )  # fmt: skip
    event.listen(engine, "checkout", _alive)
    return engine


def _one_more(parts: dict[str, Any], pulse: Pulse) -> Patient:
    """Open a connection, but not to a database that is silent: whoever asks it all the time tries that."""
    if pulse.silent():
        raise psycopg.OperationalError("it does not answer")
    return connect(parts, pulse)


def _prepared(connection: Patient, schema: str) -> Patient:
    """Make a new connection ready: what is committed is on disk, whatever the server's default, and in our schema."""
    adapt(connection)
    connection.autocommit = True
    durable = "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
    connection.execute(
        f"SELECT {durable} ELSE current_setting('synchronous_commit') END, false), "
        f"set_config('lock_timeout', '{LOCK_PATIENCE}', false), "
        "set_config('search_path', coalesce(quote_ident(nullif(%s::text, '')), current_setting('search_path')), false)",
        (schema,),
    )
    connection.autocommit = False
    return connection


def _alive(connection: Patient, _record: Any, _proxy: Any) -> None:
    """Refuse a connection whose other end has gone: there is something to read on it that nobody asked for."""
    connection.longest = None
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN | select.POLLHUP)
    if connection.closed or waiting.poll(0):
        raise DisconnectionError
