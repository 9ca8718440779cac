"""Groups expire, are bounded and evicted; findings hold back, are repeated and given back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.engine.windows import Gauge, Hit, Opening, Threshold, Watch
from sentinel.windows import packed
from sentinel.windows.groups import Findings, Limits, Opened
from sentinel.windows.memory import MemoryWindows

COUNT2 = Watch("w", 10, 10, Threshold((Gauge("count", 2),)))


def hit(at: int, id: str, key: str = "a", acting: bool = True, source: str | None = None) -> Hit:
    return Hit("w", key, at, id, (1,), acting, source)


def test_a_repeat_returns_again_what_it_opened() -> None:
    """A commit that failed after the windows were hit is healed by sending the batch again."""
    windows = MemoryWindows([COUNT2])
    windows.hit([hit(1, "x")], 1)
    first = windows.hit([hit(2, "y")], 2)
    assert [(o.at, o.id) for o in first] == [(2, "y")]
    assert windows.hit([hit(2, "y")], 2) == first
    assert [(o.at, o.id) for o in windows.hit([hit(1, "x")], 2)] == [(2, "y")]


def test_only_a_finding_that_acted_holds_back_action() -> None:
    windows = MemoryWindows([COUNT2])
    monitored = windows.hit([hit(1, "x", acting=False), hit(2, "y", acting=False)], 2)
    assert len(monitored) == 1
    assert windows.hit([hit(3, "z", acting=False)], 3) == []
    assert len(windows.hit([hit(4, "acts", acting=True)], 4)) == 1
    assert windows.hit([hit(5, "held", acting=True)], 5) == []


def test_one_that_acts_at_the_anchor_of_one_that_did_not_holds_back_action_from_then_on() -> None:
    """A late event brings the crossing of a monitored finding up again once its playbook enforces."""
    windows = MemoryWindows([Watch("w", 10, 10, Threshold((Gauge("distinct", 2),)))])

    def seen(at: int, id: str, value: str, acting: bool) -> list[Opening]:
        return windows.hit([Hit("w", "a", at, id, (value,), acting, None)], 5)

    seen(1, "x", "s", acting=False)
    assert [one.id for one in seen(5, "y", "t", acting=False)] == ["y"]
    assert [(one.at, one.id) for one in seen(4, "late", "s", acting=True)] == [(5, "y")]
    assert seen(3, "later", "s", acting=True) == []
    assert seen(6, "next", "s", acting=True) == []


def test_a_finding_given_back_holds_back_no_action() -> None:
    windows = MemoryWindows([COUNT2])
    (opening,) = windows.hit([hit(1, "x"), hit(2, "y")], 2)
    windows.yielded(opening)
    assert windows.hit([hit(3, "watched", acting=False)], 3) == []
    assert [o.id for o in windows.hit([hit(4, "acts")], 4)] == ["acts"]


KNOWN = st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=8)


@given(KNOWN, st.integers(1, 4), st.integers(0, 15), st.integers(0, 8), st.booleans())
def test_the_findings_near_a_crossing_hold_it_back_however_many_there_are(
    known: list[tuple[int, bool]], cooldown: int, at: int, more: int, acting: bool
) -> None:
    findings = Findings(Watch("w", 60, cooldown, COUNT2.detector), Limits())
    for n, (when, acted) in enumerate(known):
        findings.know("a", Opened(when, f"f{n}", (2,), acted, approximate=False))
    holding = [when for when, acted in known if acted or not acting]
    free = [time for time in range(at, at + more + 1) if all(abs(when - time) >= cooldown for when in holding)]
    new = hit(at, "new", acting=acting)
    assert findings.held_from(new, at + more) == (not free)
    assert bool(findings.open(new, ((at, "new", (2,)),))) == (at in free)


def test_groups_are_dropped_when_nothing_can_need_them_any_more() -> None:
    windows = MemoryWindows([COUNT2], Limits(lateness=20))
    windows.hit([hit(1, "x", key="gone"), hit(2, "y", key="gone")], 2)
    for at in range(3, 100):
        windows.hit([hit(at, f"e{at}", key=f"k{at}")], at)
    assert windows.groups()["w"] <= 2 * 30 + 2
    assert "gone" not in windows.trackers["w"].findings


def test_a_group_lives_as_long_as_its_window_and_the_lateness() -> None:
    windows = MemoryWindows([COUNT2], Limits(lateness=20))
    windows.hit([hit(100, "x")], 100)
    windows.hit([hit(129, "other", key="b")], 129)
    assert [o.id for o in windows.hit([hit(109, "late")], 129)] == ["late"]


def test_a_flood_of_new_groups_from_one_address_is_cut_off_and_counted() -> None:
    limits = Limits(lateness=1000, groups=100, per_source=10)
    windows = MemoryWindows([COUNT2], limits)
    windows.hit([hit(1, "victim-1", key="victim", source="198.51.100.1")], 1)
    for n in range(500):
        windows.hit([hit(1, f"e{n}", key=f"u{n}", source="203.0.113.9")], 1)
    assert windows.groups()["w"] <= 100
    assert windows.dropped()["source over its quota of groups"] > 300
    assert len(windows.hit([hit(2, "victim-2", key="victim", source="198.51.100.1")], 2)) == 1


def test_a_flood_of_new_groups_from_as_many_addresses_takes_no_more_room() -> None:
    windows = MemoryWindows([COUNT2], Limits(lateness=1000, groups=100))
    windows.hit([hit(1, f"e{n}", key=f"u{n}", source=f"203.0.{n // 250}.{n % 250}") for n in range(5000)], 1)
    groups = windows.trackers["w"].groups
    assert len(groups) <= 100 and len(groups.made) <= 100


DISTINCT3 = Watch("w", 10, 10, Threshold((Gauge("distinct", 3),)))
ARRIVALS = st.lists(
    st.tuples(st.sampled_from((0, 1, 2, 9, 30, 200)), st.integers(0, 7), st.integers(0, 3), st.sampled_from("st")),
    max_size=60,
)  # fmt: skip


@given(ARRIVALS, st.sampled_from((COUNT2, DISTINCT3)), st.integers(2, 8), st.integers(1, 3))
@example([(1, group, 0, "s") for group in range(8)], COUNT2, 4, 1)
def test_hits_of_one_batch_are_kept_and_dropped_as_one_by_one(
    arrivals: list[tuple[int, int, int, str]], watch: Watch, groups: int, per_source: int
) -> None:
    """New groups, their bounds, and hits that are to be let go included."""
    at, hits = 1000, []
    for n, (step, group, value, source) in enumerate(arrivals):
        at += step
        values = (1,) if watch is COUNT2 else (f"v{value}",)
        hits.append(Hit("w", f"g{group}", at, f"e{n}", values, True, source))
    limits = Limits(lateness=20, groups=groups, per_source=per_source)
    together, apart = MemoryWindows([watch], limits), MemoryWindows([watch], limits)
    found = [opening for one in hits for opening in apart.hit([one], at)]
    assert together.hit(hits, at) == found
    assert together.dropped() == apart.dropped()
    assert together.snapshot("w") == apart.snapshot("w")


def test_eviction_takes_the_lowest_tallies_and_spares_findings() -> None:
    windows = MemoryWindows([Watch("w", 10, 10, Threshold((Gauge("count", 3),)))], Limits(lateness=1000, groups=40))
    windows.hit([hit(1, f"f{n}", key="found") for n in range(3)], 1)
    windows.hit([hit(1, f"t{n}", key="two") for n in range(2)], 1)
    for n in range(200):
        windows.hit([hit(1, f"e{n}", key=f"u{n}", source=f"198.51.100.{n}")], 1)
    tracker = windows.trackers["w"]
    assert {"found", "two"} <= tracker.groups.young.keys()
    assert windows.groups()["w"] <= 40
    assert windows.dropped()["groups evicted"] >= 160


@given(st.text(min_size=1, max_size=20) | st.uuids().map(str) | st.uuids().map(lambda u: str(u).upper()))
def test_an_id_that_is_packed_comes_back_as_it_was(id: str) -> None:
    if "\0" in id:
        id = id.replace("\0", "_")
    found = packed.pack_id(id)
    if found is None:
        assert len(id.encode("utf-8", "surrogatepass")) > 16
        return
    record = (7 << 1 | found[0]).to_bytes(8, "big") + found[1]
    assert packed.unpack(record, 0) == (7, id)


def test_ids_too_long_for_a_record_count_like_others() -> None:
    windows = MemoryWindows([Watch("w", 10, 10, Threshold((Gauge("count", 3),)))])
    ids = ["short", "a" * 64, "b" * 40]
    openings: list[Opening] = []
    for at, id in enumerate(ids):
        openings += windows.hit([hit(at, id)], at)
    assert [(o.at, o.id) for o in openings] == [(2, "b" * 40)]
    assert [(o.at, o.id) for o in windows.hit([hit(2, "b" * 40)], 2)] == [(2, "b" * 40)]


@pytest.mark.parametrize("kinds", [("sum",), ("count", "ratio")])
def test_past_the_bound_of_hits_a_group_says_it_is_approximate(kinds: tuple[str, ...]) -> None:
    gauges = tuple(Gauge(kind, 10**9 if kind == "sum" else 100) for kind in kinds)  # type: ignore[arg-type]
    windows = MemoryWindows([Watch("w", 1000, 1000, Threshold(gauges))], Limits(lateness=0, hits=50))
    openings: list[Opening] = []
    for n in range(1100):
        values = tuple({"sum": 10**6, "count": 1, "ratio": (1, 1_000_000)}[kind] for kind in kinds)
        openings += windows.hit([Hit("w", "a", n, f"e{n}", values, True, None)], n)
    assert openings
    assert openings[0].approximate
    assert abs(openings[0].at - (999 if kinds == ("sum",) else 99)) <= 40


def test_a_busy_group_of_distinct_values_keeps_only_what_decides() -> None:
    windows = MemoryWindows([Watch("w", 100, 100, Threshold((Gauge("distinct", 5),)))], Limits(lateness=100, hits=50))
    for n in range(3000):
        windows.hit([Hit("w", "a", n, f"e{n}", (f"v{n % 3}",), True, None)], n)
    state = windows.trackers["w"].groups.young["a"]
    assert windows.trackers["w"].size(state) <= 100
    assert windows.hit([Hit("w", "a", 2999, f"x{n}", (f"new{n}",), True, None) for n in range(2)], 2999)


def test_a_group_keeps_no_more_than_its_bound_however_many_come_and_still_finds() -> None:
    gauges = Gauge("count", 300), Gauge("ratio", 500_000)
    windows = MemoryWindows([Watch("w", 10_000, 10_000, Threshold(gauges))], Limits(lateness=0, hits=50))
    openings: list[Opening] = []
    for n in range(5000):
        openings += windows.hit([Hit("w", "a", n, f"e{n}", (1, (1, 1_000_000)), True, None)], n)
        state = windows.trackers["w"].groups.young["a"]
        assert windows.trackers["w"].size(state) <= 50
    assert [(one.at, one.tally[0]) for one in openings] == [(299, 300)]
