"""The detectors that look back or wait say what the reference says, in any order of arrival within the lateness."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentinel.core.duration import DAY, MINUTE
from sentinel.engine.windows import Absent, FirstSeen, Hit, Spike, Step, Steps, Travel, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from sentinel.windows.novelty import RECENT
from sentinel.windows.travel import distance
from tests.reference import HOUR, Reference, order

LATENESS = 40
GROUP = (("str", "g"),)
SILENCES = (0, 0, 1, 1, 2, 2, 5, 9, 40, 90, 150, 300)  # as long as groups take to expire, and much longer
PLACES = {"paris": (48.86, 2.35), "versailles": (48.80, 2.13), "tokyo": (35.68, 139.69), "lyon": (45.76, 4.84)}


@st.composite
def streams(
    draw: Any, late: bool = True, gaps: tuple[int, ...] = (0, 1, 2, 5, 9), groups: str = "g"
) -> list[dict[str, Any]]:
    """Draw events in their order of arrival, repeats included."""
    at, events = 1000, []
    for number in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from(gaps))
        kinds, value = draw(st.sampled_from(["a", "b", "ab", "u", ""])), draw(st.sampled_from([None, "x", "y", "z"]))
        place = draw(st.sampled_from(sorted(PLACES)))
        id = f"{draw(st.integers(0, 9))}-{number}"
        events.append({"id": id, "at": at, "g": draw(st.sampled_from(groups)), "is": kinds, "v": value, "place": place})
    delays = [draw(st.integers(0, LATENESS if late else 0)) for _ in events]
    arrived = [e for _, e in sorted(zip(delays, events, strict=True), key=lambda p: (p[0] + p[1]["at"], p[1]["id"]))]
    return arrived + arrived[-1:] * draw(st.integers(0, 1))


def run(watch: Watch, values: Any, events: list[dict[str, Any]], scale: int = 1) -> tuple[Any, Any]:
    """Return the windows after the events, and the findings as the reference writes them."""
    windows = MemoryWindows([watch], Limits(lateness=LATENESS * scale))
    found: list[tuple[int, str]] = []
    newest = 0
    for event in events:
        newest = max(newest, event["at"] * scale)
        hit = Hit("w", event["g"], event["at"] * scale, event["id"], values(event), True, None)
        openings = windows.hit([hit], newest) + windows.due(newest - LATENESS * scale)
        for opening in openings:
            anchor = opening.at, opening.id
            if opening.retracted:
                found.remove(anchor)
            elif anchor not in found:
                found.append(anchor)
    return windows, found


def refer(playbook: dict[str, Any], events: list[dict[str, Any]], scale: int = 1) -> Reference:
    reference = Reference({"where": lambda e: True, "group_by": ["g"], "window": 1} | playbook)
    for event in events:
        reference.deliver(event | {"at": event["at"] * scale})
    return reference


@given(st.integers(1, 60), st.integers(0, 4), st.integers(1, 10), streams())
def test_first_seen(history: int, after: int, cooldown: int, events: list[dict[str, Any]]) -> None:
    watch = Watch("w", history, cooldown, FirstSeen(history, after))
    _, found = run(watch, lambda e: (e["v"],), events)
    reference = refer({"first_seen": ("v", history, after), "cooldown": cooldown}, events)
    assert found == reference.findings.get(GROUP, [])


@settings(max_examples=200)
@given(
    st.integers(1, 8),
    st.integers(1, 5),
    st.sampled_from([1, 1.5, 3]),
    st.integers(1, 4),
    streams() | streams(gaps=SILENCES, groups="ggh"),
)
def test_spike(window: int, times: int, factor: float, fewest: int, events: list[dict[str, Any]]) -> None:
    """However long a group is silent, and whenever others let the state of silent ones go."""
    baseline = window * times
    watch = Watch("w", window, window, Spike(factor, baseline, fewest))
    _, found = run(watch, lambda e: (), events)
    playbook = {"spike": (factor, baseline, fewest), "window": window, "cooldown": window}
    groups = refer(playbook, events).findings.values()
    assert sorted(found) == sorted(anchor for anchors in groups for anchor in anchors)


@pytest.mark.parametrize("turns", [(), (60,), (45, 90), tuple(range(30, 700, 30))])
@pytest.mark.parametrize(("silence", "found"), [(109, 0), (110, 1), (150, 1), (399, 1), (709, 1), (710, 0)])
def test_silence_makes_a_group_new_after_six_baselines(turns: tuple[int, ...], silence: int, found: int) -> None:
    """One event, silence, four at once: it does not matter when the events of others let old state go."""
    windows = MemoryWindows([Watch("w", 10, 10, Spike(2, 100, 4))], Limits(lateness=LATENESS))
    times = [("g", 1_000), *(("h", 1_000 + turn) for turn in turns if turn < silence)]
    times += [("g", 1_000 + silence)] * 4
    hits = [Hit("w", key, at, f"e{number}", (), True, None) for number, (key, at) in enumerate(times)]
    assert sum(len(windows.hit([hit], hit.at)) for hit in hits) == found


def test_the_longest_silent_groups_go_where_there_are_too_many() -> None:
    """Then they are as new, and that they went is counted."""
    windows = MemoryWindows([Watch("w", 10, 10, Spike(2, 100, 4))], Limits(lateness=0, groups=4))
    hits = [Hit("w", f"g{number}", 1_000 + 60 * number, f"e{number}", (), True, None) for number in range(9)]
    burst = [Hit("w", key, 1_600, f"{key}-{n}", (), True, None) for key in ("g0", "g3", "g5") for n in range(4)]
    found = [opening.hit.key for hit in [*hits, *burst] for opening in windows.hit([hit], hit.at)]
    assert found == ["g5"] and windows.dropped()["silent groups forgotten"] > 0


@given(st.sampled_from([300, 900, 3000]), streams(gaps=(0, 1, 2, 5, 30)))
def test_travel(speed: int, events: list[dict[str, Any]]) -> None:
    """Times are in quarters of an hour here."""
    watch = Watch("w", 1, HOUR, Travel(speed))
    _, found = run(watch, lambda e: (*PLACES[e["place"]], 0), events, scale=HOUR // 4)

    def km(one: dict[str, Any], other: dict[str, Any]) -> float:
        return distance(PLACES[one["place"]], PLACES[other["place"]])

    reference = refer({"travel": (km, speed), "cooldown": HOUR}, events, scale=HOUR // 4)
    assert found == reference.findings.get(GROUP, [])


@given(st.integers(1, 20), st.integers(1, 20), streams())
def test_absent(within: int, cooldown: int, events: list[dict[str, Any]]) -> None:
    watch = Watch("w", within, cooldown, Absent(within))
    windows, found = run(watch, lambda e: ("a" in e["is"], "b" in e["is"]), events)
    found += [(o.at, o.id) for o in windows.due(10**9)]
    playbook = {"absent": (lambda e: "a" in e["is"], lambda e: "b" in e["is"], within), "cooldown": cooldown}
    reference = refer(playbook, events)
    reference.passed(10**9)
    assert sorted(found) == sorted(reference.findings.get(GROUP, []))


@settings(max_examples=200)
@given(st.integers(3, 30), st.booleans(), streams() | streams(late=False))
def test_a_sequence_opens_and_takes_back(window: int, until: bool, events: list[dict[str, Any]]) -> None:
    steps = Steps((Step(2), Step(1)), until)
    watch = Watch("w", window, window, steps)
    kinds = [lambda e: "a" in e["is"], lambda e: "b" in e["is"]]

    def values(event: dict[str, Any]) -> Any:
        mask = sum(1 << n for n, kind in enumerate(kinds) if kind(event))
        return mask, until and "u" in event["is"], (None, None)

    _, found = run(watch, values, events)
    playbook = {"sequence": [(kinds[0], 2, None, 0), (kinds[1], 1, None, 0)], "window": window, "cooldown": window}
    if until:
        playbook["until"] = lambda e: "u" in e["is"]
    assert sorted(found) == sorted(refer(playbook, events).findings.get(GROUP, []))


def test_what_a_group_is_known_for_takes_little_however_often_it_came() -> None:
    """Ids and numbers of one's own are kept of what came lately; of a month of logins only when they were."""
    windows = MemoryWindows([Watch("w", 0, 1, FirstSeen(30 * DAY, 5))], Limits(lateness=10 * MINUTE))
    hits = [Hit("w", "g", n * HOUR, f"event-{n:036}", ("DE", "AT")[n % 2 :][:1], True, None) for n in range(300)]
    assert windows.hit(hits, hits[-1].at) == []
    state = windows.trackers["w"].peek("g")
    assert [id for _, id, _ in state.late.each()] == [hits[-1].id]
    assert sum(map(sys.getsizeof, (state.late, state.times, *state.values.values()))) < 1_500
    new = Hit("w", "g", 300 * HOUR, "abroad", ("FR",), True, None)
    assert [opening.tally for opening in windows.hit([new], new.at)] == [(5 + RECENT,)]
    assert windows.hit([new], new.at) == windows.hit([new], new.at) != [], "a repeat is told from another event"
    windows.hit([Hit("w", "g", new.at, f"{n}", ("DE",), True, None) for n in range(300)], new.at)
    assert state.late.many == len(state.times) == 5 + RECENT, "nor does a flood at once"


