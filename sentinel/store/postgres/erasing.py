"""The events of deleted persons, deleted for good."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sentinel.core.identity import names_of
from sentinel.store.database import Database


def erase(control: Database, app: str, keys: Sequence[str], until: int) -> int:
    """Delete the events up to a time that name one of these persons, and return how many."""
    with control.write() as connection:
        return _erased(connection, app, keys, until)


def _erased(connection: Connection, app: str, keys: Sequence[str], until: int) -> int:
    named = [(name, value) for type, _, value in (key.partition(":") for key in keys) for name in names_of(type)]
    tests = " OR ".join(["user_key = ANY(%s)", *("CAST(identifiers AS jsonb) ->> %s = %s" for _ in named)])
    query = f"DELETE FROM events WHERE app = %s AND ts <= %s AND ({tests})"  # noqa: S608
    values = (app, until, list(keys), *(part for pair in named for part in pair))
    return int(connection.exec_driver_sql(query, values).rowcount)
