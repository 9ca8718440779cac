"""Windows in memory say what the reference says, whatever the order of arrival."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.engine.windows import MILLION, Gauge, Hit, Threshold, Watch
from sentinel.windows import log
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.reference import Reference

LATENESS = 40
MONOTONE = ["count", "distinct", "max", "sum"]
ALL = [*MONOTONE, "avg", "ratio"]


def value_of(kind: str, event: dict[str, Any]) -> Any:
    """Return what an event's `v` gives to a gauge, as a judge would."""
    number = event.get("v")
    if kind == "count":
        return 1
    if kind == "distinct":
        return None if number is None else f"\0n{number}"
    if kind == "ratio":
        return 1, MILLION if number is not None and number > 2 else 0
    if kind == "avg":
        return (0, 0) if number is None else (1, number * MILLION)
    return number if kind == "max" or number is None else number * MILLION


def of(kind: str) -> Any:
    if kind == "ratio":
        return lambda event: (event.get("v") or 0) > 2
    return None if kind == "count" else "v"


@st.composite
def watches(draw: Any, kinds: list[str]) -> tuple[Watch, dict[Any, Any]]:
    """Draw a watch and the same as the reference's `when`."""
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3, unique=True))
    gauges, when = [], {}
    for kind in chosen:
        most = {"count": 6, "distinct": 4, "max": 4, "sum": 12, "avg": 4, "ratio": 1}[kind]
        threshold = draw(st.integers(1, most)) if kind != "ratio" else draw(st.sampled_from([0.25, 0.5, 1]))
        scale = MILLION if kind in ("sum", "avg", "ratio") else 1
        gauges.append(Gauge(kind, int(threshold * scale)))  # type: ignore[arg-type]
        when[kind, of(kind)] = ("gte", Fraction(str(threshold)))
    window = draw(st.integers(1, 30))
    cooldown = draw(st.sampled_from([window, window, max(1, window // 3), window * 2]))
    return Watch("w", window, cooldown, Threshold(tuple(gauges))), when


@st.composite
def streams(
    draw: Any, late: bool, gaps: tuple[int, ...] = (0, 0, 1, 1, 2, 5, 12), lateness: int = LATENESS
) -> list[dict[str, Any]]:
    """Draw events in their order of arrival: ties, gaps, repeats, and none later than the lateness."""
    size = draw(st.integers(1, 60))
    at, events = 100, []
    for number in range(size):
        at += draw(st.sampled_from(gaps))
        event = {"id": f"e{draw(st.integers(0, 99)):02d}-{number}", "at": at, "g": draw(st.sampled_from("aab"))}
        value = draw(st.sampled_from([None, 1, 1, 2, 3, 4]))
        events.append(event if value is None else {**event, "v": value})
    delays = {e["id"]: draw(st.integers(0, lateness if late else 0)) for e in events}
    if draw(st.booleans()):
        events += [dict(draw(st.sampled_from(events))) for _ in range(draw(st.integers(1, 5)))]
    arrived = sorted(enumerate(events), key=lambda pair: (pair[1]["at"] + delays[pair[1]["id"]], pair[0]))
    return [event for _, event in arrived] if late else sorted(events, key=lambda e: (e["at"], e["id"]))


def run(watch: Watch, events: list[dict[str, Any]], limits: Limits | None = None) -> dict[Any, list[Any]]:
    windows = MemoryWindows([watch], limits or Limits(lateness=LATENESS))
    found: dict[Any, list[Any]] = {}
    newest = 0
    for event in events:
        newest = max(newest, event["at"])
        values = tuple(value_of(gauge.kind, event) for gauge in watch.detector.gauges)
        hit = Hit("w", event["g"], event["at"], event["id"], values, True, None)
        for opening in windows.hit([hit], newest):
            anchors = found.setdefault((("str", event["g"]),), [])
            if (opening.at, opening.id) not in anchors:
                anchors.append((opening.at, opening.id))
    return found


def refer(watch: Watch, when: dict[Any, Any], events: list[dict[str, Any]]) -> Reference:
    playbook = {"where": lambda e: True, "group_by": ["g"], "when": when}
    reference = Reference(playbook | {"window": watch.window, "cooldown": watch.cooldown})
    for event in events:
        reference.deliver(event)
    return reference


@given(watches(ALL), streams(late=False))
def test_in_order_the_findings_are_the_reference_s(asked: Any, events: list[dict[str, Any]]) -> None:
    watch, when = asked
    assert run(watch, events) == refer(watch, when, events).findings


@given(watches(ALL), streams(late=True))
def test_out_of_order_the_findings_are_the_reference_s(asked: Any, events: list[dict[str, Any]]) -> None:
    watch, when = asked
    assert run(watch, events) == refer(watch, when, events).findings


@settings(max_examples=300)
@given(st.integers(1, 4), st.integers(5, 16), st.integers(3, 20), streams(late=True, gaps=(0, 1, 1, 2)))
def test_many_more_hits_than_are_kept(n: int, window: int, cooldown: int, events: list[dict[str, Any]]) -> None:
    """A count keeps 2n hits a cell and answers as if it kept all, long windows full of late hits included."""
    watch = Watch("w", window, cooldown, Threshold((Gauge("count", n),)))
    assert run(watch, events) == refer(watch, {("count", None): ("gte", n)}, events).findings


@given(watches(MONOTONE), streams(late=True), st.randoms(use_true_random=False))
def test_order_and_repeats_change_no_group(asked: Any, events: list[dict[str, Any]], chance: random.Random) -> None:
    """The promises of the order of arrival: same groups, anchors apart, every crossing near one, half to all."""
    watch, when = asked
    ordered = sorted({e["id"]: e for e in events}.values(), key=lambda e: (e["at"], e["id"]))
    in_order = run(watch, ordered)
    found = run(watch, events)
    assert found.keys() == in_order.keys()
    crossings = refer(watch, when, events)
    for group, anchors in found.items():
        times = sorted(at for at, _ in anchors)
        assert all(b - a >= watch.cooldown for a, b in pairwise(times))
        assert all(min(abs(at - t) for t in times) < watch.cooldown for at, _ in crossings.crossings(group))
        assert len(in_order[group]) / 2 <= len(times) <= len(in_order[group])


@given(watches(["count", "distinct", "max"]), streams(late=True))
def test_thinned_logs_still_name_every_group(asked: Any, events: list[dict[str, Any]]) -> None:
    """With room for two hits only what decides is kept, and the groups that have findings are the same."""
    watch, when = asked
    tight = Limits(lateness=LATENESS, hits=2)
    assert run(watch, events, tight).keys() == refer(watch, when, events).findings.keys()


@settings(max_examples=300)
@given(watches(["count", "distinct", "max"]), st.integers(0, 60), streams(late=True, gaps=(0, 0, 1, 2), lateness=5))
def test_what_is_settled_is_let_go_and_nothing_changes(asked: Any, longer: int, events: list[dict[str, Any]]) -> None:
    """Behind what can come late only what still decides is kept, and not one finding or anchor is another."""
    watch, when = asked
    watch = Watch("w", watch.window + longer, watch.cooldown, watch.detector)
    with patch.object(log, "LOOK", 1):
        assert run(watch, events, Limits(lateness=5)) == refer(watch, when, events).findings


def test_a_long_window_keeps_what_comes_late_and_what_decides_and_no_more() -> None:
    watch = Watch("w", 100_000, 1, Threshold((Gauge("distinct", 5), Gauge("max", 2))))
    windows = MemoryWindows([watch], Limits(lateness=100))
    for n in range(2000):
        windows.hit([Hit("w", "a", n, f"e{n}", (f"v{n % 4}", n % 3), True, None)], n)
    tracker = windows.trackers["w"]
    assert tracker.size(tracker.groups.young["a"]) <= 2 * (100 + 4 + 1)
    assert windows.hit([Hit("w", "a", 2000, "x", ("v4", None), True, None)], 2000)[0].tally == (5, 2)
