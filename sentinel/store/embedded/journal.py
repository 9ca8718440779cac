"""The journal: the events of each commit, packed, in the SQLite file; dropped once they are safe in the searched table.

The position after a commit is at the end of its last row, behind every event that the row may hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sentinel.core.event import Event
from sentinel.core.record import KeptEvent
from sentinel.store.arrival import BITS, END
from sentinel.store.embedded import codec
from sentinel.store.embedded.codec import size, unpack
from sentinel.store.embedded.control import Control

LARGEST = 4096  # events in one row; a position has room for twice as many
HELD = 1_000  # events held until they are taken: where more come in, another process takes them out of the rows

_INSERT = "INSERT INTO journal (app, events, unchecked, body) VALUES (?, ?, ?, ?)"
_ROWS = "SELECT id, app, events, unchecked, body FROM journal WHERE id > ? ORDER BY id"
_SOME = "SELECT id, app, events, unchecked, body FROM journal WHERE id > ? AND app = ? ORDER BY id"
_LOT = 2000  # rows dropped, or events read, at a time
_WIDEST = 32 << 20  # bytes of events, expanded, read at a time


class Packed(NamedTuple):
    """Events ready to be written, packed before the transaction.

    `unchecked` says that repeats may be among them. `same` are the events themselves, where unpacking gives them again.
    """

    app: str
    events: int
    unchecked: bool
    body: bytes
    same: Sequence[Event] = ()


class Row(NamedTuple):
    """One row as kept."""

    id: int
    app: str
    events: int
    unchecked: bool
    body: bytes

    @property
    def first(self) -> int:
        """The position of its first event."""
        return self.id << BITS

    def unpacked(self) -> list[KeptEvent]:
        """Return its events with their positions."""
        return [KeptEvent(event, self.first + index) for index, event in enumerate(unpack(self.body))]


def packed(app: str, events: Sequence[Event], unchecked: bool) -> list[Packed]:
    """Return events as rows to be written."""
    lots = (events[start : start + LARGEST] for start in range(0, len(events), LARGEST))
    made = ((lot, codec.packed(lot)) for lot in lots)
    return [Packed(app, len(lot), unchecked, body, lot if exact else ()) for lot, (body, exact) in made]


class Journal:
    """The journal of one file. `last` is the newest row's number, `floor` that of the last row that was dropped."""

    def __init__(self, control: Control) -> None:
        self._control = control
        with control.read() as connection:
            last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").scalar() or 0
            first = connection.exec_driver_sql("SELECT min(id) FROM journal").scalar()
        self._held: dict[int, Sequence[Event]] = {}
        self._holds = 0  # events of them
        self._holding = threading.Lock()  # they are put here by one thread and taken by another
        self.last: int = last
        self.floor: int = last if first is None else first - 1

    @property
    def position(self) -> int:
        """The position after the newest row, 0 before the first."""
        return self.last << BITS | END if self.last else 0

    def write(self, rows: Sequence[Packed]) -> list[int]:
        """Insert rows within the transaction that is open, and return their numbers."""
        execute = self._control.raw.execute
        return [execute(_INSERT, row[:4]).lastrowid or 0 for row in rows]

    def committed(self, numbers: Sequence[int], rows: Sequence[Packed]) -> None:
        """Note that rows are on disk; up to HELD of their events are kept in memory, to spare unpacking them soon."""
        for number, row in zip(numbers, rows, strict=True):
            self.last = max(self.last, number)
            with self._holding:
                if row.same and self._holds + row.events <= HELD:
                    self._held[number] = row.same
                    self._holds += row.events

    def take(self, row: Row) -> list[KeptEvent]:
        """Return the events of a row with their positions, and hold them in memory no longer."""
        held = self._let_go(row)
        return row.unpacked() if held is None else [KeptEvent(event, row.first + at) for at, event in enumerate(held)]

    def release(self, rows: Iterable[Row]) -> None:
        """Hold the events of rows no longer: nobody takes them."""
        for row in rows:
            self._let_go(row)

    def _let_go(self, row: Row) -> Sequence[Event] | None:
        with self._holding:
            held = self._held.pop(row.id, None)
            self._holds -= row.events if held is not None else 0
        return held

    def reaches(self, position: int) -> bool:
        """Say whether everything later than a position is still here."""
        number = position >> BITS
        return number > self.floor or (number == self.floor and (not position or position & END == END))

    def rows(self, after: int, events: int = _LOT, app: str | None = None) -> list[Row]:
        """Return rows later than a number, oldest first, until they hold `events` events or some MB."""
        found: list[Row] = []
        room = _WIDEST
        query, values = (_ROWS, (after,)) if app is None else (_SOME, (after, app))
        with self._control.read() as connection:
            for row in map(Row._make, connection.exec_driver_sql(query, values)):
                found.append(row)
                events -= row.events
                room -= size(row.body)
                if events <= 0 or room <= 0:
                    break
        return found

    def events(self, app: str) -> Iterator[Event]:
        """Give an app's events that are still here, oldest first."""
        number = 0
        while rows := self.rows(number, app=app):
            yield from (kept.event for row in rows for kept in row.unpacked())
            number = rows[-1].id

    def pending(self, after: int) -> int:
        """Return how many events lie in rows later than a number."""
        with self._control.read() as connection:
            query = "SELECT coalesce(sum(events), 0) FROM journal WHERE id > ?"
            return int(connection.exec_driver_sql(query, (after,)).scalar() or 0)

    def drop(self, through: int) -> None:
        """Let go of the rows up to a number, a lot at a time, so that no commit waits long."""
        while self.floor < through:
            edge = min(through, self.floor + _LOT)
            self.floor = edge  # first, so that nobody reads on here while rows go
            with self._control.write():
                self._control.raw.execute("DELETE FROM journal WHERE id <= ?", (edge,))

    def begin_after(self, number: int) -> None:
        """Let no new row have a number up to this one: the events of such numbers lie elsewhere already."""
        if number > self.last:
            with self._control.write():
                self._control.raw.execute("DELETE FROM sqlite_sequence WHERE name = 'journal'")
                self._control.raw.execute("INSERT INTO sqlite_sequence VALUES ('journal', ?)", (number,))
            self.last = self.floor = number
