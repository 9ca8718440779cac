"""Asking how near a group is says what its window holds, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine.windows import (
    Absent,
    FirstSeen,
    Gauge,
    Hit,
    Progress,
    Spike,
    Step,
    Steps,
    Threshold,
    Travel,
    Watch,
)
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.windows.test_memory_vs_reference import ALL, streams, value_of, watches

LATENESS = 40
SECOND = 1_000_000
HOUR = 3600 * SECOND


def windows(watch: Watch, *hits: tuple[Any, ...], key: str = "a") -> MemoryWindows:
    """Return windows that took hits of (time, values) in."""
    made = MemoryWindows([watch], Limits(lateness=LATENESS))
    for number, (at, values) in enumerate(hits):
        made.hit([Hit("w", key, at, f"e{number}", values, True, None)], at)
    return made


@given(watches(ALL), streams(late=True), st.integers(0, 30), st.sampled_from("abc"))
def test_a_tally_is_what_lies_in_the_window_that_ends_now(asked: Any, events: Any, later: int, key: str) -> None:
    """Counted anew from every event; hits of a count alone may have been let go, never below the threshold."""
    watch, _ = asked
    made = MemoryWindows([watch], Limits(lateness=LATENESS))
    newest = 0
    for event in events:
        newest = max(newest, event["at"])
        values = tuple(value_of(gauge.kind, event) for gauge in watch.detector.gauges)
        made.hit([Hit("w", event["g"], event["at"], event["id"], values, True, None)], newest)
    now = newest + later
    mine = {e["id"]: e for e in events if e["g"] == key and now - watch.window < e["at"] <= now}.values()
    found = made.progress("w", key, now)
    if found is None:
        assert not mine
        return
    assert found.empties == (max(e["at"] for e in mine) + watch.window if mine else None)
    for gauge, value in zip(watch.detector.gauges, found.tally, strict=True):
        wanted = amount(gauge.kind, [value_of(gauge.kind, e) for e in mine])
        if gauge.kind == "count" and len(watch.detector.gauges) == 1:
            assert min(wanted, gauge.reach) == min(value, gauge.reach) and value <= wanted
        else:
            assert value == (pytest.approx(wanted) if wanted is not None else None)


def amount(kind: str, values: list[Any]) -> Any:
    if kind == "count":
        return len(values)
    if kind == "distinct":
        return len({value for value in values if value is not None})
    numbers = [value for value in values if value is not None]
    if kind == "sum":
        return sum(numbers)
    if kind == "max":
        return max(numbers, default=None)
    parts = sum(parts for parts, _ in values)
    return sum(total for _, total in values) / parts / 1_000_000 if parts else None


@given(watches(ALL), streams(late=True), st.integers(0, 100))
def test_asking_changes_nothing(asked: Any, events: Any, now: int) -> None:
    """After every hit each group is asked, an unknown one too; what opens and what is kept stays the same."""
    watch, _ = asked
    told, untold = MemoryWindows([watch], Limits(lateness=LATENESS)), MemoryWindows([watch], Limits(lateness=LATENESS))
    newest = 0
    for event in events:
        newest = max(newest, event["at"])
        values = tuple(value_of(gauge.kind, event) for gauge in watch.detector.gauges)
        hit = Hit("w", event["g"], event["at"], event["id"], values, True, None)
        assert told.hit([hit], newest) == untold.hit([hit], newest)
        for key in ("a", "b", "nobody"):
            told.progress("w", key, now)
    assert told.snapshot("w") == untold.snapshot("w")


def test_of_what_is_not_known_nothing_is_said() -> None:
    made = windows(Watch("w", 10, 10, Threshold((Gauge("count", 2),))), (1, (1,)))
    assert made.progress("other", "a", 1) is None
    assert made.progress("w", "other", 1) is None


def test_findings_are_told_with_whether_they_acted() -> None:
    made = windows(Watch("w", 10, 10, Threshold((Gauge("count", 2),))), (1, (1,)), (2, (1,)))
    assert made.progress("w", "a", 30) == Progress((0,), None, opened=((2, True),))


STEPS = Steps((Step(2), Step(3, 2), Step(1)))
FIRST, SECOND_STEP, LAST, UNTIL = 1, 2, 4, 0


def step(mask: int, value: str = "x", until: bool = False) -> tuple[Any, ...]:
    return mask, until, (None, value, None)


@pytest.mark.parametrize(
    ("hits", "tally", "empties"),
    [
        ([], None, None),
        ([(5, step(FIRST))], (1, 0, 0), 105),
        ([(5, step(FIRST)), (6, step(FIRST))], (2, 0, 0), 105),
        ([(5, step(FIRST)), (6, step(FIRST)), (7, step(SECOND_STEP))], (2, 1, 0), 105),
        ([(5, step(FIRST)), (6, step(FIRST)), *((7 + n, step(SECOND_STEP)) for n in range(5))], (2, 3, 0), 105),
        (
            [(5, step(FIRST)), (6, step(FIRST)), *((7 + n, step(SECOND_STEP, f"v{n}")) for n in range(3))],
            (2, 3, 0),
            105,
        ),
        ([(5, step(FIRST)), (6, step(UNTIL, until=True))], (0, 0, 0), None),
        ([(5, step(FIRST)), (6, step(FIRST, until=True))], (1, 0, 0), 106),
    ],
)
def test_a_sequence_tells_how_far_each_step_is(hits: Any, tally: Any, empties: Any) -> None:
    made = windows(Watch("w", 100, 100, STEPS), *hits)
    found = made.progress("w", "a", 50)
    assert (found and found.tally, found and found.empties) == (tally, empties)


def test_a_sequence_starts_anew_when_its_window_has_passed() -> None:
    made = windows(Watch("w", 100, 100, STEPS), (5, step(FIRST)), (6, step(FIRST)))
    assert made.progress("w", "a", 105) == Progress((1, 0, 0), 106)
    assert made.progress("w", "a", 106) == Progress((0, 0, 0), None)


def test_first_seen_tells_what_it_has_learnt_within_the_history() -> None:
    made = windows(Watch("w", 0, 10, FirstSeen(100, 3)), (5, ("AT",)), (50, ("DE",)), (60, (None,)))
    assert made.progress("w", "a", 60) == Progress((3,), 160, known=("AT", "DE"))
    assert made.progress("w", "a", 110) == Progress((2,), 160, known=("DE",))
    assert made.progress("w", "a", 500) == Progress((0,), None)


def test_travel_tells_the_last_place() -> None:
    made = windows(Watch("w", 1, 10, Travel(900)), (5, (48.86, 2.35, 0)), (7, (45.76, 4.84, 0)))
    found = made.progress("w", "a", 6)
    assert found is not None and found.place == (5, 48.86, 2.35)
    assert made.progress("w", "a", 4) == Progress((None, None), opened=((7, True),))


def test_an_absence_tells_the_waits_that_are_open() -> None:
    begins, ends = (True, False, [{}, None]), (False, True, None)
    watch = Watch("w", 20, 10, Absent(20))
    made = windows(watch, (5, begins), (8, begins))
    assert made.progress("w", "a", 10) == Progress((2,), 28, due=25)
    made = windows(watch, (5, begins), (8, begins), (9, ends))
    assert made.progress("w", "a", 10) == Progress((0,))


def test_a_wait_is_told_though_its_group_has_expired() -> None:
    watch = Watch("w", 1000, 10, Absent(1000))
    made = windows(watch, (5, (True, False, [{}, None])))
    tracker = made.trackers["w"]
    tracker.groups.turn_over(True)
    assert made.progress("w", "a", 10) == Progress((1,), 1005, due=1005)


def test_a_spike_tells_its_mean_and_from_when_on_the_baseline_is_full() -> None:
    made = windows(Watch("w", 10, 10, Spike(3, 40, 5)), *((at, ()) for at in (0, 12, 20, 31, 42, 45, 46)))
    assert made.progress("w", "a", 50) == Progress((3, 0.75), 56, ready=50)
