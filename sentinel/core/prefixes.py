"""Decisions on addresses and networks, found by prefix length: one dictionary look-up for each length in use.

As in `shards`, what is shared is never changed: a draft copies the small bucket it touches.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache

from sentinel.core.decision import Place
from sentinel.core.shards import Entry

BUCKETS = 255  # a prefix modulo 255 mixes all its bytes
_WIDTH = {4: 32, 6: 128}
_EMPTY: dict[int, tuple[Entry, ...]] = {}
# The number of each part of a dotted address: three times faster than reading the parts anew.
_FIRST, _SECOND, _THIRD, _FOURTH = ({str(n): n << shift for n in range(256)} for shift in (24, 16, 8, 0))

Bucket = dict[int, tuple[Entry, ...]]
Line = list[Bucket]  # of one prefix length: its buckets


class Prefixes:
    """Entries by network; a bucket's number tells its version, its prefix length and its place in the line."""

    __slots__ = ("_four", "_lines", "_own", "_six")

    def __init__(self, lines: dict[int, Line] | None = None) -> None:
        self._lines = lines or {}
        self._own: dict[int, set[int]] = {}  # the buckets a draft has copied, by line
        self._four: tuple[tuple[int, Line], ...] = ()
        self._six: tuple[tuple[int, Line], ...] = ()
        self.done()

    def draft(self) -> Prefixes:
        """Return a version that may be changed until it is `done`."""
        return Prefixes(dict(self._lines))

    def done(self) -> Prefixes:
        """Return it ready to be asked."""
        self._own = {}
        lines = sorted(self._lines.items())
        self._four = tuple((32 - number, line) for number, line in lines if number <= 32)
        self._six = tuple((161 - number, line) for number, line in lines if number > 32)
        return self

    def find(self, ip: str) -> Sequence[tuple[int, Entry]]:
        """Return every decision that covers an address, each with the bits that are free in its network."""
        version, number = parse(ip)
        found: list[tuple[int, Entry]] | None = None
        for shift, line in self._four if version == 4 else self._six:
            bits = number >> shift
            if bits in line[bits % BUCKETS]:
                found = found or []
                found += [(shift, entry) for entry in line[bits % BUCKETS][bits]]
        return found or ()

    def add(self, where: Place, entry: Entry) -> int:
        """Add a decision on a network; return the number of its bucket."""
        line = where.length if where.version == 4 else 33 + where.length
        number = line * BUCKETS + where.bits % BUCKETS
        bucket = self._changing(number)
        bucket[where.bits] = (*bucket.get(where.bits, ()), entry)
        return number

    def remove(self, id: str, number: int) -> Entry | None:
        """Take the decision of an id out of a bucket and return it."""
        line = self._lines.get(number // BUCKETS)
        for bits, entries in (line[number % BUCKETS] if line else _EMPTY).items():
            for entry in entries:
                if entry.id == id:
                    self._replace(number, bits, tuple(other for other in entries if other.id != id))
                    return entry
        return None

    def ended(self, now: int) -> Iterator[list[str]]:
        """Give the ids of decisions that are over, a bucket at a time."""
        for line in self._lines.values():
            for bucket in line:
                over = [entry.id for entries in bucket.values() for entry in entries if entry.until <= now]
                if over:
                    yield over

    def items(self) -> Iterator[tuple[Place, Entry]]:
        """Give every network and decision."""
        for number, line in self._lines.items():
            version, length = (4, number) if number <= 32 else (6, number - 33)
            for bucket in line:
                for bits, entries in bucket.items():
                    for entry in entries:
                        yield Place(version, length, bits), entry

    def _replace(self, number: int, bits: int, entries: tuple[Entry, ...]) -> None:
        bucket = self._changing(number)
        if entries:
            bucket[bits] = entries
            return
        del bucket[bits]
        if not any(self._lines[number // BUCKETS]):
            del self._lines[number // BUCKETS], self._own[number // BUCKETS]

    def _changing(self, number: int) -> Bucket:
        of, at = divmod(number, BUCKETS)
        own = self._own.get(of)
        if own is None:
            own = self._own[of] = set()
            self._lines[of] = self._lines[of][:] if of in self._lines else [_EMPTY] * BUCKETS
        line = self._lines[of]
        if at not in own:
            own.add(at)
            line[at] = dict(line[at])
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
        number = int(ipaddress.IPv6Address(ip))
    except ValueError:
        return 4, -1
    return (4, number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else (6, number)
