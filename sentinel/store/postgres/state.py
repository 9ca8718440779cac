"""Checks of a database before a server uses it: can it be reached, is it new enough, is what it says true."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from sentinel.store.migrate import HEAD, foreign, missing, version
from sentinel.store.postgres.control import Control
from sentinel.store.postgres.news import CLOCK, SKEWED
from sentinel.store.postgres.store import MOVING
from sentinel.store.tables import settings

OLDEST = 15  # of PostgreSQL: the oldest major version that is still maintained
SHORTEST = 60_000  # milliseconds a limit must leave: indexes are made, days of events dropped
_LIMITS = (
    "SELECT name, setting FROM pg_settings "
    "WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout') ORDER BY name"
)
_RIGHTS = "SELECT has_schema_privilege(current_schema(), 'CREATE')"


class State(NamedTuple):
    """What was found: where it is, which version, what of the tables, and what is wrong, a line each."""

    where: str
    version: str
    tables: str
    problems: tuple[str, ...]


def look(url: str) -> State:
    """Look at a database without changing it; raises StoreError where it cannot be reached."""
    control = Control(url)
    try:
        with control.read() as connection:
            found = version(connection)
            server = str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]
            problems = (*_problems(connection), *_limits(connection), *_tables(connection, found))
        return State(control.where, server, _said(found), problems)
    finally:
        control.close()


def _said(found: str | None) -> str:
    if found is None:
        return "the tables will be made"
    return "the tables are there" if found == HEAD else f"the tables are of version {found}"


def _tables(connection: Connection, found: str | None) -> Iterator[str]:
    if found == HEAD and (name := missing(connection)) is not None:
        yield f"it lacks the table `{name}` (restore a backup, or name an empty database)"
    elif found == HEAD and connection.execute(select(settings.c.app).where(settings.c.name == MOVING)).first():
        yield "it holds half of a data folder (run `sentinel migrate` again)"
    stranger = foreign(connection, found)
    if stranger is not None:
        yield f"it holds {stranger} (name an empty database)"
    elif found is not None and found > HEAD:
        yield f"the tables were written by a newer Sentinel: `{found}`, this one knows `{HEAD}`"


def _limits(connection: Connection) -> Iterator[str]:
    """Say which time limit breaks off what a server does, and whether the clocks differ."""
    for name, setting in connection.exec_driver_sql(_LIMITS):
        if 0 < int(setting) < SHORTEST:
            yield f"`{name}` is {setting} ms: what takes longer is broken off (ALTER ROLE … SET {name} = 0)"
    ahead = int(connection.exec_driver_sql(CLOCK).scalar_one()) - time.time_ns() // 1000
    if abs(ahead) > SKEWED:
        yield f"its clock and this machine's differ by {abs(ahead) / 1e6:.0f} s (keep both by NTP)"


def _problems(connection: Connection) -> Iterator[str]:
    major = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
    if major < OLDEST:
        yield f"PostgreSQL {major} is too old (at least {OLDEST} is needed)"
    if not connection.exec_driver_sql(_RIGHTS).scalar_one():
        yield "the user may not make tables there (GRANT CREATE ON SCHEMA)"
    if connection.exec_driver_sql("SHOW server_encoding").scalar_one() != "UTF8":
        yield "the database is not in UTF8 (make it with ENCODING 'UTF8')"
    if connection.exec_driver_sql("SHOW default_transaction_read_only").scalar_one() == "on":
        yield "it takes no writes: `default_transaction_read_only` is on (ALTER DATABASE … RESET it)"
    for name in ("fsync", "full_page_writes"):
        if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off":
            yield f"`{name}` is off: a power cut may lose or damage what was acknowledged"
