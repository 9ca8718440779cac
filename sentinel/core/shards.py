"""A set of many keys in little memory: 1,024 shards of sorted 64-bit hashes, shared between versions of the set.

Keys are hashes here; what they stand for is known to `decisions`. A shard that is shared is never changed: a draft
copies the few it touches, so a reader keeps a whole, consistent set.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from sentinel.core.decision import Kind, Scope

SHARDS = 1024
MASK = SHARDS - 1
MANY = 32  # decisions on one target: of more, those that a verdict can rest on are found once
_ID = 16  # bytes of an id
_BESIDE = 256  # bytes of the objects and places that go with a few texts
_HEX, _UUID, NAME = range(3)  # how the text of an id comes back from its bytes; a name is kept beside its digest


class Terms(NamedTuple):
    """What many decisions share: everything but whom they are about, their end and their id."""

    kind: Kind
    scope: Scope
    to: str | None
    reason: str
    playbook: str | None
    logins_only: bool


def weight(*texts: str | None) -> int:
    """Return about how many bytes of memory texts take that are kept together."""
    return _BESIDE + sum(len(text) if text.isascii() else 4 * len(text) for text in texts if text)


def weight_of(terms: Iterable[Terms], names: Iterable[str]) -> int:
    """Return about how many bytes the terms take that a part of a set holds, and the names."""
    return sum(weight(one.to, one.reason, one.playbook) for one in terms) + sum(map(weight, names))


class Entry(NamedTuple):
    """One decision as it is kept: its end (`FOREVER` for none), its terms, its id."""

    until: int
    terms: Terms
    id: str


def decisive(entries: Iterable[Entry]) -> list[Entry]:
    """Return those of one target's decisions that a verdict can rest on, at any time, where no challenge was passed.

    These are, of each kind and sort of maker, the one that ends last, and of equals the one with the smallest id: what
    overrules or leaves out one of them, or is over later, does so to all others of its sort.
    """
    found: dict[tuple[Scope, Kind, bool, bool], Entry] = {}
    for entry in entries:
        terms = entry.terms
        sort = terms.scope, terms.kind, terms.playbook is None, terms.logins_only
        found[sort] = min(found.get(sort, entry), entry, key=lambda one: (-one.until, one.id))
    return list(found.values())


class Shard:
    """The decisions of the keys that fall into one shard, as columns sorted by key; never changed once it is shared.

    `which` holds the number of the terms and, in its two lowest bits, the form of the id. `weight` is about how many
    bytes `terms` and `names` take.
    """

    __slots__ = ("_decisive", "ids", "keys", "names", "terms", "untils", "weight", "which")

    def __init__(self) -> None:
        self.keys = array("Q")
        self.untils = array("q")
        self.which = array("I")
        self.ids = b""
        self.terms: tuple[Terms, ...] = ()
        self.names: dict[bytes, str] = {}
        self.weight = 0
        self._decisive: dict[int, list[Entry]] = {}

    def copy(self) -> Shard:
        """Return a copy that may be changed."""
        other = Shard()
        other.keys, other.untils, other.which = self.keys[:], self.untils[:], self.which[:]
        other.ids, other.terms, other.names, other.weight = self.ids, self.terms, dict(self.names), self.weight
        return other

    def insert(self, key: int, entry: Entry) -> None:
        """Add one decision under a key."""
        at = bisect_left(self.keys, key)
        which = self._which(entry.terms)  # first: it may replace the column
        packed, form = pack_id(entry.id)
        self.keys.insert(at, key)
        self.untils.insert(at, entry.until)
        self.which.insert(at, which << 2 | form)
        self.ids = b"".join((self.ids[: at * _ID], packed, self.ids[at * _ID :]))
        if form == NAME:
            self.names[packed] = entry.id
            self.weight += weight(entry.id)

    def remove(self, id: str) -> Entry | None:
        """Take out the decision of that id and return it."""
        packed, form = pack_id(id)
        at = self._position(packed, form)
        if at is None:
            return None
        gone = self.entry(at)
        self._delete(at)
        if form == NAME:
            del self.names[packed]
            self.weight -= weight(gone.id)
        if len(self.terms) > 2 * len(self.keys):
            self._forget_unused_terms()
        return gone

    def entry(self, at: int) -> Entry:
        """Return the decision at a position."""
        return Entry(self.untils[at], self.terms[self.which[at] >> 2], self.id(at))

    def id(self, at: int) -> str:
        """Return the id of the decision at a position."""
        packed, form = self.ids[at * _ID : at * _ID + _ID], self.which[at] & 3
        return self.names[packed] if form == NAME else unpack_id(packed, form)

    def find(self, key: int, every: bool = True) -> list[Entry]:
        """Return the decisions under a key; of very many, unless `every` is meant, those that are `decisive`."""
        last = bisect_left(self.keys, key) + MANY
        if every or last >= len(self.keys) or self.keys[last] != key:
            return [self.entry(at) for at in _run(self.keys, key)]
        found = self._decisive.get(key)
        if found is None:
            found = self._decisive[key] = decisive(map(self.entry, _run(self.keys, key)))
        return found

    def ended(self, now: int) -> list[str]:
        """Return the ids of decisions that are over."""
        if not self.untils or min(self.untils) > now:
            return []
        return [self.id(at) for at, until in enumerate(self.untils) if until <= now]

    def _which(self, terms: Terms) -> int:
        try:
            return self.terms.index(terms)
        except ValueError:
            if len(self.terms) > 64 and len(self.terms) > 2 * len(self._used()):
                self._forget_unused_terms()
            self.terms = (*self.terms, terms)
            self.weight += weight_of((terms,), ())
            return len(self.terms) - 1

    def _forget_unused_terms(self) -> None:
        used = sorted(self._used())
        new = {old: position for position, old in enumerate(used)}
        self.which = array("I", [new[which >> 2] << 2 | which & 3 for which in self.which])
        self.terms = tuple(self.terms[old] for old in used)
        self.weight = weight_of(self.terms, self.names.values())

    def _used(self) -> set[int]:
        return {which >> 2 for which in self.which}

    def _position(self, packed: bytes, form: int) -> int | None:
        at = self.ids.find(packed)
        while at >= 0 and (at % _ID or self.which[at // _ID] & 3 != form):
            at = self.ids.find(packed, at + 1)
        return at // _ID if at >= 0 else None

    def _delete(self, at: int) -> None:
        for column in (self.keys, self.untils, self.which):
            del column[at]
        self.ids = self.ids[: at * _ID] + self.ids[at * _ID + _ID :]


Shards = list[Shard | None]


class Places:
    """Where the decision of an id is kept: a shard's number, or SHARDS + a bucket's; ten bytes an id.

    Ids are known by 64 of their bits. Where two share these, both places are given, and the caller looks in both.
    """

    __slots__ = ("_own", "_shards")

    def __init__(self, shards: list[tuple[array[int], array[int]] | None] | None = None) -> None:
        self._shards = shards or [None] * SHARDS
        self._own: set[int] = set()

    def draft(self) -> Places:
        """Return a version that may be changed."""
        return Places(self._shards[:])

    def parts(self) -> list[object]:
        """Return the shards."""
        return list(self._shards)

    def find(self, id: str) -> list[int]:
        """Return the places where the decision of an id may be."""
        key = _id_key(id)
        shard = self._shards[key & MASK]
        return [shard[1][at] for at in _run(shard[0], key)] if shard else []

    def add(self, id: str, place: int) -> None:
        """Note where the decision of an id is."""
        key = _id_key(id)
        keys, places = self._changing(key & MASK)
        at = bisect_left(keys, key)
        keys.insert(at, key)
        places.insert(at, place)

    def remove(self, id: str, place: int) -> None:
        """Forget that the decision of an id is there."""
        key = _id_key(id)
        keys, places = self._changing(key & MASK)
        for at in _run(keys, key):
            if places[at] == place:
                del keys[at], places[at]
                return

    def _changing(self, number: int) -> tuple[array[int], array[int]]:
        shard = self._shards[number]
        if shard is None:
            shard = (array("Q"), array("H"))
        elif number not in self._own:
            shard = (shard[0][:], shard[1][:])
        self._own.add(number)
        self._shards[number] = shard
        return shard


def _run(keys: array[int], key: int) -> Iterator[int]:
    at = bisect_left(keys, key)
    while at < len(keys) and keys[at] == key:
        yield at
        at += 1


def _id_key(id: str) -> int:
    return int.from_bytes(pack_id(id)[0][8:], "big")


@lru_cache(maxsize=64)
def pack_id(id: str) -> tuple[bytes, int]:
    """Return an id in 16 bytes, and its form: its own bytes for 32 hexadecimal digits or a UUID, else a digest."""
    form = {32: _HEX, 36: _UUID}.get(len(id), NAME)
    if form != NAME:
        try:
            packed = bytes.fromhex(id.replace("-", ""))
        except ValueError:
            packed = b""
        if len(packed) == _ID and unpack_id(packed, form) == id:
            return packed, form
    return blake2b(id.encode("utf-8", "surrogatepass"), digest_size=_ID).digest(), NAME


def unpack_id(packed: bytes, form: int) -> str:
    """Return the text of an id that is no name."""
    text = packed.hex()
    if form == _HEX:
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
