"""What would open a finding for a group, in words: one function for each kind of detector, all in one table."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any

from sentinel.core import moment
from sentinel.core.duration import format_duration
from sentinel.core.number import digits, plural
from sentinel.engine import playbook as written
from sentinel.engine.judge import Judge
from sentinel.engine.keys import shown_key
from sentinel.engine.metrics import shown
from sentinel.engine.playbook import Metric
from sentinel.engine.windows import Progress, Spike, Steps, Threshold, Travel, Watch

SHOWN = 10
NOW = "the next matching event"


def nothing(watch: Watch) -> Progress:
    """Return the progress of a group of which nothing is known."""
    match watch.detector:
        case Threshold(gauges=gauges):
            return Progress(tuple(None if gauge.kind in ("max", "avg", "ratio") else 0 for gauge in gauges))
        case Steps(steps=steps):
            return Progress((0,) * len(steps))
        case Spike():
            return Progress((0, 0.0))
        case Travel():
            return Progress((None, None))
    return Progress((0,))


def fires(judge: Judge, known: Progress, now: int) -> str:
    """Return what would open the next finding of a group, but for one that holds it back."""
    detector = judge.playbook.detector
    return _KINDS[type(detector)](judge, detector, known, now)


def _when(judge: Judge, detector: None, known: Progress, now: int) -> str:
    metrics, window = judge.playbook.when, format_duration(judge.playbook.window)
    lacking = [_lacking(metric, value) for metric, value in zip(metrics, known.tally, strict=True)]
    wanted = [text for text in lacking if text]
    return f"{' and '.join(wanted)}, in one window of {window}" if wanted else NOW


def _lacking(metric: Metric, value: int | float | None) -> str | None:
    """Return what a metric lacks, None where it is reached."""
    have = shown(metric, value) if value is not None else None
    wanted = metric.threshold
    if have is not None and (have > wanted if metric.strict else have >= wanted):
        return None
    if metric.kind in ("count", "distinct"):
        least = floor(wanted) + 1 if metric.strict else ceil(wanted)
        more = least - int(have or 0)
        one = plural(more, "matching event") if metric.kind == "count" else f"different `{metric.field}`"
        return f"{more} more {one}"
    than = "more than" if metric.strict else "at least"
    if metric.kind == "sum":
        return f"{than} {digits(wanted - (have or 0))} more of `{metric.field}`"
    if metric.where is not None:
        return f"a share of {than} {digits(wanted)} where `{metric.where.source}`"
    return f"{'a mean ' if metric.kind == 'avg' else ''}`{metric.field}` of {than} {digits(wanted)}"


def _sequence(judge: Judge, detector: written.Sequence, known: Progress, now: int) -> str:
    wanted = [max(step.count, step.distinct) for step in detector.steps]
    number = next((n for n, (have, full) in enumerate(zip(known.tally, wanted, strict=True)) if (have or 0) < full), 0)
    step, have = detector.steps[number], int(known.tally[number] or 0)
    what = f" of different `{step.field}`" if step.field else ""
    more = wanted[number] - have
    after = len(wanted) - number - 1
    left = f", then {after} more {plural(after, 'step')}" if after else ""
    return f"{more} more {plural(more, 'event')}{what} for step {number + 1} of {len(wanted)}{left}"


def _first_seen(judge: Judge, detector: written.FirstSeen, known: Progress, now: int) -> str:
    more = detector.after - int(known.tally[0] or 0)
    values = [str(shown_key(value)) for value in known.known]
    told = ", ".join(f"`{value}`" for value in values[:SHOWN]) + (", …" if len(values) > SHOWN else "")
    new = f"a `{detector.field}` that is none of {told}" if values else f"any `{detector.field}`"
    return f"{more} more {plural(more, 'event')} to learn from, then {new}" if more > 0 else new


def _travel(judge: Judge, detector: written.Travel, known: Progress, now: int) -> str:
    if known.place is None:
        return "two events from places too far apart"
    at, latitude, longitude = known.place
    where = f"{latitude:g}, {longitude:g} at {moment.to_text(at)}"
    return f"an event from where nobody gets at {digits(detector.faster_than)} km/h from {where}"


def _absent(judge: Judge, detector: written.Absent, known: Progress, now: int) -> str:
    if known.due is None:
        return f"an event that begins a wait, and then nothing for {format_duration(detector.within)}"
    return f"nothing of what is awaited until {moment.to_text(known.due)}"


def _spike(judge: Judge, detector: written.Spike, known: Progress, now: int) -> str:
    count, mean = int(known.tally[0] or 0), float(known.tally[1] or 0)
    more = max(detector.min, ceil(detector.factor * mean)) - count
    window = format_duration(judge.playbook.window)
    wanted = f"{more} more {plural(more, 'event')} in one window of {window}" if more > 0 else NOW
    if known.ready is None:
        return f"{wanted}, once there are events for all of a baseline of {format_duration(detector.baseline)}"
    early = known.ready > now
    return f"{wanted}, from {moment.to_text(known.ready)} on, when the baseline is full" if early else wanted


_KINDS: dict[type, Callable[[Judge, Any, Progress, int], str]] = {
    type(None): _when,
    written.Sequence: _sequence,
    written.FirstSeen: _first_seen,
    written.Travel: _travel,
    written.Absent: _absent,
    written.Spike: _spike,
}
