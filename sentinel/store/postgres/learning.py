"""What properties each app sends, learnt after the commit from events that wait here, so that no sender waits for it.

Each process learns from what it committed itself, and adds to what the others wrote. A crash loses at most what waited:
counts of conflicts, and paths that the next event with them brings again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.record import Property
from sentinel.store.changes import insert_new
from sentinel.store.paths import AppSchema
from sentinel.store.postgres.control import Control
from sentinel.store.tables import properties

MOST_WAITING = 50_000  # events; past it the oldest are passed over
LUMP = 20_000
_c = properties.c
_COUNTED = (
    update(properties)
    .where(_c.app == bindparam("_app"), _c.path == bindparam("_path"))
    .values(
        first=func.least(_c.first, bindparam("_first")),
        last=func.greatest(_c.last, bindparam("_last")),
        conflicts=_c.conflicts + bindparam("_conflicts"),
    )
)


class Learning:
    """The properties of all apps."""

    def __init__(self, control: Control) -> None:
        self.passed_over = 0
        self.now = 0  # of the newest commit
        self._control = control
        self._waiting: deque[tuple[str, Event]] = deque()
        self._lock = threading.Lock()
        self._apps: dict[str, AppSchema] = {}
        with control.read() as connection:
            for row in connection.execute(select(properties)):
                self._of(row.app).know(row.path, row.type, row.first, row.last)

    def learn(self, app: str, now: int, events: Sequence[Event]) -> None:
        """Let events wait to be learnt from."""
        self.now = max(self.now, now)
        self._waiting.extend((app, event) for event in events)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.passed_over += 1

    def promote(self, app: str, path: str, pinned: Collection[str] = ()) -> None:
        """Refuse it: properties have no columns here."""
        raise SentinelError("properties have no columns of their own in PostgreSQL", "narrow by name and time instead")

    def choose(self, app: str, pinned: Collection[str] = ()) -> str | None:
        """Choose none."""
        return None

    def pending(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    def warnings(self) -> tuple[str, ...]:
        """Return what was lost, one line each."""
        text = f"events whose properties were not learnt, for too many waited: {self.passed_over}"
        return (text,) if self.passed_over else ()

    def project(self) -> int:
        """Learn from a lump of what waits and return how many events."""
        with self._lock:
            lump = [self._waiting.popleft() for _ in range(min(LUMP, len(self._waiting)))]
            for app, event in lump:
                self._of(app).read(event)
            return len(lump)

    def keep(self) -> None:
        """Write what was learnt since the last time. Raises StoreBusy: then it is written the next time."""
        with self._lock:
            known = [(app, path, one) for app, of in self._apps.items() for path, one in of.paths.items()]
            found = sorted((one for one in known if one[2].changed), key=itemgetter(0, 1))
            if not found:
                return
            fresh = [one for one in found if not one[2].kept]
            with self._control.write() as connection:
                insert_new(connection, properties, [_row(*one) for one in fresh])
                connection.execute(_COUNTED, [_count(*one) for one in found])
                types = _types(connection, {app for app, _, _ in fresh})
            for app, path, one in found:
                one.type = types.get((app, path), one.type)  # another process may have seen it first
                one.kept, one.changed, one.conflicts = True, False, 0

    def properties(self, app: str) -> list[Property]:
        """Return every known property, ordered by path."""
        self.keep()
        with self._control.read() as connection:
            rows = connection.execute(select(properties).where(_c.app == app)).all()
        found = (Property(row.path, row.type, row.first, row.last, row.conflicts) for row in rows)
        return sorted(found, key=lambda one: one.path)

    def _of(self, app: str) -> AppSchema:
        if app not in self._apps:
            self._apps[app] = AppSchema(free={})
        return self._apps[app]


def _types(connection: Connection, apps: Collection[str]) -> dict[tuple[str, str], str]:
    """Return the type of every path of these apps."""
    query = select(_c.app, _c.path, _c.type).where(_c.app.in_(apps))
    return {(row.app, row.path): row.type for row in connection.execute(query)}


def _row(app: str, path: str, known: Any) -> dict[str, Any]:
    return {
        "app": app, "path": path, "type": known.type, "first": known.first, "last": known.last,
        "conflicts": 0, "slot": None, "slot_from": 0,
    }  # fmt: skip


def _count(app: str, path: str, known: Any) -> dict[str, Any]:
    return {
        "_app": app, "_path": path, "_first": known.first, "_last": known.last, "_conflicts": known.conflicts,
    }  # fmt: skip
