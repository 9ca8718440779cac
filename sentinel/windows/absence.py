"""`absent`: what was awaited did not come. Decided when the watermark has passed, so that late events can still end it.

Waits are kept apart from groups, which only remember what ended waits: a group may expire, a wait may not.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from sentinel.engine.windows import Absent, Hit, Opening, Progress, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.tracker import Tracker

_AT = attrgetter("at")
_PLACE = attrgetter("at", "id")


class AbsenceTracker(Tracker[list[int]]):
    """The waits of one `absent`; a group's state is the times of what ends waits."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        assert isinstance(watch.detector, Absent)
        self.within = watch.detector.within
        super().__init__(watch, limits, span=self.within + limits.lateness)
        self.waits: dict[str, list[Hit]] = {}  # each group's by time and id
        self._order: list[tuple[int, str, str, int]] = []  # (end of the wait, id, key, its begin), a heap

    def fresh(self) -> list[int]:
        """Return a group in which nothing has ended a wait."""
        return []

    def size(self, state: list[int]) -> int:
        """Return how many ends are kept."""
        return len(state)

    def judge(self, hit: Hit, state: list[int]) -> Iterable[Opening]:
        """Record a hit: it ends the waits it comes in time for, and may begin one."""
        begins, ends = hit.values[0], hit.values[1]
        if ends:
            waiting = self.waits.get(hit.key, [])
            first = bisect_left(waiting, hit.at - self.within, key=_AT)
            del waiting[first : bisect_left(waiting, hit.at, key=_AT)]
            self._end(state, hit.at)
        if begins:
            return self._begin(hit, state)
        return ()

    def _end(self, ends: list[int], at: int) -> None:
        """Keep the time of an end. One between two others at most `within` apart decides nothing and is not kept."""
        place = bisect_right(ends, at)
        if 0 < place < len(ends) and ends[place] - ends[place - 1] <= self.within:
            return
        ends.insert(place, at)
        for needless in (place + 1, place - 1):
            if 0 < needless < len(ends) - 1 and ends[needless + 1] - ends[needless - 1] <= self.within:
                del ends[needless]
        del ends[: bisect_right(ends, ends[-1] - self.keep)]

    def _begin(self, hit: Hit, ends: list[int]) -> Iterable[Opening]:
        due = hit.at + self.within
        if bisect_right(ends, due) > bisect_right(ends, hit.at):
            return ()
        known = self.findings.find(hit.key, due, hit.id)
        if known is not None:
            return [Opening(hit, due, hit.id, known.tally, known.approximate)]
        if len(self._order) >= self.limits.groups:
            self.dropped["waits over the bound"] += 1
            return ()
        self._wait(hit)
        return ()

    def _wait(self, hit: Hit) -> None:
        """Let the wait of a hit be open, if it is not."""
        waiting = self.waits.setdefault(hit.key, [])
        place, there = _find(waiting, hit.at, hit.id)
        if not there:
            waiting.insert(place, hit)
            heapq.heappush(self._order, (hit.at + self.within, hit.id, hit.key, hit.at))

    def due(self, watermark: int) -> list[Opening]:
        """Return the findings of waits that were over before the watermark while nothing had ended them."""
        openings: list[Opening] = []
        over: dict[tuple[str, int, str], None] = {}
        while self._order and self._order[0][0] < watermark:
            _, id, key, at = heapq.heappop(self._order)
            over[key, at, id] = None
        for key, at, id in over:
            waiting = self.waits.get(key, [])
            place, there = _find(waiting, at, id)
            if there:
                openings += self.findings.open(waiting[place], ((at + self.within, id, (0,)),))
        for key in {key for key, _, _ in over}:
            waiting = self.waits.pop(key, [])
            if left := waiting[bisect_left(waiting, watermark - self.within, key=_AT) :]:
                self.waits[key] = left
        return openings

    def put_back(self, opening: Opening) -> None:
        """Let a wait be due again, as if it had not been found over."""
        hit = opening.hit
        self.findings.forget(hit.key, opening.at, opening.id)
        self._wait(hit)

    def progress(self, key: str, now: int) -> Progress | None:
        """Return how many waits of a group are open; a group whose state has expired may still have some."""
        found = super().progress(key, now)
        return self.weigh(key, [], now) if found is None and key in self.waits else found

    def weigh(self, key: str, state: list[int], now: int) -> Progress:
        """Return how many waits are open, and when the first of them is over."""
        begun = [hit.at for hit in self.waits.get(key, ()) if hit.at <= now]
        if not begun:
            return Progress((0,))
        return Progress((len(begun),), begun[-1] + self.within, due=begun[0] + self.within)

    def write(self, state: list[int]) -> Any:
        """Return the times of ends."""
        return state

    def read(self, stored: Any) -> list[int]:
        """Return the state that `write` gave."""
        return list(stored)

    def extra(self) -> Any:
        """Return the waits."""
        return [list(waiting) for waiting in self.waits.values()]

    def resume(self, extra: Any) -> None:
        """Take over the waits that `extra` gave, in place of any there are."""
        self.waits, self._order = {}, []
        for fields in (fields for waiting in extra for fields in waiting):
            self._wait(Hit(*fields)._replace(values=tuple(fields[4])))


def _find(waiting: Sequence[Hit], at: int, id: str) -> tuple[int, bool]:
    """Return the place of a wait among those of a group, and whether it is there."""
    place = bisect_left(waiting, (at, id), key=_PLACE)
    return place, place < len(waiting) and _PLACE(waiting[place]) == (at, id)