@pytest.mark.parametrize(
    ("detector", "hits"),
    [
        (Travel(900), [(900, (*PLACES["paris"], 0)), (1_000, (*PLACES["tokyo"], 0))]),
        (Spike(2, 100, 4), [(800, ()), (998, ()), (998, ()), (999, ()), (1_000, ())]),
        (Steps((Step(2), Step(1))), [(at, (1 + at // 1_000, False, (None, None))) for at in (998, 999, 1_000)]),
        (FirstSeen(100, 2), [(at, ("FR" if at == 1_000 else "DE",)) for at in (998, 999, 1_000)]),
    ],
    ids=["Travel", "Spike", "Steps", "FirstSeen"],
)
def test_a_repeat_returns_again_what_it_opened(detector: Any, hits: list[tuple[int, Any]]) -> None:
    """A commit that failed after the windows were hit is healed by sending the batch again."""
    windows = MemoryWindows([Watch("w", 10, 10, detector)])
    given = [Hit("w", "g", at, f"e{n}", values, True, None) for n, (at, values) in enumerate(hits)]
    first = windows.hit(given, 1_000)
    assert [(one.at, one.id) for one in first] == [(1_000, given[-1].id)]
    assert windows.hit(given[-1:], 1_000) == first


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 15), st.integers(0, 40))
@example([0, 5, 11], 10, 0)
@example([0, 11, 5], 10, 0)
def test_a_wait_is_over_if_anything_ended_it_in_time(ends: list[int], within: int, begun: int) -> None:
    """However many came before, and in whatever order."""
    windows = MemoryWindows([Watch("w", within, within, Absent(within))], Limits(lateness=100))
    hits = [Hit("w", "g", at, f"e{n}", (False, True), True, None) for n, at in enumerate(ends)]
    windows.hit([*hits, Hit("w", "g", begun, "begin", (True, False), True, None)], 40)
    assert bool(windows.due(1000)) == (not any(begun < at <= begun + within for at in ends))


def test_of_what_ends_waits_a_group_keeps_only_what_decides() -> None:
    windows = MemoryWindows([Watch("w", 10, 10, Absent(10))], Limits(lateness=5))
    windows.hit([Hit("w", "g", at, f"{at}", (False, True), True, None) for at in range(1000)], 999)
    tracker = windows.trackers["w"]
    assert tracker.size(tracker.peek("g")) <= 6, "two in each stretch of ten that an event may still come into"


def test_a_wait_outlives_any_jump_in_time() -> None:
    windows = MemoryWindows([Watch("w", 10, 10, Absent(10))], Limits(lateness=5))
    windows.hit([Hit("w", "g", 100, "a", (True, False), True, None)], 100)
    windows.hit([Hit("w", "other", 10_000, "b", (False, True), True, None)], 10_000)
    assert [(o.at, o.id) for o in windows.due(9_995)] == [(110, "a")]


def test_waits_survive_a_snapshot() -> None:
    watch = Watch("w", 10, 10, Absent(10))
    first, second = MemoryWindows([watch]), MemoryWindows([watch])
    first.hit([Hit("w", "g", 100, "a", (True, False), True, None)], 100)
    assert second.restore("w", first.snapshot("w"))
    assert second.due(1000) == first.due(1000) != []


@pytest.mark.parametrize(
    "detector",
    [FirstSeen(50, 1), Spike(2, 20, 1), Travel(900), Steps((Step(2), Step(1)))],
    ids=lambda d: type(d).__name__,
)
@given(events=streams() | streams(gaps=SILENCES, groups="ggh"), cut=st.integers(0, 40))
@settings(max_examples=30)
def test_a_snapshot_continues_where_it_was_taken(detector: Any, events: list[dict[str, Any]], cut: int) -> None:
    def values(event: dict[str, Any]) -> Any:
        of = {FirstSeen: (event["v"],), Spike: (), Travel: (*PLACES[event["place"]], 0)}
        return of.get(type(detector), (1 if "a" in event["is"] else 2, False, (None, None)))

    watch = Watch("w", 20, 20, detector)
    hits = [Hit("w", e["g"], e["at"], e["id"], values(e), True, None) for e in sorted(events, key=order)]
    whole, first, second = (MemoryWindows([watch], Limits(lateness=LATENESS)) for _ in range(3))
    for hit in hits[:cut]:
        assert whole.hit([hit], hit.at) == first.hit([hit], hit.at)
    assert second.restore("w", first.snapshot("w"))
    for hit in hits[cut:]:
        assert second.hit([hit], hit.at) == whole.hit([hit], hit.at)
    assert second.snapshot("w") == whole.snapshot("w")
