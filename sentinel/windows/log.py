"""Hits of any metrics, one by one, in (time, id) order, with tallies of the newest window running along.

Exact up to `MOST` hits a group. Past that, what need not be kept is let go: for count, distinct and max what no
window's answer can change for; otherwise neighbours are merged and the group is marked approximate.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from sentinel.engine.windows import Gauge, Threshold
from sentinel.windows.tally import Tally, merged, reaches, tallies

MOST = 1000
Kept = tuple[int, str, tuple[Any, ...]]
Crossing = tuple[int, str, tuple[int | float, ...]]


class Terms(NamedTuple):
    """What a log is asked: a threshold with its window, and what can be said of it once and for all."""

    window: int
    gauges: tuple[Gauge, ...]
    fewest: int
    on_arrival: bool


def terms_of(asked: Threshold, window: int) -> Terms:
    """Return the terms of a threshold over a window of so many microseconds."""
    return Terms(window, asked.gauges, asked.fewest, asked.on_arrival)


class Few(list[Any]):
    """The hits of a group that has too few to cross: time, id and values of one after the other.

    Most groups never have more; so they cost no tallies, no objects to hold hits, and hardly a step to add one. Where
    one metric is asked, its value stands for the values.
    """

    __slots__ = ()
    limit = 0
    approximate = False

    def hits(self, single: bool) -> list[Kept]:
        """Return the hits one by one, in order; `single` says that there is but one metric."""
        values = [(value,) for value in self[2::3]] if single else self[2::3]
        return list(zip(self[::3], self[1::3], values, strict=True))

    def forget(self, edge: int) -> None:
        """Let go of the hits up to a time."""
        stale = 0
        while stale < len(self) and self[stale] <= edge:
            stale += 3
        del self[:stale]


class Log:
    """The hits of one group under one terms."""

    __slots__ = ("approximate", "first", "hits", "limit", "running")

    def __init__(self) -> None:
        self.hits: list[Kept] = []
        self.running: list[Tally] | None = None  # over hits[first:], the window of the newest hit
        self.first = 0
        self.limit = 0  # thin when there are more; 0: not yet set
        self.approximate = False

    def resume(self, hits: list[Kept], terms: Terms) -> None:
        """Take over hits kept before, in order."""
        self.hits = hits
        self.running = None
        if len(hits) >= terms.fewest or self.approximate:  # a merged hit stands for several
            self._rebuild(terms)

    def newest(self) -> int:
        """Return the time of the newest hit; there is always one."""
        return self.hits[-1][0]

    def holds(self, at: int, id: str) -> bool:
        """Say whether this very hit is kept."""
        index = bisect_left(self.hits, (at, id))
        return index < len(self.hits) and self.hits[index][:2] == (at, id)

    def add(self, hit: Kept, terms: Terms, keep: int) -> None:
        """Add a hit; forget what lies more than `keep` microseconds behind the newest."""
        hits = self.hits
        if hits and hit[0] <= hits[-1][0] and hit[:2] < hits[-1][:2]:
            self._insert(hit, terms)
            return
        hits.append(hit)
        if self.running is not None or len(hits) >= terms.fewest:
            self._advance(hit, terms)
        if hits[0][0] <= hit[0] - keep:
            self._forget(hit[0] - keep)

    def _advance(self, hit: Kept, terms: Terms) -> None:
        if self.running is None:
            self._rebuild(terms)
            return
        for tally, value in zip(self.running, hit[2], strict=True):
            tally.add(value)
        edge = hit[0] - terms.window
        while self.hits[self.first][0] <= edge:
            for tally, value in zip(self.running, self.hits[self.first][2], strict=True):
                tally.drop(value)
            self.first += 1

    def _rebuild(self, terms: Terms) -> None:
        self.first = self._behind(self.newest() - terms.window)
        self.running = tallies(terms.gauges)
        window = self.hits[self.first :]
        for place, tally in enumerate(self.running):
            tally.fill([values[place] for _, _, values in window])

    def _insert(self, hit: Kept, terms: Terms) -> None:
        index = bisect_left(self.hits, hit[:2])
        self.hits.insert(index, hit)
        if self.running is None:
            if len(self.hits) >= terms.fewest:
                self._rebuild(terms)
        elif index < self.first or hit[0] <= self.newest() - terms.window:
            self.first += 1
        else:
            for tally, value in zip(self.running, hit[2], strict=True):
                tally.add(value)

    def _forget(self, edge: int) -> None:
        stale = self._behind(edge)
        del self.hits[:stale]
        self.first = max(0, self.first - stale)

    def _behind(self, at: int) -> int:
        """Return the index of the first hit later than `at`."""
        return bisect_right(self.hits, at, key=lambda kept: kept[0])

    def crossing(self, hit: Kept, terms: Terms) -> Crossing | None:
        """Return the crossing a hit of the newest time makes, if it does: the first by id of that time."""
        if self.running is None:
            return None
        for tally in self.running:  # no generator: this is asked at every hit of a busy group
            if not tally.reached():
                return None
        anchor = hit if terms.on_arrival else self.hits[bisect_left(self.hits, (hit[0],))]
        return anchor[0], anchor[1], tuple(tally.shown() for tally in self.running)

    def may_cross(self, at: int, terms: Terms) -> bool:
        """Say whether any window that ends in [at, newest] could meet the metrics: a quick no is never wrong."""
        if terms.on_arrival:
            return True
        if self.running is None:
            return len(self.hits) >= terms.fewest
        edge = self._behind(at - terms.window)
        before = [values for _, _, values in self.hits[edge : self.first]]
        for values in before:
            self._each(values, add=True)
        answer = all(tally.reached() for tally in self.running)
        for values in before:
            self._each(values, add=False)
        return answer

    def _each(self, values: tuple[Any, ...], add: bool) -> None:
        for tally, value in zip(self.running or (), values, strict=True):
            (tally.add if add else tally.drop)(value)

    def crossings(self, at: int, terms: Terms) -> Iterator[Crossing]:
        """Yield the crossings in [at, at + window), ascending, with their tallies."""
        start = bisect_left(self.hits, (at,))
        stop = bisect_left(self.hits, (at + terms.window,))
        if terms.on_arrival:
            stop = min(stop, self._behind(at))
        low = self._behind(at - terms.window)
        sums = tallies(terms.gauges)
        index = low
        while start < stop:
            time = self.hits[start][0]
            behind = start
            while behind < len(self.hits) and self.hits[behind][0] == time:
                behind += 1
            while index < behind:
                for tally, value in zip(sums, self.hits[index][2], strict=True):
                    tally.add(value)
                index += 1
            while self.hits[low][0] <= time - terms.window:
                for tally, value in zip(sums, self.hits[low][2], strict=True):
                    tally.drop(value)
                low += 1
            if all(tally.reached() for tally in sums):
                shown = tuple(tally.shown() for tally in sums)
                for kept in self.hits[start:behind]:
                    yield kept[0], kept[1], shown
            start = behind

    def thin(self, terms: Terms, most: int) -> int:
        """Bring the hits back under the bound, once they are over it; return how many no longer stand alone."""
        if len(self.hits) <= max(self.limit, most):
            return 0
        merged = 0
        if all(gauge.kind in ("count", "distinct", "max") for gauge in terms.gauges):
            self.resume(keepers(self.hits, terms), terms)
            self.limit = max(most, 2 * len(self.hits))  # those that decide may be more: not to be sought at each hit
        else:
            self.approximate, merged = True, len(self.hits)
            self.resume(merge_oldest(self.hits, terms), terms)
            merged -= len(self.hits)
            self.limit = most
        return merged


def keepers(hits: list[Kept], terms: Terms) -> list[Kept]:
    """Return the hits that decide every window: in each cell of one window's length, for count the first and
    last n, for distinct the first and last occurrence of the n values seen first and the n seen last, for max
    the first and last that reach it; and the cell's very first and last.
    """
    kept: set[int] = set()
    start = 0
    while start < len(hits):
        cell = hits[start][0] // terms.window
        stop = bisect_left(hits, ((cell + 1) * terms.window,))
        kept.update((start, stop - 1))
        for position, gauge in enumerate(terms.gauges):
            kept.update(_deciding(range(start, stop), hits, position, gauge))
            kept.update(_deciding(range(stop - 1, start - 1, -1), hits, position, gauge))
        start = stop
    return [hits[index] for index in sorted(kept)]


def _deciding(indexes: range, hits: list[Kept], position: int, gauge: Gauge) -> list[int]:
    """Return the first indexes, in the given direction, whose hits raise the metric up to its threshold."""
    if gauge.kind == "count":
        return list(indexes[: int(gauge.reach)])
    found: dict[Any, int] = {}
    most = gauge.reach if gauge.kind == "distinct" else 1
    for index in indexes:
        value = hits[index][2][position]
        if gauge.kind == "max":
            value = "reaching" if reaches(value, gauge) else None
        if value is not None and value not in found:
            found[value] = index
            if len(found) >= most:
                break
    return list(found.values())


def merge_oldest(hits: list[Kept], terms: Terms) -> list[Kept]:
    """Return the hits with each two neighbours of the older half made one, standing at the later's time."""
    half = len(hits) // 2 // 2 * 2
    pairs = zip(hits[0:half:2], hits[1:half:2], strict=True)
    together = [(late[0], late[1], merged(early[2], late[2], terms.gauges)) for early, late in pairs]
    return together + hits[half:]
