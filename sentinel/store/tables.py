"""The tables, the same for SQLite and PostgreSQL. Times are microseconds since 1970; how rows are used is not here.

Every change needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Computed,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    case,
    column,
    text,
)
from sqlmodel import Field, SQLModel

from sentinel.core.finding import SEVERITIES

Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only what is called INTEGER


def _big(**options: Any) -> Any:
    return Field(sa_type=BigInteger, **options)


def _json(**options: Any) -> Any:
    return Field(sa_type=JSON, **options)


def _counted() -> Any:
    return Field(default=None, sa_column=Column(Number, primary_key=True, autoincrement=True))


def _where_set(name: str, *columns: str) -> Index:
    """Return an index of the rows whose last column is not NULL: the others cost nothing."""
    return _where(name, f"{columns[-1]} IS NOT NULL", *columns)


def _where(name: str, there: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(there), postgresql_where=text(there))


def _rank() -> Any:
    """Return the column of a severity's place among SEVERITIES, which the database itself reads from the body."""
    severity = column("body", JSON)["severity"].as_string()
    told = case(*((severity == name, rank) for rank, name in enumerate(SEVERITIES)))
    return Field(default=None, sa_column=Column(Integer, Computed(told)))


class AppRow(SQLModel, table=True):
    """An app, the revision of its decision list, and the oldest revision a delta can start from."""

    __tablename__ = "app"
    id: str = Field(primary_key=True)
    name: str
    made: int = _big()
    identifiers: list[str] = _json()
    ipv6: int
    retention: int | None = _big(default=None, nullable=True)
    settings: dict[str, Any] = _json()
    revision: int = _big(default=0)
    floor: int = _big(default=0)


class AccessKeyRow(SQLModel, table=True):
    """An access key, known by the SHA-256 of its secret."""

    __tablename__ = "access_key"
    id: str = Field(primary_key=True)
    app: str = Field(index=True)
    hash: str = Field(unique=True)
    scope: str
    name: str
    made: int = _big()
    by: str | None = None
    revoked: int | None = _big(default=None, nullable=True)
    protocol: str | None = None
    settings: dict[str, Any] = _json()
    used: int | None = _big(default=None, nullable=True)


class LinkRow(SQLModel, table=True):
    """A one-time link, known by the SHA-256 of its secret."""

    __tablename__ = "one_time_link"
    hash: str = Field(primary_key=True)
    purpose: str
    made: int = _big()
    until: int = _big()
    used: int | None = _big(default=None, nullable=True)


class AccountRow(SQLModel, table=True):
    """Somebody who may sign in; `password` is an Argon2 hash, None until one is chosen."""

    __tablename__ = "account"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    role: str
    apps: list[str] = _json()
    made: int = _big()
    by: str | None = None
    seen: int | None = _big(default=None, nullable=True)
    password: str | None = None


class SessionRow(SQLModel, table=True):
    """A sign-in, known by the SHA-256 of its token."""

    __tablename__ = "session"
    hash: str = Field(primary_key=True)
    account: str = Field(index=True)
    made: int = _big()
    seen: int = _big()
    until: int = _big()


class PersonRow(SQLModel, table=True):
    """A person by the key that never changes; `alias_of` names the older one it turned out to be."""

    __tablename__ = "person"
    app: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    made: int = _big()
    alias_of: str | None = None
    __table_args__ = (_where_set("person_alias", "app", "alias_of"),)


class IdentifierRow(SQLModel, table=True):
    """A user key and the person it belongs to."""

    __tablename__ = "identifier"
    app: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    person: str
    made: int = _big()
    __table_args__ = (Index("identifier_person", "app", "person"),)


class CutRow(SQLModel, table=True):
    """A user key that was parted from a person by hand and never joins it again."""

    __tablename__ = "link_cut"
    app: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    at: int = _big()
    by: str


class LabelRow(SQLModel, table=True):
    """A label on a user key or an address."""

    __tablename__ = "label"
    app: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    made: int = _big()
    until: int | None = _big(default=None, nullable=True)
    finding: str | None = None
    by: str | None = None


