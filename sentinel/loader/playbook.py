"""Build a playbook from its document. How its keys may go together is in checks.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinel.core.duration import HOUR
from sentinel.engine.playbook import (
    Absent,
    Action,
    Detector,
    Exemption,
    FirstSeen,
    Guard,
    Metric,
    Playbook,
    Rule,
    Selector,
    Sequence,
    Spike,
    Step,
    Travel,
)
from sentinel.loader.desk import Desk
from sentinel.loader.detectors import Bound
from sentinel.loader.shapes import Reading
from sentinel.loader.testcase import build_test, place_of
from sentinel.loader.version import stamp

Rules = Mapping[str, Rule]


def selections(reading: Reading) -> Iterator[Reading]:
    """Yield every part of a playbook that says which events it means: `rule`, `event`, `where`."""
    yield reading
    yield from reading["sequence"] or ()
    yield from (reading[name] for name in ("until", "absent") if reading[name] is not None)


def build_playbook(reading: Reading, rules: Rules, desk: Desk) -> Playbook:
    """Return the playbook of a reading in which nothing is wrong; `rules` are those it names."""
    own = _selector(reading, rules)
    playbook = Playbook(
        id=reading["playbook"],
        title=reading["title"] or reading["playbook"],
        mode=reading["mode"],
        severity=reading["severity"],
        rule=own.rule,
        events=own.events,
        where=own.where,
        group_by=reading["group_by"],
        window=reading["window"] or 0,
        when=metrics_of(reading["when"]) if reading["when"] else (),
        detector=detector_of(reading, rules),
        cooldown=reading["cooldown"] or usual_cooldown(reading) or HOUR,
        place=place_of(reading.key_spot("playbook"), desk),
        version="",
        description=reading["description"],
        actions=tuple(action_of(kind, action) for kind, action, _ in reading["actions"]),
        guard=_guard(reading["guard"]),
        exceptions=tuple(Exemption(one["where"], one["reason"], one["until"]) for one in reading["exceptions"]),
        trust=reading["trust"],
        accept_lockout=reading["accept_lockout"],
        claimed=reading["claimed"],
        rollout=reading["rollout"],
        tests=tuple(build_test(test, desk) for test in reading["tests"]),
    )
    return stamp(playbook, desk.lists)


def usual_cooldown(reading: Reading) -> int | None:
    """Return the cooldown of a playbook that names none: its window, its `within`, else an hour."""
    if reading["absent"]:
        within: int | None = reading["absent"]["within"]
        return within
    window: int | None = reading["window"]
    return HOUR if reading["first_seen"] or reading["travel"] else window


def detector_of(reading: Reading, rules: Rules) -> Detector | None:
    """Return the detector of a reading, None where `when` is what opens findings."""
    if reading["sequence"]:
        until = reading["until"]
        steps = tuple(_step(one, rules) for one in reading["sequence"])
        return Sequence(steps, _selector(until, rules) if until else None)
    if found := reading["first_seen"]:
        return FirstSeen(found["field"], found["history"], found["after"])
    if found := reading["travel"]:
        return Travel(found["faster_than"], found["anonymous"])
    if found := reading["absent"]:
        return Absent(_selector(found, rules), found["within"])
    if found := reading["spike"]:
        return Spike(found["factor"], found["baseline"], found["min"])
    return None


def _selector(reading: Reading, rules: Rules) -> Selector:
    return Selector(rules.get(reading["rule"]), reading["event"] or (), reading["where"])


def _step(reading: Reading, rules: Rules) -> Step:
    count = least(reading["count"]) if reading["count"] else 1
    selector = _selector(reading, rules)
    for field, bound in (reading["distinct"] or {}).items():
        return Step(selector, count, field, least(bound))
    return Step(selector, count)


def least(bound: Bound) -> int:
    """Return the smallest whole number that reaches a bound."""
    return int(bound.value) + bound.strict


def metrics_of(reading: Reading) -> tuple[Metric, ...]:
    """Return the metrics of a `when`, in the order of the file."""
    return tuple(metric for name, _ in reading.node.entries for metric in _metrics(name.text, reading[name.text]))


def _metrics(kind: str, asked: object) -> list[Metric]:
    match kind, asked:
        case "count", Bound(value, strict):
            return [Metric("count", value, strict=strict)]
        case "ratio", (Bound(value, strict), Reading() as ratio):
            return [Metric("ratio", value, where=ratio["where"], strict=strict)]
        case "distinct" | "max" | "sum" | "avg", Mapping() as bounds:
            return [Metric(kind, bound.value, field=field, strict=bound.strict) for field, bound in bounds.items()]
    return []


def action_of(kind: str, reading: Reading) -> Action:
    """Return one action."""
    return Action(
        kind=kind,  # type: ignore[arg-type]  # the schema let no other through
        durations=reading["for"] or (),
        target=reading["target"],
        to=reading["to"],
        label=reading["name"],
        channel=reading["channel"],
        unless_shared_by=reading["unless_shared_by"],
        event=reading["event"],
        properties=reading["properties"],
    )


def _guard(reading: Reading | None) -> Guard | None:
    return None if reading is None else Guard(reading["max"], reading["per"])
