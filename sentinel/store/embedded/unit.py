"""One transaction: what is claimed and linked on the way, then everything written at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sentinel.core.batch import Batch, Committed, Sighting
from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.store import changes
from sentinel.store.access import Access
from sentinel.store.arrival import Identity, identity
from sentinel.store.decisions import Revisions
from sentinel.store.embedded.control import Control
from sentinel.store.embedded.journal import Journal, Packed, packed
from sentinel.store.embedded.recent import Recent
from sentinel.store.linking import Known, Linking
from sentinel.store.standing import Labels
from sentinel.store.unit import write

Ask = Callable[[str, Sequence[tuple[int, str]]], set[Identity] | None]


@dataclass(slots=True)
class Machine:
    """What a unit works with. `ask` returns which identities the stored events hold, None when it cannot tell."""

    control: Control
    journal: Journal
    revisions: Revisions
    access: Access
    labels: Labels
    known: Known
    ask: Ask
    generation: int
    recent: dict[str, Recent] = field(default_factory=dict)

    def recent_of(self, app: str) -> Recent:
        """Return the newest identities of an app."""
        if app not in self.recent:
            self.recent[app] = Recent(self.generation)
        return self.recent[app]


class Unit:
    """One transaction; nothing it does is seen by others before `commit` returns."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._claimed: dict[str, set[Identity]] = {}
        self._unchecked: set[str] = set()
        self._links: dict[str, Linking] = {}
        self._done = False

    def claim(self, app: str, events: Sequence[Event]) -> list[bool]:
        """Say of each event whether it is fresh; it counts as known from here on."""
        recent = self._machine.recent_of(app)
        claimed = self._claimed.setdefault(app, set())
        known = [recent.known(event.sent, event.id) for event in events]
        stored: set[Identity] = set()
        if None in known:
            doubtful = zip(events, known, strict=True)
            sent = [(one.sent, one.id) for one, answer in doubtful if answer is None and one.sent is not None]
            stored = self._ask(app, sent) if sent else stored
        fresh: list[bool] = []
        for event, answer in zip(events, known, strict=True):
            of = identity(event.sent, event.id)
            repeat = answer or of in claimed or (answer is None and of in stored)
            if not repeat:
                claimed.add(of)
            fresh.append(not repeat)
        return fresh

    def resolve(self, app: str, sightings: Sequence[Sighting]) -> list[str | None]:
        """Return whose each sighting is, linking the keys of proven ones."""
        if app not in self._links:
            self._links[app] = Linking(self._machine.control, self._machine.known, app)
        return self._links[app].resolve(sightings)

    def commit(self, batches: Sequence[Batch]) -> list[Committed]:
        """Write all batches and the links made, and return what came of each."""
        if self._done:
            raise RuntimeError("a unit commits once")
        for batch in batches:
            if self._machine.access.app(batch.app) is None:
                raise SentinelError(f"there is no app `{batch.app}`")
        rows = [packed(batch.app, batch.events, batch.app in self._unchecked) for batch in batches]
        now = max((batch.now for batch in batches), default=0)
        with self._machine.control.write() as connection:
            written = {batch.app: changes.Change(connection, batch.app, now) for batch in batches}
            numbers = [self._machine.journal.write(row) for row in rows]
            opened = [write(connection, written[batch.app], batch) for batch in batches]
            for app, linking in self._links.items():
                linking.write(connection, written.setdefault(app, changes.Change(connection, app, now)))
        self._done = True
        return self._settle(batches, list(zip(numbers, rows, strict=True)), opened, written)

    def _ask(self, app: str, doubtful: list[tuple[int, str]]) -> set[Identity]:
        stored = self._machine.ask(app, doubtful)
        if stored is None:
            self._unchecked.add(app)
            return set()
        return stored

    def _settle(
        self, batches: Sequence[Batch], journaled: Sequence[tuple[list[int], list[Packed]]],
        opened: Sequence[tuple[str, ...]],
        written: dict[str, changes.Change],
    ) -> list[Committed]:  # fmt: skip
        """Let everybody see what was committed, and say what it came to."""
        machine = self._machine
        for linking in self._links.values():
            linking.done()
        for change in written.values():
            machine.revisions.learn(change)
        answers = []
        for batch, rows, new in zip(batches, journaled, opened, strict=True):
            machine.recent_of(batch.app).learn(batch.events)
            machine.labels.learn(batch.app, batch.labels)
            machine.journal.committed(*rows)
            changed = written[batch.app].revision is not None
            answers.append(Committed(machine.revisions.of(batch.app), changed, machine.journal.position, new))
        return answers
