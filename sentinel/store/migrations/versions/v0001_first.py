"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    for make in (
        _app,
        _access_key,
        _one_time_link,
        _account,
        _session,
        _person,
        _identifier,
        _link_cut,
        _label,
        _finding,
        _decision,
        _allowance,
        _outbox,
        _audit,
        _setting,
        _room_version,
        _lease,
        _playbook_version,
        _property,
        _search,
        _draft,
        _tombstone,
        _journal,
        _snapshot,
    ):
        make()
    if op.get_bind().dialect.name == "postgresql":
        _events()


def _where_set(name: str, table: str, *columns: str) -> None:
    """Make an index of the rows whose last column is not NULL."""
    there = sa.text(f"{columns[-1]} IS NOT NULL")
    op.create_index(name, table, list(columns), sqlite_where=there, postgresql_where=there)


def _app() -> None:
    op.create_table(
        "app",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("identifiers", sa.JSON(), nullable=False),
        sa.Column("ipv6", sa.Integer(), nullable=False),
        sa.Column("retention", sa.BigInteger(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _access_key() -> None:
    op.create_table(
        "access_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.Column("protocol", sa.String(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("ix_access_key_app", "access_key", ["app"])


def _one_time_link() -> None:
    op.create_table(
        "one_time_link",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash"),
    )


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("apps", sa.JSON(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.Column("password", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_session_account", "session", ["account"])


def _person() -> None:
    op.create_table(
        "person",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("alias_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("app", "key"),
    )
    op.create_index(
        "person_alias",
        "person",
        ["app", "alias_of"],
        sqlite_where=sa.text("alias_of IS NOT NULL"),
        postgresql_where=sa.text("alias_of IS NOT NULL"),
    )


def _identifier() -> None:
    op.create_table(
        "identifier",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "key"),
    )
    op.create_index("identifier_person", "identifier", ["app", "person"])


def _link_cut() -> None:
    op.create_table(
        "link_cut",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("app", "key", "person"),
    )


def _label() -> None:
    op.create_table(
        "label",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("app", "kind", "target", "name"),
    )


def _finding() -> None:
    op.create_table(
        "finding",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("playbook", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("acted", sa.Boolean(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("evidence", sa.Integer(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("app", "id"),
        sa.UniqueConstraint("app", "playbook", "key", "at", "event_id", name="finding_anchor"),
    )
    op.create_index("finding_ip", "finding", ["app", "ip", "at", "id"])
    op.create_index("finding_opened", "finding", ["app", "opened", "id"])
    op.create_index("finding_status", "finding", ["app", "status", "at", "id"])
    op.create_index("finding_time", "finding", ["app", "at", "id"])
    op.create_index("finding_user", "finding", ["app", "user", "at", "id"])


def _decision() -> None:
    op.create_table(
        "decision",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=True),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("playbook", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("logins_only", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=True),
        sa.Column("lifted", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("app", "id"),
    )
    op.create_index("decision_added", "decision", ["app", "added"])
    _where_set("decision_finding", "decision", "app", "finding")
    _where_set("decision_lifted", "decision", "lifted")
    op.create_index("decision_made", "decision", ["app", "made", "id"])
    _where_set("decision_parent", "decision", "app", "parent")
    _where_set("decision_removed", "decision", "app", "removed")
    _where_set("decision_subject", "decision", "app", "subject")
    _where_set("decision_until", "decision", "until")
    op.create_index("decision_value", "decision", ["app", "value", "made", "id"])


def _allowance() -> None:
    op.create_table(
        "allowance",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("app", "id"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("app", "key", name="outbox_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_due", "outbox", ["done", "dead", "next_at"])
    op.create_index("outbox_dead", "outbox", ["app", "dead", "id"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("app", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_app", "audit", ["app", "id"])


def _setting() -> None:
    op.create_table(
        "setting",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("app", "name"),
    )


def _room_version() -> None:
    op.create_table(
        "room_version",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "room"),
    )


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _playbook_version() -> None:
    op.create_table(
        "playbook_version",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("playbook", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("playbook_history", "playbook_version", ["app", "playbook", "id"])


def _property() -> None:
    op.create_table(
        "property",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("conflicts", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.String(), nullable=True),
        sa.Column("slot_from", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "path"),
    )


def _search() -> None:
    op.create_table(
        "search",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("q", sa.String(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "id"),
    )


def _draft() -> None:
    op.create_table(
        "draft",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "file"),
    )


def _tombstone() -> None:
    op.create_table(
        "tombstone",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("pseudonym", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("app", "hash"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("unchecked", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _snapshot() -> None:
    op.create_table(
        "snapshot",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("watch", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("shape", sa.String(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("app", "watch"),
    )


def _events() -> None:
    """Make what SQLite has no need of: there events lie in a file of their own, and one process remembers ids."""
    for statement in EVENTS:
        op.execute(statement)


# Text is ordered by its bytes. An index takes no more than 2,704 bytes: what senders make up can be longer than that.
EVENTS = (
    "ALTER TABLE finding DROP CONSTRAINT finding_anchor",
    "CREATE SEQUENCE event_position",
    """
    CREATE TABLE events (
        seq bigint NOT NULL, app text COLLATE "C" NOT NULL, ts bigint NOT NULL, ahead bigint, received bigint,
        name text COLLATE "C", id text COLLATE "C" NOT NULL, success boolean, user_key text COLLATE "C",
        user_h bigint, identifiers text, ip text COLLATE "C", ip_h bigint, ipv6 smallint, device text COLLATE "C",
        trust text COLLATE "C", clamped boolean, historical boolean, user_labels text, ip_labels text,
        method text COLLATE "C", path text COLLATE "C", route text COLLATE "C", host text COLLATE "C", status bigint,
        user_agent text COLLATE "C", referer text COLLATE "C", params text,
        country text COLLATE "C", city text COLLATE "C", lat double precision, lon double precision, asn bigint,
        org text COLLATE "C", private boolean, network text COLLATE "C", hosting boolean, anonymous boolean,
        browser text COLLATE "C", os text COLLATE "C", agent_device text COLLATE "C", bot boolean,
        more text, props jsonb
    ) PARTITION BY RANGE (ts)
    """,
    "CREATE TABLE events_rest PARTITION OF events DEFAULT",
    "CREATE INDEX events_time ON events (app, ts)",
    "CREATE INDEX events_name ON events (app, name, ts)",
    "CREATE INDEX events_user ON events (app, user_key, ts)",
    "CREATE INDEX events_ip ON events (app, (ip::inet), ts)",
    "CREATE INDEX events_seq ON events (seq)",
    """
    CREATE TABLE event_id (
        app text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, day integer NOT NULL, at bigint NOT NULL,
        PRIMARY KEY (app, id, day)
    ) PARTITION BY RANGE (day)
    """,
    "CREATE TABLE event_id_rest PARTITION OF event_id DEFAULT",
)
