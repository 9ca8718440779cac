"""What a transaction of either store does: resolves sightings to persons, writes all but events, reports the result.

How repeats are recognised, where events go, and which connection it is, are up to each store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from sentinel.core.batch import Batch, Committed, Sighting
from sentinel.core.errors import SentinelError
from sentinel.store import changes, findings, outbox
from sentinel.store.audit import note
from sentinel.store.changes import Change
from sentinel.store.database import Database
from sentinel.store.linking import Linking
from sentinel.store.rooms import Rooms
from sentinel.store.standing import write_labels

Kept = TypeVar("Kept")  # what became of the events of a batch


class Unit(ABC, Generic[Kept]):
    """One transaction; nothing it does is seen by others before it is committed."""

    def __init__(self, control: Database, rooms: Rooms) -> None:
        self._database = control
        self._rooms = rooms
        self._links: dict[str, Linking] = {}
        self._done = False

    def resolve(self, app: str, sightings: Sequence[Sighting]) -> list[str | None]:
        """Return whose each sighting is, linking the keys of proven ones."""
        if app not in self._links:
            self._links[app] = Linking(self._database, self._rooms.known, app)
        return self._links[app].resolve(sightings)

    @abstractmethod
    def _learn(self, batch: Batch, kept: Kept) -> None:
        """Let everybody in this process see the events of a batch."""

    def _begin(self, batches: Sequence[Batch]) -> None:
        """Raise unless this is the first commit and every app is there."""
        if self._done:
            raise RuntimeError("a unit commits once")
        self._done = True
        for batch in batches:
            if self._rooms.access.app(batch.app) is None:
                raise SentinelError(f"there is no app `{batch.app}`")

    def _changes(self, connection: Connection, batches: Sequence[Batch]) -> dict[str, Change]:
        """Return the change of each app that something is written of."""
        now = max((batch.now for batch in batches), default=0)
        return {app: Change(connection, app, now) for app in {batch.app for batch in batches}.union(self._links)}

    def _settle(
        self, batches: Sequence[Batch], kept: Sequence[Kept], opened: Sequence[tuple[str, ...]],
        written: dict[str, Change],
    ) -> list[Committed]:  # fmt: skip
        """Let everybody in this process see what was committed, and say what it came to."""
        rooms = self._rooms
        for linking in self._links.values():
            linking.done()
        for change in written.values():
            rooms.revisions.learn(change)
        answers = []
        for batch, some, new in zip(batches, kept, opened, strict=True):
            rooms.labels.learn(batch.app, batch.labels)
            self._learn(batch, some)
            changed = written[batch.app].revision is not None
            answers.append(Committed(rooms.revisions.of(batch.app), changed, new))
        for app, linking in self._links.items():
            rooms.labels.carry(app, linking.carried)
        return answers


def write(change: Change, batch: Batch) -> tuple[str, ...]:
    """Write everything of a batch but its events, and return the findings that were new."""
    opened = findings.open_new(change, batch.findings) if batch.findings else ()
    if batch.decisions:
        changes.add(change, batch.decisions)
    write_labels(change, batch.labels)
    outbox.send(change, batch.outbox)
    findings.add_evidence(change, batch.evidence)
    findings.retract(change, batch.retracted)
    for line in batch.audit:
        note(change.connection, batch.app, batch.now, line.actor, line.action, line.target, line.reason, line.detail)
    return opened
