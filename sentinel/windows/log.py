"""Hits with running tallies of the newest window, for any metrics: exact up to `most` hits a group.

Hits that no answer depends on any more are dropped before: see `settled`. Past the bound, for count, distinct and max
only what decides windows is kept (see `keepers`); for others neighbours are merged and the group is marked approximate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sentinel.engine.windows import Gauge, Threshold
from sentinel.windows.groups import Crossing
from sentinel.windows.hits import Hits
from sentinel.windows.tally import Tally, Together, merged, reaches, shown, tallies

DECIDED = ("count", "distinct", "max")
LOOK = 64  # up to so many hits it is not looked which could go


class Terms(NamedTuple):
    """What a log is asked: a threshold with its window, and what can be said of it once and for all.

    `window`, `lateness` and `keep`, how far behind the newest a hit still counts, are microseconds. With `single` there
    is one metric, and its value stands for a hit's values. With `decided` some hits decide all windows. A group keeps
    `most` hits.
    """

    window: int
    lateness: int
    keep: int
    gauges: tuple[Gauge, ...]
    fewest: int
    on_arrival: bool
    single: bool
    decided: bool
    most: int


def terms_of(asked: Threshold, window: int, lateness: int, most: int) -> Terms:
    """Return the terms of a threshold."""
    decided = all(gauge.kind in DECIDED for gauge in asked.gauges)
    single = len(asked.gauges) == 1
    return Terms(
        window, lateness, window + lateness, asked.gauges, asked.fewest, asked.on_arrival, single, decided, most
    )


class Log:
    """The hits of one group, and the running tally of its newest window once there are enough to cross."""

    __slots__ = ("approximate", "first", "hits", "limit", "running")

    def __init__(self, hits: Hits, terms: Terms, approximate: bool = False, limit: int = 0) -> None:
        self.limit = limit or (min(LOOK, terms.most) if terms.decided else terms.most)
        self.approximate = approximate
        self._resume(hits, terms)

    def _resume(self, hits: Hits, terms: Terms) -> None:
        self.hits = hits
        self.first = 0
        self.running: Tally | Together | None = None  # over the hits from `first` on, the window of the newest
        if hits and (hits.many >= terms.fewest or self.approximate):  # a merged hit stands for several
            self._rebuild(terms)

    def _rebuild(self, terms: Terms) -> None:
        self.first = self.hits.behind(self.hits.at(-1) - terms.window)
        self.running = tallies(terms.gauges)
        self.running.fill(self.hits.all_values(self.first))

    def add(self, at: int, id: str, values: Any, terms: Terms) -> None:
        """Add a hit; forget what lies too far behind the newest."""
        hits = self.hits
        if not hits.is_newest(at, id):
            self._insert(at, id, values, terms)
            return
        hits += at, id, values
        if self.running is not None or hits.many >= terms.fewest:
            self._advance(at, values, terms)
        if hits[0] <= at - terms.keep:
            self.first = max(0, self.first - hits.forget(at - terms.keep))

    def _advance(self, at: int, values: Any, terms: Terms) -> None:
        if self.running is None:
            self._rebuild(terms)
            return
        self.running.add(values)
        hits, first, edge = self.hits, self.first, at - terms.window
        while hits.at(first) <= edge:
            self.running.drop(hits.values(first))
            first += 1
        self.first = first

    def _insert(self, at: int, id: str, values: Any, terms: Terms) -> None:
        place = self.hits.add(at, id, values)
        if self.running is None:
            if self.hits.many >= terms.fewest:
                self._rebuild(terms)
        elif place < self.first or at <= self.hits.at(-1) - terms.window:
            self.first += 1
        else:
            self.running.add(values)

    def crossing(self, at: int, id: str, terms: Terms) -> Crossing | None:
        """Return the crossing of a hit at the newest time, None where the window does not reach.

        Its id is the first of that time; judged on arrival, the hit's own.
        """
        if self.running is None or not self.running.reached():
            return None
        if not terms.on_arrival:
            at, id, _ = next(self.hits.each(self.hits.before(at)))
        return at, id, shown(self.running)

    def may_cross(self, at: int, terms: Terms) -> bool:
        """Say whether a window that ends in [at, newest] might reach: False is always right, True only a guess."""
        if terms.on_arrival:
            inside = self.hits.behind(at) - self.hits.behind(at - terms.window)
            return inside >= terms.fewest or self.approximate  # a merged hit stands for several
        if self.running is None:  # there are too few
            return False
        before = self.hits.all_values(self.hits.behind(at - terms.window), self.first)
        self.running.fill(before)
        answer = self.running.reached()
        self.running.drain(before)
        return answer

    def crossings(self, at: int, terms: Terms) -> list[Crossing]:
        """Return the crossings in [at, at + window), ascending, with their tallies.

        Late hits are mostly a few places late: the running tally is wound back by those, and on again.
        """
        hits, found = self.hits, []
        low, index = hits.behind(at - terms.window), hits.behind(at)
        late = hits.many - index + self.first - low
        running = self.running if self.first <= index and 2 * late < index - low else None
        sums = running or tallies(terms.gauges)
        if running is None:
            sums.fill(hits.all_values(low, index))
        else:
            self._back(low, index, running)
        start = hits.before(at)
        stop = index if terms.on_arrival else hits.before(at + terms.window)
        while start < stop:
            time = hits.at(start)
            behind = start + 1
            while behind < hits.many and hits.at(behind) == time:
                behind += 1
            sums.fill(hits.all_values(index, behind))
            index = behind
            while hits.at(low) <= time - terms.window:
                sums.drop(hits.values(low))
                low += 1
            if sums.reached():
                tally = shown(sums)
                found += [(when, id, tally) for when, id, _ in hits.each(start, behind)]
            start = behind
        if running is not None:
            self._on(low, index, running)
        return found

    def _back(self, low: int, index: int, running: Tally | Together) -> None:
        """Wind the running tally back to the hits from place `low` to before place `index`."""
        running.drain(self.hits.all_values(index))
        running.fill(self.hits.all_values(low, self.first))

    def _on(self, low: int, index: int, running: Tally | Together) -> None:
        """Wind the running tally on to the newest window, from the hits in places `low` to before `index`."""
        running.fill(self.hits.all_values(index))
        running.drain(self.hits.all_values(low, self.first))

    def thin(self, terms: Terms) -> int:
        """Drop the hits that decide no window or, where all do, merge neighbours; return how many were merged away.

        Where hits decide, `limit` becomes twice what is left: all of it may be needed, and looking takes time.
        """
        if not terms.decided:
            self.approximate = True
            gone = self.hits.halve_oldest(lambda one, other: merged(one, other, terms.gauges))
            self._resume(self.hits, terms)
            return gone
        kept = settled(self.hits, terms)
        if kept.many > terms.most:
            kept = keepers(kept, terms)
        if kept.many < self.hits.many:
            self._resume(kept, terms)
        self.limit = max(min(LOOK, terms.most), 2 * self.hits.many)
        return 0


def settled(hits: Hits, terms: Terms) -> Hits:
    """Return the hits without those that are older than `lateness` and decide no window any more.

    A window that can still change ends after that time, so of the older hits it holds all from some moment on. Of them
    only the last n decide a count, for distinct the last of each of n values, for max those above all later ones.
    """
    edge = hits.before(hits.at(-1) - terms.lateness)
    kept: set[int] = set()
    for position, gauge in enumerate(terms.gauges):
        values = _values(hits, range(edge - 1, -1, -1), position, terms)
        kept.update(edge - 1 - place for place in _deciding(values, gauge))
    old = (hit for place, hit in enumerate(hits.each(0, edge)) if place in kept)
    return Hits.of((*old, *hits.each(edge)))


def keepers(hits: Hits, terms: Terms) -> Hits:
    """Return the hits that decide every window: in each cell of one window's length, for count the first and
    last n, for distinct the first and last occurrence of the n values seen first and the n seen last, for max
    those of the first and the last that are greater than all before; and the cell's very first and last.
    """
    kept: set[int] = set()
    start = 0
    while start < hits.many:
        stop = hits.before((hits.at(start) // terms.window + 1) * terms.window)
        kept.update((start, stop - 1))
        for position, gauge in enumerate(terms.gauges):
            for places in (range(start, stop), range(stop - 1, start - 1, -1)):
                kept.update(places[found] for found in _deciding(_values(hits, places, position, terms), gauge))
        start = stop
    return Hits.of(hit for place, hit in enumerate(hits.each()) if place in kept)


def _values(hits: Hits, places: range, position: int, terms: Terms) -> Iterator[Any]:
    """Give what hits count for under one of the metrics."""
    found = (hits.values(place) for place in places)
    return found if terms.single else (values[position] for values in found)


def _deciding(values: Iterable[Any], gauge: Gauge) -> list[int]:
    """Return the places of the values that raise the metric, taken one after the other, up to its threshold."""
    if gauge.kind == "count":
        return [place for place, _ in zip(range(int(gauge.reach)), values, strict=False)]
    found: dict[Any, int] = {}
    for place, value in enumerate(values):
        if gauge.kind == "max":
            if reaches(value, gauge) and (not found or value > next(reversed(found))):
                found[value] = place
        elif value is not None and value not in found:
            found[value] = place
            if len(found) >= gauge.reach:
                break
    return list(found.values())
