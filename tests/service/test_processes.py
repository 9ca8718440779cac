"""What processes tell of themselves: the newest of each, bounded, per app, and never a reason to fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentinel.service.processes import MOST, MOST_APPS, SILENT, Processes, read


class Clock:
    now = 1_000_000

    def __call__(self):
        return self.now


def report(instance="a1", **more):
    return {"instance": instance, "pid": 7, "dropped": {"full": 3}, "list_age": 1.5, "enforcing": True, **more}


def test_the_newest_report_of_each_process_is_kept_newest_first():
    known, clock = Processes(clock := Clock()), clock
    known.heard("shop", report("a", sent=1))
    known.heard("shop", report("b"))
    clock.now += 1
    known.heard("shop", report("a", sent=2))
    assert [(one.instance, one.sent) for one in known.of("shop")] == [("a", 2), ("b", 0)]
    assert known.of("shop")[0].seen == clock.now
    assert (known.of("shop")[0].dropped, known.of("shop")[0].list_age) == ({"full": 3}, 1.5)


def test_an_app_sees_its_own_processes_only():
    known = Processes(Clock())
    known.heard("shop", report())
    assert known.of("other") == []


def test_a_process_long_silent_is_forgotten():
    known, clock = Processes(clock := Clock()), clock
    known.heard("shop", report())
    clock.now += SILENT
    assert len(known.of("shop")) == 1
    clock.now += 1
    assert known.of("shop") == []


def test_processes_and_apps_are_bounded_and_whoever_was_silent_longest_goes():
    known = Processes(Clock())
    for n in range(MOST + 5):
        known.heard("shop", report(str(n)))
    assert len(known.of("shop")) == MOST
    assert known.of("shop")[-1].instance == "5"
    for n in range(MOST_APPS + 5):
        known.heard(f"app {n}", report())
    assert len(known._apps) == MOST_APPS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=80), inner, max_size=20),
)
NAMES = ["instance", "host", "version", "pid", "uptime", "list_age", "sent", "dropped", "enforcing", "streaming"]


@given(JSON | st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_is_told_is_a_bounded_report_or_none(told):
    found = read(told, 1)
    if found is not None:
        assert 0 < len(found.instance) <= 64
        assert len(found.host) <= 64
        assert len(found.dropped) <= 12
        assert all(0 <= number < 2**53 for number in (*found.dropped.values(), found.pid, found.sent))
        assert found.list_age is None or 0 <= found.list_age < float("inf")
