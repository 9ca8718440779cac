"""What the store keeps and returns: apps, keys, people, findings and decisions with what became of them.

Values only; times are microseconds since 1970. What a commit takes in is in `batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, get_args

from sentinel.core import identity
from sentinel.core.batch import Label
from sentinel.core.decision import Decision, Single
from sentinel.core.event import Event
from sentinel.core.finding import Finding

KeyScope = Literal["sdk", "ingest", "browser", "read", "admin"]
Role = Literal["viewer", "analyst", "admin"]
Judged = Literal["new", "confirmed", "false-positive", "closed"]
Status = Literal[Judged, "retracted"]  # a late event may take a finding back, nobody else
EventFormat = Literal["ndjson", "csv", "parquet"]
FindingFormat = Literal["ocsf", "ecs"]

KEY_SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)
ROLES: tuple[Role, ...] = get_args(Role)  # each may what those before it may
EVERY_APP = "*"
BY_HAND = "hand"  # in place of who made a decision: whoever did by hand
MOST_COUNTED = 1000  # of a list: what lies beyond is not counted
STATUSES: tuple[Status, ...] = get_args(Status)

T_co = TypeVar("T_co", covariant=True)


class Page(NamedTuple, Generic[T_co]):
    """One page of a list. `cursor` asks for the next page, None on the last one.

    `behind` counts acknowledged events that the answer does not reflect yet: 0 unless a large import is running.
    `total` is the number on all pages, None where it was not counted or is over MOST_COUNTED.
    """

    items: tuple[T_co, ...]
    cursor: str | None = None
    behind: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class App:
    """One app whose events are kept apart from all others'.

    `identifiers` is the order in which the user key is chosen, `ipv6` the prefix addresses are grouped by,
    `retention` in microseconds, None for ever. `settings` holds what others keep for the app.
    """

    id: str
    name: str = ""
    made: int = 0
    identifiers: tuple[str, ...] = identity.DEFAULT_ORDER
    ipv6: int = 64
    retention: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """An access key; its secret is kept only as a hash. `protocol` is set on keys for foreign clients.

    `used` is when it was last used, or up to a minute earlier; None where no use is known.
    """

    id: str
    app: str
    scope: KeyScope
    name: str = ""
    made: int = 0
    by: str | None = None
    revoked: int | None = None
    protocol: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    used: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in to the console. `apps` holds EVERY_APP, or the ids of the apps it may reach.

    `ready` says that a password was chosen.
    """

    id: str
    name: str
    role: Role
    apps: tuple[str, ...] = (EVERY_APP,)
    made: int = 0
    by: str | None = None
    seen: int | None = None
    ready: bool = False

    @property
    def everywhere(self) -> bool:
        """Whether it reaches every app, also apps added later."""
        return EVERY_APP in self.apps

    @property
    def server(self) -> bool:
        """Whether it administers the whole server."""
        return self.everywhere and self.role == "admin"

    @property
    def actor(self) -> str:
        """How the audit calls it."""
        return f"account:{self.name}"

    def reaches(self, app: str) -> bool:
        """Say whether it may see an app."""
        return self.everywhere or app in self.apps

    def may(self, role: Role) -> bool:
        """Say whether it may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


def account_link(id: str) -> str:
    """Return the `purpose` of the one-time links of an account."""
    return f"account:{id}"


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in: whose, from when, when last used, and when it ends at the latest."""

    account: Account
    made: int
    seen: int
    until: int


@dataclass(frozen=True, slots=True)
class Person:
    """One person: the key that never changes, all keys linked to it, and the keys of persons merged into this one."""

    key: str
    identifiers: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    made: int = 0


