"""A deleted person in windows in memory goes on under another name as if it had been theirs from the beginning."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.engine.windows import Absent, FirstSeen, Gauge, Hit, Spike, Step, Steps, Threshold, Travel, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.windows.test_detectors import PLACES
from tests.windows.test_detectors import streams as marked
from tests.windows.test_memory_vs_reference import ALL, LATENESS, streams, watches
from tests.windows.test_snapshot import hits_of

NAMES = {"id:7": "gone:1"}


def held(windows: MemoryWindows) -> Any:
    return msgspec.msgpack.decode(windows.snapshot("w") or b"")


def compare(watch: Watch, hits: list[Hit], cut: int, most: int = 1000) -> None:
    """Rename `a` after some hits, and compare with windows that never knew another name."""
    first = [hit._replace(key={"a": "id:7", "g": "id:7"}.get(hit.key, "id:70")) for hit in hits]
    other = [hit._replace(key=NAMES.get(hit.key, hit.key)) for hit in first]
    limits = Limits(lateness=LATENESS, hits=most)
    renamed, always = MemoryWindows([watch], limits), MemoryWindows([watch], limits)
    for before, under in zip(first[:cut], other[:cut], strict=True):
        renamed.hit([before], before.at)
        always.hit([under], under.at)
    renamed.rename(NAMES)
    assert held(renamed) == held(always)
    for hit in other[cut:]:
        assert renamed.hit([hit], hit.at) == always.hit([hit], hit.at)
    assert renamed.due(10_000) == always.due(10_000)


@given(watches(ALL), streams(late=False), st.integers(0, 60), st.sampled_from([1000, 3]))
def test_thresholds_go_on(asked: Any, events: list[dict[str, Any]], cut: int, most: int) -> None:
    compare(asked[0], hits_of(asked[0], events), cut, most)


@pytest.mark.parametrize(
    "detector",
    [FirstSeen(50, 1), Spike(2, 20, 1), Travel(900), Steps((Step(2), Step(1))), Absent(10)],
    ids=lambda detector: type(detector).__name__,
)
@given(events=marked(late=False, groups="gh"), cut=st.integers(0, 40))
@settings(max_examples=20)
def test_so_do_the_other_detectors(detector: Any, events: list[dict[str, Any]], cut: int) -> None:
    def values(event: dict[str, Any]) -> Any:
        of = {FirstSeen: (event["v"],), Spike: (), Travel: (*PLACES[event["place"]], 0),
              Absent: ("a" in event["is"], "b" in event["is"])}  # fmt: skip
        return of.get(type(detector), (1 if "a" in event["is"] else 2, False, (None, None)))

    hits = [Hit("w", e["g"], e["at"], e["id"], values(e), True, None) for e in events]
    compare(Watch("w", 20, 20, detector), sorted(hits, key=lambda hit: (hit.at, hit.id)), cut)


def test_among_what_is_counted_and_within_a_key_of_several_fields_too() -> None:
    watch = Watch("w", 100, 100, Threshold((Gauge("distinct", 3),)))
    windows = MemoryWindows([watch])
    keys = ["4:id:711:203.0.113.9", "5:id:7111:203.0.113.9"]
    for n, user in enumerate(("id:7", "id:70")):
        windows.hit([Hit("w", key, 100 + n, f"e{n}", (user,), True, None) for key in keys], 101)
    windows.rename(NAMES)
    young, _ = held(windows)["groups"]
    assert set(young) == {keys[1], "6:gone:111:203.0.113.9"}
    assert "'gone:1'" in repr(young) and "'id:7'" not in repr(young)
    again = Hit("w", keys[1], 102, "e2", ("gone:1",), True, None)
    assert windows.hit([again], 102) == [], "the name that is counted already is no other one"
