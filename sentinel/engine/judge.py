"""One playbook made ready: does it look at this event, for which group, and what does the event count for.

Everything that can be prepared is prepared here once, so that judging an event is a few calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from hashlib import blake2b
from math import isfinite
from typing import Any

from sentinel.core.event import Event
from sentinel.engine.expression import Expression, compile_field
from sentinel.engine.playbook import Metric, Playbook
from sentinel.engine.windows import MILLION, Detector, Gauge, Threshold, Watch

LONGEST_KEY = 256
LARGEST = 9_000_000_000_000
Skipped = Counter[tuple[str, str]]
Value = Callable[[Event, Skipped], Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """A playbook with the functions that read events for it.

    `admits` says whether an event counts at all; `key` names its group, None where a group field is missing;
    `values` is what it counts for, one entry a metric. What is passed over is counted by (playbook, reason).
    """

    playbook: Playbook
    watch: Watch
    admits: Callable[[Event], bool]
    key: Callable[[Event], str | None]
    values: Callable[[Event, Skipped], tuple[Any, ...]]
    claimed: bool

    def group(self, event: Event) -> dict[str, object]:
        """Return the event's group as shown: each field of `group_by` with its value."""
        return {field: group_value(field)(event) for field in self.playbook.group_by}

    def names(self, name: str) -> bool:
        """Say whether events of this name can count."""
        patterns = self.playbook.events, self.playbook.rule.events if self.playbook.rule else ()
        return all(not some or any(fnmatchcase(name, one) for one in some) for some in patterns)


def prepare(playbook: Playbook) -> Judge:
    """Return the judge of a playbook."""
    return Judge(
        playbook=playbook,
        watch=Watch(
            playbook.id, playbook.window, playbook.cooldown, _detector(playbook), playbook.detection
        ),
        admits=_admits(playbook),
        key=group_key(playbook.group_by),
        values=_values(playbook),
        claimed=_may_be_claimed(playbook),
    )


def _detector(playbook: Playbook) -> Detector:
    return Threshold(tuple(map(gauge, playbook.when)))


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
    whole = millionths.denominator == 1
    return Gauge(metric.kind, int(millionths) if whole else float(millionths), metric.strict)


def _admits(playbook: Playbook) -> Callable[[Event], bool]:
    conditions = [playbook.rule.where if playbook.rule else None, playbook.where]
    wheres = [where.matches for where in conditions if where is not None]
    exemptions = [(one.where.matches, one.until) for one in playbook.exceptions]
    any_trust = playbook.trust == "any"

    def admits(event: Event) -> bool:
        if event.trust == "browser" and not any_trust:
            return False
        for where in wheres:
            if not where(event):
                return False
        return not any((until is None or event.at < until) and exempt(event) for exempt, until in exemptions)

    if not exemptions and len(wheres) == 1 and any_trust:
        return wheres[0]
    return admits


def group_value(field: str) -> Callable[[Event], Any]:
    """Return the reader of a group field; an address is its /64 where it is IPv6."""
    if field == "ip":
        return lambda event: event.network_ip
    return compile_field(field)


def key_text(value: object) -> str | None:
    """Return a scalar as text, different for different values (`42` is not 42); None for anything else.

    Numbers that are equal have one text. Long texts are hashed: a key's size is no sender's choice.
    """
    if type(value) is str:
        if len(value) > LONGEST_KEY:
            return "\0h" + blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return "\0s" + value if value[:1] == "\0" else value
    if type(value) is bool:
        return "\0true" if value else "\0false"
    if type(value) is int or (type(value) is float and isfinite(value)):
        return f"\0n{int(value) if value == int(value) else value!r}"
    return None


def group_key(fields: tuple[str, ...]) -> Callable[[Event], str | None]:
    """Return the function that names an event's group: one text, injective; None where a field is missing."""
    if not fields:
        return lambda event: ""
    if fields == ("user",):
        return lambda event: event.user
    if fields == ("ip",):
        return lambda event: event.network_ip
    readers = [group_value(field) for field in fields]
    if len(readers) == 1:
        only = readers[0]
        return lambda event: key_text(only(event))

    def key(event: Event) -> str | None:
        texts = [key_text(reader(event)) for reader in readers]
        if None in texts:
            return None
        return "".join(f"{len(text or '')}:{text}" for text in texts)

    return key


def _values(playbook: Playbook) -> Callable[[Event, Skipped], tuple[Any, ...]]:
    readers = [_value(metric, playbook.id) for metric in playbook.when]
    if [metric.kind for metric in playbook.when] == ["count"]:
        alone = (1,)
        return lambda event, skipped: alone
    if len(readers) == 1:
        only = readers[0]
        return lambda event, skipped: (only(event, skipped),)
    return lambda event, skipped: tuple(reader(event, skipped) for reader in readers)


def _value(metric: Metric, playbook: str) -> Value:
    """Return what one event gives to one metric, in the form `engine.windows.Hit` describes."""
    if metric.kind == "count":
        return lambda event, skipped: 1
    if metric.kind == "ratio":
        assert metric.where is not None
        matches = metric.where.matches
        return lambda event, skipped: (1, MILLION if matches(event) else 0)
    assert metric.field is not None
    reader = group_value(metric.field)
    if metric.kind == "distinct":
        return lambda event, skipped: key_text(reader(event))
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


def _may_be_claimed(playbook: Playbook) -> bool:
    """Say whether a login that failed could count: then the users it names are only claimed.

    The condition is asked about an event of which nothing is known but that it is a failed login; by the
    three-valued logic, an answer False then holds for every such event.
    """
    patterns = playbook.events, playbook.rule.events if playbook.rule else ()
    if not all(not some or any(fnmatchcase("auth", one) for one in some) for some in patterns):
        return False
    failed = Event()
    failed.name, failed.success = "auth", False
    for unknown in ("id", "at", "trust", "user_labels", "ip_labels"):
        setattr(failed, unknown, None)
    conditions: list[Expression | None] = [playbook.rule.where if playbook.rule else None, playbook.where]
    return not any(where is not None and where.truth(failed) is False for where in conditions)
