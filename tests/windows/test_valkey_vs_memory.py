"""Windows in Valkey answer as those in memory do: any watch, any order, repeats, hits to two processes in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.engine.windows import (
    MILLION,
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
from tests.reference import HOUR
from tests.windows import test_detectors as detectors
from tests.windows.test_memory_vs_reference import ALL, LATENESS, streams, value_of, watches
from tests.windows.twins import Twins, shared

Values = Callable[[dict[str, Any]], tuple[Any, ...]]
START = 1_767_571_200_000_000  # Monday 2026-01-05: times as long as they are in life
DETECTOR_STREAMS = detectors.streams()


def feed(watch: Watch, events: list[dict[str, Any]], values: Values, chance: Any, scale: int = 1) -> Twins:
    """Give the events to memory and to Valkey, now and then a second time, and compare every answer."""
    twins = Twins(watch, Limits(lateness=LATENESS * scale))
    newest, acting = 0, chance.choice([0, 0.7, 1, 1])  # how many of the hits would act
    for event in events:
        at = START + event["at"] * scale
        newest = max(newest, at)
        acts = chance.random() < acting
        twins.hit(Hit("w", event["g"], at, event["id"], values(event), acts, None), newest, chance.random() < 0.2)
        if isinstance(watch.detector, Absent):
            twins.due(newest - LATENESS * scale)
    for key in {event["g"] for event in events}:
        now = newest + chance.randrange(20)
        compare(twins.shared[0].progress("w", key, now), twins.memory.progress("w", key, now))
    return twins


def silent(found: Progress | None) -> bool:
    """Say whether there is nothing of a group that could still count."""
    return found is None or (not any(found.tally), found.empties, found.ready) == (True, None, None)


def compare(found: Progress | None, wanted: Progress | None) -> None:
    """Hold what is told of a group to what memory tells, which keeps findings for another while."""
    if found is None or wanted is None:  # expired in one of them
        assert silent(found) and silent(wanted)
    else:
        assert found._replace(opened=()) == wanted._replace(opened=())
        few, many = sorted((sorted(found.opened), sorted(wanted.opened)), key=len)
        assert few == many[len(many) - len(few) :]


def gauged(watch: Watch) -> Values:
    assert isinstance(watch.detector, Threshold)
    gauges = watch.detector.gauges
    return lambda event: tuple(value_of(gauge.kind, event) for gauge in gauges)


@settings(max_examples=150)
@given(watches(ALL), st.booleans(), st.data(), st.randoms(use_true_random=False))
def test_thresholds(asked: Any, late: bool, data: Any, chance: Any) -> None:
    watch, _ = asked
    feed(watch, data.draw(streams(late=late)), gauged(watch), chance)


@given(st.integers(1, 4), st.integers(5, 16), st.integers(3, 20), streams(late=True, gaps=(0, 1, 1, 2)), st.randoms())
def test_counts_alone(n: int, window: int, cooldown: int, events: Any, chance: Any) -> None:
    feed(Watch("w", window, cooldown, Threshold((Gauge("count", n),))), events, lambda event: (1,), chance)


@pytest.mark.parametrize("gauge", [Gauge("count", 1), Gauge("distinct", 1)], ids=lambda gauge: str(gauge.kind))
def test_a_call_done_again_tells_what_it_opened_though_its_hit_was_let_go(gauge: Gauge) -> None:
    """A late hit in the middle of its stretch of time opens a finding and is thinned away in the same call."""
    twins = Twins(Watch("w", 9, 3, Threshold((gauge,))), Limits(lateness=LATENESS, hits=4))
    for at, id in [(100, "a"), (100, "b"), (106, "f"), (107, "g"), (103, "d")]:
        hit = Hit("w", "g", START + at, id, (1 if gauge.kind == "count" else "one",), True, None)
        found = twins.hit(hit, START + 107, again=True)
    assert [one.id for one in found] == ["d"]


def test_values_are_told_apart_whatever_text_they_are() -> None:
    twins = Twins(Watch("w", 9, 3, Threshold((Gauge("distinct", 6),))), Limits(lateness=LATENESS))
    for n, value in enumerate(["\ud800", "\udfff", "é" * 34, "é" * 34, "x" * 35, "x" * 34, "x" * 36]):
        found = twins.hit(Hit("w", "g", START + n, f"e{n}", (value,), True, None), START + n)
    assert [one.id for one in found] == ["e6"]


def test_a_late_hit_that_acts_brings_up_what_was_only_monitored_at_its_very_time() -> None:
    twins = Twins(Watch("w", 4, 4, Steps((Step(), Step()))), Limits(lateness=40))
    found = []
    for at, id, mask, acting in [(1, "a", 1, True), (15, "new", 0, True), (3, "b", 2, False), (3, "c", 0, True)]:
        hit = Hit("w", "g", START + at, id, (mask, False, (None, None)), acting, None)
        found += twins.hit(hit, START + 15)
    assert [(one.hit.id, one.id) for one in found] == [("b", "b"), ("c", "b")]


@given(st.integers(3, 30), st.booleans(), st.integers(1, 3), st.integers(0, 2), DETECTOR_STREAMS, st.randoms())
def test_sequences(window: int, until: bool, times: int, different: int, events: Any, chance: Any) -> None:
    def values(event: dict[str, Any]) -> tuple[Any, ...]:
        mask = sum(1 << n for n, kind in enumerate("ab") if kind in event["is"])
        return mask, until and "u" in event["is"], (event["v"], None)

    steps = Steps((Step(times, different), Step(1)), until)
    feed(Watch("w", window, window, steps), events, values, chance)


@given(st.integers(1, 60), st.integers(0, 4), st.integers(1, 10), DETECTOR_STREAMS, st.randoms())
def test_first_seen(history: int, after: int, cooldown: int, events: Any, chance: Any) -> None:
    feed(Watch("w", history, cooldown, FirstSeen(history, after)), events, lambda event: (event["v"],), chance)


@given(
    st.integers(1, 8),
    st.integers(1, 5),
    st.sampled_from([1, 1.5, 3]),
    st.integers(1, 4),
    DETECTOR_STREAMS | detectors.streams(gaps=detectors.SILENCES, groups="ggh"),
    st.randoms(),
)
def test_spikes(window: int, times: int, factor: float, fewest: int, events: Any, chance: Any) -> None:
    watch = Watch("w", window, window, Spike(factor, window * times, fewest))
    feed(watch, events, lambda event: (), chance)


@given(st.sampled_from([300, 900, 3000]), detectors.streams(gaps=(0, 1, 2, 5, 30)), st.randoms())
def test_travels(speed: int, events: Any, chance: Any) -> None:
    """Times are in quarters of an hour here."""
    watch = Watch("w", 1, HOUR, Travel(speed))
    feed(watch, events, lambda event: (*detectors.PLACES[event["place"]], 0), chance, scale=HOUR // 4)


@given(st.integers(1, 20), st.integers(1, 20), DETECTOR_STREAMS, st.randoms())
def test_absences(within: int, cooldown: int, events: Any, chance: Any) -> None:
    def values(event: dict[str, Any]) -> tuple[Any, ...]:
        return "a" in event["is"], "b" in event["is"], [{}, None]

    twins = feed(Watch("w", within, cooldown, Absent(within)), events, values, chance)
    twins.due(START + 10**9)


@given(watches(ALL), streams(late=True), st.integers(1, 30))
def test_a_batch_is_judged_as_its_hits_one_by_one(asked: Any, events: list[dict[str, Any]], size: int) -> None:
    """Hits of a group go together in one call; what opens, and in which order, is the same."""
    watch, _ = asked
    values, limits = gauged(watch), Limits(lateness=LATENESS)
    ordered = list({event["id"]: event for event in events}.values())
    hits = [Hit("w", e["g"], START + e["at"], e["id"], values(e), True, None) for e in ordered]
    one, other = shared([watch], limits)[0], shared([watch], limits)[0]
    together = [opening for first in range(0, len(hits), size) for opening in one.hit(hits[first : first + size], 0)]
    assert together == [opening for hit in hits for opening in other.hit([hit], 0)]


@pytest.mark.parametrize("kind", ["sum", "avg"])
@pytest.mark.parametrize("unit", [1, 8_999_999_999_999 * MILLION])
def test_sums_are_exact_however_large(kind: Any, unit: int) -> None:
    """A value of `sum` may have nineteen digits, and a double sixteen."""
    reach = unit * 5 + 1 if kind == "sum" else unit + 1
    twins = Twins(Watch("w", 100, 100, Threshold((Gauge(kind, reach),))), Limits(lateness=LATENESS))
    for n in range(8):
        value = unit + (n == 7) * (1 if kind == "sum" else 8)
        found = twins.hit(Hit("w", "g", START + n, f"e{n}", (value if kind == "sum" else (1, value),), True, None), 0)
        assert bool(found) == (n == (5 if kind == "sum" else 7))


def test_values_past_the_bound_are_forgotten_least_recently_seen_first() -> None:
    watch = Watch("w", 10_000, 1, FirstSeen(10_000, 1))
    twins = Twins(watch, Limits(lateness=LATENESS))
    for n in range(200):
        value = f"v{n}" if n % 3 else "often"
        twins.hit(Hit("w", "g", START + 10 * n, f"e{n}", (value,), True, None), 0)
    for n in (1, 199):
        twins.hit(Hit("w", "g", START + 5000 + n, f"x{n}", (f"v{n}",), True, None), 0)
    assert twins.memory.dropped() == twins.shared[0].dropped() + twins.shared[1].dropped()
