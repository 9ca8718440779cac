"""`first_seen`: a value that is new to its group. Judged on arrival against events of earlier event time.

Of each value the first time and the newest few are kept, of the group the newest times, as plain numbers, because it
may look back a year. Ids are kept while an event may come late, and with it a repeat. Values past a bound are
forgotten, least recently seen first, and counted.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Any

from sentinel.engine.windows import FirstSeen, Hit, Opening, Progress, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.hits import Hits
from sentinel.windows.tracker import Tracker

VALUES = 64
TIMES = 16
RECENT = 64


class Known:
    """What one group is known for: when its newest events were, which of them came lately, and when each value did."""

    __slots__ = ("late", "times", "values")

    def __init__(self) -> None:
        self.late = Hits()  # without values
        self.times = _times()
        self.values: dict[str, array[int]] = {}

    def earlier(self, at: int, history: int) -> int:
        """Return how many events kept lie before `at`, within the history."""
        return bisect_left(self.times, at) - bisect_right(self.times, at - history)

    def is_new(self, value: str, at: int, history: int) -> bool:
        """Say whether no event before `at`, within the history, had the value."""
        times = self.values.get(value, ())
        index = bisect_left(times, at)
        return index == 0 or times[index - 1] <= at - history

    def learn(self, at: int, id: str, value: str | None, most: int, lateness: int) -> int:
        """Take in an event, keeping `most` times at most, and ids for `lateness` microseconds.

        Returns how many values had to be forgotten for it: 0 or 1.
        """
        insort(self.times, at)
        if len(self.times) > most:
            self.times.pop(0)
        self.late.add(at, id, None)
        self.late.forget(self.late.at(-1) - lateness)
        self.late.bound(most)
        if value is None:
            return 0
        times = self.values.pop(value, None) or _times()
        insort(times, at)
        if len(times) > TIMES:
            times.pop(1)
        self.values[value] = times
        if len(self.values) <= VALUES:
            return 0
        del self.values[min(self.values, key=lambda known: self.values[known][-1])]
        return 1


def _times(written: Iterable[int] = ()) -> array[int]:
    return array("q", written)


class NoveltyTracker(Tracker[Known]):
    """The groups of one `first_seen`."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        assert isinstance(watch.detector, FirstSeen)
        self.asked = watch.detector
        super().__init__(watch, limits, span=self.asked.history)

    def fresh(self) -> Known:
        """Return a group that is known for nothing."""
        return Known()

    def size(self, state: Known) -> int:
        """Return the number of recent events."""
        return len(state.times)

    def judge(self, hit: Hit, state: Known) -> Iterable[Opening]:
        """Record a hit; its value opens a finding if it is new and the group has learnt enough."""
        value: str | None = hit.values[0]
        if state.late.holds(hit.at, hit.id):
            return self.findings.again(hit, hit.at)
        earlier = state.earlier(hit.at, self.asked.history)
        new = value is not None and earlier >= self.asked.after
        new = new and state.is_new(value or "", hit.at, self.asked.history)
        forgotten = state.learn(hit.at, hit.id, value, self.asked.after + RECENT, self.limits.lateness)
        if forgotten:
            self.dropped["first_seen values forgotten"] += forgotten
        return self.findings.open(hit, ((hit.at, hit.id, (earlier,)),)) if new else ()

    def weigh(self, key: str, state: Known, now: int) -> Progress:
        """Return how many events the group has learnt from, and the values it knows."""
        history = self.asked.history
        known = [value for value in state.values if not state.is_new(value, now + 1, history)]
        newest = state.times[-1] + history if state.times else None
        earlier = state.earlier(now + 1, history)
        return Progress((earlier,), newest if earlier else None, known=tuple(sorted(known)))

    def write(self, state: Known) -> Any:
        """Return the times of events, those that came lately, and the values' times."""
        return [list(state.times), state.late, {value: list(times) for value, times in state.values.items()}]

    def read(self, stored: Any) -> Known:
        """Return the state that `write` gave."""
        known = Known()
        times, late, values = stored
        known.times, known.late = _times(times), Hits(late)
        known.values = {value: _times(of) for value, of in values.items()}
        return known
