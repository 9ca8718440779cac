"""Keeps the properties that each app sends. They are learnt by `paths` while events are put into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from sentinel.core.record import Property
from sentinel.store.changes import insert_new
from sentinel.store.database import Database
from sentinel.store.paths import AppSchema, Path
from sentinel.store.tables import properties
from sentinel.store.values import Slot


class Schema:
    """The properties of all apps."""

    def __init__(self, control: Database) -> None:
        self._control = control
        self._apps: dict[str, AppSchema] = {}
        self.next_lump: Callable[[], AbstractContextManager[int]] = lambda: nullcontext(0)
        with control.read() as connection:
            for row in connection.execute(select(properties)):
                self.of(row.app).take(row.path, _known(row))

    def of(self, app: str) -> AppSchema:
        """Return what is learnt of an app, to be read with."""
        if app not in self._apps:
            self._apps[app] = AppSchema()
        return self._apps[app]

    def properties(self, app: str) -> list[Property]:
        """Return every known property, ordered by path."""
        return [
            Property(path, known.type, known.first, known.last, known.conflicts, known.slot)
            for path, known in sorted(dict(self.of(app).paths).items())
        ]

    def slots(self, app: str) -> Mapping[str, Slot]:
        """Return the properties of an app that have columns, by path; whoever looks one up asks for it."""
        of = self.of(app)
        found = {
            path: Slot(known.slot, known.type, known.slot_from)
            for path, known in dict(of.paths).items()
            if known.slot is not None
        }
        return _Asked(found, of)

    def promote(self, app: str, path: str, pinned: Collection[str] = ()) -> None:
        """Give a property a column for the events to come."""
        of = self.of(app)
        with self.next_lump() as since:
            changed = of.promote(path, since, pinned)
            self.keep()
            if changed:
                with self._control.write() as connection:
                    connection.execute(_COUNTED, [_bound(_row(app, one, of.paths[one])) for one in changed])

    def choose(self, app: str, pinned: Collection[str] = ()) -> str | None:
        """Give the property asked for most a column, if it is worth taking one from another; return its path or None.

        All counts of what was asked are halved, so that what was asked long ago fades.
        """
        of = self.of(app)
        path = of.wanted(pinned)
        if path is not None:
            self.promote(app, path, pinned)
        of.asked = Counter({path: count // 2 for path, count in dict(of.asked).items() if count > 1})
        return path

    def keep(self, counts: bool = False) -> None:
        """Write the paths not kept yet; with `counts` also what was counted since the last time."""
        apps = dict(self._apps)  # whoever is the first to ask of an app adds to it
        found = [(app, path, known) for app, schema in apps.items() for path, known in schema.paths.items()]
        fresh = [_row(*one) for one in found if not one[2].kept]
        counted = [_row(*one) for one in found if one[2].kept and one[2].changed] if counts else []
        if fresh or counted:
            with self._control.write() as connection:
                insert_new(connection, properties, fresh)
                if counted:
                    connection.execute(_COUNTED, [_bound(row) for row in counted])
            for _, _, known in found:
                known.changed = known.changed and known.kept and not counts
                known.kept = True


class _Asked(dict[str, Slot]):
    """The slots of an app, which count who asks for what."""

    def __init__(self, found: Mapping[str, Slot], of: AppSchema) -> None:
        super().__init__(found)
        self._of = of

    def get(self, path: str, default: Any = None) -> Any:
        if path in self._of.paths:
            self._of.asked[path] += 1
        return super().get(path, default)


def _bound(row: Mapping[str, Any]) -> dict[str, Any]:
    return {f"_{name}": value for name, value in row.items()}


def _row(app: str, path: str, known: Path) -> dict[str, Any]:
    return {
        "app": app, "path": path, "type": known.type, "first": known.first, "last": known.last,
        "conflicts": known.conflicts, "slot": known.slot, "slot_from": known.slot_from,
    }  # fmt: skip


_COUNTED = (
    update(properties)
    .where(properties.c.app == bindparam("_app"), properties.c.path == bindparam("_path"))
    .values({name: bindparam(f"_{name}") for name in ("last", "conflicts", "slot", "slot_from")})
)


def _known(row: Row[Any]) -> Path:
    return Path(row.type, row.first, row.last, row.conflicts, row.slot, row.slot_from, kept=True, changed=False)
