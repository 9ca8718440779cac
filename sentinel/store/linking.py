"""Which keys belong to one person, as a transaction finds and makes links: read first, written with the commit.

A person's key is chosen once and stays; of two persons that turn out to be one, the older keeps its key. Links that
people cut stay cut. An anonymous key joins whoever is seen with it first, and never joins two persons. Links are read
and cut by hand in `people`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, update

from sentinel.core import identity
from sentinel.core.batch import Sighting
from sentinel.store.changes import Change, insert_new, spread, touch
from sentinel.store.database import Database
from sentinel.store.standing import Carried, carry_labels
from sentinel.store.tables import identifiers, people

_PERSONS = "SELECT key, person FROM identifier WHERE app = :app AND key :among"
_MEMBERS = "SELECT key FROM identifier WHERE app = :app AND person :among"
_MADE = "SELECT made FROM person WHERE app = :app AND key :among"
_CUTS = "SELECT person FROM link_cut WHERE app = :app AND key :among"
_DECIDED = "SELECT DISTINCT subject FROM decision WHERE app = :app AND removed IS NULL AND subject :among"

MOST = 64  # keys of one person: past it a shared mailbox would tie strangers together without end
MOST_ANONYMOUS = 32  # a person's keys past which no anonymous one joins: there is room for those that name them
KNOWN = 500_000  # keys in memory, about 100 MB


@dataclass(slots=True)
class Step:
    """What is to be written: rows of persons and of keys, and then perhaps a merge, as (younger, older) person."""

    people: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    merged: tuple[str, str] | None = None


class Known:
    """The persons of the keys looked up last, in memory, by app and key; None for a key that is nobody's yet."""

    def __init__(self, bound: int = KNOWN) -> None:
        self._persons: dict[str, OrderedDict[str, str | None]] = {}  # for a plain one seeks its first key for long
        self._size = 0
        self._bound = bound

    def of(self, app: str) -> Mapping[str, str | None]:
        """Return the person of each known key of an app."""
        return self._persons.get(app, {})

    def learn(self, app: str, found: Mapping[str, str | None]) -> None:
        """Take in what was read or committed; past the bound the app with most keys loses those learnt longest ago."""
        if not found:
            return
        persons = self._persons.setdefault(app, OrderedDict())
        before = len(persons)
        for key, person in found.items():
            persons[key] = person
            persons.move_to_end(key)
        self._size += len(persons) - before
        while self._size > self._bound:
            max(self._persons.values(), key=len).popitem(last=False)
            self._size -= 1

    def forget(self, app: str) -> None:
        """Drop what is known of an app."""
        self._size -= len(self._persons.pop(app, {}))


