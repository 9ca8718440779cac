"""Deleted persons: of their keys only keyed hashes are kept, by which events of theirs that come again are refused.

Blocks in force keep the name by which they are enforced until they end. How stored events are erased is up to `events`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, String, cast, delete, or_, select, update

from sentinel.core.decision import FOREVER
from sentinel.core.event import Event
from sentinel.core.identity import key_type
from sentinel.core.record import Deletion
from sentinel.store.audit import note
from sentinel.store.buried import Buried
from sentinel.store.changes import put, touch
from sentinel.store.database import Database
from sentinel.store.keeping import put_setting, set_once, setting
from sentinel.store.linking import Known
from sentinel.store.people import People
from sentinel.store.pseudonyms import Pseudonyms
from sentinel.store.standing import Allow, Labels
from sentinel.store.tables import (
    allowances,
    audit,
    cuts,
    decisions,
    findings,
    identifiers,
    labels,
    outbox,
    people,
    searches,
    tombstones,
)

PREFIX = "gone:"
_NAMED = "store.deletion-key"  # the setting that holds what the hashes are made with
_OWED = "store.deletion-names"  # that of an app which holds names until no window has them
_TOLD: tuple[tuple[Column[int], tuple[str, ...]], ...] = (  # when each row of a table was written, and what it tells
    (findings.c.opened, ("key", "user", "body", "note")),
    (outbox.c.made, ("body", "error")),
    (audit.c.at, ("target", "reason", "detail")),
    (searches.c.changed, ("name", "q", "filters")),
)
_NAMING = ((identifiers, "key"), (findings, "user"), (decisions, "subject"), (labels, "target"), (allowances, "value"))
Scan = Callable[[str, int], Iterable[str]]  # app, time: the user keys that stored events name up to then
Erase = Callable[[str, Sequence[str], int], int]  # app, keys, time: deletes events of these persons up to then


class _Held(NamedTuple):
    """The hashes of an app's deleted persons, each with when it was deleted; and when the last of them was."""

    hashes: Mapping[str, int]
    newest: int