class FindingRow(SQLModel, table=True):
    """A finding with what became of it; `body` is everything without a column of its own, and the severity.

    Its `rank` is at the end of the indexes that lists are read by: few of a rare severity are found there.
    """

    __tablename__ = "finding"
    app: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    playbook: str
    key: str
    at: int = _big()
    event_id: str
    user: str | None = None
    ip: str | None = None
    acted: bool = False
    body: dict[str, Any] = _json()
    opened: int = _big()
    status: str = "new"
    note: str = ""
    evidence: int = 1
    last: int = _big()
    closed: int | None = _big(default=None, nullable=True)
    undone: bool = False
    by: str | None = None
    rank: int | None = _rank()
    __table_args__ = (
        UniqueConstraint("app", "playbook", "key", "at", "event_id", name="finding_anchor"),
        Index("finding_time", "app", "at", "id", "rank"),
        Index("finding_opened", "app", "opened", "id"),
        Index("finding_user", "app", "user", "at", "id"),
        Index("finding_ip", "app", "ip", "at", "id"),
        Index("finding_status", "app", "status", "at", "id", "rank"),
    )


class DecisionRow(SQLModel, table=True):
    """A decision; `added` and `removed` are revisions, `subject` the user key of whoever it is about.

    One with a `parent` repeats that one for a linked key.
    """

    __tablename__ = "decision"
    app: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    kind: str
    scope: str
    value: str
    to: str | None = None
    made: int = _big()
    until: int | None = _big(default=None, nullable=True)
    reason: str = ""
    playbook: str | None = None
    version: str | None = None
    finding: str | None = None
    by: str | None = None
    logins_only: bool = False
    subject: str | None = None
    parent: str | None = None
    added: int = _big()
    removed: int | None = _big(default=None, nullable=True)
    lifted: int | None = _big(default=None, nullable=True)
    lifted_by: str | None = None
    lifted_why: str = ""
    __table_args__ = (
        Index("decision_added", "app", "added"),
        Index("decision_made", "app", "made", "id"),
        Index("decision_value", "app", "value", "made", "id"),
        _where("decision_by", '"by" IS NOT NULL', "app", "made", "id"),
        _where("decision_playbook", "playbook IS NOT NULL", "app", "playbook", "made", "id"),
        _where_set("decision_removed", "app", "removed"),
        _where_set("decision_subject", "app", "subject"),
        _where_set("decision_parent", "app", "parent"),
        _where_set("decision_finding", "app", "finding"),
        _where_set("decision_until", "until"),
        _where_set("decision_lifted", "lifted"),
    )


class AllowanceRow(SQLModel, table=True):
    """Somebody nobody acts on."""

    __tablename__ = "allowance"
    app: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    scope: str
    value: str
    reason: str
    made: int = _big()
    until: int | None = _big(default=None, nullable=True)
    by: str | None = None


class OutboxRow(SQLModel, table=True):
    """Something to deliver; `done` is when it was, `dead` that it was given up.

    With a `lane` it is not decided yet whether it is told by itself; `bundle` is the id of the row that tells it.
    """

    __tablename__ = "outbox"
    id: int | None = _counted()
    app: str
    key: str
    kind: str
    channel: str | None = None
    body: dict[str, Any] = _json()
    finding: str | None = None
    made: int = _big()
    attempts: int = 0
    next_at: int = _big()
    error: str = ""
    dead: bool = False
    done: int | None = _big(default=None, nullable=True)
    lane: str | None = None
    bundle: int | None = _big(default=None, nullable=True)
    __table_args__ = (
        UniqueConstraint("app", "key", name="outbox_key"),
        Index("outbox_due", "done", "dead", "lane", "next_at"),
        Index("outbox_dead", "app", "dead", "id"),
        _where_set("outbox_lane", "app", "channel", "lane"),
        _where_set("outbox_bundle", "app", "bundle"),
        {"sqlite_autoincrement": True},
    )


class PeriodRow(SQLModel, table=True):
    """What a channel was told of one lane since its period began: how many one by one, and the bundle of the rest."""

    __tablename__ = "outbox_period"
    app: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    lane: str = Field(primary_key=True)
    since: int = _big()
    told: int = 0
    bundle: int | None = _big(default=None, nullable=True)


