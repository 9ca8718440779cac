"""The kinds of detectors in one table: what each watches for, what an event gives to it, and how its tally is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sentinel.core.duration import format_duration
from sentinel.core.event import Event, stored
from sentinel.engine import playbook as written
from sentinel.engine import windows as watched
from sentinel.engine.expression import compile_field
from sentinel.engine.keys import group_value, key_text
from sentinel.engine.kinds import NUMBERS
from sentinel.engine.metrics import ALONE, SHARED, Skipped, Values, gauge, shown, values_of, wanted
from sentinel.engine.playbook import Playbook, Selector
from sentinel.engine.remembered import Remembered
from sentinel.engine.select import meets

Shown = Callable[[tuple[int | float, ...]], dict[str, int | float]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A playbook's detector made ready to read events.

    `window` is the length that windows are given, in microseconds; `selectors` mean events that it must see although
    they do not count. `values` returns what an event counts for, as `engine.windows.Hit` describes it, None for
    nothing; `fixed` is that where it is the same for every event. `tally` names the entries of an opening's tally by
    metric, and `threshold` is what each metric has to reach, as text.
    """

    detector: watched.Detector
    window: int
    values: Callable[[Event, Skipped], tuple[Any, ...] | None]
    tally: Shown
    threshold: dict[str, str]
    selectors: tuple[Selector, ...] = ()
    fixed: tuple[Any, ...] | None = None


def prepare(playbook: Playbook) -> Prepared:
    """Return the playbook's detector made ready: that of `when`, where it has no other."""
    return _KINDS[type(playbook.detector)](playbook, playbook.detector)


def _named(*names: str) -> Shown:
    return lambda tally: dict(zip(names, tally, strict=True))


def _when(playbook: Playbook, _: None) -> Prepared:
    metrics = playbook.when
    values: Values = values_of(playbook)
    return Prepared(
        watched.Threshold(tuple(map(gauge, metrics))),
        playbook.window,
        values,
        lambda tally: {one.name: shown(one, value) for one, value in zip(metrics, tally, strict=True)},
        {one.name: wanted(one) for one in metrics},
        fixed=ALONE if [one.kind for one in metrics] == ["count"] else None,
    )


def _sequence(playbook: Playbook, asked: written.Sequence) -> Prepared:
    steps = [meets(step.selector) for step in asked.steps]
    fields = [group_value(step.field) if step.field else None for step in asked.steps]
    until = meets(asked.until) if asked.until else None
    counted = sum(1 << place for place, field in enumerate(fields) if field)
    nothing: tuple[str | None, ...] = (None,) * len(fields)
    shared: Remembered[tuple[Any, ...], tuple[Any, ...]] = Remembered(lambda given: given, SHARED)

    def values(event: Event, skipped: Skipped) -> tuple[Any, ...] | None:
        mask = sum(1 << place for place, selected in enumerate(steps) if selected(event))
        ends = until is not None and until(event)
        if not mask and not ends:
            return None
        texts = nothing
        if mask & counted:
            texts = tuple(
                key_text(field(event)) if field and mask >> place & 1 else None for place, field in enumerate(fields)
            )
        return shared[mask, ends, texts]

    names = [f"step.{place}" for place in range(1, len(steps) + 1)]
    return Prepared(
        watched.Steps(tuple(watched.Step(step.count, step.distinct) for step in asked.steps), asked.until is not None),
        playbook.window,
        values,
        _named(*names),
        {name: f">= {max(step.count, step.distinct)}" for name, step in zip(names, asked.steps, strict=True)},
        (asked.until,) if asked.until else (),
    )


def _first_seen(playbook: Playbook, asked: written.FirstSeen) -> Prepared:
    read = group_value(asked.field)
    return Prepared(
        watched.FirstSeen(asked.history, asked.after),
        asked.history,
        lambda event, skipped: (key_text(read(event)),),
        _named("earlier"),
        {"earlier": f">= {asked.after}"},
    )


def _travel(playbook: Playbook, asked: written.Travel) -> Prepared:
    latitude, longitude, accuracy = map(compile_field, ("geo.lat", "geo.lon", "geo.accuracy"))

    def values(event: Event, skipped: Skipped) -> tuple[Any, ...] | None:
        place = latitude(event), longitude(event)
        if not (_is_angle(place[0], 90) and _is_angle(place[1], 180)):
            skipped[playbook.id, "the event has no location"] += 1
            return None
        if event.network.get("anonymous") and not asked.anonymous:
            skipped[playbook.id, "the address belongs to an anonymising network"] += 1
            return None
        radius = accuracy(event)
        return *place, radius if type(radius) in NUMBERS and radius > 0 else 0

    return Prepared(
        watched.Travel(asked.faster_than), 1, values, _named("km", "seconds"), {"km": f"> {asked.faster_than:g} km/h"}
    )


def _is_angle(value: object, most: int) -> bool:
    """Say whether a value is an angle in degrees; files of events may hold anything."""
    return type(value) in NUMBERS and -most <= value <= most  # type: ignore[operator]  # also false for NaN


def _absent(playbook: Playbook, asked: written.Absent) -> Prepared:
    begins = meets(playbook.selector)
    ends = meets(asked.selector)

    def values(event: Event, skipped: Skipped) -> tuple[Any, ...] | None:
        start, end = begins(event), ends(event)
        return (start, end, [stored(event), event.user] if start else None) if start or end else None

    within = format_duration(asked.within)
    threshold = {"count": f">= 1 within {within}"}
    return Prepared(watched.Absent(asked.within), asked.within, values, _named("count"), threshold, (asked.selector,))


def _spike(playbook: Playbook, asked: written.Spike) -> Prepared:
    threshold = {"count": f">= {asked.min}", "mean": f"count >= {asked.factor:g} x mean"}
    return Prepared(
        watched.Spike(asked.factor, asked.baseline, asked.min),
        playbook.window,
        lambda event, skipped: (),
        lambda tally: {"count": tally[0], "mean": round(tally[1], 3)},
        threshold,
    )


_KINDS: dict[type, Callable[[Playbook, Any], Prepared]] = {
    type(None): _when,
    written.Sequence: _sequence,
    written.FirstSeen: _first_seen,
    written.Travel: _travel,
    written.Absent: _absent,
    written.Spike: _spike,
}
