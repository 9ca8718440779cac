"""What the service asks of its store, one narrow protocol a room. Which machine answers is not known here.

Every call is synchronous, may come from any thread, and takes the time as an argument: `now`, in microseconds
since 1970. A call that writes has written when it returns; one that raises `StoreBusy` has done nothing and may
be tried again. `by` is the person or key that asked; what a person does is audited in the same transaction.
What is asked of one app never shows or touches another's.

The path of a batch, in the one writer thread:

    with store.unit() as unit:
        fresh = unit.claim(app, events)             # which of them are no repeats
        users = unit.resolve(app, sightings)        # whose they are: set event.user
        …                                           # enrich, match, hit, respond
        committed = unit.commit([batch, …])         # everything is on disk, or nothing is
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sentinel.core.batch import Batch, Committed, Note, Sighting
from sentinel.core.event import Event
from sentinel.core.record import (
    AuditEntry,
    Backed,
    Health,
    Lease,
    Page,
    PlaybookVersion,
    Snapshot,
)
from sentinel.service.ports.events import Events, Explorer, Schema
from sentinel.service.ports.findings import Allow, Decisions, Findings, Outbox
from sentinel.service.ports.people import Access, Accounts, Deletions, Drafts, Labels, People, Searches


class Unit(Protocol):
    """One transaction. Leaving it without `commit` undoes what it claimed and linked."""

    def claim(self, app: str, events: Sequence[Event]) -> list[bool]:
        """Return one bool for each event: True where it is new, False where it repeats one stored or claimed before.

        Two events are the same if app, id and the UTC day of `sent` are. What is claimed counts from here on, within
        this unit too.
        """

    def resolve(self, app: str, sightings: Sequence[Sighting]) -> list[str | None]:
        """Return the user of each sighting: the key of the known person, else its own first key, None without keys.

        Sightings are taken in order. A proven one links its keys to one person, and those after it see that link.
        """

    def commit(self, batches: Sequence[Batch]) -> list[Committed]:
        """Write all batches and the links that `resolve` made; return one result for each batch. At most once a unit.

        What is there already stays as it is: findings and decisions of the same id, outgoing rows of the same key.
        Decisions of a finding whose decision was lifted by hand are left out.
        """


class Snapshots(Protocol):
    """States of windows, opaque here."""

    def save(self, app: str, state: Snapshot) -> None:
        """Keep a snapshot, in place of the one kept for the same watch."""

    def load(self, app: str) -> dict[str, Snapshot]:
        """Return the snapshots kept, by watch."""

    def forget(self, app: str, watch: str) -> None:
        """Drop the snapshot of a watch."""


class Leases(Protocol):
    """Leases: of several processes, only the holder of a lease runs the jobs."""

    def take(self, name: str, holder: str, until: int, now: int) -> Lease | None:
        """Take or extend a lease until a time, and return it; None while another holder has it."""

    def holds(self, lease: Lease, now: int) -> bool:
        """Say whether a lease has neither ended nor been taken by another since."""

    def release(self, lease: Lease) -> None:
        """Give a lease back before its end."""


class Settings(Protocol):
    """What is set at run time, as JSON values: `app` None for the whole server."""

    def get(self, name: str, app: str | None = None) -> Any:
        """Return a value, None where none is set."""

    def put(
        self, name: str, value: Any, by: str, now: int, app: str | None = None, line: Note | None = None
    ) -> None:  # fmt: skip
        """Set a value, or unset it with None. `line` is the audit's line; without it the line is `setting.put`."""

    def change(self, name: str, how: Callable[[Any], Any], by: str, now: int, app: str | None = None) -> Any:
        """Replace a value by `how(value)` and return the new one; `how` is given None where none is set.

        No other thread or process can set it in between. Where `how` raises, the value stays.
        """


class Playbooks(Protocol):
    """The texts of playbooks as they changed."""

    def keep(self, app: str, versions: Sequence[PlaybookVersion], lines: Mapping[str, Note] | None = None) -> None:
        """Keep each version that is not the last one kept of its playbook; an empty version marks a removed playbook.

        `lines`, by playbook, go into the audit for those that were kept.
        """

    def last(self, app: str) -> dict[str, str]:
        """Return the version kept last, by playbook; removed playbooks are left out."""

    def history(
        self, app: str, playbook: str, limit: int = 50, cursor: str | None = None, *, version: str | None = None
    ) -> Page[PlaybookVersion]:
        """Return the versions of a playbook, newest first; with `version` only the times when it was that one."""


class Audit(Protocol):
    """Who did what."""

    def write(self, app: str | None, line: Note, now: int) -> None:
        """Add a line, for what is no change in another room: those write their own."""

    def expire(self, before: int, now: int) -> int:
        """Drop the lines older than a time, add a line that says so, and return how many were dropped."""

    def list(
        self, app: str | None, limit: int = 50, cursor: str | None = None, counted: bool = False, *,
        by: str | None = None, action: str | None = None, target: str | None = None, since: int | None = None,
        until: int | None = None,
    ) -> Page[AuditEntry]:  # fmt: skip
        """Return the lines of an app (None: of the whole server), newest first.

        `by` is an actor, or BY_HAND for everybody but playbooks. `action` is one action (`decision.lift`) or a family
        (`decision`). `since` is inclusive, `until` exclusive.
        """


class Store(Protocol):
    """All of it, in one place on disk or in one database."""

    @property
    def decisions(self) -> Decisions: ...
    @property
    def findings(self) -> Findings: ...
    @property
    def people(self) -> People: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def allow(self) -> Allow: ...
    @property
    def access(self) -> Access: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def searches(self) -> Searches: ...
    @property
    def drafts(self) -> Drafts: ...
    @property
    def deletions(self) -> Deletions: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def events(self) -> Events: ...
    @property
    def explorer(self) -> Explorer: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def schema(self) -> Schema: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def playbooks(self) -> Playbooks: ...
    @property
    def audit(self) -> Audit: ...

    def unit(self) -> AbstractContextManager[Unit]:
        """Begin a transaction; another one waits until this one is left."""

    def room(self) -> None:
        """Raise StoreBusy where a batch of events could not be written now, for example because the disk is full."""

    def settle(self) -> None:
        """Wait until every transaction that has begun, in any process, has ended and can be read.

        Raises StoreBusy where that takes too long.
        """

    def installation(self) -> str:
        """Return a text that is this installation's alone, for names in a Redis or Valkey that several share."""

    def skew(self) -> int:
        """Return how far the clock that all servers share is ahead of this machine's, in microseconds."""

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call `changed(app)`, from a thread of the store, whenever another process changed an app's decisions."""

    def project(self) -> int:
        """Make the next part of the journal searchable and return how many events; called about five times a second.

        Never raises: a failure shows in `health`, and a later call does what could not be done.
        """

    def checkpoint(self) -> None:
        """Make what was projected durable, and drop the journal up to there; called once a minute and at the end."""

    def backup(self, folder: Path, now: int) -> Backed:
        """Copy everything, as of one moment, into an empty folder while the server goes on; return what was copied.

        Raises StoreError, or StoreBusy where a later try may do; the folder is then empty again.
        """

    def health(self) -> Health:
        """Return what waits, what went wrong, and what cannot be used now."""

    def give_up(self) -> None:
        """Stop waiting for a database that may never answer, in every thread: the server has to end."""

    def close(self) -> None:
        """Project and checkpoint what is left, and close."""
