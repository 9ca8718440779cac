"""The groups of one watch: which of them are alive, and findings opened for each. What is in them is not known here.

Groups live in two generations of one horizon each: a group that is touched moves to the young one, and when a horizon
has passed the old one is dropped whole, so nothing is ever searched for what expired. Their number is bounded: past
half of the bound one address may make only so many new ones in a horizon, at the bound the lowest tallies go.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

from sentinel.engine.windows import Hit, Opening, Watch

MOST_HITS = 1000
S = TypeVar("S")
Crossing = tuple[int, str, tuple[int | float, ...]]
_AT = attrgetter("at")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of memory: `lateness` in microseconds, `groups` in each watch, `hits` in a group before it is thinned.

    Once half of `groups` live, one address may make at most `per_source` new ones in each horizon.
    """

    lateness: int = 600_000_000
    groups: int = 1_000_000
    hits: int = MOST_HITS
    per_source: int = 1_000


@dataclass(slots=True)
class Opened:
    """A finding already opened: its anchor (event time in microseconds, and id), its tally, and whether it acted."""

    at: int
    id: str
    tally: tuple[int | float, ...]
    acting: bool
    approximate: bool


class Groups(Generic[S]):
    """States by group key, in two generations of `horizon` microseconds each.

    `fresh` makes a group's first state; `size` tells how much a state holds: the smallest are evicted first.
    """

    def __init__(self, horizon: int, limits: Limits, fresh: Callable[[], S], size: Callable[[S], int]) -> None:
        self.horizon = horizon
        self.limits = limits
        self.young: dict[str, S] = {}
        self.old: dict[str, S] = {}
        self.made: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._fresh = fresh
        self._size = size

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def fetch(self, key: str, source: str | None, spared: Callable[[str], bool]) -> S | None:
        """Return a group's state, new if there is none, and move it to the young generation.

        None where `source` may make no more groups. Groups that `spared` says yes to are evicted last.
        """
        state = self.old.pop(key, None)
        if state is None:
            if not self._room(source, spared):
                return None
            state = self._fresh()
        self.young[key] = state
        return state

    def peek(self, key: str) -> S | None:
        """Return a group's state as it is, None where there is none; its generation does not change."""
        state = self.young.get(key)
        return self.old.get(key) if state is None else state

    def turn_over(self, passed: bool) -> None:
        """Drop the old generation; with `passed` the young one too, which is as old by now."""
        self.old = {} if passed else self.young
        self.young = {}
        self.made.clear()

    def _room(self, source: str | None, spared: Callable[[str], bool]) -> bool:
        """Say whether a source may make one more group; where none is left, evict others first."""
        living = len(self.young) + len(self.old)
        if living < self.limits.groups // 2:
            return True
        if source is not None:
            if self.made[source] >= self.limits.per_source:
                self.dropped["source over its quota of groups"] += 1
                return False
            if len(self.made) >= self.limits.groups:  # so many sources need no quota: none of them makes many
                self.made.clear()
            self.made[source] += 1
        if living >= self.limits.groups:
            self._evict(max(1, self.limits.groups // 10), spared)
        return True

    def _evict(self, wanted: int, spared: Callable[[str], bool]) -> None:
        """Drop groups of the lowest tally, those spared last."""
        tally = 1
        while wanted > 0:
            last = tally > self.limits.hits
            for groups in (self.old, self.young):
                found = (key for key, state in groups.items() if self._size(state) <= tally)
                chosen = [key for key in found if last or not spared(key)][:wanted]
                for key in chosen:
                    del groups[key]
                self.dropped["groups evicted"] += len(chosen)
                wanted -= len(chosen)
            tally *= 2


class Findings:
    """The findings opened for each group of a watch, as far back as they can hold back others."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        self.cooldown = watch.cooldown
        self.horizon = limits.lateness + watch.window + 2 * watch.cooldown
        self.young: dict[str, list[Opened]] = {}
        self.old: dict[str, list[Opened]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.young or key in self.old

    def turn_over(self, passed: bool) -> None:
        """Drop the old generation; with `passed` the young one too."""
        self.old = {} if passed else self.young
        self.young = {}

    def of(self, key: str) -> list[Opened]:
        """Return a group's findings by time; the list is not to be changed."""
        known = self.young.get(key)
        if known is None:
            known = self.old.pop(key, None)
            if known is None:
                return []
            self.young[key] = known
        return known

    def peek(self, key: str) -> list[Opened]:
        """Return a group's findings by time; their generation does not change."""
        return self.young.get(key) or self.old.get(key) or []

    def find(self, key: str, at: int, id: str) -> Opened | None:
        """Return a finding of a group, None where it is not known."""
        known = self.of(key)
        place = _place(known, at, id)
        return None if place is None else known[place]

    def know(self, key: str, finding: Opened) -> None:
        """Take in a finding, unless it is known."""
        if self.find(key, finding.at, finding.id) is None:
            known = self.of(key)
            first = bisect_right(known, finding.at - self.horizon, key=_AT)
            behind = bisect_right(known, finding.at, key=_AT)
            self.young[key] = [*known[first:behind], finding, *known[behind:]]

    def forget(self, key: str, at: int, id: str) -> None:
        """Let go of a finding."""
        known = self.of(key)
        place = _place(known, at, id)
        if place is not None:
            self.young[key] = known[:place] + known[place + 1 :]

    def open(self, hit: Hit, crossings: Iterable[Crossing], approximate: bool = False) -> list[Opening]:
        """Open a finding at each crossing, ascending, that no other holds back."""
        openings: list[Opening] = []
        for at, id, tally in crossings:
            if not self._held(hit.key, at, hit.acting):
                self.forget(hit.key, at, id)  # one that did not act gives way to one that does
                self.know(hit.key, Opened(at, id, tally, hit.acting, approximate))
                openings.append(Opening(hit, at, id, tally, approximate))
        return openings

    def again(self, hit: Hit, upto: int) -> list[Opening]:
        """Return the known findings in [hit's time, upto], for a hit delivered again: its commit may be repeated."""
        known = (one for one in self.of(hit.key) if hit.at <= one.at <= upto)
        return [Opening(hit, one.at, one.id, one.tally, one.approximate) for one in known]

    def retract(self, hit: Hit, prevented: Collection[tuple[int, str]]) -> list[Opening]:
        """Take back the findings whose crossings the hit has prevented."""
        gone = [one for one in self.of(hit.key) if (one.at, one.id) in prevented]
        if gone:
            self.young[hit.key] = [one for one in self.of(hit.key) if one not in gone]
        return [Opening(hit, one.at, one.id, one.tally, one.approximate, retracted=True) for one in gone]

    def _held(self, key: str, at: int, acting: bool) -> bool:
        for one in reversed(self.of(key)):  # mostly the last one decides, and there may be thousands
            if one.at <= at - self.cooldown:
                return False
            if one.at < at + self.cooldown and (one.acting or not acting):
                return True
        return False

    def held_from(self, hit: Hit, last: int) -> bool:
        """Say whether known findings hold back every crossing from the hit's time to `last`: none need be sought."""
        known, upto = self.of(hit.key), hit.at
        first = len(known)
        while first and known[first - 1].at > upto - self.cooldown:
            first -= 1
        for one in known[first:]:
            if (one.acting or not hit.acting) and one.at - self.cooldown < upto < one.at + self.cooldown:
                upto = one.at + self.cooldown
        return upto > last

    def yielded(self, opening: Opening) -> None:
        """Note that a finding did not act after all, so that it holds back no finding that does."""
        known = self.find(opening.hit.key, opening.at, opening.id)
        if known is not None:
            known.acting = False


def _place(known: Sequence[Opened], at: int, id: str) -> int | None:
    """Return the place of a finding among those of its group, None where it is not there."""
    same = range(bisect_left(known, at, key=_AT), bisect_right(known, at, key=_AT))
    return next((place for place in same if known[place].id == id), None)
