"""What one transaction does to the decision list of an app: all its changes get one revision.

Functions over a connection. Who opens the transaction, and who may ask, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    bindparam,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from sentinel.core.decision import PAIRS, Decision, pair, unpair
from sentinel.core.errors import SentinelError
from sentinel.store.tables import apps, decisions, findings, identifiers, room_versions

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
TOUCHED = "sentinel.touched"  # where a connection keeps what its transaction touched: versions by app and room
Touched = dict[tuple[str, str], int]
AHEAD = 1_000_000  # revisions: no client has seen one that lies so far on
LOT = 500  # values in one IN list: SQLite takes 32,766
NOBODY = "sentinel"  # who lifts what no person lifted
TAKEN_BACK = "the finding was retracted"
OF: BindParameter[str] = bindparam("of")
SOME: BindParameter[Any] = bindparam("some", expanding=True)

# Made once: to put a statement together takes longer than to run it.
_one, _other = identifiers.alias(), identifiers.alias()
_LINKED = select(_one.c.key, _other.c.key).where(
    _one.c.app == OF, _one.c.key.in_(SOME), _other.c.app == OF, _other.c.person == _one.c.person,
    _other.c.key != _one.c.key,
)  # fmt: skip
_KNOWN = select(decisions.c.id).where(decisions.c.app == OF, decisions.c.id.in_(SOME))
_UNDONE = select(findings.c.id).where(findings.c.app == OF, findings.c.id.in_(SOME), findings.c.undone)
_TAKEN_BACK = select(decisions.c.id).where(
    decisions.c.app == OF, decisions.c.id.in_(SOME), decisions.c.lifted_by == NOBODY,
    decisions.c.lifted_why == TAKEN_BACK,
)  # fmt: skip
_LIFTED = select(decisions.c.finding).where(
    decisions.c.app == OF, decisions.c.finding.in_(SOME), decisions.c.lifted_by.is_not(None),
    decisions.c.lifted_by != NOBODY,
)  # fmt: skip
_TOUCH = (
    postgresql.insert(room_versions)
    .values(version=1)
    .on_conflict_do_update(index_elements=["app", "room"], set_={"version": room_versions.c.version + 1})
    .returning(room_versions.c.version)
)
_TAKE = update(apps).where(apps.c.id == OF).values(revision=apps.c.revision + 1).returning(apps.c.revision)


class Change:
    """What one transaction changes in an app's decision list; it takes a revision once it really changes something."""

    def __init__(self, connection: Connection, app: str, now: int) -> None:
        self.connection = connection
        self.app = app
        self.now = now
        self.revision: int | None = None

    def take(self) -> int:
        """Return the revision of this transaction, which is made at the first call; raises SentinelError for no app."""
        if self.revision is None:
            self.revision = self.connection.execute(_TAKE, {"of": self.app}).scalar_one_or_none()
            if self.revision is None:
                raise SentinelError(f"there is no app `{self.app}`")
            if self.connection.dialect.name == "postgresql":
                self.connection.info.setdefault(TOUCHED, {})[self.app, "decisions"] = self.revision
        return self.revision