class Linking:
    """The links one transaction makes in one app, seen by itself at once and by others after its commit."""

    def __init__(self, control: Database, known: Known, app: str) -> None:
        self._control = control
        self._known = known
        self._app = app
        self._before: Mapping[str, str | None] = known.of(app)
        self._own: dict[str, str | None] = {}
        self._made: dict[str, int] = {}
        self._members: dict[str, list[str]] = {}
        self._gained: set[str] = set()
        self._steps = [Step()]
        self._alone = False  # whether nobody else links meanwhile, as it must be from the first link made here on
        self._anew = False  # whether what was known before that may be old
        self.carried: list[Carried] = []  # labels that went over to somebody with a key that joined them

    def resolve(self, sightings: Sequence[Sighting]) -> list[str | None]:
        """Return the user of each sighting; see `ports.Unit.resolve`."""
        self._before = self._known.of(self._app)
        persons = [None if self._anew else self._at_once(one) for one in sightings]
        unsettled = [one for one, person in zip(sightings, persons, strict=True) if person is None and one.keys]
        if not unsettled:
            return persons
        self._read(unsettled)
        if not self._alone and any((one.proven or one.stitches) and not self._settled(one.keys) for one in unsettled):
            self._alone = True
            self._anew = self._control.alone(self._app)
            if self._anew:
                self._own.clear()
                self._read(sightings)
        if self._alone:
            persons = [None] * len(sightings)  # each link made may be of those behind it
        known = zip(persons, sightings, strict=True)
        return [person or self._settled(one.keys) or self._whose(one) for person, one in known]

    def write(self, connection: Connection, change: Change) -> None:
        """Write the links made; a key that joined a person gets that person's decisions, and they get its labels."""
        if any(step.keys or step.merged for step in self._steps):
            touch(connection, self._app, "people")
        for step in self._steps:
            insert_new(connection, people, step.people)
            insert_new(connection, identifiers, step.keys)
            if step.merged is not None:
                _rename(connection, self._app, *step.merged)
        of = {key: person for person in self._gained for key in self._keys(person)}
        concerned = {of[key] for (key,) in self._look(_DECIDED, list(of))} if of else set()
        for person in sorted(concerned):
            spread(change, self._keys(person))
        self.carried = carry_labels(change, of)

    def done(self) -> None:
        """Show the links to other transactions of this process: they are committed."""
        self._known.learn(self._app, self._own)

    def _at_once(self, one: Sighting) -> str | None:
        """Return the person of a sighting from memory alone, None where the store must be asked."""
        if one.proven or one.stitches:
            return self._settled(one.keys)
        first = one.keys[0] if one.keys else None
        return None if first is None or identity.is_anonymous(first) else self._person(first)

    def _settled(self, keys: Sequence[str]) -> str | None:
        """Return the one person that all of these keys belong to, None where there is none."""
        own, before, found = self._own, self._before, None
        for key in keys:
            person = own[key] if key in own else before.get(key)
            if person is None or (found is not None and person != found):
                return None
            found = person
        return found

    def _person(self, key: str) -> str | None:
        return self._own[key] if key in self._own else self._before.get(key)

    def _whose(self, one: Sighting) -> str | None:
        if one.proven or one.stitches:
            return self._link(one)
        return self._find(one.keys)

    def _find(self, keys: tuple[str, ...]) -> str | None:
        if len(keys) > 1:
            keys = identity.named_keys(keys)
        for key in keys:
            person = self._person(key)
            if person is not None:
                return person
        return keys[0] if keys else None

    def _link(self, sighting: Sighting) -> str | None:
        keys = identity.named_keys(sighting.keys)
        if not keys or identity.is_anonymous(keys[0]):
            return self._find(keys)
        if not sighting.proven:
            keys = keys[:1]  # what a browser says of its user proves nothing of the user's other names
        persons = list(dict.fromkeys(person for key in keys if (person := self._person(key)) is not None))
        if not persons:
            persons = [self._begin(keys[0], sighting.at)]
        for other in persons[1:]:
            persons[0] = self._merge(persons[0], other)
        for key in keys:
            if self._person(key) is None:
                self._join(key, persons[0], sighting.at)
        for key in sighting.keys:
            if self._person(key) is None and identity.is_anonymous(key):
                self._join(key, persons[0], sighting.at, MOST_ANONYMOUS)
        return persons[0]

    def _begin(self, key: str, at: int) -> str:
        self._steps[-1].people.append({"app": self._app, "key": key, "made": at, "alias_of": None})
        self._made[key] = at
        self._members[key] = []
        self._add(key, key, at)
        return key

    def _join(self, key: str, person: str, at: int, most: int = MOST) -> None:
        if len(self._keys(person)) < most:
            self._add(key, person, at)
            self._gained.add(person)

    def _add(self, key: str, person: str, at: int) -> None:
        self._steps[-1].keys.append({"app": self._app, "key": key, "person": person, "made": at})
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
        self._steps[-1].merged = (younger, older)
        self._steps.append(Step())
        return older

    def _since(self, person: str) -> int:
        if person not in self._made:
            found = self._look(_MADE, [person])
            self._made[person] = found[0][0] if found else 0
        return self._made[person]

    def _keys(self, person: str) -> list[str]:
        """Return the keys of a person, as they are now, to be added to."""
        if person not in self._members:
            self._members[person] = [key for (key,) in self._look(_MEMBERS, [person])]
        return self._members[person]

    def _were_cut(self, one: str, other: str) -> bool:
        keys = set(self._keys(one) + self._keys(other))
        return any(person in keys for (person,) in self._look(_CUTS, list(keys)))

    def _look(self, query: str, keys: list[str]) -> list[Any]:
        return self._control.look(query, self._app, keys)

    def _read(self, sightings: Sequence[Sighting]) -> None:
        """Learn of the keys of sightings of which nothing is known yet whose they are."""
        missing = {key for one in sightings for key in one.keys if key not in self._own}
        if not self._anew:
            missing = {key for key in missing if key not in self._before}  # `difference` walks all that is known
        if missing:
            found = dict(self._look(_PERSONS, list(missing)))
            self._own.update((key, found.get(key)) for key in missing)


def _rename(connection: Connection, app: str, younger: str, older: str) -> None:
    mine = identifiers.update().where(identifiers.c.app == app, identifiers.c.person == younger)
    connection.execute(mine.values(person=older))
    aliases = (people.c.key == younger) | (people.c.alias_of == younger)
    connection.execute(update(people).where(people.c.app == app, aliases).values(alias_of=older))
