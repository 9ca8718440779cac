"""A playbook from what its document says. What its keys may not mean together is in checks.py."""

from __future__ import annotations

from collections.abc import Mapping

from sentinel.engine.playbook import Action, Exemption, Guard, Metric, Playbook, Rule
from sentinel.loader.schema import Bound
from sentinel.loader.shapes import Desk, Reading
from sentinel.loader.testcase import build_test, place_of
from sentinel.loader.version import stamp


def build_playbook(reading: Reading, rule: Rule | None, desk: Desk) -> Playbook:
    """Return the playbook of a reading in which nothing is wrong."""
    playbook = Playbook(
        id=reading["playbook"],
        title=reading["title"] or reading["playbook"],
        mode=reading["mode"],
        severity=reading["severity"],
        rule=rule,
        events=reading["event"] or (),
        where=reading["where"],
        group_by=reading["group_by"],
        window=reading["window"],
        when=metrics_of(reading["when"]),
        cooldown=reading["cooldown"] or reading["window"],
        place=place_of(reading.key_spot("playbook"), desk),
        version="",
        description=reading["description"],
        actions=tuple(action_of(kind, action) for kind, action, _ in reading["actions"]),
        guard=_guard(reading["guard"]),
        exceptions=tuple(_exemption(one) for one in reading["exceptions"]),
        trust=reading["trust"],
        accept_lockout=reading["accept_lockout"],
        tests=tuple(build_test(test, desk) for test in reading["tests"]),
    )
    return stamp(playbook, desk.lists)


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
    )


def _guard(reading: Reading | None) -> Guard | None:
    return None if reading is None else Guard(reading["max"], reading["per"])


def _exemption(reading: Reading) -> Exemption:
    return Exemption(reading["where"], reading["reason"], reading["until"])