class Deletions:
    """The deleted persons of all apps; their hashes are held in memory."""

    def __init__(
        self, control: Database, people: People, known: Known, labels: Labels, allow: Allow, erase: Erase,
        scan: Scan = lambda app, until: (), buried: Buried | None = None,
    ) -> None:  # fmt: skip
        self._control = control
        self._people = people
        self._known = known
        self._labels = labels
        self._allow = allow
        self._erase = erase
        self._scan = scan
        self._buried = buried or Buried()
        self._secret = _secret(control)
        self._held: dict[str, _Held] = {}
        self.reload()

    def reload(self) -> None:
        """Read again what is kept."""
        with self._control.read() as connection:
            held: dict[str, dict[str, int]] = {}
            for row in connection.execute(select(tombstones.c.app, tombstones.c.hash, tombstones.c.at)):
                held.setdefault(row.app, {})[row.hash] = row.at
        self._held = {app: _Held(hashes, max(hashes.values())) for app, hashes in held.items()}

    def concerns(self, app: str, event: Event) -> bool:
        """Say whether an event is about a deleted person and from before the deletion; from memory."""
        held = self._held.get(app)
        if held is None or event.at > held.newest:
            return False
        keys = {f"{key_type(name)}:{value}" for name, value in event.identifiers.items()}
        keys |= {event.user} if event.user else set()
        return any(event.at <= held.hashes.get(self._hash(app, key), -1) for key in keys)

    def delete(self, app: str, key: str, by: str, why: str, now: int) -> Deletion:
        """Delete the events, links and labels of the person with a key; elsewhere a pseudonym replaces their names.

        A second call for the same key erases what the first one left.
        """

        def find() -> Pseudonyms:
            keys = self._all_keys(app, key)
            return Pseudonyms(keys, PREFIX + self._hash(app, keys[0])[:24])

        called, gone = self._delete(app, find, now, (by, why))
        return Deletion(called.pseudonym, now, gone)

    def recover(self) -> int:
        """Repeat deletions that a restored backup undid or that were interrupted; return how many events went."""
        with self._control.write() as connection:
            for row in self._brought_back(connection):
                put(connection, tombstones, row | {"open": False, "erased": False})
        self.reload()
        return self.finish()

    def finish(self) -> int:
        """Repeat deletions that were interrupted, in any process; return how many events were deleted.

        One that is still under way is done twice, which does no harm.
        """
        todo: dict[str, dict[tuple[str, int], set[str]]] = {}
        with self._control.read() as connection:
            for found in connection.execute(select(tombstones).where(tombstones.c.erased.is_(False))):
                todo.setdefault(found.app, {}).setdefault((found.pseudonym, found.at), set()).add(found.hash)
        return sum(self._again(app, persons) for app, persons in todo.items())

    def owed(self, app: str) -> Mapping[str, str]:
        """Return names of deleted persons that windows may still hold, with the pseudonym that replaces each."""
        with self._control.read() as connection:
            return _owed(connection, app)

    def renamed(self, app: str, names: Mapping[str, str]) -> None:
        """Forget names of `owed`: no window holds them any more, and no snapshot of one."""
        with self._control.writing(), self._control.write() as connection:
            self._control.alone(app)
            left = {name: other for name, other in _owed(connection, app).items() if name not in names}
            put_setting(connection, _OWED, left or None, app)

    def keep(self) -> None:
        """Write into this process's file who was deleted by other processes."""
        with self._control.read() as connection:
            held = [row._asdict() for row in connection.execute(select(tombstones))]
        known = {(row["app"], row["hash"], row["at"]) for row in self._buried.rows()}
        self._buried.add(row for row in held if (row["app"], row["hash"], row["at"]) not in known)

    def _brought_back(self, connection: Connection) -> list[dict[str, Any]]:
        """Return the newest row of each hash in the file that the store lacks, or has with an earlier time."""
        newest = {(row["app"], row["hash"]): row for row in sorted(self._buried.rows(), key=lambda row: row["at"])}
        held = {(row.app, row.hash): row.at for row in connection.execute(select(tombstones))}
        return [row for place, row in newest.items() if row["at"] > held.get(place, -1)]

    def _again(self, app: str, persons: Mapping[tuple[str, int], set[str]]) -> int:
        """Delete again the persons of some hashes, by (pseudonym, time); return how many events were deleted."""
        wanted, gone = set().union(*persons.values()), 0
        told = ((self._hash(app, key), key) for key in self._named(app, max(at for _, at in persons)))
        named = {hash: key for hash, key in told if hash in wanted}
        for (pseudonym, at), hashes in persons.items():
            keys = [named[hash] for hash in sorted(hashes & named.keys())]
            if keys:
                gone += self._delete(app, partial(Pseudonyms, keys, pseudonym), at, None)[1]
            self._erased(app, hashes)
        return gone

    def _named(self, app: str, until: int) -> Iterator[str]:
        """Give the user keys that any table or event names, some of them more than once."""
        for table, column in _NAMING:
            query = select(table.c[column]).where(table.c.app == app, table.c[column].is_not(None)).distinct()
            with self._control.read() as connection:
                yield from connection.execute(query).scalars()
        yield from self._scan(app, until)

    def _delete(
        self, app: str, find: Callable[[], Pseudonyms], now: int, asked: tuple[str, str] | None
    ) -> tuple[Pseudonyms, int]:
        """Delete a person by all keys, which `find` returns; return these and how many events were deleted.

        `asked` is who asked for it, and why. None repeats a deletion: then what was written after `now` stays, for
        whoever came back since is somebody new.
        """
        last = FOREVER if asked is not None else now
        gone = self._erase(app, find().keys, now)
        with self._control.writing():
            with self._control.write() as connection:
                self._control.alone(app)
                called = find()  # again: a key may have joined them meanwhile
                rows = [self._row(app, key, called.pseudonym, now) for key in called.keys]
                self._buried.add(rows)
                self._bury(connection, app, called, rows, now, last)
                put_setting(connection, _OWED, {**_owed(connection, app), **called.names}, app)
                for at, columns in _TOLD:
                    _rename(connection, at, columns, app, called, last)
                _drop(connection, app, called.keys, last)
                for room in ("people", "labels", "allow", "deletions"):
                    touch(connection, app, room)
                if asked is not None:
                    note(connection, app, now, asked[0], "user.delete", called.pseudonym, called.put(asked[1], "why"))
            self._known.forget(app)
            self._labels.reload(app)
            self._allow.reload(app)
            self.reload()
        gone += self._erase(app, called.keys, now)  # what came in meanwhile
        self._erased(app, {row["hash"] for row in rows})
        return called, gone

    def _erased(self, app: str, hashes: Iterable[str]) -> None:
        with self._control.write() as connection:
            mine = (tombstones.c.app == app, tombstones.c.hash.in_(list(hashes)))
            connection.execute(update(tombstones).where(*mine).values(erased=True))

    def _row(self, app: str, key: str, pseudonym: str, now: int) -> dict[str, Any]:
        return {"app": app, "hash": self._hash(app, key), "pseudonym": pseudonym, "at": now}

    def sweep(self, now: int) -> int:
        """Replace the names of deleted persons in decisions that have ended; return in how many."""
        buried: dict[str, dict[str, Deletion]] = {}
        with self._control.read() as connection:
            for row in connection.execute(select(tombstones).where(tombstones.c.open)):
                buried.setdefault(row.app, {})[row.hash] = Deletion(row.pseudonym, row.at)
        return sum(self._sweep(app, buried[app], now) for app in sorted(buried))

    def _sweep(self, app: str, buried: Mapping[str, Deletion], now: int) -> int:
        """Do what `sweep` does for an app; a person whom no decision in force names any more is marked as done.

        Decisions made after the deletion stay: whoever came back is somebody new.
        """
        c, total, still = decisions.c, 0, set()
        over = or_(c.removed.is_not(None), c.until <= now)
        with self._control.write() as connection:
            mine = select(c.id, c.subject, c.made, over.label("over")).where(c.app == app, c.subject.is_not(None))
            for row in connection.execute(mine).all():
                hash = self._hash(app, row.subject)
                gone = buried.get(hash)
                if gone is None or row.made > gone.at:
                    continue
                if row.over:
                    total += _unname(connection, app, Pseudonyms([row.subject], gone.pseudonym), c.id == row.id)
                else:
                    still.add(hash)
            done = (tombstones.c.app == app, tombstones.c.hash.in_(sorted(buried.keys() - still)))
            connection.execute(update(tombstones).where(*done).values(open=False))
        return total

    def _all_keys(self, app: str, key: str) -> tuple[str, ...]:
        person = self._people.get(app, key)
        return (
            (key,) if person is None else tuple(dict.fromkeys((person.key, *person.identifiers, *person.aliases, key)))
        )

    def _bury(
        self, connection: Connection, app: str, called: Pseudonyms, rows: Sequence[Mapping[str, Any]], now: int,
        last: int,
    ) -> None:  # fmt: skip
        c = decisions.c
        _unname(connection, app, called, or_(c.removed.is_not(None), c.until <= now) & (c.made <= last))
        for key, row in zip(called.keys, rows, strict=True):
            there = select(c.id).where(c.app == app, c.subject == key).limit(1)
            named = connection.execute(there).first() is not None
            put(connection, tombstones, {**row, "erased": False, "open": named})

    def installation(self) -> str:
        """Return a text that is this installation's alone, and stays when its data is moved or restored."""
        return hmac.new(self._secret, b"installation", hashlib.sha256).hexdigest()[:16]

    def _hash(self, app: str, key: str) -> str:
        return hmac.new(self._secret, f"{app}\0{key}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _secret(control: Database) -> bytes:
    """Return the key of the hashes, made once: without it nobody can try names against them."""
    return bytes.fromhex(str(set_once(control, _NAMED, secrets.token_hex(32))))


def _owed(connection: Connection, app: str) -> dict[str, str]:
    return dict(setting(connection, _OWED, app) or {})


def _rename(
    connection: Connection, at: Column[int], columns: Sequence[str], app: str, called: Pseudonyms, last: int
) -> None:  # fmt: skip
    """Put pseudonyms into the rows of a table that hold these names and were written until `last`."""
    table = at.table
    found = [table.c[column] for column in columns]
    keys = [column for column in table.primary_key if column.name != "app"]
    tells = or_(*(_tells(column, name) for column in found for name in called.names))
    rows = connection.execute(select(*keys, *found).where(table.c.app == app, at <= last, tells)).mappings().all()
    for row in rows:
        mine = [table.c.app == app, *(key == row[key.name] for key in keys)]
        said = {column.name: called.put(row[column.name], column.name) for column in found}
        new = {name: value for name, value in said.items() if value != row[name]}
        if new:
            connection.execute(update(table).where(*mine).values(**new))


def _tells(column: Column[Any], name: str) -> ColumnElement[bool]:
    written = {name, json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]}
    return or_(*(cast(column, String).contains(text, autoescape=True) for text in sorted(written)))


