"""Sequences complete where the reference says, in any order of arrival."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.engine.windows import Step, Steps, Watch
from sentinel.windows.hits import Hits
from sentinel.windows.steps import History
from tests.reference import Reference, order


@st.composite
def sequences(draw: Any) -> tuple[Watch, dict[str, Any]]:
    """Draw a sequence over events of kinds a, b, c (an event may be several) and the same for the reference."""
    steps, asked = [], []
    for kind in draw(st.lists(st.sampled_from("abc"), min_size=2, max_size=3)):
        count, distinct = draw(st.sampled_from([(1, 0), (1, 0), (2, 0), (3, 0), (1, 2), (2, 2)]))
        steps.append(Step(count, distinct))
        asked.append((lambda e, kind=kind: kind in e["is"], count, "v" if distinct else None, distinct))
    window = draw(st.integers(2, 30))
    watch = Watch("w", window, window, Steps(tuple(steps)))
    reference = {"where": lambda e: True, "group_by": [], "window": window, "cooldown": window, "sequence": asked}
    if draw(st.booleans()):
        reference["until"] = lambda e: "u" in e["is"]
    return watch, reference


@st.composite
def streams(draw: Any) -> list[dict[str, Any]]:
    at, events = 100, []
    for number in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from([0, 1, 1, 2, 6]))
        kinds = draw(st.sampled_from(["a", "a", "b", "b", "c", "u", "ab", "bc", "cu", ""]))
        events.append(
            {"id": f"{draw(st.integers(0, 9))}-{number}", "at": at, "is": kinds, "v": draw(st.integers(0, 2))}
        )
    return events


def kept(event: dict[str, Any], reference: dict[str, Any]) -> Any:
    mask = sum(1 << n for n, step in enumerate(reference["sequence"]) if step[0](event))
    until = "until" in reference and "u" in event["is"]
    return event["at"], event["id"], (mask, until, tuple(str(event["v"]) for _ in reference["sequence"]))


@settings(max_examples=200)
@given(sequences(), streams(), st.randoms(use_true_random=False), st.booleans())
def test_crossings_are_the_reference_s(asked: Any, events: list[dict[str, Any]], chance: Any, late: bool) -> None:
    """After each event: those it may have made, in [its time, its time + window)."""
    watch, plain = asked
    reference, steps = Reference(plain), History(Hits(), watch.detector, watch.window)
    ordered = sorted(events, key=order)
    for event in chance.sample(ordered, len(ordered)) if late else ordered:
        reference.deliver(event)
        hit = kept(event, plain)
        newest = steps.hits.is_newest(event["at"], event["id"])
        if newest:
            found = [hit[:2]] if steps.append(hit, watch.detector, watch.window, 1000) else []
        else:
            found = steps.insert(hit, watch.detector, watch.window)
        (group,) = reference.seen
        expected = [one for one in reference.crossings(group) if event["at"] <= one[0] < event["at"] + watch.window]
        if newest:  # what a tie before it has completed was found when that tie came
            expected = [one for one in expected if one == hit[:2]]
        assert found == expected


@given(sequences(), streams())
def test_partials_are_never_more_than_the_steps_ask_for_events(asked: Any, events: list[dict[str, Any]]) -> None:
    watch, plain = asked
    steps = History(Hits(), watch.detector, watch.window)
    for event in sorted(events, key=order):
        steps.append(kept(event, plain), watch.detector, watch.window, 1000)
        assert len(steps.partials) <= sum(step.count + step.distinct for step in watch.detector.steps)
