"""Which keys are one person's, as a transaction finds and makes it: read first, written with the commit.

A person's key is given once and stays; of two that turn out to be one, the older keeps its key. What people cut
by hand stays cut. Reading and cutting links is in `people`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, delete, func, select, update

from sentinel.core.batch import Sighting
from sentinel.store.changes import CHUNK, Change, insert_new, spread
from sentinel.store.control import Control
from sentinel.store.tables import cuts, identifiers, people

MOST = 64  # keys of one person: past it a shared mailbox would tie strangers together without end
KNOWN = 200_000

Write = Callable[[Connection], None]


class Known:
    """Whose the keys looked at last are, in memory: the person's key, or None for a key that is nobody's yet."""

    def __init__(self, bound: int = KNOWN) -> None:
        self._persons: dict[tuple[str, str], str | None] = {}
        self._bound = bound

    def __contains__(self, place: tuple[str, str]) -> bool:
        return place in self._persons

    def get(self, place: tuple[str, str]) -> str | None:
        """Return the person's key of a key of an app."""
        return self._persons.get(place)

    def learn(self, found: Iterable[tuple[tuple[str, str], str | None]]) -> None:
        """Take in what was read or committed; past the bound the oldest go."""
        for place, person in found:
            self._persons.pop(place, None)
            self._persons[place] = person
        while len(self._persons) > self._bound:
            del self._persons[next(iter(self._persons))]

    def forget(self, app: str) -> None:
        """Drop what is known of an app."""
        for place in [place for place in self._persons if place[0] == app]:
            del self._persons[place]


class Linking:
    """The links one transaction makes in one app, seen by itself at once and by others after its commit."""

    def __init__(self, control: Control, known: Known, app: str) -> None:
        self._control = control
        self._known = known
        self._app = app
        self._own: dict[str, str | None] = {}
        self._made: dict[str, int] = {}
        self._members: dict[str, list[str]] = {}
        self._gained: set[str] = set()
        self._writes: list[Write] = []

    def resolve(self, sightings: Sequence[Sighting]) -> list[str | None]:
        """Return whose each sighting is; see `ports.Unit.resolve`."""
        self._read({key for sighting in sightings for key in sighting.keys})
        return [self._link(one) if one.proven else self._find(one.keys) for one in sightings]

    def write(self, connection: Connection, change: Change) -> None:
        """Write the links made, and repeat decisions for the keys that joined somebody."""
        for write in self._writes:
            write(connection)
        for person in sorted(self._gained):
            query = select(identifiers.c.key).where(identifiers.c.app == self._app, identifiers.c.person == person)
            keys = list(connection.execute(query).scalars())
            if len(keys) > 1:
                spread(change, keys)

    def done(self) -> None:
        """Let others see what was committed."""
        self._known.learn(((self._app, key), person) for key, person in self._own.items())

    def _person(self, key: str) -> str | None:
        return self._own[key] if key in self._own else self._known.get((self._app, key))

    def _find(self, keys: Sequence[str]) -> str | None:
        for key in keys:
            person = self._person(key)
            if person is not None:
                return person
        return keys[0] if keys else None

    def _link(self, sighting: Sighting) -> str | None:
        keys = sighting.keys
        persons = list(dict.fromkeys(person for key in keys if (person := self._person(key)) is not None))
        if not persons:
            if not keys:
                return None
            persons = [self._begin(keys[0], sighting.at)]
        for other in persons[1:]:
            persons[0] = self._merge(persons[0], other)
        for key in keys:
            if self._person(key) is None:
                self._join(key, persons[0], sighting.at)
        return persons[0]

    def _begin(self, key: str, at: int) -> str:
        row = {"app": self._app, "key": key, "made": at, "alias_of": None}
        self._writes.append(lambda connection: insert_new(connection, people, [row]))
        self._made[key] = at
        self._members[key] = []
        self._add(key, key, at)
        return key

    def _join(self, key: str, person: str, at: int) -> None:
        if len(self._keys(person)) < MOST:
            self._add(key, person, at)
            self._gained.add(person)

    def _add(self, key: str, person: str, at: int) -> None:
        row = {"app": self._app, "key": key, "person": person, "made": at}
        self._writes.append(lambda connection: insert_new(connection, identifiers, [row]))
        self._own[key] = person
        self._keys(person).append(key)

    def _merge(self, one: str, other: str) -> str:
        """Make two persons one and return the older's key; they stay two where they were cut or are too many."""
        older, younger = sorted((one, other), key=lambda person: (self._since(person), person))
        keys = self._keys(younger)
        if len(keys) + len(self._keys(older)) > MOST or self._were_cut(older, younger):
            return one
        self._own.update(dict.fromkeys(keys, older))
        self._keys(older).extend(self._members.pop(younger))
        self._gained.discard(younger)
        self._gained.add(older)
        self._writes.append(lambda connection: _rename(connection, self._app, younger, older))
        return older

    def _since(self, person: str) -> int:
        if person not in self._made:
            with self._control.read() as connection:
                query = select(people.c.made).where(people.c.app == self._app, people.c.key == person)
                self._made[person] = connection.execute(query).scalar_one_or_none() or 0
        return self._made[person]

    def _keys(self, person: str) -> list[str]:
        """Return the keys of a person, as they are now, to be added to."""
        if person not in self._members:
            query = select(identifiers.c.key).where(identifiers.c.app == self._app, identifiers.c.person == person)
            with self._control.read() as connection:
                self._members[person] = list(connection.execute(query).scalars())
        return self._members[person]

    def _were_cut(self, one: str, other: str) -> bool:
        keys = self._keys(one) + self._keys(other)
        query = select(func.count()).where(cuts.c.app == self._app, cuts.c.key.in_(keys), cuts.c.person.in_(keys))
        with self._control.read() as connection:
            return bool(connection.execute(query).scalar_one())

    def _read(self, keys: set[str]) -> None:
        missing = [key for key in keys if key not in self._own and (self._app, key) not in self._known]
        for start in range(0, len(missing), CHUNK):
            some = missing[start : start + CHUNK]
            query = select(identifiers.c.key, identifiers.c.person)
            with self._control.read() as connection:
                rows = connection.execute(query.where(identifiers.c.app == self._app, identifiers.c.key.in_(some)))
                found: dict[str, str] = {row.key: row.person for row in rows}
            self._own.update((key, found.get(key)) for key in some)


def _rename(connection: Connection, app: str, younger: str, older: str) -> None:
    mine = identifiers.update().where(identifiers.c.app == app, identifiers.c.person == younger)
    connection.execute(mine.values(person=older))
    aliases = (people.c.key == younger) | (people.c.alias_of == younger)
    connection.execute(update(people).where(people.c.app == app, aliases).values(alias_of=older))
    moved = select(cuts).where(cuts.c.app == app, cuts.c.person == younger)
    insert_new(connection, cuts, [{**row, "person": older} for row in connection.execute(moved).mappings().all()])
    connection.execute(delete(cuts).where(cuts.c.app == app, cuts.c.person == younger))