def _unname(connection: Connection, app: str, called: Pseudonyms, which: ColumnElement[bool]) -> int:
    """Replace a person's names in the decisions that a condition holds for; return in how many."""
    c = decisions.c
    query = select(c.id, c.value, c.reason).where(c.app == app, c.subject.in_(called.keys), which)
    found = connection.execute(query).all()
    for row in found:
        said = {name: called.put(getattr(row, name), name) for name in ("value", "reason")}
        mine = (c.app == app, c.id == row.id)
        connection.execute(update(decisions).where(*mine).values(**said, subject=called.pseudonym))
    return len(found)


def _drop(connection: Connection, app: str, keys: Sequence[str], last: int) -> None:
    """Delete a person's links, cuts, labels and allowances that were made until `last`."""
    of_user, theirs = labels.c.kind == "user", allowances.c.scope == "user"
    gone = (
        (identifiers.c.made, identifiers.c.key.in_(keys)), (people.c.made, people.c.key.in_(keys)),
        (cuts.c.at, cuts.c.key.in_(keys) | cuts.c.person.in_(keys)),
        (labels.c.made, of_user & labels.c.target.in_(keys)),
        (allowances.c.made, theirs & allowances.c.value.in_(keys)),
    )  # fmt: skip
    for at, which in gone:
        connection.execute(delete(at.table).where(at.table.c.app == app, at <= last, which))
