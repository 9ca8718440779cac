"""Erase the events of deleted persons for good, and find whom events name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from sentinel.core.identity import key_type, names_of
from sentinel.store.postgres.control import Control, driver
from sentinel.store.postgres.text import unescaped_json


def erase(control: Control, app: str, keys: Sequence[str], until: int) -> int:
    """Delete the events up to a time that name one of these persons, and return how many.

    All of an app's events are looked at, and those that come in do not wait for it.
    """
    with control.beside(longest=None) as connection:
        return _erased(connection, app, keys, until)


def named(control: Control, app: str, until: int) -> Iterator[str]:
    """Give the user keys that events up to a time name; some more than once."""
    query = b"SELECT DISTINCT user_key, identifiers FROM events WHERE app = %s AND ts <= %s"
    with control.read(longest=None) as connection, driver(connection).cursor("named") as found:
        for user, identifiers in found.execute(query, (app, until)):
            if user is not None:
                yield user
            for name, value in (json.loads(unescaped_json(identifiers)) if identifiers else {}).items():
                yield f"{key_type(name)}:{value}"


def _erased(connection: Connection, app: str, keys: Sequence[str], until: int) -> int:
    named = [(name, value) for type, _, value in (key.partition(":") for key in keys) for name in names_of(type)]
    tests = " OR ".join(["user_key = ANY(%s)", *("CAST(identifiers AS jsonb) ->> %s = %s" for _ in named)])
    query = f"DELETE FROM events WHERE app = %s AND ts <= %s AND ({tests})"  # noqa: S608
    values = (app, until, list(keys), *(part for pair in named for part in pair))
    return int(connection.exec_driver_sql(query, values).rowcount)
