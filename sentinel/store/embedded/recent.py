"""The identities of events that came in lately, in memory only, so that recognising a repeat takes no query.

A set answers for as far back as it reaches. What it no longer holds is remembered as the seconds in which something was
dropped: a timestamp in any other second cannot be a repeat. The store is asked for the rest, but not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple, Protocol

from sentinel.core.duration import DAY, SECOND

GENERATION = 200_000  # at least so many of the newest are held, at most twice as many
_SECONDS = DAY // SECOND
_NONE: frozenset[str] = frozenset()


class Identified(Protocol):
    """What tells an event from others: when it was sent, in microseconds since 1970, and its id."""

    @property
    def sent(self) -> int | None: ...
    @property
    def id(self) -> str: ...


class Seen(NamedTuple):
    """The identity of a stored event, without the event."""

    sent: int | None
    id: str


class Generation:
    """Some identities by day, and the seconds of their timestamps."""

    __slots__ = ("days", "seconds", "size")

    def __init__(self) -> None:
        self.days: dict[int | None, set[str]] = {}
        self.seconds: set[int] = set()
        self.size = 0

    def add(self, events: Iterable[Identified]) -> None:
        """Take in events that are not in it."""
        days, saw = self.days, self.seconds.add
        for event in events:
            day = None
            if (sent := event.sent) is not None:
                day = sent // DAY
                saw(sent // SECOND)
            ids = days.get(day)
            if ids is None:
                ids = days[day] = set()
            ids.add(event.id)
            self.size += 1


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

    def known(self, events: Iterable[Identified]) -> list[bool | None]:
        """Say of each event whether it is known; None where only the store can tell."""
        young, old, gone, complete = self._young.days.get, self._old.days.get, self._gone.get, self.complete
        answers: list[bool | None] = []
        for event in events:
            sent, id = event.sent, event.id
            day = None if sent is None else sent // DAY
            if id in young(day, _NONE) or id in old(day, _NONE):
                answers.append(True)
            elif sent is None or day is None:
                answers.append(False)
            elif not complete:
                answers.append(None)
            elif (bits := gone(day)) is None:
                answers.append(False)
            else:
                second = sent // SECOND % _SECONDS
                answers.append(None if bits[second >> 3] & 1 << (second & 7) else False)
        return answers

    def learn(self, events: Iterable[Identified]) -> None:
        """Take in events that were stored and are not known."""
        coming = iter(events)
        while some := list(islice(coming, max(1, self._generation - self._young.size))):
            if self._young.size >= self._generation:
                self._let_go(self._old.seconds)
                self._old, self._young = self._young, Generation()
            self._young.add(some)

    def forget(self, first: int, last: int) -> None:
        """Note that the store has events from `first` to `last` (microseconds, inclusive) that are not held here."""
        for day in range(first // DAY, last // DAY + 1):
            start, end = max(first, day * DAY), min(last, (day + 1) * DAY - 1)
            self._mark_span(day, start // SECOND % _SECONDS, end // SECOND % _SECONDS)

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
