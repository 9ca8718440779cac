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

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sentinel.core.batch import Batch, Committed, Label, Note, Sighting
from sentinel.core.candidates import Candidates
from sentinel.core.decision import Decision, Delta
from sentinel.core.event import Event
from sentinel.core.explore import (
    Activity,
    By,
    Funnel,
    FunnelWanted,
    Names,
    Retention,
    RetentionWanted,
    Series,
    SeriesWanted,
    Sums,
    Top,
    TopWanted,
    UserSeen,
    UsersWanted,
)
from sentinel.core.record import (
    Account,
    Acted,
    Allowance,
    App,
    AuditEntry,
    Backed,
    Deletion,
    Delivery,
    Draft,
    Filter,
    Health,
    KeptDecision,
    KeptEvent,
    KeptFinding,
    KeptLabel,
    Key,
    KeyScope,
    Lease,
    Page,
    Person,
    PlaybookVersion,
    Property,
    SavedSearch,
    Session,
    Snapshot,
    Status,
)


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


class Decisions(Protocol):
    """The decision list of each app and its revisions."""

    def revision(self, app: str) -> int:
        """Return the revision of the list; from memory."""

    def delta(self, app: str, since: int, now: int) -> Delta:
        """Return what changed since a revision; everything in force, with `reset`, where that is not known.

        A decision on a person comes once for each linked key, the further ones under ids of their own.
        """

    def get(self, app: str, id: str) -> KeptDecision | None:
        """Return one decision with what became of it."""

    def list(
        self, app: str, *, now: int | None = None, kind: str | None = None, scope: str | None = None,
        value: str | None = None, playbook: str | None = None, finding: str | None = None,
        users: Collection[str] | None = None, limit: int = 50, cursor: str | None = None,
    ) -> Page[KeptDecision]:  # fmt: skip
        """Return decisions, newest first; with `now` only those in force then.

        With `users` those on any of these user keys, alone or with an address or a device.
        """

    def kinds(self, app: str, scopes: Collection[str], values: Collection[str], now: int) -> dict[str, str]:
        """Return how those of these users, addresses or networks are met that a decision in force is on: the strictest.

        A person's decision is on each of their keys.
        """

    def tally(self, app: str, since: int, until: int) -> dict[str, int]:
        """Return how many decisions of each kind were made in a period, each once for all of a person's keys."""

    def standing(self, app: str, now: int) -> dict[str, int]:
        """Return how many decisions of each kind are in force, each once for all of a person's keys."""

    def add(self, app: str, decision: Decision, by: str, now: int) -> int:
        """Add a decision by hand and return the revision."""

    def lift(self, app: str, id: str, by: str, why: str, now: int) -> int | None:
        """End a decision by hand, for good: its finding never decides again. Return the revision, None if unknown."""

    def expire(self, now: int, keep: int) -> int:
        """Drop the rows of decisions over for `keep` microseconds; return how many. Older revisions get a reset."""


class Findings(Protocol):
    """Findings and what people made of them."""

    def get(self, app: str, id: str) -> KeptFinding | None:
        """Return one finding."""

    def list(
        self, app: str, *, playbook: str | None = None, status: Status | None = None, user: str | None = None,
        ip: str | None = None, since: int | None = None, limit: int = 50, cursor: str | None = None,
    ) -> Page[KeptFinding]:  # fmt: skip
        """Return findings by their anchor's time, newest first."""

    def tally(self, app: str, since: int, until: int) -> dict[str, int]:
        """Return how many findings of each playbook are anchored in a period."""

    def mark(
        self, app: str, id: str, status: Status, by: str, now: int, note: str | None = None, lift: bool = False
    ) -> int | None:
        """Set a finding's status and note; with `lift` end its decisions too. Return the revision, None if unknown."""

    def since(self, app: str, since: int) -> Iterator[KeptFinding]:
        """Give the findings anchored since a time, oldest first: what rebuilding windows begins with."""

    def expire(self, before: int) -> int:
        """Drop findings whose last event lies before a time and that no kept decision rests on; return how many."""

    def acted(self, app: str, since: int) -> Iterator[Acted]:
        """Give each action that was carried out since a time, oldest first: what ladders and guards begin with."""


