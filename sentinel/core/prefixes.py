"""Decisions on addresses and networks, found by prefix length: one dictionary look-up for each length in use.

As in `shards`, what is shared is never changed: a draft copies the small bucket it touches.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache

from sentinel.core.decision import Place
from sentinel.core.shards import Entry

BUCKETS = 255  # a network's number modulo 255 mixes all its bytes
_WIDTH = {4: 32, 6: 128}

Bucket = dict[int, tuple[Entry, ...]]


class Prefixes:
    """Entries by network. `lengths` lists, for each version, the shifts in use and their buckets."""

    __slots__ = ("_buckets", "_lengths", "_own")

    def __init__(self, buckets: dict[int, Bucket] | None = None) -> None:
        self._buckets = buckets or {}
        self._own: set[int] = set()
        self._lengths = self._in_use()

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def draft(self) -> Prefixes:
        """Return a version that may be changed until it is `done`."""
        return Prefixes(dict(self._buckets))

    def done(self) -> Prefixes:
        """Return it ready to be asked."""
        self._own = set()
        self._lengths = self._in_use()
        return self

    def find(self, ip: str) -> list[tuple[int, Entry]]:
        """Return every decision that covers an address, each with its prefix length."""
        found: list[tuple[int, Entry]] = []
        version, number = parse(ip)
        buckets = self._buckets
        for shift, base in self._lengths[version]:
            bits = number >> shift
            bucket = buckets.get(base + bits % BUCKETS)
            if bucket is not None and bits in bucket:
                length = _WIDTH[version] - shift
                found.extend((length, entry) for entry in bucket[bits])
        return found

    def add(self, where: Place, entry: Entry) -> int:
        """Add a decision on a network; return the number of its bucket."""
        number = _base(where.version, where.length) + where.bits % BUCKETS
        bucket = self._changing(number)
        bucket[where.bits] = (*bucket.get(where.bits, ()), entry)
        return number

    def remove(self, id: str, number: int) -> Entry | None:
        """Take the decision of an id out of a bucket and return it."""
        for bits, entries in self._buckets.get(number, {}).items():
            for entry in entries:
                if entry.id == id:
                    self._replace(number, bits, tuple(other for other in entries if other.id != id))
                    return entry
        return None

    def ended(self, now: int) -> Iterator[list[str]]:
        """Give the ids of decisions that are over, a bucket at a time."""
        for bucket in list(self._buckets.values()):
            over = [entry.id for entries in bucket.values() for entry in entries if entry.until <= now]
            if over:
                yield over

    def items(self) -> Iterator[tuple[Place, Entry]]:
        """Give every network and decision."""
        for number, bucket in self._buckets.items():
            version, length = _length_of(number // BUCKETS)
            for bits, entries in bucket.items():
                for entry in entries:
                    yield Place(version, length, bits), entry

    def _replace(self, number: int, bits: int, entries: tuple[Entry, ...]) -> None:
        bucket = self._changing(number)
        if entries:
            bucket[bits] = entries
        else:
            del bucket[bits]
        if not bucket:
            del self._buckets[number]
            self._own.discard(number)

    def _changing(self, number: int) -> Bucket:
        bucket = self._buckets.get(number)
        if bucket is None or number not in self._own:
            bucket = dict(bucket or {})
            self._buckets[number] = bucket
            self._own.add(number)
        return bucket

    def _in_use(self) -> dict[int, tuple[tuple[int, int], ...]]:
        found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for line in sorted({number // BUCKETS for number in self._buckets}):
            version, length = _length_of(line)
            found[version].append((_WIDTH[version] - length, line * BUCKETS))
        return {version: tuple(lines) for version, lines in found.items()}


def _base(version: int, length: int) -> int:
    return (length if version == 4 else 33 + length) * BUCKETS


def _length_of(line: int) -> tuple[int, int]:
    return (4, line) if line <= 32 else (6, line - 33)


@lru_cache(maxsize=1 << 12)
def parse(ip: str) -> tuple[int, int]:
    """Return the version and the number of a canonical address; (4, -1), which no network covers, for other text."""
    try:
        if ":" not in ip:
            a, b, c, d = ip.split(".")
            return 4, int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)
        number = int(ipaddress.IPv6Address(ip))
    except ValueError:
        return 4, -1
    return (4, number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else (6, number)
