"""Which events complete a sequence: its steps are filled greedily, from every event that can start the first.

A partial is how far one start has come. Of partials that have come equally far only the latest start is kept: an
earlier one can complete nowhere that the later one does not, and leaves the window sooner. As a later start never gets
further than an earlier one, there are never more partials than the steps ask for events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sentinel.engine.windows import Step, Steps
from sentinel.windows.hits import Hits

Marks = tuple[int, bool, tuple[str | None, ...]]  # bits of the steps matched, `until` matched, a value for each step


class Reached(NamedTuple):
    """How far a partial is: the step it fills, events counted for it, and values seen for it, in their order."""

    step: int
    filled: int
    values: tuple[str, ...]


Partials = dict[Reached, tuple[int, str]]  # to the time and id of its start
BEGUN = tuple(Reached(step, 0, ()) for step in range(64))  # shared: most partials stand between two steps
START = BEGUN[0]


def advance(
    partials: Partials, hit: tuple[int, str, Marks], steps: Sequence[Step], window: int
) -> tuple[Partials, bool]:
    """Return the partials after one more event in (time, id) order, and whether it completes a sequence."""
    at, id, (mask, until, values) = hit
    edge = at - window
    after: Partials = {}
    complete = False
    for reached, start in ((START, (at, id)),) if until else (*partials.items(), (START, (at, id))):
        if start[0] <= edge:
            continue
        fills = mask >> reached.step & 1
        if fills:
            further = _fill(reached, steps[reached.step], values[reached.step])
            if further.step == len(steps):
                complete = True
                continue
            reached = further
        if reached is not START and start >= after.get(reached, (-1, "")):
            after[reached] = start
    return after, complete


def _fill(reached: Reached, step: Step, value: str | None) -> Reached:
    """Return where one more event of its step brings a partial."""
    if step.count == 1 and not step.distinct:
        return BEGUN[reached.step + 1]
    count = min(reached.filled + 1, step.count)
    values = reached.values
    if step.distinct and value is not None and len(values) < step.distinct and value not in values:
        values = tuple(sorted((*values, value)))
    if count >= step.count and len(values) >= step.distinct:
        return BEGUN[reached.step + 1]
    return Reached(reached.step, count, values)


class History:
    """The hits of one group under one sequence, in (time, id) order, and what they have come to."""

    __slots__ = ("approximate", "hits", "lost", "partials")

    def __init__(self, hits: Hits, asked: Steps, window: int, approximate: bool = False) -> None:
        self.hits = hits
        self.partials: Partials = {}
        self.approximate = approximate
        self.lost = 0  # events let go that still counted, since this was last looked at
        if hits:
            self.crossings(hits.at(-1), asked, window)

    def append(self, hit: tuple[int, str, Marks], asked: Steps, window: int, most: int) -> bool:
        """Add the newest event and say whether it completes a sequence; forget the oldest past the bound."""
        self.hits += hit
        self.partials, complete = advance(self.partials, hit, asked.steps, window)
        if over := self.hits.bound(most):
            self.lost += over
            self.approximate = True
        return complete

    def insert(self, hit: tuple[int, str, Marks], asked: Steps, window: int) -> list[tuple[int, str]]:
        """Add an event older than the newest; return the crossings in [its time, its time + window), ascending."""
        self.hits.add(*hit)
        return self.crossings(hit[0], asked, window)

    def crossings(self, at: int, asked: Steps, window: int) -> list[tuple[int, str]]:
        """Return the crossings in [at, at + window), ascending, and bring the partials up to date."""
        partials: Partials = {}
        found = []
        for kept in self.hits.each(self.hits.behind(at - window)):
            partials, complete = advance(partials, kept, asked.steps, window)
            if complete and at <= kept[0] < at + window:
                found.append(kept[:2])
        self.partials = partials
        return found


def furthest(hits: Hits, asked: Steps, window: int, now: int) -> tuple[int | None, Reached]:
    """Return when the start lies that has come furthest by now, and how far; of equals the latest."""
    partials: Partials = {}
    for kept in hits.each(hits.behind(now - window), hits.behind(now)):
        partials, _ = advance(partials, kept, asked.steps, window)
    found = max(partials, key=lambda one: (one.step, one.filled, len(one.values), partials[one]), default=None)
    return (None, START) if found is None else (partials[found][0], found)