def in_force(now: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a decision that is in force at `now`."""
    c = decisions.c
    return c.removed.is_(None), or_(c.until.is_(None), c.until > now)


def lots(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut values into lots that fit into one statement."""
    return (values[start : start + LOT] for start in range(0, len(values), LOT))


def among(change: Change, query: Select[Any], ids: Sequence[str]) -> set[str]:
    """Return what a query of one column finds of these ids; its parameters are `some` (ids) and `of` (the app)."""
    found: set[str] = set()
    for some in lots(ids):
        found.update(change.connection.execute(query, {"of": change.app, "some": some}).scalars())
    return found


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, but those whose key is there already."""
    if rows:
        connection.execute(_inserting(connection.dialect.name, table), list(rows))


@cache
def _inserting(dialect: str, table: Table) -> Executable:
    """Return the statement of `insert_new`; making it takes longer than running it."""
    statement: Executable = _INSERT[dialect](table).on_conflict_do_nothing()
    return statement


def add_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there already; say whether it was inserted."""
    insert = _INSERT[connection.dialect.name]
    query = insert(table).values(**row).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(query).first() is not None


def touch(connection: Connection, app: str, room: str) -> None:
    """Tell other processes, with the commit, that what they remember of a room of an app is out of date.

    Over SQLite there are no others, and nothing is done.
    """
    if connection.dialect.name != "postgresql":
        return
    touched: Touched = connection.info.setdefault(TOUCHED, {})
    if (app, room) not in touched:
        touched[app, room] = connection.execute(_TOUCH, {"app": app, "room": room}).scalar_one()


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the columns it has in the row of the same primary key."""
    insert = _INSERT[connection.dialect.name](table).values(**row)
    keys = [column.name for column in table.primary_key]
    rest = {name: insert.excluded[name] for name in row if name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=rest))


def add(change: Change, wanted: Sequence[Decision]) -> None:
    """Add decisions, and a repeat of each for every linked key of its user.

    Left out are those whose id is known and those whose finding was undone. One that ended because its finding was
    taken back is made again, under another id.
    """
    known = among(change, _KNOWN, [one.id for one in wanted])
    undone = among(change, _UNDONE, list({one.finding for one in wanted if one.finding}))
    standing = {one.id: one for one in wanted if one.finding not in undone}
    fresh = [one for one in standing.values() if one.id not in known]
    fresh += _again(change, (one for one in standing.values() if one.id in known))
    if not fresh:
        return
    revision = change.take()
    rows = [{**_columns(decision), "app": change.app, "parent": None, "added": revision} for decision in fresh]
    insert_new(change.connection, decisions, rows)
    _repeat(change, rows)


def spread(change: Change, keys: Sequence[str]) -> None:
    """Repeat the decisions in force on any of one person's keys for all other keys of that person."""
    c = decisions.c
    query = select(decisions).where(
        c.app == change.app, c.subject.in_(keys), c.parent.is_(None), *in_force(change.now)
    )  # fmt: skip
    rows = [dict(row) for row in change.connection.execute(query).mappings()]
    if rows and len(keys) > 1:
        _repeat(change, rows)


def lift(change: Change, which: Iterable[str], by: str, why: str) -> list[str]:
    """End decisions and their repeats by id, and undo their findings, so that these never decide again.

    Return the ids of those that were in force until now.
    """
    c = decisions.c
    ids = list(which)
    alive = select(c.id, c.finding).where(c.app == change.app, c.id.in_(ids), c.removed.is_(None))
    found = change.connection.execute(alive).all()
    if not found:
        return []
    ended = [row.id for row in found]
    values = {"removed": change.take(), "lifted": change.now, "lifted_by": by, "lifted_why": why}
    for column in (c.id, c.parent):
        mine = (c.app == change.app, c.removed.is_(None), column.in_(ended))
        change.connection.execute(update(decisions).where(*mine).values(**values))
    _undo(change, {row.finding for row in found if row.finding})
    return ended


def of_findings(change: Change, found: Sequence[str]) -> list[str]:
    """Return the ids of the decisions of findings, without those that were removed and without repeats."""
    c = decisions.c
    query = select(c.id).where(
        c.app == change.app, c.finding.in_(found), c.parent.is_(None), c.removed.is_(None)
    )  # fmt: skip
    return list(change.connection.execute(query).scalars())


def part(change: Change, key: str, person_keys: Sequence[str]) -> None:
    """End the repeats that a key got from these other keys of its person, and those that they got from it."""
    c = decisions.c
    roots = select(c.id).where(c.app == change.app, c.parent.is_(None))
    mine = roots.where(c.subject == key)
    theirs = roots.where(c.subject.in_([other for other in person_keys if other != key]))
    wrong = or_(
        c.parent.in_(mine) & (c.subject != key),
        c.parent.in_(theirs) & (c.subject == key),
    )
    dead = select(c.id).where(c.app == change.app, c.removed.is_(None), wrong)
    ids = list(change.connection.execute(dead).scalars())
    if ids:
        values = {"removed": change.take(), "lifted": change.now, "lifted_why": "the key was parted from its person"}
        change.connection.execute(update(decisions).where(c.app == change.app, c.id.in_(ids)).values(**values))


def subject(decision: Decision) -> str | None:
    """Return the user key that a decision is on, None for one on an address or network."""
    if decision.scope == "user":
        return decision.value
    return unpair(decision.value)[0] if decision.scope in PAIRS else None


def _again(change: Change, known: Iterable[Decision]) -> Iterator[Decision]:
    """Give those of these decisions that ended because their finding was taken back, each under another id.

    The old one stays ended, for clients that have not been told so yet.
    """
    asked = {one.id: one for one in known}
    while asked:
        ended, there = among(change, _TAKEN_BACK, list(asked)), among(change, _KNOWN, list(asked))
        yield from (replace(one, id=id) for id, one in asked.items() if id not in there)
        asked = {_id_after(id, "again"): one for id, one in asked.items() if id in ended}


def undone_by_people(change: Change, found: Iterable[str]) -> set[str]:
    """Return those findings of which a decision was lifted by hand."""
    return among(change, _LIFTED, list(found))


def _repeat(change: Change, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert a repeat of each decision for every key linked with its subject, where there is none yet."""
    others = _linked(change, {row["subject"] for row in rows if row["subject"]})
    wanted = [_repeated(row, key) for row in rows for key in others.get(row["subject"] or "", ())]
    known = among(change, _KNOWN, [row["id"] for row in wanted])
    fresh = [row for row in wanted if row["id"] not in known]
    if fresh:
        insert_new(change.connection, decisions, [{**row, "added": change.take()} for row in fresh])


def _repeated(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = key if row["scope"] == "user" else pair(key, unpair(row["value"])[1])
    return {**row, "id": _id_after(row["id"], key), "value": value, "subject": key, "parent": row["id"]}


def _id_after(id: str, of: str) -> str:
    """Return the id of a repeat or a remake of a decision: the same at every call."""
    return blake2b(f"{id}\n{of}".encode(), digest_size=16).hexdigest()


def _linked(change: Change, keys: set[str]) -> dict[str, list[str]]:
    """Return the other keys of each key's person, by key; keys that are linked with none are left out."""
    found: dict[str, list[str]] = {}
    for some in lots(list(keys)):
        for key, linked in change.connection.execute(_LINKED, {"of": change.app, "some": some}):
            found.setdefault(key, []).append(linked)
    return found


def _undo(change: Change, found: set[str]) -> None:
    if found:
        mine = (findings.c.app == change.app, findings.c.id.in_(found))
        change.connection.execute(update(findings).where(*mine).values(undone=True))


def _columns(decision: Decision) -> dict[str, Any]:
    own = {name: getattr(decision, name) for name in Decision.__dataclass_fields__}
    return {**own, "subject": subject(decision)}
