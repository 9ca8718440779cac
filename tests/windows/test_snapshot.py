"""A snapshot taken anywhere in a stream goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import SentinelError
from sentinel.engine.windows import FirstSeen, Gauge, Hit, Threshold, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.windows.test_memory_vs_reference import ALL, LATENESS, streams, value_of, watches


def hits_of(watch: Watch, events: list[dict[str, Any]]) -> list[Hit]:
    values = [tuple(value_of(gauge.kind, event) for gauge in watch.detector.gauges) for event in events]
    return [Hit("w", e["g"], e["at"], e["id"], v, True, None) for e, v in zip(events, values, strict=True)]


@given(watches(ALL), streams(late=True), st.integers(0, 60), st.sampled_from([1000, 3]))
def test_it_continues_where_it_was_taken(asked: Any, events: list[dict[str, Any]], cut: int, most: int) -> None:
    watch, _ = asked
    limits = Limits(lateness=LATENESS, hits=most)
    whole, first = MemoryWindows([watch], limits), MemoryWindows([watch], limits)
    hits = hits_of(watch, events)
    newest = max(event["at"] for event in events)
    whole.hit(hits[:cut], newest)
    first.hit(hits[:cut], newest)
    second = MemoryWindows([watch], limits)
    assert second.restore("w", first.snapshot("w"))
    assert second.hit(hits[cut:], newest) == whole.hit(hits[cut:], newest)
    assert second.snapshot("w") == whole.snapshot("w")


def test_what_was_imported_is_known_after_a_restart() -> None:
    """Imported events move no clock: the first live one finds what they taught as old as it is, not as old as that."""
    watch = Watch("w", 30, 30, FirstSeen(30, 3))
    windows, restarted = MemoryWindows([watch]), MemoryWindows([watch])
    now = 10**15
    windows.hit([Hit("w", "a", now - 9 + n, f"e{n}", ("DE",), False, None) for n in range(3)], 0)
    assert restarted.restore("w", windows.snapshot("w"))
    live = Hit("w", "a", now, "new", ("FR",), True, None)
    assert [one.id for one in restarted.hit([live], now)] == ["new"]


@pytest.mark.parametrize(("kind", "value"), [("sum", 8 * 10**18), ("avg", (1, -8 * 10**18))])
def test_merged_hits_may_add_up_to_more_than_a_machine_word(kind: Any, value: Any) -> None:
    watch, limits = Watch("w", 1000, 1000, Threshold((Gauge(kind, 10**20),))), Limits(hits=10)
    windows, restarted = MemoryWindows([watch], limits), MemoryWindows([watch], limits)
    hits = [Hit("w", "a", n, f"e{n:03}", (value,), True, None) for n in range(100)]
    windows.hit(hits, 99)
    assert restarted.restore("w", windows.snapshot("w"))
    assert restarted.progress("w", "a", 99) == windows.progress("w", "a", 99)


def test_one_of_another_watch_is_not_taken_over() -> None:
    windows = MemoryWindows([Watch("w", 10, 10, Threshold((Gauge("count", 2),)))])
    other = MemoryWindows([Watch("w", 10, 10, Threshold((Gauge("count", 3),)))])
    assert not other.restore("w", windows.snapshot("w"))


def test_damaged_bytes_are_one_clear_error() -> None:
    windows = MemoryWindows([Watch("w", 10, 10, Threshold((Gauge("count", 2),)))])
    data = windows.snapshot("w")
    for broken in (b"", data[:-3], b"\x01", b"\xff" * 40):
        with pytest.raises(SentinelError, match="the window snapshot of `w` is damaged"):
            windows.restore("w", broken)
