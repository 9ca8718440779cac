"""The metrics of `when`: their thresholds as the integers that windows compare, and what an event adds to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from sentinel.core.event import Event
from sentinel.core.number import whole
from sentinel.engine.expression import Expression, compile_field
from sentinel.engine.keys import LONGEST_KEY, group_value, key_text
from sentinel.engine.playbook import Metric, Playbook
from sentinel.engine.remembered import Remembered
from sentinel.engine.windows import MILLION, Gauge

LARGEST = 9_000_000_000_000
ALONE = (1,)  # what an event gives to a count alone
YES, NO = (1, MILLION), (1, 0)  # what it gives to a ratio; kept once for all hits
SHARED = 1 << 15  # so much of what events give is made once: windows keep many hits of the same user or address
Skipped = Counter[tuple[str, str]]
Value = Callable[[Event, Skipped], Any]
Values = Callable[[Event, Skipped], tuple[Any, ...]]


def gauge(metric: Metric) -> Gauge:
    """Return a metric's threshold in the integers that windows compare; `gt` becomes `gte` where it can."""
    threshold = Fraction(str(metric.threshold))
    if metric.kind in ("count", "distinct"):
        return Gauge(metric.kind, threshold.__floor__() + 1 if metric.strict else threshold.__ceil__())
    if metric.kind == "sum":
        millionths = threshold * MILLION
        return Gauge("sum", millionths.__floor__() + 1 if metric.strict else millionths.__ceil__())
    if metric.kind == "max":
        return Gauge("max", metric.threshold, metric.strict)
    millionths = threshold * MILLION
    exact = millionths.denominator == 1
    return Gauge(metric.kind, int(millionths) if exact else float(millionths), metric.strict)


def shown(metric: Metric, value: int | float) -> int | float:
    """Return a tally as people read it: a sum in the field's own unit."""
    if metric.kind != "sum":
        return value
    return int(value) // MILLION if value % MILLION == 0 else value / MILLION


def wanted(metric: Metric) -> str:
    """Return a threshold as people read it."""
    return f"{'>' if metric.strict else '>='} {whole(metric.threshold)}"


def values_of(playbook: Playbook) -> Values:
    """Return the function that gives what an event counts for, one entry a metric."""
    match playbook.when:
        case [Metric(kind="count")]:
            return lambda event, skipped: ALONE
        case [Metric(kind="distinct", field=str(field))]:
            return _distinct_alone(group_value(field))
        case [Metric(kind="count"), Metric(kind="ratio", where=Expression(matches=matches))]:
            yes, no = (1, YES), (1, NO)
            return lambda event, skipped: yes if matches(event) else no
        case [Metric(kind="distinct", field=str(field)), Metric(kind="ratio", where=Expression(matches=matches))]:
            return _distinct_and_ratio(group_value(field), matches)
    readers = [_value(metric, playbook.id) for metric in playbook.when]
    if len(readers) == 1:
        only = readers[0]
        return lambda event, skipped: (only(event, skipped),)
    if len(readers) == 2:
        first, second = readers
        return lambda event, skipped: (first(event, skipped), second(event, skipped))
    return lambda event, skipped: tuple(reader(event, skipped) for reader in readers)


def _distinct_alone(reader: Callable[[Event], Any]) -> Values:
    shared: Remembered[str, tuple[Any, ...]] = Remembered(lambda text: (key_text(text),), SHARED)

    def values(event: Event, skipped: Skipped) -> tuple[Any, ...]:
        value = reader(event)
        return shared[value] if type(value) is str and len(value) <= LONGEST_KEY else (key_text(value),)

    return values


def _distinct_and_ratio(reader: Callable[[Event], Any], matches: Callable[[Event], bool]) -> Values:
    yes: Remembered[str, tuple[Any, ...]] = Remembered(lambda text: (key_text(text), YES), SHARED)
    no: Remembered[str, tuple[Any, ...]] = Remembered(lambda text: (key_text(text), NO), SHARED)

    def values(event: Event, skipped: Skipped) -> tuple[Any, ...]:
        value = reader(event)
        met = matches(event)
        if type(value) is str and len(value) <= LONGEST_KEY:
            return yes[value] if met else no[value]
        return key_text(value), YES if met else NO

    return values


def _value(metric: Metric, playbook: str) -> Value:
    """Return what one event gives to one metric, in the form `engine.windows.Hit` describes."""
    if metric.kind == "count":
        return lambda event, skipped: 1
    if metric.kind == "ratio":
        assert metric.where is not None
        matches = metric.where.matches
        return lambda event, skipped: YES if matches(event) else NO
    assert metric.field is not None
    if metric.kind == "distinct":
        reader = group_value(metric.field)
        return lambda event, skipped: key_text(reader(event))
    reader = compile_field(metric.field)
    reason = playbook, f"`{metric.field}` is not a number that `{metric.kind}` can take"

    def number(event: Event, skipped: Skipped) -> Any:
        value = reader(event)
        if (type(value) is int or type(value) is float) and -LARGEST < value < LARGEST:
            if metric.kind == "max":
                return value
            if metric.kind == "avg":
                return 1, round(value * MILLION)
            if value >= 0:
                return round(value * MILLION)
        skipped[reason] += 1
        return (0, 0) if metric.kind == "avg" else None

    return number
