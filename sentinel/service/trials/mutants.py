"""Variants of a playbook with a small fault in a threshold, a window or a condition: do its tests notice?

Only the variants are made here; the caller runs the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sentinel.core.duration import format_duration
from sentinel.engine.metrics import gauge
from sentinel.engine.playbook import (
    Absent,
    Detector,
    FirstSeen,
    Metric,
    Playbook,
    Sequence,
    Spike,
    Step,
    Travel,
)
from sentinel.service.trials.nudges import Lists, conditions, numbers, selectors, tenths, times

Change = tuple[str, Detector]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A playbook with one thing changed, and what that is."""

    change: str
    playbook: Playbook


def unnoticed(playbook: Playbook, lists: Lists, passes: Callable[[Playbook], bool]) -> Iterator[Mutant]:
    """Give the mutants that still pass; `passes` runs every test of the playbook it is given."""
    return (mutant for mutant in mutants(playbook, lists) if passes(mutant.playbook))


def mutants(playbook: Playbook, lists: Lists) -> Iterator[Mutant]:
    """Give a playbook's mutants."""
    for window in times(playbook.window) if _asks_window(playbook) else ():
        yield Mutant(f"window: {format_duration(window)}", replace(playbook, window=window))
    needed = max((gauge(one).reach for one in playbook.when if one.kind == "distinct"), default=0)
    for index, metric in enumerate(playbook.when):
        for change, other in _metrics(metric, lists):
            if metric.kind == "count" and max(gauge(metric).reach, gauge(other).reach) <= needed:
                continue  # so many values are as many events anyway
            when = (*playbook.when[:index], other, *playbook.when[index + 1 :])
            yield Mutant(f"when: {change}", replace(playbook, when=when))
    if playbook.detector is not None:
        for change, detector in _detectors(playbook.detector, lists):
            yield Mutant(change, replace(playbook, detector=detector))
    for field in playbook.group_by:
        rest = tuple(other for other in playbook.group_by if other != field)
        yield Mutant(f"group_by: without {field}", replace(playbook, group_by=rest))
    for change, own in selectors(playbook.selector, lists):
        yield Mutant(change, replace(playbook, rule=own.rule, events=own.events, where=own.where))
    for index, exception in enumerate(playbook.exceptions):
        fewer = playbook.exceptions[:index] + playbook.exceptions[index + 1 :]
        yield Mutant(f"exceptions: without `{exception.reason}`", replace(playbook, exceptions=fewer))


def _asks_window(playbook: Playbook) -> bool:
    """Say whether the window matters: a single event is in every window of its own."""
    return playbook.window > 0 and [(one.kind, one.threshold) for one in playbook.when] != [("count", 1)]


def _metrics(metric: Metric, lists: Lists) -> Iterator[tuple[str, Metric]]:
    """Give a metric's variants: nudged both ways, and its own condition changed."""
    for threshold in _thresholds(metric):
        sign = ">" if metric.strict else ">="
        yield f"{metric.name} {sign} {threshold:g}", replace(metric, threshold=threshold)
    if metric.where is not None:
        for change, where in conditions(metric.where, lists):
            yield f"{metric.name} where {change}", replace(metric, where=where)


def _thresholds(metric: Metric) -> Iterator[int | float]:
    most = 1 if metric.kind == "ratio" else None
    least = 1 if metric.kind in ("count", "distinct") else None
    for nudged in numbers(metric.threshold):
        if (least is None or nudged >= least) and (most is None or nudged <= most):
            yield nudged


def _detectors(detector: Detector, lists: Lists) -> Iterator[Change]:
    match detector:
        case Sequence():
            yield from _sequences(detector, lists)
        case FirstSeen(history=history, after=after):
            for nudged in times(history):
                yield f"history: {format_duration(nudged)}", replace(detector, history=nudged)
            for least in (after - 1, after + 1):
                yield f"after: {least}", replace(detector, after=least)
        case Travel(faster_than=speed, anonymous=anonymous):
            for faster in tenths(speed):
                yield f"faster_than: {faster:g}", replace(detector, faster_than=faster)
            yield f"anonymous: {str(not anonymous).lower()}", replace(detector, anonymous=not anonymous)
        case Absent(selector=selector, within=within):
            for nudged in times(within):
                yield f"within: {format_duration(nudged)}", replace(detector, within=nudged)
            for change, other in selectors(selector, lists):
                yield f"absent: {change}", replace(detector, selector=other)
        case Spike():
            yield from _spikes(detector)


def _sequences(sequence: Sequence, lists: Lists) -> Iterator[Change]:
    """Give a sequence without each step, with neighbours changed about, with each step changed, and without its end."""
    steps = sequence.steps
    for index, step in enumerate(steps):
        before, after = steps[:index], steps[index + 1 :]
        yield f"sequence: without step {index + 1}", replace(sequence, steps=before + after)
        if after and after[0] != step:
            turned = (*before, after[0], step, *after[1:])
            yield f"sequence: step {index + 2} before step {index + 1}", replace(sequence, steps=turned)
        for change, other in _steps(step, lists):
            yield f"step {index + 1}: {change}", replace(sequence, steps=(*before, other, *after))
    if sequence.until is not None:
        yield "until: none", replace(sequence, until=None)
        for change, until in selectors(sequence.until, lists):
            yield f"until: {change}", replace(sequence, until=until)


def _steps(step: Step, lists: Lists) -> Iterator[tuple[str, Step]]:
    """Give a step nudged; as many events as values are needed anyway, so that such a count is no change."""
    for count in (step.count - 1, step.count + 1):
        if count >= max(1, step.distinct) and max(count, step.count) > step.distinct:
            yield f"count: {count}", replace(step, count=count)
    for distinct in (step.distinct - 1, step.distinct + 1) if step.field else ():
        if distinct >= 1:
            yield f"distinct {step.field}: {distinct}", replace(step, distinct=distinct)
    for change, selector in selectors(step.selector, lists):
        yield change, replace(step, selector=selector)


def _spikes(spike: Spike) -> Iterator[Change]:
    for factor in tenths(spike.factor):
        yield f"factor: {factor:g}", replace(spike, factor=factor)
    for baseline in times(spike.baseline):
        yield f"baseline: {format_duration(baseline)}", replace(spike, baseline=baseline)
    for least in (spike.min - 1, spike.min + 1):
        if least >= 1:
            yield f"min: {least}", replace(spike, min=least)
