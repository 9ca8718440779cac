"""`travel`: two places too far apart for the time between."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from sentinel.core.duration import HOUR, SECOND
from sentinel.core.globe import NEAR_KM, distance
from sentinel.engine.windows import Hit, Opening, Progress, Travel, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.hits import Hits, Kept
from sentinel.windows.tracker import Tracker


class TravelTracker(Tracker[Hits]):
    """The groups of one `travel`."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        assert isinstance(watch.detector, Travel)
        self.speed = watch.detector.speed
        super().__init__(watch, limits, span=watch.span)

    def fresh(self) -> Hits:
        """Return a group that was nowhere."""
        return Hits()

    def size(self, state: Hits) -> int:
        """Return the number of events kept."""
        return state.many

    def judge(self, hit: Hit, state: Hits) -> Iterable[Opening]:
        """Record a hit and compare it with its neighbours in event time."""
        if state.holds(hit.at, hit.id):
            return self.findings.again(hit, hit.at)
        kept: Kept = hit.at, hit.id, hit.values
        place = state.add(*kept)
        neighbours = [*state.each(max(0, place - 1), place), *state.each(place + 1, place + 2)]
        journeys = [self._journey(kept, other) for other in neighbours]
        state.forget(state.at(-1) - self.keep)
        state.bound(self.limits.hits)
        worst = max((one for one in journeys if one), default=None)
        return self.findings.open(hit, ((hit.at, hit.id, worst[1:]),)) if worst else ()

    def _journey(self, one: Kept, other: Kept) -> tuple[float, float, float] | None:
        """Return (km/h, km, seconds) of a journey that cannot have been, else None."""
        km = distance(one[2][:2], other[2][:2])
        if km < NEAR_KM or km <= one[2][2] + other[2][2]:
            return None
        elapsed = abs(one[0] - other[0])
        speed = km / (elapsed / HOUR) if elapsed else inf
        return (speed, round(km, 1), elapsed / SECOND) if speed > self.speed else None

    def weigh(self, key: str, state: Hits, now: int) -> Progress:
        """Return where the group was last, by now."""
        seen = state.behind(now)
        if not seen:
            return Progress((None, None))
        ((at, _, (latitude, longitude, _)),) = state.each(seen - 1, seen)
        return Progress((None, None), at + self.keep - self.limits.lateness, place=(at, latitude, longitude))

    def write(self, state: Hits) -> Any:
        """Return the events kept."""
        return state

    def read(self, stored: Any) -> Hits:
        """Return the state that `write` gave."""
        return Hits.of((at, id, tuple(values)) for at, id, values in Hits(stored).each())
