"""Thresholds and other numbers of detectors that are always or never met. One check a function, all in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from fractions import Fraction
from math import inf

from sentinel.core.duration import format_duration
from sentinel.engine.fields import FIELDS
from sentinel.engine.kinds import Kind
from sentinel.engine.metrics import LARGEST
from sentinel.engine.playbook import Rule
from sentinel.engine.problems import quote
from sentinel.engine.select import is_pattern
from sentinel.loader.desk import Desk
from sentinel.loader.detectors import LARGEST_THRESHOLD, Bound
from sentinel.loader.playbook import least
from sentinel.loader.shapes import Reading
from sentinel.loader.source import Mapping, Spot

MOST_EVENTS = 1_000  # windows keep so many of a group exactly
_MILLION = 1_000_000


def _distinct(reading: Reading, desk: Desk) -> None:
    """A value that is the same in the whole group, or is one of few, cannot be different often."""
    if reading["when"]:
        _too_distinct(reading["when"], reading, reading, desk)
    for step in reading["sequence"] or ():
        _too_distinct(step, step, reading, desk)


def _too_distinct(counted: Reading, selector: Reading, playbook: Reading, desk: Desk) -> None:
    grouped = playbook["group_by"] or ()
    for spot, field, bound in _bounds(counted, "distinct"):
        wanted = least(bound)
        if field in grouped and wanted > 1:
            message = f"never reached: `group_by` gives each group one {quote(field)}"
            desk.report(spot, message, "count another field, or group by another")
        elif field in FIELDS and FIELDS[field].kind is Kind.BOOL and wanted > 2:
            hint = "`ratio` asks how many of them are one of the two"
            desk.report(spot, f"never reached: {quote(field)} is `true` or `false`, two values at most", hint)
        elif field == "event" and wanted > (most := _names(selector["event"])):
            desk.report(spot, f"never reached: `event` names {most:g}", "name more events, or count another field")


def _names(events: tuple[str, ...] | None) -> float:
    """Return how many names of events are meant, `inf` where any may be."""
    return len(events) if events and not any(map(is_pattern, events)) else inf


def check_names(selector: Reading, rule: Rule, playbook: Reading, desk: Desk) -> None:
    """Report where more names of events are asked for than the rule looks at."""
    counted = playbook["when"] if selector is playbook else selector
    for spot, field, bound in _bounds(counted, "distinct") if counted else ():
        if field == "event" and _names(rule.events) < least(bound) <= _names(selector["event"]):
            hint = "take a rule that names more events, or count another field"
            desk.report(spot, f"never reached: the rule names {_names(rule.events):g}", hint)


def _bounds(counted: Reading, kind: str) -> Iterator[tuple[Spot, str, Bound]]:
    """Yield the thresholds of a metric that has fields: where each is written, its field, the bound."""
    node = counted.node.get(kind)
    if isinstance(node, Mapping):
        found = counted[kind] or {}
        for name, value in node.entries:
            if name.text in found:
                yield value.spot, name.text, found[name.text]


def _sums(reading: Reading, desk: Desk) -> None:
    """A sum is of numbers from zero up, in whole millionths."""
    for spot, _, bound in _bounds(reading["when"], "sum") if reading["when"] else ():
        if bound.value < 0 or (bound.value == 0 and not bound.strict):
            desk.report(spot, "always reached: a sum is never below zero", "`{gt: 0}` asks for more than nothing")
        elif (Fraction(str(bound.value)) * _MILLION).denominator != 1:
            desk.report(spot, "finer than a millionth", "sums are kept in whole millionths")


def _numbers(reading: Reading, desk: Desk) -> None:
    """Numbers past a bound are no quantities: windows leave them out."""
    for kind in ("max", "avg") if reading["when"] else ():
        for spot, _, bound in _bounds(reading["when"], kind):
            if abs(bound.value) >= LARGEST:
                reached = "never" if bound.value > 0 else "always"
                left_out = f"numbers past {LARGEST:,} are left out, as no quantities"
                desk.report(spot, f"{reached} reached: {left_out}", "let the app send a larger unit")
    for spot, _, bound in _bounds(reading["when"], "sum") if reading["when"] else ():
        if bound.value > LARGEST * LARGEST_THRESHOLD:
            largest = LARGEST * LARGEST_THRESHOLD
            desk.report(
                spot, f"never reached: nothing adds up to more than {largest:,}", "let the app send a larger unit"
            )


def _ratio(reading: Reading, desk: Desk) -> None:
    """A share lies between 0 and 1."""
    asked = reading["when"]["ratio"] if reading["when"] else None
    if asked is None:
        return
    (value, strict), ratio = asked
    spot = ratio.spot("gt" if strict else "gte")
    if value > 1 or (value == 1 and strict):
        meant = f"did you mean `{value / 100:g}`?" if 2 <= value <= 100 else "`gte: 1` asks for all of them"
        desk.report(spot, "never reached: a share is at most 1", meant)
    elif value < 0 or (value == 0 and not strict):
        desk.report(spot, "always reached: a share is never below 0", "`gt: 0` asks for one at least")


def _asked(step: Reading) -> int:
    """Return how many events a step asks for."""
    counts = [step["count"], *(step["distinct"] or {}).values()]
    return max((least(bound) for bound in counts if bound), default=1)


def _steps(reading: Reading, desk: Desk) -> None:
    """A sequence cannot ask for more events than are kept of a group."""
    asked = sum(_asked(step) for step in reading["sequence"] or ())
    if asked > MOST_EVENTS:
        message = f"never reached: the steps ask for {asked:,} events, and {MOST_EVENTS:,} are kept of a group"
        desk.report(reading.spot("sequence"), message, "ask for fewer: a thousand times is as telling as once")


def _cancelled(reading: Reading, desk: Desk) -> None:
    """`until` is looked at before a step is filled: what it takes fills none, but begins a sequence."""
    until = reading["until"]
    for number, step in enumerate(reading["sequence"] or (), 1):
        if until is not None and (number > 1 or _asked(step) > 1) and _takes_all(until, step):
            message = f"never reached: it takes every event of step {number}, and is looked at before a step is filled"
            desk.report(reading.key_spot("until"), message, "say what means that all is well, and is no step")
            return


def _takes_all(until: Reading, step: Reading) -> bool:
    """Say whether what is written shows that one selection means all that another does."""
    written = [key for key in ("rule", "event", "where") if until.written(key)]
    if not written or any(until[key] is None or step[key] is None for key in written):
        return False
    if any(until[key] != step[key] for key in written if key != "event"):
        return False
    return until["event"] is None or all(_named(name, until["event"]) for name in step["event"])


def _named(name: str, among: tuple[str, ...]) -> bool:
    """Say whether a name of events, or a pattern of names, is among others for certain."""
    return any(one in (name, "*") or (not is_pattern(name) and fnmatchcase(name, one)) for one in among)


def _novelty(reading: Reading, desk: Desk) -> None:
    """What groups are made of is never new to one of them, nor is the only name of events to one that has some."""
    field = reading["first_seen"]["field"] if reading["first_seen"] else None
    if field == "event" and _names(reading["event"]) == 1:
        hint = "name more events, or look at another field"
        desk.report(reading["first_seen"].spot("field"), "never new: `event` names 1", hint)
    if field is not None and field in (reading["group_by"] or ()):
        spot = reading["first_seen"].spot("field")
        desk.report(spot, f"never new: `group_by` gives each group one {quote(field)}", "group by whom it is new to")


def _speed(reading: Reading, desk: Desk) -> None:
    """Whoever is anywhere gets that fast, and places would be kept for ever to be compared."""
    speed = reading["travel"]["faster_than"] if reading["travel"] else None
    if speed is not None and speed < 1:
        desk.report(reading["travel"].spot("faster_than"), f"{speed} is too small", "at least 1; a jet makes 900")


def _baseline(reading: Reading, desk: Desk) -> None:
    """A mean needs two windows at least."""
    window, spike = reading["window"], reading["spike"]
    baseline = spike["baseline"] if spike else None
    if window is not None and baseline is not None and baseline < 2 * window:
        message = f"the baseline holds less than two windows of {format_duration(window)}"
        desk.report(spike.spot("baseline"), message, f"`baseline: {format_duration(7 * window)}` holds seven")


IMPOSSIBLE: tuple[Callable[[Reading, Desk], None], ...] = (
    _distinct, _sums, _numbers, _ratio, _steps, _cancelled, _novelty, _speed, _baseline,
)  # fmt: skip
