"""Which events came in lately, by identity: memory only, so that a repeat costs no query.

A set answers for as far back as it reaches. What it no longer holds is remembered as the seconds in which
something was let go: a timestamp in any other second cannot be a repeat. Asking the store for the rest is not here.
"""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.core.duration import DAY, SECOND
from sentinel.core.event import Event

GENERATION = 200_000  # at least so many of the newest are held, at most twice as many
_SECONDS = DAY // SECOND


class Generation:
    """Some identities by day, and the seconds of their timestamps."""

    __slots__ = ("days", "seconds", "size")

    def __init__(self) -> None:
        self.days: dict[int | None, set[str]] = {}
        self.seconds: set[int] = set()
        self.size = 0

    def add(self, sent: int | None, id: str) -> None:
        """Take in an identity that is not in it."""
        day = None
        if sent is not None:
            day = sent // DAY
            self.seconds.add(sent // SECOND)
        ids = self.days.get(day)
        if ids is None:
            ids = self.days[day] = set()
        ids.add(id)
        self.size += 1

    def has(self, day: int | None, id: str) -> bool:
        """Say whether it holds an identity."""
        ids = self.days.get(day)
        return ids is not None and id in ids


class Recent:
    """The newest identities of one app, in two generations: when the younger is full, the older goes."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._young = Generation()
        self._old = Generation()
        self._gone: dict[int, bytearray] = {}  # by day, a bit a second
        self.complete = True

    def __len__(self) -> int:
        return self._young.size + self._old.size

    def known(self, sent: int | None, id: str) -> bool | None:
        """Say whether an event is known; None where only the store can tell."""
        day = None if sent is None else sent // DAY
        if self._young.has(day, id) or self._old.has(day, id):
            return True
        if sent is None:
            return False
        return None if self._may_be_gone(sent // SECOND) else False

    def add(self, sent: int | None, id: str) -> None:
        """Take in an event that is not known."""
        if self._young.size >= self._generation:
            self._let_go(self._old.seconds)
            self._old, self._young = self._young, Generation()
        self._young.add(sent, id)

    def learn(self, events: Iterable[Event]) -> None:
        """Take in events that were stored."""
        for event in events:
            self.add(event.sent, event.id)

    def forget(self, first: int, last: int) -> None:
        """Learn that the store has events of these times, in microseconds and inclusive, that are not held here."""
        for day in range(first // DAY, last // DAY + 1):
            start, end = max(first, day * DAY), min(last, (day + 1) * DAY - 1)
            self._mark_span(day, start // SECOND % _SECONDS, end // SECOND % _SECONDS)

    def _may_be_gone(self, second: int) -> bool:
        if not self.complete:
            return True
        bits = self._gone.get(second // _SECONDS)
        at = second % _SECONDS
        return bits is not None and bool(bits[at >> 3] & 1 << (at & 7))

    def _let_go(self, seconds: Iterable[int]) -> None:
        for second in seconds:
            at = second % _SECONDS
            self._bits(second // _SECONDS)[at >> 3] |= 1 << (at & 7)

    def _mark_span(self, day: int, first: int, last: int) -> None:
        bits = self._bits(day)
        marked = int.from_bytes(bits, "little") | ((1 << (last - first + 1)) - 1) << first
        bits[:] = marked.to_bytes(len(bits), "little")

    def _bits(self, day: int) -> bytearray:
        bits = self._gone.get(day)
        if bits is None:
            bits = self._gone[day] = bytearray(_SECONDS // 8)
        return bits
