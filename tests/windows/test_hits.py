"""Hits in one flat list say what a list of tuples in (time, id) order says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentinel.windows.hits import Hits, Kept

KEPT = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.integers(1, 5)), max_size=12, unique_by=lambda hit: hit[:2]
).map(sorted)


@given(KEPT)
def test_halving_lets_each_second_of_the_older_half_stand_for_two(kept: list[Kept]) -> None:
    hits = Hits.of(kept)
    half = len(kept) // 4 * 2
    merged = [
        (at, id, [one, value]) for (_, _, one), (at, id, value) in zip(kept[:half:2], kept[1:half:2], strict=True)
    ]
    assert hits.halve_oldest(lambda one, other: [one, other]) == len(merged)
    assert list(hits.each()) == [*merged, *kept[half:]]


@given(KEPT, st.integers(1, 12))
def test_the_newest_stay_within_a_bound(kept: list[Kept], most: int) -> None:
    hits = Hits.of(kept)
    assert hits.bound(most) == len(kept) - len(kept[-most:])
    assert list(hits.each()) == kept[-most:]
