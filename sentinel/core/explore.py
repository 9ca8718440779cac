"""Questions about stored events in aggregate, and their answers: time series, rankings, funnels, retention, users.

Values only; the store answers them. Times are microseconds since 1970, `since` inclusive, `until` exclusive. The filter
of a question has both; the period it is compared with is the one before it, of the same length. A value is what a field
holds: text, number or boolean; None for events without one, and also for lists and objects. Ranks are in falling order,
equal ones in the order of their values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError
from sentinel.core.record import Filter

Interval = Literal["minute", "hour", "day", "week", "month"]
MetricKind = Literal["count", "users", "ips", "sum", "avg", "min", "max", "p95"]
NUMERIC: tuple[MetricKind, ...] = ("sum", "avg", "min", "max", "p95")  # of numbers, of which a property is named
By = Literal["events", "users"]
Scalar = str | int | float | bool | None

INTERVALS: tuple[Interval, ...] = get_args(Interval)
METRICS: tuple[MetricKind, ...] = get_args(MetricKind)
ADDING = ("count", "sum")  # what the parts of a period add up to
MOST_POINTS = 1500
MOST_SERIES = 20
MOST_VALUES = 100
MOST_STEPS = 6
MOST_COHORTS = 62
EXACT = 7 * DAY  # of a longer period distinct users are estimated, unless they are asked for exactly


class Metric(NamedTuple):
    """What is measured: the number of events, of distinct users or addresses, or an aggregate of a numeric `field`."""

    kind: MetricKind = "count"
    field: str | None = None


COUNT = Metric()


@dataclass(frozen=True, slots=True)
class SeriesWanted:
    """A metric in buckets of time: one line, or with `group_by` one for each of a field's `top` values and the rest.

    Days, weeks and months are those of `zone`. Without `previous` the period before is left out. `exact` forbids
    estimates of distinct users and addresses.
    """

    filter: Filter
    interval: Interval
    metric: Metric = COUNT
    group_by: str | None = None
    top: int = 10
    zone: str = "UTC"
    exact: bool = False
    previous: bool = True

    def __post_init__(self) -> None:
        _within("top", self.top, MOST_SERIES)


@dataclass(frozen=True, slots=True)
class Line:
    """One value's metric in each bucket of the period and of the one before; None where there is nothing to aggregate.

    `rest` marks the line of all values that have no line of their own.
    """

    value: Scalar
    rest: bool
    points: tuple[float | None, ...]
    previous: tuple[float | None, ...]
    total: float | None
    previous_total: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """Lines over whole buckets that begin at `starts`, and at `previous_starts` in the period before."""

    starts: tuple[int, ...]
    previous_starts: tuple[int, ...]
    until: int
    lines: tuple[Line, ...]
    approximate: bool = False
    behind: int = 0


@dataclass(frozen=True, slots=True)
class TopWanted:
    """The `limit` values of a field that most events or most users have, as `by` says.

    Without `previous` the period before counts as empty. Without `users` distinct users are counted only if `by` says
    so. `exact` forbids estimates of them.
    """

    filter: Filter
    field: str
    by: By = "events"
    limit: int = 10
    exact: bool = False
    previous: bool = True
    users: bool = True

    def __post_init__(self) -> None:
        _within("limit", self.limit, MOST_VALUES)


class Amount(NamedTuple):
    """The number of events, and of their distinct users, None where these were not counted."""

    events: int = 0
    users: int | None = 0


class Ranked(NamedTuple):
    """A value with its amounts in the period and in the one before, where users are counted only in ranks by users."""

    value: Scalar
    now: Amount
    before: Amount


@dataclass(frozen=True, slots=True)
class Top:
    """The values first in rank, and the amounts of all events in the period and in the one before."""

    items: tuple[Ranked, ...]
    total: Amount
    before: Amount
    approximate: bool = False
    behind: int = 0


class NameSeen(NamedTuple):
    """An event name with the number of its events and users, and the times of the first and the last event."""

    name: str
    amount: Amount
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Names:
    """The event names first in rank, and the amounts of all events of the filter."""

    items: tuple[NameSeen, ...]
    total: Amount
    approximate: bool = False
    behind: int = 0


@dataclass(frozen=True, slots=True)
class FunnelWanted:
    """How many users do one thing after another.

    Each user begins with their first event of the first name in the period. Each later step is the first event of
    its name since the step before, at most `window` after the beginning and before the period's end. Events of one
    time count as in order; no event is two steps.
    """

    filter: Filter
    steps: tuple[str, ...]
    window: int
    group_by: str | None = None
    top: int = 10
    exact: bool = False

    def __post_init__(self) -> None:
        if not 2 <= len(self.steps) <= MOST_STEPS:
            raise SentinelError(f"`step`: {len(self.steps)} of them", f"name 2 to {MOST_STEPS} events, in their order")
        if self.window <= 0:
            raise SentinelError("`window`: it is over at once")
        _within("top", self.top, MOST_SERIES)


class Step(NamedTuple):
    """The users who reached a step, and the median time in microseconds from the first step and from the last one."""

    users: int
    from_start: float | None = None
    from_last: float | None = None


class Way(NamedTuple):
    """The steps of the users whose first event has `value` in the field grouped by, or of all users if `all` is set."""

    value: Scalar
    all: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Funnel:
    """The way of all users, then of those of each value; `approximate` if a sample of the users was counted."""

    ways: tuple[Way, ...]
    approximate: bool = False
    behind: int = 0


@dataclass(frozen=True, slots=True)
class RetentionWanted:
    """Of the users whose first `start` event is in a bucket, how many have a `back` event in it and each later one.

    None stands for events of any name.
    """

    filter: Filter
    interval: Interval
    start: str | None = None
    back: str | None = None
    zone: str = "UTC"


class Cohort(NamedTuple):
    """The users who began in the bucket `at`, and how many of them came `back` in it and in each bucket after it."""

    at: int
    users: int
    back: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Retention:
    """One cohort for each bucket, oldest first."""

    cohorts: tuple[Cohort, ...]
    until: int
    behind: int = 0


class Sums(NamedTuple):
    """The number of events, and of their distinct users and addresses."""

    events: int = 0
    users: int = 0
    ips: int = 0
    approximate: bool = False


class UserSeen(NamedTuple):
    """A user key and its events: how many, first and last."""

    key: str
    events: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class UsersWanted:
    """User keys that begin with a text, sorted by their last event or by the number of their events, falling."""

    filter: Filter
    begins: str = ""
    sort: Literal["last", "events"] = "last"
    limit: int = 50
    cursor: str | None = None


class Share(NamedTuple):
    """A value that somebody's events have (an address, a device …): in how many, and the first and last one's time."""

    value: str
    events: int
    first: int
    last: int


class Happened(NamedTuple):
    """One event in a timeline, in short."""

    id: str
    at: int
    name: str
    success: bool | None
    user: str | None
    ip: str | None
    country: str | None


@dataclass(frozen=True, slots=True)
class Activity:
    """What a person or an address did: the most frequent values by kind (`ips`, `devices` …), and the newest events."""

    events: int = 0
    first: int | None = None
    last: int | None = None
    shares: dict[str, tuple[Share, ...]] = field(default_factory=dict)
    newest: tuple[Happened, ...] = ()
    behind: int = 0


def period(filter: Filter) -> tuple[int, int]:
    """Return the period of a question; raises SentinelError where it is open or empty."""
    if filter.since is None or filter.until is None:
        raise SentinelError("`from`: a question has a beginning and an end")
    if filter.since >= filter.until:
        raise SentinelError("`from`: it does not lie before `to`")
    return filter.since, filter.until


def estimates(since: int, until: int, exact: bool) -> bool:
    """Say whether the distinct users of a period may be estimated."""
    return not exact and until - since > EXACT


def total(points: Sequence[float | None], kind: MetricKind) -> float | None:
    """Return the metric of a whole period from its buckets: for `count`, `sum`, `min` and `max` alone."""
    found = [point for point in points if point is not None]
    if kind in ADDING:
        return math.fsum(found) if found or kind == "count" else None
    fold: Any = min if kind == "min" else max
    return float(fold(found)) if found else None


def _within(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise SentinelError(f"`{name}`: `{value}` is not between 1 and {most}")
