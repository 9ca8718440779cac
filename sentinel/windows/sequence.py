"""Sequences: the groups of one watch over steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sentinel.engine.windows import Hit, Opening, Progress, Steps, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.steps import History
from sentinel.windows.tracker import Tracker


class SequenceTracker(Tracker[History]):
    """The groups of one sequence."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        super().__init__(watch, limits, span=watch.window)
        assert isinstance(watch.detector, Steps)
        self.asked = watch.detector
        self.tally = tuple(max(step.count, step.distinct) for step in self.asked.steps)

    def fresh(self) -> History:
        """Return a group that has seen nothing."""
        return History()

    def size(self, state: History) -> int:
        """Return the number of events kept."""
        return len(state.hits)

    def judge(self, hit: Hit, state: History) -> Iterable[Opening]:
        """Record a hit and return what opens, and what a late `until` takes back."""
        at, window = hit.at, self.watch.window
        kept = at, hit.id, hit.values
        if state.is_newest(at, hit.id):
            complete = state.append(kept, self.asked, window, self.keep, self.limits.hits)
            if state.lost:
                self.merged, state.lost = self.merged + state.lost, 0
            return self.findings.open(hit, ((at, hit.id, self.tally),), state.approximate) if complete else ()
        if state.holds(at, hit.id):
            return self.findings.again(hit, at + window - 1)
        until = hit.values[1]
        before = state.crossings(at, self.asked, window) if until else []
        found = state.insert(kept, self.asked, window)
        retracted = self.findings.retract(hit, set(before) - set(found)) if until else []
        crossings = ((when, which, self.tally) for when, which in found)
        return retracted + self.findings.open(hit, crossings, state.approximate)

    def events(self, state: History, at: int) -> Iterable[str]:
        """Return ids of the events of the window that ends at `at`."""
        return [id for when, id, _ in state.hits if at - self.watch.window < when <= at]

    def weigh(self, key: str, state: History, now: int) -> Progress:
        """Return how many events each step holds, along the start that has come furthest."""
        start, reached = state.furthest(self.asked, self.watch.window, now)
        steps = self.asked.steps
        filled = [max(step.count, step.distinct) for step in steps[: reached.step]]
        step = steps[reached.step]
        filled.append(len(reached.values) if step.distinct >= step.count else reached.filled)
        tally = (*filled, *[0] * (len(steps) - len(filled)))
        return Progress(tally, None if start is None else start + self.watch.window, state.approximate)

    def write(self, state: History) -> Any:
        """Return the events and the mark."""
        return [state.hits, state.approximate]

    def read(self, stored: Any) -> History:
        """Return the state that `write` gave."""
        hits, approximate = stored
        history = History()
        for at, id, (mask, until, values) in hits:
            history.append((at, id, (mask, until, tuple(values))), self.asked, self.watch.window, 1 << 62, 1 << 62)
        history.approximate = approximate
        return history
