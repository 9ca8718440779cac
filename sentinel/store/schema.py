"""What properties each app sends: the JSON type first seen at each path, and the column that holds the path's values.

Learnt in the order of the journal while events are made searchable, so that nothing of it is on the way in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.record import Property
from sentinel.store.changes import insert_new
from sentinel.store.database import Database
from sentinel.store.rows import EMPTY_SLOTS, NUMBERS, SLOTS, TEXTS
from sentinel.store.tables import properties
from sentinel.store.values import Slot

MOST = 2000  # paths learnt of one app; a sender may make them up
LONGEST = 256
OFTEN = 5  # times a property is asked for before it is given a column that another has
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
    """The paths of one app, and the slots that are free. `version` changes with what only this process knows of it."""

    version: int = 0
    paths: dict[str, Path] = field(default_factory=dict)
    free: dict[str, list[str]] = field(default_factory=lambda: {kind: list(of) for kind, of in _SLOTS_FOR.items()})
    asked: Counter[str] = field(default_factory=Counter)

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

    def promote(self, path: str, since: int, pinned: Collection[str]) -> list[str]:
        """Give a path a column for the events from a place on; return the paths that changed by it.

        Where none is free, the one least asked for loses its own, of those not pinned. Raises SentinelError.
        """
        known = self.paths.get(path)
        if known is None or known.type not in _SLOTS_FOR:
            raise SentinelError(f"`{path[:64]}`: no property that is a text or a number", "see `GET /v1/schema`")
        if known.slot is not None:
            return []
        if self.free[known.type]:
            slot, changed = self.free[known.type].pop(0), [path]
        else:
            victim = self.idlest(known.type, pinned)
            if victim is None:
                raise SentinelError(
                    "every column is taken by a property that was promoted by hand", "give one up first"
                )
            loser = self.paths[victim]
            slot, changed = str(loser.slot), [victim, path]
            loser.slot, loser.place, loser.slot_from = None, None, 0
        known.slot, known.place, known.slot_from = slot, _PLACES[slot], since
        self.version += 1
        return changed

    @classmethod
    def made_of(cls, rows: Iterable[Sequence[Any]]) -> AppSchema:
        """Return the like of what gave these rows."""
        found = cls()
        for path, *values in rows:
            known = Path(*values)
            known.changed = False
            found.take(path, known)
        return found

    def rows(self) -> list[tuple[Any, ...]]:
        """Return all that is known of the paths, for another process."""
        return [_told(path, known) for path, known in self.paths.items()]

    def changes(self) -> list[tuple[Any, ...]]:
        """Return what was learnt since the last time, for the process that keeps it."""
        found = [(path, known) for path, known in self.paths.items() if known.changed]
        for _, known in found:
            known.changed = False
        return [_told(path, known) for path, known in found]

    def learn(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take in what another process learnt from here on."""
        for path, *values in rows:
            told, known = Path(*values), self.paths.get(path)
            if known is None:
                self.take(path, told)
            else:
                known.last, known.conflicts, known.changed = told.last, told.conflicts, True

    def idlest(self, type: str, pinned: Collection[str]) -> str | None:
        """Return the path with a column of a type that is asked for least."""
        held = [path for path, one in self.paths.items() if one.slot and one.type == type and path not in pinned]
        return min(held, key=lambda path: (self.asked[path], path), default=None)

    def wanted(self, pinned: Collection[str]) -> str | None:
        """Return the path that is asked for most without a column, if that is worth another's."""
        without = [path for path in self.asked if not self.paths[path].slot and self.paths[path].type in _SLOTS_FOR]
        best = max(without, key=lambda path: (self.asked[path], path), default=None)
        if best is None or self.asked[best] < OFTEN:
            return None
        type = self.paths[best].type
        idlest = self.idlest(type, pinned)
        if self.free[type] or (idlest is not None and 2 * self.asked[idlest] < self.asked[best]):
            return best
        return None

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
        """Return every known property path, by path."""
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
        """Give the property asked for most a column, if it is worth another's; what was asked long ago fades."""
        of = self.of(app)
        path = of.wanted(pinned)
        if path is not None:
            self.promote(app, path, pinned)
        of.asked = Counter({path: count // 2 for path, count in of.asked.items() if count > 1})
        return path

    def keep(self, counts: bool = False) -> None:
        """Write the paths not kept yet; with `counts` also what was counted since the last time."""
        found = [(app, path, known) for app, schema in self._apps.items() for path, known in schema.paths.items()]
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


def walk(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every path of nested objects with its value, outer ones first; lists are values.

    A name that would be taken for a path is quoted.
    """
    for key, item in value.items():
        path = prefix + (json.dumps(key, ensure_ascii=False) if "." in key or '"' in key else key)
        yield path, item
        if type(item) is dict:
            yield from walk(item, path + ".")


def _told(path: str, known: Path) -> tuple[Any, ...]:
    return path, known.type, known.first, known.last, known.conflicts, known.slot, known.slot_from


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