class AuditRow(SQLModel, table=True):
    """Who did what."""

    __tablename__ = "audit"
    id: int | None = _counted()
    at: int = _big()
    app: str | None = None
    actor: str
    action: str
    target: str
    reason: str = ""
    detail: dict[str, Any] = _json()
    __table_args__ = (Index("audit_app", "app", "id"), {"sqlite_autoincrement": True})


class SettingRow(SQLModel, table=True):
    """A value set at run time; `app` is empty for the whole server."""

    __tablename__ = "setting"
    app: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: Any = Field(default=None, sa_type=JSON)


class RoomVersionRow(SQLModel, table=True):
    """How often a room of an app changed, where several processes remember what is in it."""

    __tablename__ = "room_version"
    app: str = Field(primary_key=True)
    room: str = Field(primary_key=True)
    version: int = _big()


class LeaseRow(SQLModel, table=True):
    """Who may run the jobs; `fence` grows with every change of hands."""

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    holder: str
    fence: int = _big()
    until: int = _big()


class PlaybookRow(SQLModel, table=True):
    """The text of a playbook from a time on."""

    __tablename__ = "playbook_version"
    id: int | None = _counted()
    app: str
    playbook: str
    version: str
    source: str
    made: int = _big()
    by: str | None = None
    __table_args__ = (Index("playbook_history", "app", "playbook", "id"), {"sqlite_autoincrement": True})


class PropertyRow(SQLModel, table=True):
    """A property path with the JSON type first seen; `slot` is its column among the events, filled from `slot_from`."""

    __tablename__ = "property"
    app: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    type: str
    first: int = _big()
    last: int = _big()
    conflicts: int = _big(default=0)
    slot: str | None = None
    slot_from: int = _big(default=0)


class SearchRow(SQLModel, table=True):
    """A search kept under a name."""

    __tablename__ = "search"
    app: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str
    q: str = ""
    filters: dict[str, Any] = _json()
    owner: str = ""
    made: int = _big()
    changed: int = _big()


class DraftRow(SQLModel, table=True):
    """What somebody was writing into a file of playbooks, `mark` being of the file's text at the time."""

    __tablename__ = "draft"
    account: str = Field(primary_key=True)
    file: str = Field(primary_key=True)
    text: str
    mark: str = ""
    changed: int = _big()


class TombstoneRow(SQLModel, table=True):
    """A deleted person's key, as a keyed hash only.

    `open` while a decision in force still names the person, `erased` when no stored event does any more.
    """

    __tablename__ = "tombstone"
    app: str = Field(primary_key=True)
    hash: str = Field(primary_key=True)
    pseudonym: str
    at: int = _big()
    open: bool = False
    erased: bool = False


class JournalRow(SQLModel, table=True):
    """The events of one commit and one app, packed. `unchecked`: some may be repeats, see `projector`."""

    __tablename__ = "journal"
    id: int | None = _counted()
    app: str
    events: int
    unchecked: bool = False
    body: bytes = Field(sa_type=LargeBinary)
    __table_args__ = ({"sqlite_autoincrement": True},)


class SnapshotRow(SQLModel, table=True):
    """The last state of one watch's windows."""

    __tablename__ = "snapshot"
    app: str = Field(primary_key=True)
    watch: str = Field(primary_key=True)
    position: int = _big()
    shape: str
    made: int = _big()
    state: bytes = Field(sa_type=LargeBinary)


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


apps = _table("app")
access_keys = _table("access_key")
one_time_links = _table("one_time_link")
accounts = _table("account")
sessions = _table("session")
people = _table("person")
identifiers = _table("identifier")
cuts = _table("link_cut")
labels = _table("label")
findings = _table("finding")
decisions = _table("decision")
allowances = _table("allowance")
outbox = _table("outbox")
periods = _table("outbox_period")
audit = _table("audit")
settings = _table("setting")
room_versions = _table("room_version")
leases = _table("lease")
playbook_versions = _table("playbook_version")
properties = _table("property")
journal = _table("journal")
searches = _table("search")
drafts = _table("draft")
tombstones = _table("tombstone")
snapshots = _table("snapshot")

METADATA = SQLModel.metadata