class People(Protocol):
    """Who is who: links between user keys."""

    def get(self, app: str, key: str) -> Person | None:
        """Return the person a key belongs to."""

    def keys(self, app: str, key: str) -> tuple[str, ...]:
        """Return every key linked with this one, the person's first; the key alone where nothing is known."""

    def cut(self, app: str, key: str, by: str, now: int) -> int | None:
        """Part a linked key from its person for good; return the revision, None if it is not linked.

        Raises SentinelError for the person's own key.
        """


class Labels(Protocol):
    """Names put on users and addresses."""

    def of(self, app: str, kind: str, target: str, now: int) -> tuple[str, ...]:
        """Return the labels in force, by name; from memory."""

    def any(self, app: str) -> bool:
        """Say whether any label may be on; from memory."""

    def put(self, app: str, label: Label, by: str, now: int) -> None:
        """Put a label on by hand."""

    def take(self, app: str, kind: str, target: str, name: str, by: str, now: int) -> bool:
        """Take a label off by hand; say whether it was there."""

    def expire(self, now: int) -> int:
        """Drop the labels that are over; return how many."""

    def list(
        self, app: str, *, now: int | None = None, kind: str | None = None, target: str | None = None,
        name: str | None = None, limit: int = 50, cursor: str | None = None,
    ) -> Page[KeptLabel]:  # fmt: skip
        """Return labels, those put on last first; with `now` only those in force then."""


class Allow(Protocol):
    """Whom nobody acts on."""

    def list(self, app: str, now: int | None = None) -> list[Allowance]:
        """Return the allowances, oldest first; with `now` only those in force then."""

    def add(self, app: str, allowance: Allowance, by: str, now: int) -> None:
        """Add one, or replace the one of the same id."""

    def remove(self, app: str, id: str, by: str, why: str, now: int) -> bool:
        """Remove one; say whether it was there."""


