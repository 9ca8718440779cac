"""`spike`: a window's count against the mean of the windows before. Judged on arrival.

Exact up to the bound of hits a group; past it the oldest half is halved by letting one event stand for two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sentinel.engine.windows import Hit, Opening, Progress, Spike, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.timeline import Timeline
from sentinel.windows.tracker import Tracker


class Series(Timeline):
    """A group's events, each with its weight as its value, and when the first of all came."""

    __slots__ = ("approximate", "first")

    def __init__(self) -> None:
        super().__init__()
        self.first: int | None = None
        self.approximate = False

    def weight(self, after: int, upto: int) -> int:
        """Return how many events lie in (after, upto]."""
        return sum(kept[2][0] for kept in self.hits[self.index(after + 1) : self.index(upto + 1)])

    def halve_oldest(self) -> None:
        """Let each second event of the older half stand for the one before it too."""
        half = len(self.hits) // 2 // 2 * 2
        pairs = zip(self.hits[0:half:2], self.hits[1:half:2], strict=True)
        together = [(late[0], late[1], (early[2][0] + late[2][0],)) for early, late in pairs]
        self.hits = together + self.hits[half:]
        self.approximate = True


class SpikeTracker(Tracker[Series]):
    """The groups of one `spike`."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        assert isinstance(watch.detector, Spike)
        self.asked = watch.detector
        super().__init__(watch, limits, span=watch.span)

    def fresh(self) -> Series:
        """Return a group without events."""
        return Series()

    def size(self, state: Series) -> int:
        """Return the number of events kept."""
        return len(state.hits)

    def judge(self, hit: Hit, state: Series) -> Iterable[Opening]:
        """Record a hit and compare its window with the baseline before."""
        at, window, asked = hit.at, self.watch.window, self.asked
        if state.holds(at, hit.id):
            return self.findings.again(hit, at)
        state.first = at if state.first is None else min(state.first, at)
        state.add((at, hit.id, (1,)), self.keep, most=1 << 60)
        if len(state.hits) > self.limits.hits:
            state.halve_oldest()
        start = at - window
        count = state.weight(start, at)
        if count < asked.fewest or state.first > start - asked.baseline:
            return ()
        mean = self._mean(state, start)
        if count < asked.factor * mean:
            return ()
        return self.findings.open(hit, ((at, hit.id, (count, mean)),), state.approximate)

    def _mean(self, state: Series, start: int) -> float:
        """Return the mean of a window over the baseline that ends at `start`."""
        return state.weight(start - self.asked.baseline, start) * self.watch.window / self.asked.baseline

    def weigh(self, key: str, state: Series, now: int) -> Progress:
        """Return the count of the window that ends now and the mean it is measured against."""
        start = now - self.watch.window
        count = state.weight(start, now)
        newest = state.hits[state.index(now + 1) - 1][0] + self.watch.window if count else None
        full = None if state.first is None else state.first + self.asked.baseline + self.watch.window
        return Progress((count, self._mean(state, start)), newest, state.approximate, full)

    def write(self, state: Series) -> Any:
        """Return the events kept, the first's time and the mark."""
        return [state.hits, state.first, state.approximate]

    def read(self, stored: Any) -> Series:
        """Return the state that `write` gave."""
        series = Series()
        series.hits = [(at, id, tuple(values)) for at, id, values in stored[0]]
        series.first, series.approximate = stored[1], stored[2]
        return series
