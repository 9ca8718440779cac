"""A log that looks back at late hits by its running tally finds what counting each window anew finds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine.windows import Gauge, Threshold
from sentinel.windows.hits import Hits
from sentinel.windows.log import Log, Terms, terms_of
from sentinel.windows.tally import shown, tallies

WINDOW, LATENESS = 10, 25
VALUES = {
    "count": st.just(1), "distinct": st.sampled_from(["a", "b", "c", None]), "sum": st.integers(0, 5),
    "max": st.one_of(st.none(), st.integers(0, 9)), "avg": st.tuples(st.just(1), st.integers(0, 9)),
    "ratio": st.tuples(st.just(1), st.integers(0, 1)),
}  # fmt: skip
GAUGES = {
    "count": Gauge("count", 3), "distinct": Gauge("distinct", 2), "max": Gauge("max", 7, strict=True),
    "sum": Gauge("sum", 9), "avg": Gauge("avg", 5), "ratio": Gauge("ratio", 1),
}  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> tuple[Terms, list[tuple[int, str, Any]]]:
    """Terms of one or two metrics, and hits that come up to the lateness behind the newest."""
    kinds = draw(st.lists(st.sampled_from(sorted(GAUGES)), min_size=1, max_size=2, unique=True))
    each = [VALUES[kind] for kind in kinds]
    hits, newest = [], 0
    for place, (jump, late) in enumerate(draw(st.lists(st.tuples(st.integers(0, 8), st.integers(0, LATENESS))))):
        newest += jump
        values = tuple(draw(one) for one in each)
        at = newest - late if late % 2 else newest
        hits.append((max(0, at), f"{place:02}", values[0] if len(kinds) == 1 else values))
    return terms_of(Threshold(tuple(GAUGES[kind] for kind in kinds)), WINDOW, LATENESS, 1000), hits


def naive(hits: list[tuple[int, str, Any]], end: int, terms: Terms) -> tuple[int | float, ...] | None:
    """Return the tallies of the window that ends then, None where they are not reached."""
    sums = tallies(terms.gauges)
    sums.fill([values for at, _, values in hits if end - WINDOW < at <= end])
    return shown(sums) if sums.reached() else None


@given(streams())
def test_looking_back_finds_each_window_and_leaves_the_newest_as_it_was(made: tuple[Terms, list[Any]]) -> None:
    terms, arriving = made
    log, known = Log(Hits(), terms), list[tuple[int, str, Any]]()
    for at, id, values in arriving:
        log.add(at, id, values, terms)
        known = sorted([*known, (at, id, values)], key=lambda hit: hit[:2])
        known = [hit for hit in known if hit[0] > known[-1][0] - terms.keep]
        if (at, id, values) not in known:
            continue
        upto = at if terms.on_arrival else at + WINDOW - 1
        found = log.crossings(at, terms)
        wanted = [(one[0], one[1], naive(known, one[0], terms)) for one in known if at <= one[0] <= upto]
        assert found == [one for one in wanted if one[2] is not None]
        if log.running is not None:
            newest = [values for when, _, values in known if when > known[-1][0] - WINDOW]
            assert log.hits.many - log.first == len(newest)
            again = tallies(terms.gauges)
            again.fill(newest)
            assert vars_of(log.running) == vars_of(again)


def vars_of(tally: Any) -> Any:
    """What a tally holds."""
    each = tally.each if hasattr(tally, "each") else (tally,)
    return [{name: getattr(one, name) for name in one.__slots__} for one in each]
