"""Thresholds of the detectors other than `when`: what is told to fire is what a backtest then finds."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.service.eventfiles.streams import Stream
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.suggest import Asked, Suggest
from tests.service.stories import MINUTE, playbooks, raw, windows

HEAD = "playbook: p\nmode: monitor\nevent: a\ngroup_by: user\n"
TRAVEL = HEAD + "travel: {{faster_than: {}}}\n"
ABSENT = HEAD + "absent: {{event: b, within: {}s}}\n"
SPIKE = HEAD + "window: 1m\nspike: {{factor: {}, baseline: 4m, min: {}}}\n"
NOVEL = HEAD + "first_seen: {{field: properties.x, history: 5m, after: {}}}\n"
PLACES = [{"lat": 48.86, "lon": 2.35}, {"lat": 35.68, "lon": 139.69}, {"lat": 49.0, "lon": 2.5}, {}]


def suggested(text, path, percentile=50.0):
    run = Suggest(Asked(playbooks(text), 10 * MINUTE))
    with closing(Stream(str(path))) as stream:
        run.run([stream])
    return run.report(percentile)


def groups_found(text, path):
    with closing(Backtest(Plan(playbooks(text), windows))) as run, closing(Stream(str(path))) as stream:
        run.run([stream])
        return len(run.findings.groups)


def written(path, rows):
    raws = [
        raw(f"e{n:03}", after, name, user=f"u{user}", geo=PLACES[value], properties={"x": value} if value else {})
        for n, (after, name, user, value) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in raws))
    return path


AFTER = st.integers(0, 900) | st.sampled_from([1500, 2700, 2705, 2710])  # seconds; now and then a long silence
ROW = st.tuples(AFTER, st.sampled_from("aab"), st.integers(0, 3), st.integers(0, 3))
TEXT = st.one_of(
    st.sampled_from([100, 900, 20_000, 600_000]).map(TRAVEL.format),
    st.sampled_from([1, 30, 200, 600]).map(ABSENT.format),
    st.tuples(st.sampled_from([1.1, 2, 3.5]), st.integers(1, 4)).map(lambda two: SPIKE.format(*two)),
    st.integers(1, 6).map(NOVEL.format),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows=st.lists(ROW, max_size=60), text=TEXT)
def test_as_many_groups_are_found_as_are_told_to_fire(tmp_path, rows, text):
    path = written(tmp_path / "events.ndjson", rows)
    found = groups_found(text, path)
    assert [one["now"]["fires"] for one in suggested(text, path)] == [found] * len(suggested(text, path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(rows=st.lists(ROW, max_size=60), kind=st.sampled_from([TRAVEL, ABSENT, NOVEL]), percentile=st.integers(0, 100))
def test_at_the_suggested_threshold_too(tmp_path, rows, kind, percentile):
    path = written(tmp_path / "events.ndjson", rows)
    (one,) = suggested(kind.format(2), path, float(percentile))
    if one["suggested"] is not None and one["suggested"]["threshold"] > 0:
        text = kind.format(one["suggested"]["threshold"])
        assert groups_found(text, path) == one["suggested"]["fires"]


@pytest.mark.parametrize(
    ("text", "name", "unit", "now", "strict"),
    [
        (TRAVEL.format(900), "travel.faster_than", "km/h", 900, True),
        (ABSENT.format(90), "absent.within", "s", 90, True),
        (NOVEL.format(3), "first_seen.after", "", 3, False),
    ],
)
def test_each_has_its_name_its_unit_and_what_it_is_now(tmp_path, text, name, unit, now, strict):
    (one,) = suggested(text, written(tmp_path / "e.ndjson", []))
    assert (one["metric"], one["unit"], one["now"]["threshold"], one["now"]["strict"]) == (name, unit, now, strict)
    assert one["suggested"] is None


def test_a_spike_has_two_each_measured_where_the_other_holds(tmp_path):
    rows = [(0, "a", 0, 0), (100, "a", 0, 0), (400, "a", 0, 0), *[(430 + n, "a", 0, 0) for n in range(3)]]
    factor, least = suggested(SPIKE.format(2, 3), written(tmp_path / "e.ndjson", rows))
    assert (factor["metric"], factor["percentiles"]["100"]) == ("spike.factor", 1_000_000)
    assert (least["metric"], least["percentiles"]["100"], least["suggested"]["threshold"]) == ("spike.min", 4, 5)


def test_a_wait_that_never_ended_fires_at_any_threshold(tmp_path):
    rows = [(0, "a", 0, 0), (50, "b", 0, 0), (60, "a", 0, 0), (0, "a", 1, 0)]
    (one,) = suggested(ABSENT.format(600), written(tmp_path / "e.ndjson", rows), 100.0)
    assert (one["measured"], one["never"], one["percentiles"]["100"]) == (1, 2, 50)
    assert one["now"]["fires"] == 2
    assert one["suggested"] == {"percentile": 100.0, "threshold": 50, "fires": 2, "needs": 0}