@dataclass(frozen=True, slots=True)
class KeptFinding:
    """A finding with what became of it. `evidence` counts its events so far, `last` is the newest one's time.

    With `undone` a decision of it was lifted by hand: it decides nothing any more.
    """

    finding: Finding
    opened: int
    status: Status = "new"
    note: str = ""
    evidence: int = 1
    last: int = 0
    closed: int | None = None
    undone: bool = False
    by: str | None = None


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """A decision with what became of it: the revision that added it, and the lifting of it, if it was."""

    decision: Decision
    added: int
    removed: int | None = None
    lifted: int | None = None
    lifted_by: str | None = None
    lifted_why: str = ""

    def in_force(self, now: int) -> bool:
        """Say whether it holds at `now`: neither lifted, nor taken back, nor over."""
        return self.removed is None and self.lifted is None and self.decision.in_force(now)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Somebody nobody acts on: a user key, an address or a network, why, and until when (None for ever)."""

    id: str
    scope: Single
    value: str
    reason: str
    made: int
    until: int | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class KeptLabel:
    """A label and when it was put on last."""

    label: Label
    made: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox: what to deliver, how often it was tried, when next, and whether it was given up (`dead`).

    A row with a `lane` waits to be sent alone or folded into a bundle, or is a bundle that still grows. A folded row
    has the id of its bundle in `bundle`, and in `done` the time at which it was folded.
    """

    id: int
    app: str
    key: str
    kind: str
    channel: str | None
    body: Mapping[str, Any]
    finding: str | None
    made: int
    attempts: int = 0
    next_at: int = 0
    error: str = ""
    dead: bool = False
    done: int | None = None
    lane: str | None = None
    bundle: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit as kept. `app` is None for what concerns the whole server."""

    id: int
    at: int
    app: str | None
    actor: str
    action: str
    target: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlaybookVersion:
    """The text of a playbook as it was from a time on; `version` is its content's hash."""

    playbook: str
    version: str
    source: str
    made: int
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Acted:
    """That a playbook acted on a target at a time, because of a finding: what ladders and guards count."""

    playbook: str
    kind: str
    target: str
    at: int
    finding: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one watch's windows after the events up to a journal position; `shape` names its format."""

    watch: str
    position: int
    shape: str
    state: bytes
    made: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run the jobs until a time. Each holder has a larger `fence` than the one before."""

    name: str
    holder: str
    fence: int
    until: int


@dataclass(frozen=True, slots=True)
class Property:
    """One property path of an app: the JSON type first seen, how many values were of another, when last seen."""

    path: str
    type: str
    first: int
    last: int
    conflicts: int = 0
    slot: str | None = None


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search kept under a name: a condition as it is written, and fields by the name of their parameter."""

    id: str
    name: str
    q: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    made: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """What an account was writing into a file; `mark` identifies the file's text when that began."""

    file: str
    text: str
    mark: str = ""
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deleted person: the pseudonym that stands for them in what is kept, the time, how many events went."""

    pseudonym: str
    at: int
    events: int = 0


class Query(Protocol):
    """A compiled condition, such as an Expression of `engine`. What its tree is made of is not known here."""

    @property
    def tree(self) -> Any: ...
    @property
    def matches(self) -> Callable[[Event], bool]: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are asked for: those that meet every part that is not None.

    `since` is inclusive, `until` exclusive. `user` is a user key, `ip` an address or a network (of IPv6 /64 or wider),
    `q` a compiled condition, which must be true of the event.
    """

    name: str | None = None
    user: str | None = None
    ip: str | None = None
    since: int | None = None
    until: int | None = None
    q: Query | None = None


class KeptEvent(NamedTuple):
    """A stored event and its place in the journal, which orders events by arrival."""

    event: Event
    position: int


@dataclass(frozen=True, slots=True)
class Backed:
    """A backup as made: when, how many events are in it, of each file its size and SHA-256, its form."""

    at: int
    events: int
    files: Mapping[str, tuple[int, str]]
    form: int = 1

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(size for size, _ in self.files.values())


@dataclass(frozen=True, slots=True)
class Health:
    """How the store is: `pending` counts events not searchable yet, `warnings` say what went wrong since the start.

    `explorer` says why events cannot be searched, `down` why nothing can be read or written; None where it can.
    """

    pending: int
    explorer: str | None = None
    warnings: tuple[str, ...] = ()
    down: str | None = None
