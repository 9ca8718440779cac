"""Bring the tables up to date when the store is opened, in one transaction, by the migrations shipped here."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from sentinel.core.errors import StoreError
from sentinel.store.tables import METADATA

HEAD = "0005"  # the newest migration: where it is reached, Alembic is not even imported
_OURS = re.compile(r"[0-9]{4}")  # how each of ours is numbered
_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, where: str) -> bool:
    """Bring the tables up to date; say whether there was anything to do.

    Raises StoreError where a newer Sentinel, or another program, wrote them. `where` names the place in its text.
    """
    current = version(connection)
    if current == HEAD:
        if (name := missing(connection)) is not None:
            told = f"{where} lacks the table `{name}` that tables of version `{HEAD}` have"
            raise StoreError(told, "restore a backup, or name an empty database")
        return False
    if (found := foreign(connection, current)) is not None:
        raise StoreError(f"{where} holds {found}", "name an empty database")
    check(current, where, "run that one, or restore the backup made before it was installed")
    _upgrade(connection)
    return True


def check(current: str | None, where: str, hint: str) -> None:
    """Raise StoreError for tables of a newer Sentinel; `where` and `hint` are what it says of the place."""
    if current is not None and current > HEAD:
        raise StoreError(f"{where} was written by a newer Sentinel (tables `{current}`, this one knows `{HEAD}`)", hint)


def version(connection: Connection) -> str | None:
    """Return the version of the tables, None where there are none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def missing(connection: Connection) -> str | None:
    """Return a table that is not there though the newest version is, None where all are."""
    return min(METADATA.tables.keys() - set(inspect(connection).get_table_names()), default=None)


def foreign(connection: Connection, current: str | None) -> str | None:
    """Return what another program has where ours is to be, None where there is nothing; `current` is the version."""
    if current is not None:
        return None if _OURS.fullmatch(current) else f"another program's tables, of version `{current[:40]}`"
    found = sorted(METADATA.tables.keys() & inspect(connection).get_table_names())
    return f"another program's table `{found[0]}`" if found else None


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
