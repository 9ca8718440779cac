"""For detectors other than `when`, measure over past events how high one group came: the number a threshold is about.

Hits come in the order of time. `best` has the highest of each measure so far, None where there was none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil, floor, inf
from typing import Any, NamedTuple, Protocol

from sentinel.core.duration import HOUR, SECOND
from sentinel.core.globe import NEAR_KM, distance
from sentinel.engine import playbook as written
from sentinel.engine.metrics import shown
from sentinel.engine.playbook import Metric, Playbook
from sentinel.engine.windows import KNOWN, MILLION
from sentinel.loader.detectors import MOST_LEARNT

MOST_TIMES = 10_000  # times kept of a group
MOST_VALUES = 64
ANY = 1_000_000  # so fast, or so much more than nothing, that any threshold is reached

Best = list[int | float | None]


class Meter(Protocol):
    """One group of one playbook. `never` says that something was awaited and has not come."""

    best: Best

    @property
    def never(self) -> bool: ...
    def hit(self, at: int, values: tuple[Any, ...], window: int) -> None: ...


class Measure(NamedTuple):
    """One threshold of a playbook: what it is called, what it is now, whether it must be exceeded, its unit.

    `step` is how finely it is set, 0 where the unit says nothing. `plain` gives a meter's number in its unit. A file
    takes no threshold below `least` or above `most`. What measured `any` reaches any threshold: none tells it
    from others.
    """

    name: str
    threshold: int | float
    strict: bool
    step: float = 1
    unit: str = ""
    plain: Callable[[Any], int | float] = lambda value: value
    least: float = -inf
    most: float = inf
    any: float = inf


class Speeds:
    """`travel`: the fastest journey between neighbours, in km/h, rounded up."""

    __slots__ = ("_last", "best")
    never = False

    def __init__(self) -> None:
        self.best: Best = [None]
        self._last: tuple[int, tuple[Any, ...]] | None = None

    def hit(self, at: int, values: tuple[Any, ...], window: int) -> None:
        """Compare a place with the one before."""
        if self._last is not None:
            before, place = self._last
            km = distance(place[:2], values[:2])
            if km >= NEAR_KM and km > place[2] + values[2]:
                elapsed = (at - before) / HOUR
                _raise(self.best, 0, min(ANY, ceil(km / elapsed)) if elapsed else ANY)
        self._last = at, values


class Waits:
    """`absent`: the longest wait that ended, in seconds, rounded up."""

    __slots__ = ("_begun", "best")

    def __init__(self) -> None:
        self.best: Best = [None]
        self._begun: deque[int] = deque(maxlen=MOST_TIMES)

    @property
    def never(self) -> bool:
        """Whether a wait has not ended."""
        return bool(self._begun)

    def hit(self, at: int, values: tuple[Any, ...], window: int) -> None:
        """Begin a wait, or end those begun earlier."""
        begins, ends = values[:2]
        while ends and self._begun and self._begun[0] < at:
            _raise(self.best, 0, -(-(at - self._begun.popleft()) // SECOND))
        if begins:
            self._begun.append(at)


class Surges:
    """`spike`: how many times the mean a window was, in tenths, and how many its events where it was a spike."""

    __slots__ = ("_asked", "_before", "_earlier", "_first", "_inside", "best")
    never = False

    def __init__(self, asked: written.Spike) -> None:
        self.best: Best = [None, None]
        self._asked = asked
        self._first: int | None = None
        self._earlier = 0  # the newest event before the baseline, where there was one
        self._inside: deque[int] = deque()
        self._before: deque[int] = deque(maxlen=MOST_TIMES)

    def hit(self, at: int, values: tuple[Any, ...], window: int) -> None:
        """Weigh the window that ends now against those before it."""
        asked, start = self._asked, at - window
        self._first = at if self._first is None else self._first
        self._inside.append(at)
        while self._inside[0] <= start:
            if len(self._before) == MOST_TIMES:
                self._earlier = self._before[0]
            self._before.append(self._inside.popleft())
        while self._before and self._before[0] <= start - asked.baseline:
            self._earlier = self._before.popleft()
        if self._first > start - asked.baseline or self._earlier <= start - (1 + KNOWN) * asked.baseline:
            return
        count, usual = len(self._inside), len(self._before) * window
        times = count * asked.baseline / usual if usual else ANY
        if count >= asked.min:
            _raise(self.best, 0, min(ANY, floor(times * 10) / 10))
        if times >= asked.factor:
            _raise(self.best, 1, count)


class Novelties:
    """`first_seen`: how many events a group had had when a value was new to it."""

    __slots__ = ("_history", "_seen", "_times", "best")
    never = False

    def __init__(self, asked: written.FirstSeen) -> None:
        self.best: Best = [None]
        self._history = asked.history
        self._times: deque[int] = deque(maxlen=MOST_TIMES)
        self._seen: dict[str, tuple[int, int]] = {}  # when last, and when last at an earlier time

    def hit(self, at: int, values: tuple[Any, ...], window: int) -> None:
        """Look at a value, then remember it; those of one time are not earlier than each other."""
        value, start = values[0], at - self._history
        while self._times and self._times[0] <= start:
            self._times.popleft()
        last, before = self._seen.pop(value, (-1, -1))
        earlier = last if last < at else before
        if value is not None:
            if earlier <= start:
                same = sum(1 for _ in _ties(self._times, at))
                _raise(self.best, 0, len(self._times) - same)
            self._seen[value] = at, earlier
            if len(self._seen) > MOST_VALUES:
                del self._seen[next(iter(self._seen))]
        self._times.append(at)


def measures(playbook: Playbook) -> tuple[Measure, ...]:
    """Return the thresholds of a playbook that can be suggested, none where a number does not decide."""
    match playbook.detector:
        case None:
            return tuple(map(_of_metric, playbook.when))
        case written.Travel(faster_than=speed):
            return (Measure("travel.faster_than", speed, True, unit="km/h", any=ANY),)
        case written.Absent(within=within):
            return (Measure("absent.within", within / SECOND, True, unit="s"),)
        case written.Spike(factor=factor, min=least):
            times = Measure("spike.factor", factor, False, 0.1, least=1.1, any=ANY)
            return times, Measure("spike.min", least, False)
        case written.FirstSeen(after=after):
            return (Measure("first_seen.after", after, False, most=MOST_LEARNT),)
    return ()


def _of_metric(metric: Metric) -> Measure:
    step = 1 if metric.kind in ("count", "distinct") else 0.001 if metric.kind == "ratio" else 0

    def plain(value: Any) -> int | float:
        return value / MILLION if metric.kind in ("avg", "ratio") else shown(metric, value)

    if metric.kind == "ratio":
        most = 1 - step if metric.strict else 1  # nothing is past the whole
        return Measure(metric.name, metric.threshold, metric.strict, step, plain=plain, least=step, most=most)
    return Measure(metric.name, metric.threshold, metric.strict, step, plain=plain)


def meter(playbook: Playbook) -> Meter:
    """Return what measures one group of a playbook that has a detector with a threshold."""
    match playbook.detector:
        case written.Travel():
            return Speeds()
        case written.Absent():
            return Waits()
        case written.Spike() as spike:
            return Surges(spike)
        case written.FirstSeen() as novelty:
            return Novelties(novelty)
    raise TypeError(f"`{playbook.id}` has no such detector")


def _raise(best: Best, place: int, value: int | float) -> None:
    known = best[place]
    if known is None or value > known:
        best[place] = value


def _ties(times: deque[int], at: int) -> Any:
    """Give the newest times that are not before `at`."""
    for time in reversed(times):
        if time < at:
            return
        yield time
