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
        """Say of each event whether it is fresh; it counts as known from here on, within this unit too.

        An event is known by app, the UTC day of `sent`, and id.
        """

    def resolve(self, app: str, sightings: Sequence[Sighting]) -> list[str | None]:
        """Return whose each sighting is: the person's key, else the first of its keys, None without keys.

        Proven sightings link their keys, in order, each seeing the links of those before it.
        """

    def commit(self, batches: Sequence[Batch]) -> list[Committed]:
        """Write all batches and the links made, and return what came of each; at most once a unit.

        Findings are upserted by id, and what is known of one stays. A decision whose id is known, or whose
        finding was undone, is passed over. Outgoing rows are inserted once for each key.
        """


class Snapshots(Protocol):
    """States of windows, opaque here."""

    def save(self, app: str, state: Snapshot) -> None:
        """Keep a state in place of its watch's last."""

    def load(self, app: str) -> dict[str, Snapshot]:
        """Return the last snapshot of each watch."""

    def forget(self, app: str, watch: str) -> None:
        """Drop a watch's."""


class Leases(Protocol):
    """Who runs the jobs."""

    def take(self, name: str, holder: str, until: int, now: int) -> Lease | None:
        """Take or extend a lease; None while another holds it."""

    def holds(self, lease: Lease, now: int) -> bool:
        """Say whether a lease is still the newest and not over."""

    def release(self, lease: Lease) -> None:
        """Give a lease back early."""


class Settings(Protocol):
    """What is set at run time, as JSON values: `app` None for the whole server."""

    def get(self, name: str, app: str | None = None) -> Any:
        """Return a value, None where none is set."""

    def put(
        self, name: str, value: Any, by: str, now: int, app: str | None = None, line: Note | None = None
    ) -> None:  # fmt: skip
        """Set a value; None unsets it. `line` is what the audit says of it, where that is more than that it was set."""

    def change(self, name: str, how: Callable[[Any], Any], by: str, now: int, app: str | None = None) -> Any:
        """Set a value to what `how` makes of the one there is, None where none is; return it.

        Nobody else sets it meanwhile, another process neither. Where `how` raises, nothing was set.
        """


class Playbooks(Protocol):
    """The texts of playbooks as they changed."""

    def keep(self, app: str, versions: Sequence[PlaybookVersion], lines: Mapping[str, Note] | None = None) -> None:
        """Keep those whose version is not the last one kept.

        Of these the audit gets the `lines`, by playbook. The empty version says that a playbook was removed.
        """

    def last(self, app: str) -> dict[str, str]:
        """Return the version kept last of each playbook, but of those kept as removed."""

    def history(
        self, app: str, playbook: str, limit: int = 50, cursor: str | None = None, *, version: str | None = None
    ) -> Page[PlaybookVersion]:
        """Return the versions of a playbook, newest first; with `version`, each time that it was that one."""


class Audit(Protocol):
    """Who did what."""

    def write(self, app: str | None, line: Note, now: int) -> None:
        """Add a line of its own; what the other rooms write is added by them."""

    def expire(self, before: int, now: int) -> int:
        """Drop lines of before a time, and say so in a line; return how many."""

    def list(
        self, app: str | None, limit: int = 50, cursor: str | None = None, counted: bool = False, *,
        by: str | None = None, action: str | None = None, target: str | None = None, since: int | None = None,
        until: int | None = None,
    ) -> Page[AuditEntry]:  # fmt: skip
        """Return the lines of an app (None: of the whole server), newest first.

        `by` is who did it, BY_HAND everybody but playbooks. `action` is one, such as `decision.lift`, or a family of
        them, such as `decision`. `since` is the first moment that is meant, `until` the first that no longer is.
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
        """Begin a transaction; a second one waits until the first is left."""

    def room(self) -> None:
        """Raise StoreBusy where a batch of events could not be written now for want of room, or at all."""

    def settle(self) -> None:
        """Return once every transaction that has begun, in whichever process, is over and can be read.

        Raises StoreBusy where that takes too long.
        """

    def installation(self) -> str:
        """Return what tells this installation from others that share a Redis or Valkey."""

    def skew(self) -> int:
        """Return by how many microseconds the clock that all servers share is ahead of this machine's."""

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call with an app whose decision list another process changed, from a thread of the store's."""

    def project(self) -> int:
        """Make the next lump of events searchable and return how many; to be called about five times a second.

        Never raises: a failure shows in `health`, and what could not be done is done at a later call.
        """

    def checkpoint(self) -> None:
        """Make what was projected durable and let go of the journal before it; once a minute, and at the end."""

    def backup(self, folder: Path, now: int) -> Backed:
        """Copy all that is kept, of one moment, into an empty folder while everything goes on; return what it is.

        Raises StoreError where that cannot be done, and StoreBusy where it can be later; then the folder is empty.
        """

    def health(self) -> Health:
        """Return how the store is."""

    def give_up(self) -> None:
        """Let nobody wait any more for what may never answer: the server has to end."""

    def close(self) -> None:
        """Project and check-point what is left, and close."""
