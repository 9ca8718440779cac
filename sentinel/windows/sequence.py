"""Sequences: the groups of one watch over steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sentinel.engine.windows import Hit, Opening, Progress, Steps, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.hits import Hits
from sentinel.windows.steps import History, furthest
from sentinel.windows.tracker import Tracker

State = Hits | History


class SequenceTracker(Tracker[State]):
    """The groups of one sequence: hits as they are until there are enough to complete one."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        super().__init__(watch, limits, span=watch.window)
        assert isinstance(watch.detector, Steps)
        self.asked = watch.detector
        self.tally = tuple(max(step.count, step.distinct) for step in self.asked.steps)
        self.few = min(sum(self.tally), limits.hits) - 1  # so many complete none

    def fresh(self) -> State:
        """Return a group that has seen nothing."""
        return Hits()

    def size(self, state: State) -> int:
        """Return the number of events kept."""
        return _hits(state).many

    def judge(self, hit: Hit, state: State) -> Iterable[Opening]:
        """Record a hit and return what opens, and what a late `until` takes back."""
        at, hits = hit.at, _hits(state)
        newest = hits.is_newest(at, hit.id)
        if newest:
            hits.forget(at - self.keep)
        elif hits.holds(at, hit.id):
            return self.findings.again(hit, at + self.watch.window - 1)
        if not isinstance(state, History):
            if hits.many < self.few:
                hits.add(at, hit.id, hit.values)
                return ()
            state = self.groups.young[hit.key] = History(hits, self.asked, self.watch.window)
        return self._append(hit, state) if newest else self._insert(hit, state)

    def _append(self, hit: Hit, state: History) -> Iterable[Opening]:
        kept = hit.at, hit.id, hit.values
        complete = state.append(kept, self.asked, self.watch.window, self.limits.hits)
        if state.lost:
            self.merged, state.lost = self.merged + state.lost, 0
        return self.findings.open(hit, ((*kept[:2], self.tally),), state.approximate) if complete else ()

    def _insert(self, hit: Hit, state: History) -> Iterable[Opening]:
        at, kept, window = hit.at, (hit.at, hit.id, hit.values), self.watch.window
        until = hit.values[1]
        before = state.crossings(at, self.asked, window) if until else []
        found = state.insert(kept, self.asked, window)
        retracted = self.findings.retract(hit, set(before) - set(found)) if until else []
        crossings = ((when, which, self.tally) for when, which in found)
        return retracted + self.findings.open(hit, crossings, state.approximate)

    def events(self, state: State, at: int) -> Iterable[str]:
        """Return ids of the events of the window that ends at `at`."""
        hits = _hits(state)
        return [id for _, id, _ in hits.each(hits.behind(at - self.watch.window), hits.behind(at))]

    def weigh(self, key: str, state: State, now: int) -> Progress:
        """Return how many events each step holds, along the start that has come furthest."""
        start, reached = furthest(_hits(state), self.asked, self.watch.window, now)
        steps = self.asked.steps
        filled = [max(step.count, step.distinct) for step in steps[: reached.step]]
        step = steps[reached.step]
        filled.append(len(reached.values) if step.distinct >= step.count else reached.filled)
        tally = (*filled, *[0] * (len(steps) - len(filled)))
        return Progress(tally, None if start is None else start + self.watch.window, _approximate(state))

    def write(self, state: State) -> Any:
        """Return the events and the mark."""
        return [_hits(state), _approximate(state)]

    def read(self, stored: Any) -> State:
        """Return the state that `write` gave."""
        written, approximate = stored
        marked = Hits(written).each()
        hits = Hits.of((at, id, (mask, until, tuple(values))) for at, id, (mask, until, values) in marked)
        if hits.many <= self.few and not approximate:
            return hits
        return History(hits, self.asked, self.watch.window, approximate)


def _hits(state: State) -> Hits:
    return state.hits if isinstance(state, History) else state


def _approximate(state: State) -> bool:
    return isinstance(state, History) and state.approximate
