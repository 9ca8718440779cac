"""Saved searches: a condition and fields under a name. What they find is not known here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, select

from sentinel.core.record import SavedSearch
from sentinel.store.audit import note
from sentinel.store.changes import put
from sentinel.store.database import Database
from sentinel.store.tables import searches


class Searches:
    """The searches of all apps."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def list(self, app: str) -> list[SavedSearch]:
        """Return an app's searches, by name."""
        c = searches.c
        with self._control.read() as connection:
            rows = connection.execute(select(searches).where(c.app == app).order_by(c.name, c.id)).all()
        return [_search(row) for row in rows]

    def get(self, app: str, id: str) -> SavedSearch | None:
        """Return one search."""
        c = searches.c
        with self._control.read() as connection:
            row = connection.execute(select(searches).where(c.app == app, c.id == id)).one_or_none()
        return None if row is None else _search(row)

    def put(self, app: str, search: SavedSearch, by: str, now: int) -> None:
        """Save a search, in place of the one of its id."""
        row = {name: getattr(search, name) for name in SavedSearch.__dataclass_fields__}
        with self._control.write() as connection:
            put(connection, searches, {**row, "filters": dict(search.filters), "app": app})
            note(connection, app, now, by, "search.put", search.id, detail={"name": search.name})

    def remove(self, app: str, id: str, by: str, now: int) -> bool:
        """Remove a search; say whether it was there."""
        with self._control.write() as connection:
            there = connection.execute(delete(searches).where(searches.c.app == app, searches.c.id == id)).rowcount > 0
            if there:
                note(connection, app, now, by, "search.remove", id)
        return there


def _search(row: Row[Any]) -> SavedSearch:
    return SavedSearch(**{name: row._mapping[name] for name in SavedSearch.__dataclass_fields__})
