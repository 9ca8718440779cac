"""One watch: its groups, its findings, and the passing of time. How a hit is judged is up to each kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from sentinel.core.errors import fault
from sentinel.engine.windows import Hit, Opening, Progress, Watch
from sentinel.windows.groups import Findings, Groups, Limits

S = TypeVar("S")
EVENTS = 32  # of those a finding rests on, so many are named
Revise = Callable[[Hit], Hit]


class Tracker(ABC, Generic[S]):
    """The groups of one watch; a kind gives `fresh`, `size`, `judge`, and how its state is written and read."""

    def __init__(self, watch: Watch, limits: Limits, span: int) -> None:
        """`span` is how far back an event's answer reaches, in microseconds."""
        self.watch = watch
        self.limits = limits
        self.keep = span + limits.lateness
        self.horizon = limits.lateness + max(span, watch.cooldown)
        self.groups: Groups[S] = Groups(self.horizon, limits, self.fresh, self.size)
        self.findings = Findings(watch, limits)
        self.turn: int | None = None
        self.latest = -1  # no hit of any group is newer
        self.merged = 0  # hits that no longer stand alone: their groups had too many
        self.faults: Counter[str] = Counter()  # by what they say, until they were asked for

    @abstractmethod
    def fresh(self) -> S:
        """Return the state of a group without hits."""

    @abstractmethod
    def size(self, state: S) -> int:
        """Return how much a state holds: where there is no room, the smallest groups are evicted first."""

    @abstractmethod
    def judge(self, hit: Hit, state: S) -> Iterable[Opening]:
        """Record a hit in its group's state and return what opens."""

    @abstractmethod
    def write(self, state: S) -> Any:
        """Return a state as plain values for MessagePack."""

    @abstractmethod
    def read(self, stored: Any) -> S:
        """Return the state that `write` gave."""

    def extra(self) -> Any:
        """Return what a kind keeps beside its groups, as plain values."""
        return None

    def resume(self, extra: Any) -> None:
        """Take over what `extra` gave, in place of what there is."""

    def hit(self, hit: Hit, newest: int) -> Iterable[Opening]:
        """Record one hit and return what opens; `newest` may be ahead: that of the batch the hit came with.

        What goes wrong is counted and opens nothing: one watch's fault is no other's.
        """
        try:
            return self._hit(hit, newest)
        except Exception as error:  # noqa: BLE001
            self.faults[fault(error)] += 1
            return ()

    def _hit(self, hit: Hit, newest: int) -> Iterable[Opening]:
        if self.turn is None or (hit.at >= self.turn and newest >= self.turn):
            self._turn_over(min(hit.at, newest))
        self.latest = max(self.latest, hit.at)
        state = self.groups.young.get(hit.key)
        if state is None:
            state = self.groups.fetch(hit.key, hit.source, self.findings.__contains__)
            if state is None:
                return ()
        found = self.judge(hit, state)
        return self._explained(hit.key, found) if found else found

    def run(self, hits: Iterable[Hit], newest: int, revise: Revise | None = None) -> Iterator[Opening]:
        """Record hits one by one and give what opens; the next hit is recorded once that was taken.

        With `revise`, the hits that follow an opening are passed through it first.
        """
        opened = False
        for hit in hits:
            found = self.hit(revise(hit) if opened and revise is not None else hit, newest)
            if found:
                opened = True
                yield from found

    def events(self, state: S, at: int) -> Iterable[str]:
        """Return ids of the events that a finding anchored at a time rests on, oldest first."""
        return ()

    def progress(self, key: str, now: int) -> Progress | None:
        """Return how near a group is to a finding, changing nothing; None for a group that is not known."""
        state = self.peek(key)
        opened = tuple((one.at, one.acting) for one in self.findings.peek(key))
        if state is None and not opened:
            return None
        return self.weigh(key, self.fresh() if state is None else state, now)._replace(opened=opened)

    def peek(self, key: str) -> S | None:
        """Return a group's state as it is, None where there is none."""
        return self.groups.peek(key)

    @abstractmethod
    def weigh(self, key: str, state: S, now: int) -> Progress:
        """Return what a state amounts to at a moment."""

    def _explained(self, key: str, openings: Iterable[Opening]) -> list[Opening]:
        state = self.groups.young[key]
        return [one._replace(events=tuple(self.events(state, one.at))[-EVENTS:] or (one.id,)) for one in openings]

    def put_back(self, opening: Opening) -> None:
        """Take back what `due` gave, so that it is due again."""

    def due(self, watermark: int) -> list[Opening]:
        """Return what opens because time has passed."""
        return []

    @property
    def dropped(self) -> Counter[str]:
        """What was let go, by reason."""
        return self.groups.dropped

    def _turn_over(self, newest: int) -> None:
        if self.turn is not None:
            passed = newest >= self.turn + self.horizon and self.latest < newest - self.horizon  # imports move no clock
            self._age(newest, passed)
        self.turn = newest + self.horizon

    def _age(self, newest: int, passed: bool) -> None:
        """Drop the old generation; with `passed` the young one too."""
        self.groups.turn_over(passed)
        self.findings.turn_over(passed)
