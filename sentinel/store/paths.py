"""The properties of one app, by path: the JSON type that was seen there first, and the column its values are in.

They are learnt in the order of the journal, by whichever process puts events into columns; `schema` keeps them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.properties import TYPES, walk
from sentinel.store.rows import EMPTY_SLOTS, NUMBERS, SLOTS, TEXTS

MOST = 2000  # paths learnt of one app; a sender may make them up
LONGEST = 256
OFTEN = 5  # times a property is asked for before it is given a column that another has
_PLACES = {name: place for place, name in enumerate(SLOTS)}
_SLOTS_FOR = {"string": TEXTS, "number": NUMBERS}


@dataclass(slots=True)
class Path:
    """What was learnt of one path; `slot` is its column, `place` that column's index in a row's slots.

    `kept` says that the database knows the path, `changed` that something was learnt since it was written last.
    """

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
    """The paths of one app, its free slots, and how often searches asked for each path.

    `version` changes with what is decided in this process and not learnt from events: promotions.
    """

    version: int = 0
    paths: dict[str, Path] = field(default_factory=dict)
    free: dict[str, list[str]] = field(default_factory=lambda: {kind: list(of) for kind, of in _SLOTS_FOR.items()})
    asked: Counter[str] = field(default_factory=Counter)

    def read(self, event: Event) -> tuple[Sequence[str], tuple[str | float | None, ...]]:
        """Learn an event's properties; return the paths whose type conflicts, and the values for its slots."""
        if not event.properties:
            return (), EMPTY_SLOTS
        conflicts: list[str] = []
        slots: list[str | float | None] | None = None
        for path, value in walk(event.properties):
            kind = TYPES.get(type(value))
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
        """Take in a path that is stored, with its slot."""
        self.paths[path] = known
        if known.slot is not None:
            known.place = _PLACES[known.slot]
            self.free[known.type].remove(known.slot)

    def promote(self, path: str, since: int, pinned: Collection[str]) -> list[str]:
        """Give a path a column for events from the journal position `since` on; return the paths that changed.

        Where no column is free, the path least asked for that is not pinned loses its own. Raises SentinelError for a
        path that is unknown or of another type, and where every column is pinned.
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
        """Return the schema whose `rows()` these are."""
        found = cls()
        for path, *values in rows:
            known = Path(*values)
            known.changed = False
            found.take(path, known)
        return found

    def rows(self) -> list[tuple[Any, ...]]:
        """Return all paths as rows, for another process."""
        return [_told(path, known) for path, known in self.paths.items()]

    def changes(self) -> list[tuple[Any, ...]]:
        """Return the rows of paths that changed since the last call, for the process that stores them."""
        found = [(path, known) for path, known in self.paths.items() if known.changed]
        for _, known in found:
            known.changed = False
        return [_told(path, known) for path, known in found]

    def learn(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take in the rows of paths that another process learnt from this schema on."""
        for path, *values in rows:
            told, known = Path(*values), self.paths.get(path)
            if known is None:
                self.take(path, told)
            else:
                known.last, known.conflicts, known.changed = told.last, told.conflicts, True

    def idlest(self, type: str, pinned: Collection[str]) -> str | None:
        """Return the path least asked for that has a column of a type and is not pinned, None where there is none."""
        paths = dict(self.paths).items()  # more may be learnt meanwhile
        held = [path for path, one in paths if one.slot and one.type == type and path not in pinned]
        return min(held, key=lambda path: (self.asked[path], path), default=None)

    def wanted(self, pinned: Collection[str]) -> str | None:
        """Return the path most asked for that has no column, None where giving it one does not pay.

        It pays from OFTEN questions on, if a column is free or its owner is asked for less than half as often.
        """
        asked = dict(self.asked)  # whoever asks adds to it meanwhile
        without = [path for path in asked if not self.paths[path].slot and self.paths[path].type in _SLOTS_FOR]
        best = max(without, key=lambda path: (asked[path], path), default=None)
        if best is None or asked[best] < OFTEN:
            return None
        type = self.paths[best].type
        idlest = self.idlest(type, pinned)
        if self.free[type] or (idlest is not None and 2 * self.asked[idlest] < asked[best]):
            return best
        return None

    def know(self, path: str, type: str, first: int, last: int) -> None:
        """Take in a path that is stored, without a slot, to go on counting from there."""
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


def _told(path: str, known: Path) -> tuple[Any, ...]:
    return path, known.type, known.first, known.last, known.conflicts, known.slot, known.slot_from
