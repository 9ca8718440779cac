"""`spike`: a window's count against the mean of the windows before. Judged on arrival.

Exact up to the bound of hits a group; past it, in the oldest half every event that is kept stands for two. A group that
has fallen silent leaves the time of its newest event behind, for as long as that shows that the group is not new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice, takewhile
from operator import add
from typing import Any

from sentinel.engine.windows import Hit, Opening, Progress, Spike, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.hits import Hits
from sentinel.windows.tracker import Tracker


class Series:
    """A group's events, each with its weight as its value, and the time of the newest that is not kept any more."""

    __slots__ = ("approximate", "gone", "hits")

    def __init__(self, gone: int | None = None) -> None:
        self.hits = Hits()
        self.gone = gone
        self.approximate = False

    def take(self, at: int, id: str, keep: int) -> None:
        """Add an event; let go of what lies `keep` microseconds or more behind the newest."""
        hits = self.hits
        hits.add(at, id, 1)
        edge = hits.at(-1) - keep
        if hits[0] <= edge:
            self.gone = max(hits.at(hits.behind(edge) - 1), -1 if self.gone is None else self.gone)
            hits.forget(edge)

    def newest(self, upto: int) -> int | None:
        """Return the time of the newest event up to a time, None where none is known."""
        place = self.hits.behind(upto)
        kept = self.hits.at(place - 1) if place else None
        if self.gone is None or self.gone > upto:
            return kept
        return self.gone if kept is None else max(kept, self.gone)

    def weight(self, after: int, upto: int) -> int:
        """Return how many events lie in (after, upto]."""
        hits = self.hits
        return sum(weight for _, _, weight in hits.each(hits.behind(after), hits.behind(upto)))

    def halve_oldest(self) -> int:
        """Merge the events of the older half in pairs, whose weights add up; return how many pairs."""
        self.approximate = True
        return self.hits.halve_oldest(add)


class SpikeTracker(Tracker[Series]):
    """The groups of one `spike`."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        assert isinstance(watch.detector, Spike)
        self.asked = watch.detector
        super().__init__(watch, limits, span=watch.window + self.asked.baseline)
        self.silent: dict[str, int] = {}  # groups that are not kept: when each had its newest event

    def fresh(self) -> Series:
        """Return a group without events."""
        return Series()

    def size(self, state: Series) -> int:
        """Return the number of events kept."""
        return state.hits.many

    def judge(self, hit: Hit, state: Series) -> Iterable[Opening]:
        """Record a hit and compare its window with the baseline before."""
        at, window, asked = hit.at, self.watch.window, self.asked
        if state.hits.holds(at, hit.id):
            return self.findings.again(hit, at)
        if not state.hits:
            state.gone = self.silent.pop(hit.key, None)
        state.take(at, hit.id, self.keep)
        if state.hits.many > self.limits.hits:
            self.merged += state.halve_oldest()
        start = at - window
        count = state.weight(start, at)
        if count < asked.fewest:
            return ()
        mean = self._mean(state, start)
        if count < asked.factor * mean or not was_there(asked, state.newest(start - asked.baseline), start):
            return ()
        return self.findings.open(hit, ((at, hit.id, (count, mean)),), state.approximate)

    def _mean(self, state: Series, start: int) -> float:
        """Return the mean of a window over the baseline that ends at `start`."""
        return state.weight(start - self.asked.baseline, start) * self.watch.window / self.asked.baseline

    def weigh(self, key: str, state: Series, now: int) -> Progress:
        """Return the count of the window that ends now and the mean it is measured against."""
        start = now - self.watch.window
        count = state.weight(start, now)
        newest = state.hits.at(state.hits.behind(now) - 1) + self.watch.window if count else None
        since = state.newest(start - self.asked.baseline)
        if not was_there(self.asked, since, start):
            since = next((at for at, _, _ in state.hits.each(state.hits.behind(start - self.asked.baseline))), None)
        full = None if since is None else since + self.asked.baseline + self.watch.window
        return Progress((count, self._mean(state, start)), newest, state.approximate, full)

    def peek(self, key: str) -> Series | None:
        """Return a group's state as it is, of a silent one what is left of it."""
        state = super().peek(key)
        return Series(self.silent[key]) if state is None and key in self.silent else state

    def _age(self, newest: int, passed: bool) -> None:
        self._silence(self.groups.old)
        if passed:
            self._silence(self.groups.young)
        self._forget(newest - self.limits.lateness - self.watch.span)
        super()._age(newest, passed)

    def _forget(self, edge: int) -> None:
        """Let go of silent groups that say nothing any more, and of the longest silent past the bound."""
        stale = [key for key, _ in takewhile(lambda one: one[1] <= edge, self.silent.items())]
        for key in stale:
            del self.silent[key]
        over = len(self.silent) - self.limits.groups
        if over > 0:
            for key in list(islice(self.silent, over)):
                del self.silent[key]
            self.dropped["silent groups forgotten"] += over

    def _silence(self, groups: Mapping[str, Series]) -> None:
        for key, state in groups.items():
            if state.hits:
                newest = state.hits.at(-1)
                self.silent[key] = newest if state.gone is None or state.gone < newest else state.gone

    def write(self, state: Series) -> Any:
        """Return the events kept, the time of the newest that is not, and the mark."""
        return [state.hits, state.gone, state.approximate]

    def read(self, stored: Any) -> Series:
        """Return the state that `write` gave."""
        series = Series(stored[1])
        series.hits = Hits(stored[0])
        series.approximate = stored[2]
        return series

    def extra(self) -> Any:
        """Return the silent groups."""
        return self.silent

    def resume(self, extra: Any) -> None:
        """Take over the silent groups that `extra` gave."""
        self.silent = dict(extra)


def was_there(asked: Spike, newest: int | None, start: int) -> bool:
    """Say whether a group is known for long enough to be compared with its baseline.

    It is where `newest`, its newest event before the baseline, lies less than `known` before the baseline begins.
    `start` is when the window begins.
    """
    return newest is not None and newest > start - asked.baseline - asked.known
