"""A transaction on PostgreSQL: ids are claimed as rows, links looked up and made, then everything is written at once.

What two processes claim or link at the same moment is settled by the database: the second waits for the first. Where
that would be a deadlock, one of them is told to try again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from sentinel.core.batch import Batch, Committed
from sentinel.core.duration import DAY
from sentinel.core.event import Event
from sentinel.core.record import KeptEvent
from sentinel.core.repeats import Identity, identity
from sentinel.store import unit
from sentinel.store.arrival import BITS, END
from sentinel.store.changes import Change
from sentinel.store.postgres.control import Control, driver
from sentinel.store.postgres.copying import copy
from sentinel.store.postgres.learning import Learning
from sentinel.store.postgres.partitions import Partitions
from sentinel.store.postgres.place import SIZE, Place
from sentinel.store.rooms import Rooms
from sentinel.store.tables import apps

NO_DAY = -(1 << 31)  # of events that were sent without a timestamp: they are known by id alone
_CLAIM = (
    "INSERT INTO event_id (id, day, at, app) SELECT id, day, at, %s "
    "FROM unnest(%s::text[], %s::integer[], %s::bigint[]) AS sent (id, day, at) ORDER BY id, day "
    "ON CONFLICT DO NOTHING RETURNING id, day"
)


@dataclass(slots=True)
class Machine:
    """What a unit works with."""

    control: Control
    place: Place
    partitions: Partitions
    learning: Learning
    rooms: Rooms


class Unit(unit.Unit[list[KeptEvent]]):
    """One transaction; nothing it does is seen by others before `commit` returns."""

    def __init__(self, machine: Machine, connection: Connection) -> None:
        super().__init__(machine.control, machine.rooms)
        self._machine = machine
        self._connection = connection

    def claim(self, app: str, events: Sequence[Event]) -> list[bool]:
        """Say of each event whether it is fresh; it counts as known from here on."""
        if not events:
            return []
        first: dict[Identity, Event] = {}
        for event in events:
            first.setdefault(identity(event.sent, event.id), event)
        ids = [id for _, id in first]
        days = [NO_DAY if day is None else day for day, _ in first]
        rows = driver(self._connection).execute(_CLAIM, (app, ids, days, [event.at for event in first.values()]))
        fresh = {(None if day == NO_DAY else day, id) for id, day in rows}
        return [(of := identity(event.sent, event.id)) in fresh and first[of] is event for event in events]

    def commit(self, batches: Sequence[Batch]) -> list[Committed]:
        """Write all batches and the links made, and return what came of each."""
        self._begin(batches)
        written = self._changes(self._connection, batches)
        kept = self._copy(batches)
        opened = self._write(batches, written)
        for app, linking in sorted(self._links.items()):
            linking.write(self._connection, written[app])
        self._machine.control.commit(self._connection)
        return self._settle(batches, kept, opened, written)

    def bring(self, app: str, events: Sequence[Event]) -> None:
        """Write events alone, of which nothing is found or learnt: they are being moved here."""
        (kept,) = self._copy([Batch(app=app, now=0, events=tuple(events))])
        self._machine.control.commit(self._connection)
        if kept:
            self._machine.place.learn(kept[-1].position >> BITS)

    def _copy(self, batches: Sequence[Batch]) -> list[list[KeptEvent]]:
        """Write the events of all batches, and return them with their positions."""
        needed = [-(-len(batch.events) // SIZE) for batch in batches]
        if not sum(needed):
            return [[] for _ in batches]
        blocks = iter(self._machine.place.take(self._connection, sum(needed)))
        kept = [list(_placed(batch.events, blocks)) for batch in batches]
        rows = ((batch.app, one) for batch, some in zip(batches, kept, strict=True) for one in some)
        copy(driver(self._connection), rows)
        return kept

    def _write(self, batches: Sequence[Batch], written: dict[str, Change]) -> list[tuple[str, ...]]:
        """Write everything but events, app by app in one order, so that no two processes wait for each other."""
        opened: dict[int, tuple[str, ...]] = {}
        for index in sorted(range(len(batches)), key=lambda index: batches[index].app):
            batch = batches[index]
            if batch.findings or batch.decisions or batch.retracted:
                hold = select(apps.c.id).where(apps.c.id == batch.app).with_for_update()
                self._connection.execute(hold)  # others may find the same: one after the other
            opened[index] = unit.write(written[batch.app], batch)
        return [opened[index] for index in range(len(batches))]

    def _learn(self, batch: Batch, kept: list[KeptEvent]) -> None:
        machine = self._machine
        if kept:
            machine.place.learn(kept[-1].position >> BITS)
            machine.learning.learn(batch.app, batch.now, batch.events)
            machine.partitions.seen(event.at // DAY for event in batch.events)


def _placed(events: Sequence[Event], blocks: Iterator[int]) -> Iterator[KeptEvent]:
    for start in range(0, len(events), SIZE):
        first = next(blocks) << BITS
        yield from (KeptEvent(event, first | index & END) for index, event in enumerate(events[start : start + SIZE]))
