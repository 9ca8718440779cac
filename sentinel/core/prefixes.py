"""Decisions on addresses and networks, found by prefix length: one dictionary look-up for each length in use.

As in `shards`, what is shared is never changed: a draft copies the small bucket it touches. Entries are kept as bytes,
because every full garbage collection would visit a hundred thousand objects and stop all threads meanwhile.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct

from sentinel.core import address
from sentinel.core.decision import Place
from sentinel.core.shards import MANY, NAME, Entry, Terms, decisive, pack_id, unpack_id, weight, weight_of

BUCKETS = 255  # a prefix modulo 255 mixes all its bytes
_ROW = Struct("<qI16s")  # an entry: its end, the number of its terms and the form of its id, its id
_MANY_TERMS = 64
# The number of each part of a dotted address: three times faster than reading the parts anew.
_FIRST, _SECOND, _THIRD, _FOURTH = ({str(n): n << shift for n in range(256)} for shift in (24, 16, 8, 0))


class Bucket:
    """The entries of some networks of one prefix length; never changed once it is shared.

    `held` maps a network's number to its packed rows, `terms` are what rows refer to by number, and `names` are the ids
    that rows hold only as digests; `weight` is about how many bytes these two take.
    """

    __slots__ = ("_decisive", "held", "names", "terms", "weight")

    def __init__(self) -> None:
        self.held: dict[int, bytes] = {}
        self.terms: tuple[Terms, ...] = ()
        self.names: dict[bytes, str] = {}
        self.weight = 0
        self._decisive: dict[int, list[Entry]] = {}

    def copy(self) -> Bucket:
        """Return a copy that may be changed."""
        other = Bucket()
        other.held, other.terms, other.names = dict(self.held), self.terms, dict(self.names)
        other.weight = self.weight
        return other

    def add(self, bits: int, entry: Entry) -> None:
        """Add an entry of a network."""
        which = self._which(entry.terms)  # first: it may write every row anew
        packed, form = pack_id(entry.id)
        self.held[bits] = self.held.get(bits, b"") + _ROW.pack(entry.until, which << 2 | form, packed)
        if form == NAME:
            self.names[packed] = entry.id
            self.weight += weight(entry.id)

    def remove(self, id: str) -> Entry | None:
        """Take out the entry of that id and return it."""
        packed, form = pack_id(id)
        for bits, rows in self.held.items():
            if packed in rows:
                for at, (_, which, other) in enumerate(_ROW.iter_unpack(rows)):
                    if other == packed and which & 3 == form:
                        return self._delete(bits, at)
        return None

    def entries(self, bits: int) -> list[Entry]:
        """Return the entries of a network."""
        rows = _ROW.iter_unpack(self.held[bits])
        return [Entry(until, self.terms[which >> 2], self._id(which, packed)) for until, which, packed in rows]

    def find(self, bits: int, every: bool) -> list[Entry]:
        """Return the entries of a network; of very many, unless `every` is meant, those that are `decisive`."""
        if every or len(self.held[bits]) <= MANY * _ROW.size:
            return self.entries(bits)
        found = self._decisive.get(bits)
        if found is None:
            found = self._decisive[bits] = decisive(self.entries(bits))
        return found

    def ended(self, now: int) -> list[str]:
        """Return the ids of entries that are over."""
        rows = (row for some in self.held.values() for row in _ROW.iter_unpack(some))
        return [self._id(which, packed) for until, which, packed in rows if until <= now]

    def _id(self, which: int, packed: bytes) -> str:
        return self.names[packed] if which & 3 == NAME else unpack_id(packed, which & 3)

    def _delete(self, bits: int, at: int) -> Entry:
        gone, rows, start = self.entries(bits)[at], self.held[bits], at * _ROW.size
        left = rows[:start] + rows[start + _ROW.size :]
        if left:
            self.held[bits] = left
        else:
            del self.held[bits]
        packed, form = pack_id(gone.id)
        if form == NAME:
            del self.names[packed]
            self.weight -= weight(gone.id)
        if len(self.terms) * _ROW.size > 2 * sum(map(len, self.held.values())):
            self._forget_unused_terms()
        return gone

    def _which(self, terms: Terms) -> int:
        try:
            return self.terms.index(terms)
        except ValueError:
            if len(self.terms) > _MANY_TERMS:
                self._forget_unused_terms()
            self.terms = (*self.terms, terms)
            self.weight += weight_of((terms,), ())
            return len(self.terms) - 1

    def _forget_unused_terms(self) -> None:
        used = sorted({which >> 2 for rows in self.held.values() for _, which, _ in _ROW.iter_unpack(rows)})
        if len(self.terms) <= 2 * len(used):
            return
        new = {old: position for position, old in enumerate(used)}
        for bits, rows in self.held.items():
            self.held[bits] = b"".join(
                _ROW.pack(until, new[which >> 2] << 2 | which & 3, packed)
                for until, which, packed in _ROW.iter_unpack(rows)
            )
        self.terms = tuple(self.terms[old] for old in used)
        self.weight = weight_of(self.terms, self.names.values())


_EMPTY = Bucket()
Line = list[Bucket]  # of one prefix length: its buckets


class Prefixes:
    """Entries by network. A line holds the buckets of one prefix length; a bucket's number is line * BUCKETS + place.

    Lines 0 to 32 are IPv4's prefix lengths, lines from 33 on are IPv6's plus 33. `weight` is that of all buckets.
    """

    __slots__ = ("_four", "_lines", "_own", "_six", "weight")

    def __init__(self, lines: dict[int, Line] | None = None, weight: int = 0) -> None:
        self._lines = lines or {}
        self.weight = weight
        self._own: dict[int, set[int]] = {}  # the buckets a draft has copied, by line
        self._four: tuple[tuple[int, Line], ...] = ()
        self._six: tuple[tuple[int, Line], ...] = ()
        self.done()

    def draft(self) -> Prefixes:
        """Return a version that may be changed until it is `done`."""
        return Prefixes(dict(self._lines), self.weight)

    def done(self) -> Prefixes:
        """Return itself, with what `find` looks in brought up to date."""
        self._own = {}
        lines = sorted(self._lines.items())
        self._four = tuple((32 - number, line) for number, line in lines if number <= 32)
        self._six = tuple((161 - number, line) for number, line in lines if number > 32)
        return self

    def parts(self) -> list[object]:
        """Return the buckets."""
        return [bucket for line in self._lines.values() for bucket in line]

    def find(self, ip: str, every: bool = True) -> Sequence[tuple[int, Entry]]:
        """Return (bits, entry) of the decisions that cover an address; bits are those free in its network.

        Of very many on one network, unless `every` is meant, these are the `decisive` ones.
        """
        version, number = parse(ip)
        found: list[tuple[int, Entry]] | None = None
        for shift, line in self._four if version == 4 else self._six:
            bits = number >> shift
            bucket = line[bits % BUCKETS]
            if bits in bucket.held:
                found = found or []
                found += [(shift, entry) for entry in bucket.find(bits, every)]
        return found or ()

    def add(self, where: Place, entry: Entry) -> int:
        """Add a decision on a network; return the number of its bucket."""
        line = where.length if where.version == 4 else 33 + where.length
        number = line * BUCKETS + where.bits % BUCKETS
        bucket = self._changing(number)
        self.weight -= bucket.weight
        bucket.add(where.bits, entry)
        self.weight += bucket.weight
        return number

    def remove(self, id: str, number: int) -> Entry | None:
        """Take the decision of an id out of a bucket and return it."""
        of, at = divmod(number, BUCKETS)
        if of not in self._lines or not self._lines[of][at].held:
            return None
        bucket = self._changing(number)
        self.weight -= bucket.weight
        gone = bucket.remove(id)
        self.weight += bucket.weight
        if not bucket.held and not any(other.held for other in self._lines[of]):
            self.weight -= sum(other.weight for other in self._lines[of])
            del self._lines[of], self._own[of]
        return gone

    def ended(self, now: int) -> Iterator[list[str]]:
        """Give the ids of decisions that are over, a bucket at a time."""
        for line in self._lines.values():
            for bucket in line:
                if over := bucket.ended(now):
                    yield over

    def items(self) -> Iterator[tuple[Place, Entry]]:
        """Give every network and decision."""
        for number, line in self._lines.items():
            version, length = (4, number) if number <= 32 else (6, number - 33)
            for bucket in line:
                for bits in bucket.held:
                    for entry in bucket.entries(bits):
                        yield Place(version, length, bits), entry

    def _changing(self, number: int) -> Bucket:
        of, at = divmod(number, BUCKETS)
        own = self._own.get(of)
        if own is None:
            own = self._own[of] = set()
            self._lines[of] = self._lines[of][:] if of in self._lines else [_EMPTY] * BUCKETS
        line = self._lines[of]
        if at not in own:
            own.add(at)
            line[at] = line[at].copy()
        return line[at]


def parse(ip: str) -> tuple[int, int]:
    """Return the version and the number of a canonical address; (4, -1), which no network covers, for other text."""
    if ":" in ip:
        return _parse_six(ip)
    try:
        a, b, c, d = ip.split(".")
        return 4, _FIRST[a] + _SECOND[b] + _THIRD[c] + _FOURTH[d]
    except (ValueError, KeyError):
        return 4, -1


@lru_cache(maxsize=1 << 12)
def _parse_six(ip: str) -> tuple[int, int]:
    try:
        found = address.unwrapped(ipaddress.IPv6Network(ipaddress.IPv6Address(ip)))
    except ValueError:
        return 4, -1
    return found.version, int(found.network_address)
