"""What properties each app sends: the JSON type first seen at each path, and the column that holds the path's values.

Learnt in the order of the journal while events are made searchable, so that nothing of it is on the way in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from sentinel.core.event import Event
from sentinel.core.record import Property
from sentinel.store.changes import insert_new
from sentinel.store.database import Database
from sentinel.store.rows import EMPTY_SLOTS, NUMBERS, SLOTS, TEXTS
from sentinel.store.tables import properties
from sentinel.store.values import Slot

MOST = 2000  # paths learnt of one app; a sender may make them up
LONGEST = 256
_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}
_PLACES = {name: place for place, name in enumerate(SLOTS)}
_SLOTS_FOR = {"string": TEXTS, "number": NUMBERS}


@dataclass(slots=True)
class Path:
    """One path as learnt so far; `place` is its slot's among a row's slots."""

    type: str
    first: int
    last: int
    conflicts: int = 0
    slot: str | None = None
    slot_from: int = 0
    place: int | None = None
    kept: bool = False
    changed: bool = True


@dataclass(slots=True)
class AppSchema:
    """The paths of one app, and the slots that are free."""

    paths: dict[str, Path] = field(default_factory=dict)
    free: dict[str, list[str]] = field(default_factory=lambda: {kind: list(of) for kind, of in _SLOTS_FOR.items()})

    def read(self, event: Event) -> tuple[list[str], tuple[str | float | None, ...]]:
        """Learn an event's properties; return the paths whose type conflicts, and the values for its slots."""
        conflicts: list[str] = []
        slots: list[str | float | None] | None = None
        for path, value in walk(event.properties):
            kind = _TYPES.get(type(value))
            if kind is None:
                continue
            known = self.paths.get(path) or self._learn(path, kind, event)
            if known is None:
                continue
            if event.at > known.last:
                known.last, known.changed = event.at, True
            if known.type != kind:
                known.conflicts += 1
                known.changed = True
                conflicts.append(path)
            elif known.place is not None:
                slots = slots or list(EMPTY_SLOTS)
                slots[known.place] = value
        return conflicts, tuple(slots) if slots else EMPTY_SLOTS

    def take(self, path: str, known: Path) -> None:
        """Take in a path as kept, with its slot."""
        self.paths[path] = known
        if known.slot is not None:
            known.place = _PLACES[known.slot]
            self.free[known.type].remove(known.slot)

    def know(self, path: str, type: str, first: int, last: int) -> None:
        """Take in a path that is kept, to be counted on from there."""
        self.paths[path] = Path(type, first, last, kept=True, changed=False)

    def _learn(self, path: str, kind: str, event: Event) -> Path | None:
        if len(self.paths) >= MOST or len(path) > LONGEST:
            return None
        known = self.paths[path] = Path(kind, event.at, event.at)
        free = self.free.get(kind)
        if free and event.trust != "browser":
            known.slot = free.pop(0)  # of no event before: there is nothing in it, nor anything at the path
            known.place = _PLACES[known.slot]
        return known


class Schema:
    """The properties of all apps."""

    def __init__(self, control: Database) -> None:
        self._control = control
        self._apps: dict[str, AppSchema] = {}
        with control.read() as connection:
            for row in connection.execute(select(properties)):
                self.of(row.app).take(row.path, _known(row))

    def of(self, app: str) -> AppSchema:
        """Return what is learnt of an app, to be read with."""
        if app not in self._apps:
            self._apps[app] = AppSchema()
        return self._apps[app]

    def properties(self, app: str) -> list[Property]:
        """Return every known property path, by path."""
        return [
            Property(path, known.type, known.first, known.last, known.conflicts, known.slot)
            for path, known in sorted(dict(self.of(app).paths).items())
        ]

    def slots(self, app: str) -> dict[str, Slot]:
        """Return the properties of an app that have columns, by path."""
        return {
            path: Slot(known.slot, known.type, known.slot_from)
            for path, known in dict(self.of(app).paths).items()
            if known.slot is not None
        }

    def keep(self, counts: bool = False) -> None:
        """Write the paths not kept yet; with `counts` also what was counted since the last time."""
        found = [(app, path, known) for app, schema in self._apps.items() for path, known in schema.paths.items()]
        fresh = [_row(*one) for one in found if not one[2].kept]
        counted = [_row(*one) for one in found if one[2].kept and one[2].changed] if counts else []
        if fresh or counted:
            with self._control.write() as connection:
                insert_new(connection, properties, fresh)
                if counted:
                    connection.execute(
                        _COUNTED, [{f"_{name}": value for name, value in row.items()} for row in counted]
                    )
            for _, _, known in found:
                known.changed = known.changed and known.kept and not counts
                known.kept = True


def walk(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every path of nested objects with its value, outer ones first; lists are values."""
    for key, item in value.items():
        path = prefix + key
        yield path, item
        if type(item) is dict:
            yield from walk(item, path + ".")


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