class Access(Protocol):
    """Apps, their keys, and the one-time link of the first administrator. Only hashes of secrets are kept."""

    def apps(self) -> list[App]:
        """Return every app, by id."""

    def app(self, id: str) -> App | None:
        """Return one app."""

    def put_app(self, app: App, by: str, now: int) -> None:
        """Add an app, or change the one of that id."""

    def begin(self, app: App, purpose: str, until: int, by: str, now: int) -> tuple[str, str] | None:
        """Add an app with a key for its SDK and a one-time link, and return both secrets; None where the app is there.

        All of it or nothing: of servers that begin at once, one does.
        """

    def make_key(
        self, app: str, scope: KeyScope, by: str, now: int, *, name: str = "", protocol: str | None = None,
        settings: Mapping[str, Any] | None = None, secret: str | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """Make a key and return it with its secret, which nothing can show again; `secret` sets it."""

    def key(self, secret: str) -> Key | None:
        """Return the unrevoked key of a secret; from memory after the first time."""

    def keys(self, app: str) -> list[Key]:
        """Return the keys of an app, revoked ones too, oldest first."""

    def revoke(self, app: str, id: str, by: str, now: int) -> bool:
        """Revoke a key; say whether it was in use."""

    def make_link(self, purpose: str, until: int, now: int) -> str:
        """Return the secret of a new one-time link."""

    def use_link(self, purpose: str, secret: str, now: int) -> bool:
        """Use a one-time link up; say whether it was good."""


class Accounts(Protocol):
    """Who may sign in to the console, and who has. Only hashes of passwords and tokens are kept."""

    def list(self) -> list[Account]:
        """Return every account, by name."""

    def get(self, id: str) -> Account | None:
        """Return one account."""

    def named(self, name: str) -> tuple[Account, str | None] | None:
        """Return the account of a name with the hash of its password, None where no password was chosen."""

    def put(self, account: Account, by: str, now: int) -> None:
        """Add an account, or change the name, role and apps of the one of that id.

        Raises SentinelError for a name in use, and where nobody would be left to administer the server.
        """

    def set_password(self, id: str, hash: str, by: str, now: int) -> bool:
        """Set a password, end every session of the account, void its links; say whether there is such an account."""

    def rehash(self, id: str, old: str, new: str) -> None:
        """Put another hash of the same password in the place of the old one."""

    def reset(self, id: str, by: str, now: int) -> bool:
        """Take the password away, end every session, void the links; say whether there is such an account."""

    def remove(self, id: str, by: str, now: int) -> bool:
        """Remove an account with its sessions and links; say whether there was one.

        Raises SentinelError where nobody would be left to administer the server.
        """

    def begin(self, id: str, until: int, now: int) -> str:
        """Begin a session and return its token, which nothing can show again."""

    def session(self, token: str, now: int, idle: int) -> Session | None:
        """Return the session of a token that is not over and was used within `idle` microseconds."""

    def touch(self, token: str, now: int) -> None:
        """Note that a session is in use."""

    def end(self, token: str, by: str, now: int) -> bool:
        """End a session; say whether there was one."""

    def expire(self, now: int, idle: int) -> int:
        """Drop the sessions that are over; return how many."""


class Searches(Protocol):
    """Searches that people keep."""

    def list(self, app: str) -> list[SavedSearch]:
        """Return an app's searches, by name."""

    def get(self, app: str, id: str) -> SavedSearch | None:
        """Return one search."""

    def put(self, app: str, search: SavedSearch, by: str, now: int) -> None:
        """Keep a search, in place of the one of its id."""

    def remove(self, app: str, id: str, by: str, now: int) -> bool:
        """Remove a search; say whether it was there."""


class Drafts(Protocol):
    """What people are writing into files of playbooks; nobody sees another's."""

    def list(self, account: str) -> list[Draft]:
        """Return an account's drafts, the newest first."""

    def get(self, account: str, file: str) -> Draft | None:
        """Return one draft."""

    def put(self, account: str, draft: Draft) -> None:
        """Keep a draft, in place of the one of its file; of too many those changed longest ago go."""

    def remove(self, account: str, file: str) -> bool:
        """Drop a draft; say whether it was there."""


class Deletions(Protocol):
    """Persons who were deleted. What is kept of them is a keyed hash."""

    def of(self, app: str, key: str) -> Deletion | None:
        """Return the deletion that a user key is known by, None if there was none."""

    def concerns(self, app: str, event: Event) -> bool:
        """Say whether an event is of the time before its person was deleted; from memory."""

    def delete(self, app: str, key: str, by: str, why: str, now: int) -> Deletion:
        """Delete the person a key belongs to: their events, links and labels; whatever else told of them keeps a hash.

        Decisions in force keep the name until they end. Raises StoreBusy where it is to be done again.
        """

    def sweep(self, now: int) -> int:
        """Take the names out of decisions that are over by now; return how many."""


class Outbox(Protocol):
    """What is to be delivered after commits."""

    def due(self, now: int, limit: int = 100) -> list[Delivery]:
        """Return what is to be delivered now, longest due first."""

    def done(self, id: int, now: int) -> None:
        """Note a delivery."""

    def failed(self, id: int, error: str, next_at: int | None, now: int) -> None:
        """Note a failed attempt and when to try again; None gives it up as dead."""

    def list(self, app: str, dead: bool | None = None, limit: int = 50, cursor: str | None = None) -> Page[Delivery]:
        """Return deliveries, newest first."""

    def revive(self, app: str, id: int, by: str, now: int) -> bool:
        """Try a dead one again; say whether it was dead."""

    def expire(self, before: int) -> int:
        """Drop what was delivered before a time, or given up and made before it; return how many."""


class Events(Protocol):
    """The stored events. Everything acknowledged before the call is seen, except as `Page.behind` says.

    Raises StoreBusy while events cannot be searched; ingest and decisions go on.
    """

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events by (time, id), newest first.

        A page may be short and yet have a cursor, where a condition had to be looked at event by event.
        """

    def count(self, app: str, filter: Filter) -> int:
        """Return how many there are."""

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id: the newest, or the one of that time."""

    def matching(self, app: str, filter: Filter) -> Iterator[KeptEvent]:
        """Give the events a filter asks for in (time, id) order, oldest first."""

    def candidates(self, app: str, wanted: Candidates, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give at least the events a replay can need, in (time, id) order; stop where `gone` says so."""

    def parquet(self, app: str, filter: Filter, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Give the events a filter asks for as the bytes of a Parquet file, in no order; stop where `gone` says so."""

    def position(self) -> int:
        """Return the journal's position, behind the newest event of any app, 0 without events; from memory."""

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events later than a journal position in their order of arrival, up to what is decided."""

    def decided(self) -> int:
        """Return the last position before which nothing will come in any more, whoever writes; from the store."""

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events before a time, for its retention; return how many."""

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events since a time in (time, id) order; with `names` only those so named."""


class Explorer(Protocol):
    """Sums over the stored events, as of the call but for `behind`. Filters here have a beginning and an end.

    Raises SentinelError for fields that cannot be used so, and where an answer would take too much.
    """

    def series(self, app: str, wanted: SeriesWanted) -> Series:
        """Return a metric over time, beside the period before."""

    def top(self, app: str, wanted: TopWanted) -> Top:
        """Return the values of a field that there is most of, beside the period before."""

    def names(self, app: str, filter: Filter, by: By = "users", limit: int = 50, exact: bool = False) -> Names:
        """Return the event names, each with its users."""

    def sums(self, app: str, filter: Filter, exact: bool = False) -> Sums:
        """Return how many events there are, and of how many users and addresses."""

    def funnel(self, app: str, wanted: FunnelWanted) -> Funnel:
        """Return how many users do one thing after another."""

    def retention(self, app: str, wanted: RetentionWanted) -> Retention:
        """Return how many users come back."""

    def users(self, app: str, wanted: UsersWanted) -> Page[UserSeen]:
        """Return one page of user keys."""

    def user(self, app: str, keys: Sequence[str], filter: Filter) -> Activity:
        """Return what the person of some keys did."""

    def ip(self, app: str, filter: Filter) -> Activity:
        """Return what came from the filter's address or network."""


class Snapshots(Protocol):
    """States of windows, opaque here."""

    def save(self, app: str, states: Sequence[Snapshot]) -> None:
        """Keep these in one transaction, each in place of its watch's last."""

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


class Schema(Protocol):
    """The properties each app sends. Learnt while events are made searchable, never on the way in."""

    def properties(self, app: str) -> list[Property]:
        """Return every known property path, by path."""

    def promote(self, app: str, path: str, pinned: Collection[str] = ()) -> None:
        """Give a property a column for the events to come, if need be that of the one asked for least.

        Those `pinned` keep theirs. Raises SentinelError where it cannot have one.
        """

    def choose(self, app: str, pinned: Collection[str] = ()) -> str | None:
        """Promote the property that is asked for most, if it is worth another's column, and return it."""


class Settings(Protocol):
    """What is set at run time, as JSON values: `app` None for the whole server."""

    def get(self, name: str, app: str | None = None) -> Any:
        """Return a value, None where none is set."""

    def put(self, name: str, value: Any, by: str, now: int, app: str | None = None) -> None:
        """Set a value; None unsets it."""


class Playbooks(Protocol):
    """The texts of playbooks as they changed."""

    def keep(self, app: str, versions: Sequence[PlaybookVersion]) -> list[str]:
        """Keep those whose version is not the last one kept; return the playbooks that changed.

        The empty version says that a playbook was removed.
        """

    def last(self, app: str) -> dict[str, str]:
        """Return the version kept last of each playbook, but of those kept as removed."""

    def history(self, app: str, playbook: str) -> list[PlaybookVersion]:
        """Return the versions of a playbook, newest first."""


class Audit(Protocol):
    """Who did what."""

    def write(self, app: str | None, line: Note, now: int) -> None:
        """Add a line of its own; what the other rooms write is added by them."""

    def expire(self, before: int, now: int) -> int:
        """Drop lines of before a time, and say so in a line; return how many."""

    def list(self, app: str | None, limit: int = 50, cursor: str | None = None) -> Page[AuditEntry]:
        """Return the lines of an app (None: of the whole server), newest first."""


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

    def settle(self) -> None:
        """Return once every transaction that has begun, in whichever process, is over and can be read.

        Raises StoreBusy where that takes too long.
        """

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

    def close(self) -> None:
        """Project and check-point what is left, and close."""
