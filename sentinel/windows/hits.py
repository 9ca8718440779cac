"""The hits of one group, in (time, id) order, in as little memory as plain lists can. Every look back reads them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

STRIDE = 3
Kept = tuple[int, str, Any]


class Hits(list[Any]):
    """One flat list: time, id and values of the first hit, then of the second. A place is a hit's number in it.

    There may be ten million of them: a tuple for each would take more than all else that is kept.
    """

    __slots__ = ()

    @classmethod
    def of(cls, hits: Iterable[Kept]) -> Self:
        """Return hits that are given one by one, in order."""
        return cls(part for hit in hits for part in hit)

    @property
    def many(self) -> int:
        """How many hits there are."""
        return len(self) // STRIDE

    def at(self, place: int) -> int:
        """Return the time of a hit; places may count from the end."""
        return int(self[STRIDE * place])

    def values(self, place: int) -> Any:
        """Return what a hit counts for."""
        return self[STRIDE * place + 2]

    def all_values(self, start: int, stop: int | None = None) -> list[Any]:
        """Return what the hits from a place to another count for."""
        return self[STRIDE * start + 2 : None if stop is None else STRIDE * stop : STRIDE]

    def each(self, start: int = 0, stop: int | None = None) -> Iterator[Kept]:
        """Give the hits one by one, those from a place to another."""
        part = self[STRIDE * start : None if stop is None else STRIDE * stop]
        return zip(part[::STRIDE], part[1::STRIDE], part[2::STRIDE], strict=True)

    def before(self, at: int) -> int:
        """Return how many hits are earlier than a time."""
        if not self or self[-STRIDE] < at:
            return self.many
        return bisect_left(range(self.many), at, key=lambda place: self[STRIDE * place])

    def behind(self, at: int) -> int:
        """Return the place of the first hit later than a time."""
        if not self or self[0] > at:
            return 0
        if self[-STRIDE] <= at:
            return self.many
        return bisect_right(range(self.many), at, key=lambda place: self[STRIDE * place])

    def place(self, at: int, id: str) -> int:
        """Return the place that a hit has or would have."""
        if self.is_newest(at, id):
            return self.many
        return bisect_left(
            range(self.many), (at, id), key=lambda place: (self[STRIDE * place], self[STRIDE * place + 1])
        )

    def holds(self, at: int, id: str) -> bool:
        """Say whether this very hit is kept."""
        start = STRIDE * self.place(at, id)
        return self[start : start + 2] == [at, id]

    def is_newest(self, at: int, id: str) -> bool:
        """Say whether a hit stands behind all that are kept."""
        return not self or at > self[-STRIDE] or (at == self[-STRIDE] and id > self[1 - STRIDE])

    def add(self, at: int, id: str, values: Any) -> int:
        """Add a hit and return its place."""
        place = self.place(at, id)
        self[STRIDE * place : STRIDE * place] = at, id, values
        return place

    def bound(self, most: int) -> int:
        """Drop the oldest hits past `most`, and return how many were dropped."""
        over = len(self) // STRIDE - most
        if over <= 0:
            return 0
        del self[: STRIDE * over]
        return over

    def forget(self, edge: int) -> int:
        """Drop the hits no later than `edge`, and return how many were dropped."""
        stale, size = 0, len(self)
        while stale < size and self[stale] <= edge:  # each is passed once, and there are seldom many
            stale += STRIDE
        if stale:
            del self[:stale]
        return stale // STRIDE

    def halve_oldest(self, merge: Callable[[Any, Any], Any]) -> int:
        """Merge the hits of the older half in pairs, under the later one's time and id; return how many pairs."""
        half = self.many // 2 // 2 * 2
        each = self.each(0, half)
        pairs = zip(each, each, strict=True)
        self[: STRIDE * half] = Hits.of((at, id, merge(one, other)) for (_, _, one), (at, id, other) in pairs)
        return half // 2
