"""A transaction on SQLite: claims events and links keys on the way, then writes everything at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sentinel.core.batch import Batch, Committed
from sentinel.core.event import Event
from sentinel.core.repeats import Identity, identity
from sentinel.store import unit
from sentinel.store.embedded.control import Control
from sentinel.store.embedded.journal import Journal, Packed, packed
from sentinel.store.embedded.recent import Recent
from sentinel.store.rooms import Rooms

Ask = Callable[[str, Sequence[tuple[int, str]]], set[Identity] | None]
Journaled = tuple[list[int], list[Packed]]  # the rows of a batch: their numbers, and what is in them


@dataclass(slots=True)
class Machine:
    """What a unit works with. `ask` returns which identities the stored events hold, None when it cannot tell."""

    control: Control
    journal: Journal
    rooms: Rooms
    ask: Ask
    generation: int
    recent: dict[str, Recent] = field(default_factory=dict)

    def recent_of(self, app: str) -> Recent:
        """Return the newest identities of an app."""
        if app not in self.recent:
            self.recent[app] = Recent(self.generation)
        return self.recent[app]


class Unit(unit.Unit[Journaled]):
    """One transaction; nothing it does is seen by others before `commit` returns."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.control, machine.rooms)
        self._machine = machine
        self._claimed: dict[str, set[Identity]] = {}
        self._unchecked: set[str] = set()

    def claim(self, app: str, events: Sequence[Event]) -> list[bool]:
        """Say of each event whether it is fresh; it counts as known from here on."""
        recent = self._machine.recent_of(app)
        claimed = self._claimed.setdefault(app, set())
        known = recent.known(events)
        stored: set[Identity] = set()
        if None in known:
            doubtful = zip(events, known, strict=True)
            sent = [(one.sent, one.id) for one, answer in doubtful if answer is None and one.sent is not None]
            stored = self._ask(app, sent) if sent else stored
        fresh: list[bool] = []
        for event, answer in zip(events, known, strict=True):
            of = identity(event.sent, event.id)
            new = not answer and of not in claimed and (answer is False or of not in stored)
            if new:
                claimed.add(of)
            fresh.append(new)
        return fresh

    def commit(self, batches: Sequence[Batch]) -> list[Committed]:
        """Write all batches and the links made, and return what came of each."""
        self._begin(batches)
        rows = [packed(batch.app, batch.events, batch.app in self._unchecked) for batch in batches]
        with self._machine.control.write() as connection:
            written = self._changes(connection, batches)
            numbers = [self._machine.journal.write(row) for row in rows]
            opened = [unit.write(written[batch.app], batch) for batch in batches]
            for app, linking in self._links.items():
                linking.write(connection, written[app])
        return self._settle(batches, list(zip(numbers, rows, strict=True)), opened, written)

    def _ask(self, app: str, doubtful: list[tuple[int, str]]) -> set[Identity]:
        """Return which of these are stored; where nobody can tell, none, and the projector looks for repeats later."""
        stored = self._machine.ask(app, doubtful)
        if stored is None:
            self._unchecked.add(app)
            return set()
        return stored

    def _learn(self, batch: Batch, kept: Journaled) -> None:
        self._machine.recent_of(batch.app).learn(batch.events)
        self._machine.journal.committed(*kept)
