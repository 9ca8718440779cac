"""Running tallies: what a window amounts to while hits enter and leave it.

One class for each metric, all in one table, and one class for several metrics. `add` and `drop` take a hit's value as
`engine.windows.Hit` has it, or the value of merged hits; `fill` and `drain` take many; `reached` compares with the
threshold; `shown` is what a finding reports. Where there is one metric, its value stands for the values of a hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Protocol

from sentinel.engine.windows import MILLION, Gauge

Value = Any
_PARTS, _AMOUNTS = itemgetter(0), itemgetter(1)


class Tally(Protocol):
    """One metric over the hits of a window."""

    def add(self, value: Value) -> None: ...
    def drop(self, value: Value) -> None: ...
    def fill(self, values: Sequence[Value]) -> None: ...
    def drain(self, values: Sequence[Value]) -> None: ...
    def reached(self) -> bool: ...
    def shown(self) -> int | float: ...


class Total:
    """Count and sum: an integer that must reach the threshold; a count is shown up to it."""

    __slots__ = ("reach", "shown_most", "total")

    def __init__(self, gauge: Gauge) -> None:
        self.total = 0
        self.reach = gauge.reach
        self.shown_most = gauge.reach if gauge.kind == "count" else None

    def add(self, value: int | None) -> None:
        self.total += value or 0

    def drop(self, value: int | None) -> None:
        self.total -= value or 0

    def fill(self, values: Sequence[int | None]) -> None:
        self.total += sum(filter(None, values))

    def drain(self, values: Sequence[int | None]) -> None:
        self.total -= sum(filter(None, values))

    def reached(self) -> bool:
        return self.total >= self.reach

    def shown(self) -> int | float:
        return self.total if self.shown_most is None else min(self.total, self.shown_most)


class Distinct:
    """Different values, each counted by how many hits of the window carry it."""

    __slots__ = ("counts", "reach")

    def __init__(self, gauge: Gauge) -> None:
        self.counts: dict[Any, int] = {}
        self.reach = gauge.reach

    def add(self, value: Value) -> None:
        for one in value if type(value) is tuple else (value,):
            if one is not None:
                self.counts[one] = self.counts.get(one, 0) + 1

    def drop(self, value: Value) -> None:
        for one in value if type(value) is tuple else (value,):
            if one is not None:
                left = self.counts[one] - 1
                if left:
                    self.counts[one] = left
                else:
                    del self.counts[one]

    def fill(self, values: Sequence[Value]) -> None:
        counts = self.counts
        for value in values:
            if type(value) is str:
                counts[value] = counts.get(value, 0) + 1
            else:
                self.add(value)

    def drain(self, values: Sequence[Value]) -> None:
        for value in values:
            self.drop(value)

    def reached(self) -> bool:
        return len(self.counts) >= self.reach

    def shown(self) -> int | float:
        return min(len(self.counts), self.reach)


def reaches(value: int | float | None, gauge: Gauge) -> bool:
    """Say whether one value reaches the threshold of a `max`."""
    if value is None:
        return False
    return value > gauge.reach if gauge.strict else value >= gauge.reach


class Largest:
    """The largest value; the values that reach the threshold are what is kept count of."""

    __slots__ = ("gauge", "reaching")

    def __init__(self, gauge: Gauge) -> None:
        self.gauge = gauge
        self.reaching: dict[int | float, int] = {}

    def add(self, value: int | float | None) -> None:
        if value is not None and reaches(value, self.gauge):
            self.reaching[value] = self.reaching.get(value, 0) + 1

    def drop(self, value: int | float | None) -> None:
        if value is not None and reaches(value, self.gauge):
            left = self.reaching[value] - 1
            if left:
                self.reaching[value] = left
            else:
                del self.reaching[value]

    def fill(self, values: Sequence[int | float | None]) -> None:
        for value in values:
            self.add(value)

    def drain(self, values: Sequence[int | float | None]) -> None:
        for value in values:
            self.drop(value)

    def reached(self) -> bool:
        return bool(self.reaching)

    def shown(self) -> int | float:
        return max(self.reaching)


class Mean:
    """Average and ratio: a total over a number of parts, compared in integers."""

    __slots__ = ("gauge", "parts", "total")

    def __init__(self, gauge: Gauge) -> None:
        self.gauge = gauge
        self.parts = 0
        self.total = 0

    def add(self, value: tuple[int, int]) -> None:
        self.parts += value[0]
        self.total += value[1]

    def drop(self, value: tuple[int, int]) -> None:
        self.parts -= value[0]
        self.total -= value[1]

    def fill(self, values: Sequence[tuple[int, int]]) -> None:
        self.parts += sum(map(_PARTS, values))
        self.total += sum(map(_AMOUNTS, values))

    def drain(self, values: Sequence[tuple[int, int]]) -> None:
        self.parts -= sum(map(_PARTS, values))
        self.total -= sum(map(_AMOUNTS, values))

    def reached(self) -> bool:
        if not self.parts:
            return False
        wanted = self.gauge.reach * self.parts
        return self.total > wanted if self.gauge.strict else self.total >= wanted

    def shown(self) -> int | float:
        return self.total / self.parts / MILLION


KINDS: dict[str, type[Total] | type[Distinct] | type[Largest] | type[Mean]] = {
    "count": Total, "sum": Total, "distinct": Distinct, "max": Largest, "avg": Mean, "ratio": Mean,
}  # fmt: skip


class Together:
    """Several metrics: all of them must be reached."""

    __slots__ = ("each",)

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self.each = tuple(KINDS[gauge.kind](gauge) for gauge in gauges)

    def add(self, values: tuple[Value, ...]) -> None:
        for tally, value in zip(self.each, values, strict=True):
            tally.add(value)

    def drop(self, values: tuple[Value, ...]) -> None:
        for tally, value in zip(self.each, values, strict=True):
            tally.drop(value)

    def fill(self, values: Sequence[tuple[Value, ...]]) -> None:
        for place, tally in enumerate(self.each):
            tally.fill([one[place] for one in values])

    def drain(self, values: Sequence[tuple[Value, ...]]) -> None:
        for place, tally in enumerate(self.each):
            tally.drain([one[place] for one in values])

    def reached(self) -> bool:
        return False not in [tally.reached() for tally in self.each]  # no generator: it is asked at every hit


def tallies(gauges: Sequence[Gauge]) -> Tally | Together:
    """Return what hits of some metrics amount to, empty."""
    return KINDS[gauges[0].kind](gauges[0]) if len(gauges) == 1 else Together(gauges)


def shown(running: Tally | Together) -> tuple[int | float, ...]:
    """Return what a finding reports, one entry a metric."""
    return tuple(one.shown() for one in running.each) if isinstance(running, Together) else (running.shown(),)


def amounts(gauges: Sequence[Gauge], values: Sequence[Value]) -> tuple[int | float | None, ...]:
    """Return what hits amount to, one entry a gauge, not cut off at any threshold; None where there is no amount."""
    columns = [values] if len(gauges) == 1 else [[one[place] for one in values] for place in range(len(gauges))]
    return tuple(_AMOUNT[gauge.kind](column) for gauge, column in zip(gauges, columns, strict=True))


def _total(values: Sequence[Value]) -> int | float | None:
    return sum(value or 0 for value in values)


def _different(values: Sequence[Value]) -> int | float | None:
    return len({one for value in values for one in (value if type(value) is tuple else (value,))} - {None})


def _largest(values: Sequence[Value]) -> int | float | None:
    return max((value for value in values if value is not None), default=None)


def _mean(values: Sequence[Value]) -> int | float | None:
    parts = sum(value[0] for value in values)
    return sum(value[1] for value in values) / parts / MILLION if parts else None


_AMOUNT = {"count": _total, "sum": _total, "distinct": _different, "max": _largest, "avg": _mean, "ratio": _mean}


def _merge_sets(one: Value, other: Value, gauge: Gauge) -> Value:
    both = {*(one if type(one) is tuple else (one,)), *(other if type(other) is tuple else (other,))}
    return tuple(sorted(both - {None})[: int(gauge.reach)])


def _merge_largest(one: Value, other: Value, gauge: Gauge) -> Value:
    return max((value for value in (one, other) if value is not None), default=None)


def _merge_totals(one: Value, other: Value, gauge: Gauge) -> Value:
    return (one or 0) + (other or 0)


def _merge_means(one: Value, other: Value, gauge: Gauge) -> Value:
    return one[0] + other[0], one[1] + other[1]


_MERGE = {
    "count": _merge_totals, "sum": _merge_totals, "distinct": _merge_sets, "max": _merge_largest,
    "avg": _merge_means, "ratio": _merge_means,
}  # fmt: skip


def merged(one: Value, other: Value, gauges: Sequence[Gauge]) -> Value:
    """Return the values of two hits as those of one; a set of different values is kept up to its threshold."""
    if len(gauges) == 1:
        return _MERGE[gauges[0].kind](one, other, gauges[0])
    return tuple(_MERGE[gauge.kind](a, b, gauge) for a, b, gauge in zip(one, other, gauges, strict=True))
