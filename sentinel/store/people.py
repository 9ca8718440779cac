"""Persons and their keys, as they are read and cut by hand. How links come about is in `linking`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from sentinel.core.errors import SentinelError
from sentinel.core.record import Person
from sentinel.store.audit import note
from sentinel.store.changes import Change, insert_new, part, touch
from sentinel.store.database import Database
from sentinel.store.decisions import Revisions
from sentinel.store.linking import Known
from sentinel.store.tables import cuts, identifiers, people


class People:
    """The persons of all apps."""

    def __init__(self, control: Database, revisions: Revisions, known: Known) -> None:
        self._control = control
        self._revisions = revisions
        self._known = known

    def get(self, app: str, key: str) -> Person | None:
        """Return the person a key belongs to, None where none is known."""
        with self._control.read() as connection:
            row = _person(connection, app, key)
            if row is None:
                return None
            alias = select(people.c.key).where(people.c.app == app, people.c.alias_of == row.key)
            aliases = connection.execute(alias.order_by(people.c.made, people.c.key)).scalars()
            return Person(row.key, _keys(connection, app, row.key), tuple(aliases), row.made)

    def keys(self, app: str, key: str) -> tuple[str, ...]:
        """Return all keys linked with this one, the person's own first; the key alone where no person is known."""
        with self._control.read() as connection:
            row = _person(connection, app, key)
            return (key,) if row is None else _keys(connection, app, row.key)

    def cut(self, app: str, key: str, by: str, now: int) -> int | None:
        """Part a linked key from its person for good; return the revision, None if it is not linked."""
        with self._control.writing():
            with self._control.write() as connection:
                self._control.alone(app)
                row = _person(connection, app, key)
                if row is None:
                    return None
                linked = _keys(connection, app, row.key)
                if len(linked) == 1:
                    return None
                if row.key == key:
                    raise SentinelError(
                        f"`{key}` is the person's own key", f"cut the others from it: {', '.join(linked[1:])}"
                    )
                change = Change(connection, app, now)
                part(change, key, linked)
                _part(connection, app, key, row.key, by, now)
                touch(connection, app, "people")
                note(connection, app, now, by, "person.cut", key, detail={"person": row.key})
            self._known.forget(app)  # before anybody links again
        return self._revisions.learn(change)


def _person(connection: Connection, app: str, key: str) -> Row[Any] | None:
    of = select(identifiers.c.person).where(identifiers.c.app == app, identifiers.c.key == key)
    query = select(people).where(people.c.app == app, people.c.key == of.scalar_subquery())
    return connection.execute(query).one_or_none()


def _keys(connection: Connection, app: str, person: str) -> tuple[str, ...]:
    c = identifiers.c
    query = select(c.key).where(c.app == app, c.person == person).order_by(c.key != person, c.made, c.key)
    return tuple(connection.execute(query).scalars())


def _part(connection: Connection, app: str, key: str, person: str, by: str, now: int) -> None:
    insert_new(connection, cuts, [{"app": app, "key": key, "person": person, "at": now, "by": by}])
    insert_new(connection, people, [{"app": app, "key": key, "made": now, "alias_of": None}])
    own = (people.c.app == app, people.c.key == key)
    connection.execute(update(people).where(*own).values(alias_of=None))
    mine = (identifiers.c.app == app, identifiers.c.key == key)
    connection.execute(update(identifiers).where(*mine).values(person=key))
