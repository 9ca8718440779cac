"""Which threshold fits: the highest tally of each group, and how many groups a threshold would catch."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.cli.suggest import _lines
from sentinel.engine.windows import MILLION, Gauge
from sentinel.service.eventfiles.streams import Stream
from sentinel.service.trials import suggest as module
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.suggest import Asked, Sliding, Suggest
from tests.service.stories import MINUTE, failed, playbook, playbooks, windows

KINDS = ["count", "distinct", "max", "sum", "avg", "ratio"]
VALUES = {
    "count": st.just(1),
    "distinct": st.sampled_from([None, "x", "y", "z"]),
    "max": st.sampled_from([None, 1, 2, 3]),
    "sum": st.sampled_from([None, 1, 2, 5]),
    "avg": st.sampled_from([(0, 0), (1, MILLION), (1, 3 * MILLION)]),
    "ratio": st.sampled_from([(1, 0), (1, MILLION)]),
}


def naive(kind: str, values: list[Any]) -> Any:
    if kind == "count":
        return len(values)
    if kind == "distinct":
        return len(set(values) - {None})
    if kind == "max":
        return max((value for value in values if value is not None), default=None)
    if kind == "sum":
        return sum(value or 0 for value in values)
    parts = sum(value[0] for value in values)
    return sum(value[1] for value in values) / parts if parts else None


@given(st.data(), st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True), st.integers(1, 20))
def test_the_highest_is_that_of_any_window_in_which_the_other_metrics_hold(data, kinds, window):
    reaches = {"avg": 2 * MILLION, "ratio": MILLION // 2}
    gauges = [Gauge(kind, reaches.get(kind, 2)) for kind in kinds]
    sliding, at, hits = Sliding(gauges), 0, []
    best: list[Any] = [None] * len(kinds)
    for _ in range(data.draw(st.integers(1, 30))):
        at += data.draw(st.sampled_from([0, 1, 3, 12]))
        values = tuple(data.draw(VALUES[kind]) for kind in kinds)
        hits.append((at, values))
        sliding.hit(at, values, window)
        inside = [kept for when, kept in hits if at - window < when]
        amounts = [naive(kind, [kept[place] for kept in inside]) for place, kind in enumerate(kinds)]
        held = [amount is not None and amount >= gauge.reach for amount, gauge in zip(amounts, gauges, strict=True)]
        for place, amount in enumerate(amounts):
            if amount is not None and all(held[other] for other in range(len(kinds)) if other != place):
                best[place] = amount if best[place] is None else max(best[place], amount)
    assert sliding.best == best


@pytest.fixture
def seen(tmp_path):
    """Let raw events be seen and return the report."""

    def run(raws, text, percentile=50.0):
        path = tmp_path / "events.ndjson"
        path.write_text("".join(json.dumps(one) + "\n" for one in raws))
        made = Suggest(Asked(playbooks(text), 10 * MINUTE))
        with closing(Stream(str(path))) as stream:
            made.run([stream])
        return made.report(percentile)

    return run


def address(number):
    return f"203.0.113.{number}"


CROWD = [failed(f"{n}-{k}", 20 * n + k, ip=address(n)) for n in range(1, 11) for k in range(n)]


def test_percentiles_are_of_groups_and_the_threshold_lies_above(seen):
    (found,) = seen(CROWD, playbook(), 90.0)
    assert (found["playbook"], found["metric"], found["groups"], found["measured"]) == ("p", "count", 10, 10)
    assert found["percentiles"] == {"50": 5, "75": 8, "90": 9, "95": 10, "99": 10, "99.9": 10, "100": 10}
    assert found["now"] == {"threshold": 3, "strict": False, "fires": 8}
    assert found["suggested"] == {"percentile": 90.0, "threshold": 10, "fires": 1, "needs": 10}
    assert found["highest"][0] == {"group": {"ip": address(10)}, "value": 10}


def test_at_the_suggested_threshold_as_many_groups_have_findings_as_it_says(seen, tmp_path):
    for percentile in (10.0, 50.0, 90.0):
        (found,) = seen(CROWD, playbook(), percentile)
        threshold, fires = found["suggested"]["threshold"], found["suggested"]["fires"]
        with closing(Backtest(Plan(playbooks(playbook(when=f"{{count: {threshold}}}")), windows))) as run:
            with closing(Stream(str(tmp_path / "events.ndjson"))) as stream:
                run.run([stream])
            assert len(run.findings.groups) == fires


def test_a_strict_threshold_is_passed_not_reached(seen):
    (found,) = seen(CROWD, playbook(when="{count: {gt: 3}}"), 90.0)
    assert found["now"]["fires"] == 7
    assert found["suggested"] == {"percentile": 90.0, "threshold": 9, "fires": 1, "needs": 10}


def test_what_lies_further_apart_than_the_window_is_not_added_up(seen):
    raws = [failed(str(n), n * 600) for n in range(5)]
    assert seen(raws, playbook())[0]["percentiles"]["100"] == 1


def test_each_metric_is_measured_where_the_others_hold(seen):
    raws = [failed(f"{n}-{k}", 20 * n + k, ip=address(n), user=f"u{k % 2}") for n in range(1, 5) for k in range(n)]
    count, distinct = seen(raws, playbook(when="{count: 3, distinct: {user: 2}}"))
    assert (count["groups"], count["measured"], count["percentiles"]["100"]) == (4, 3, 4)
    assert (distinct["measured"], distinct["percentiles"]["100"]) == (2, 2)


def test_a_sum_is_in_the_fields_own_unit_and_a_ratio_a_share(seen):
    raws = [failed(str(n), n, properties={"n": 1.5}) for n in range(4)]
    (found,) = seen(raws, playbook(when="{sum: {properties.n: 3}}"))
    assert (found["percentiles"]["50"], found["suggested"]["threshold"]) == (6, 7)
    _, found = seen(raws, playbook(when="{count: 2, ratio: {where: properties.n > 1, gte: 0.5}}"))
    assert (found["percentiles"]["50"], found["suggested"]["threshold"]) == (1, 1)


def test_a_share_past_the_whole_is_not_suggested(seen):
    raws = [failed(str(n), n, properties={"n": 1.5}) for n in range(4)]
    (found,) = seen(raws, playbook(when="{ratio: {where: properties.n > 1, gt: 0.5}}"))
    assert (found["percentiles"]["50"], found["suggested"]["threshold"], found["suggested"]["fires"]) == (1, 0.999, 1)


def test_a_share_that_is_always_reached_is_not_suggested(seen):
    raws = [failed(str(n), n) for n in range(4)]
    (found,) = seen(raws, playbook(when="{ratio: {where: properties.x > 1, gte: 0.5}}"))
    assert (found["percentiles"]["50"], found["suggested"]["threshold"], found["suggested"]["fires"]) == (0, 0.001, 0)
    (found,) = seen(raws, playbook(when="{ratio: {where: properties.x > 1, gt: 0.5}}"))
    assert found["suggested"]["threshold"] == 0.001


def test_what_no_file_takes_is_not_suggested(seen):
    """A spike is more than usual, and of a group a thousand events are learnt from at most."""
    spike = "playbook: p\nevent: auth\ngroup_by: ip\nwindow: 1h\nspike: {factor: 3, baseline: 2h, min: 1}\n"
    raws = [failed(str(n), 60 * n) for n in range(120)] + [failed("late", 3 * 3600)]
    factor, _ = seen(raws, spike, 0.0)
    assert (factor["percentiles"]["100"], factor["suggested"]["threshold"]) == (0, 1.1)
    new = "playbook: p\nevent: auth\ngroup_by: ip\nfirst_seen: {field: user, history: 30d, after: 3}\n"
    (after,) = seen([failed(str(n), n, user="a") for n in range(1200)] + [failed("x", 2000, user="b")], new)
    assert (after["percentiles"]["100"], after["suggested"]["threshold"]) == (1200, 1000)


def test_where_nothing_is_usual_no_factor_is_suggested_and_people_are_told_why(seen):
    spike = "playbook: p\nevent: auth\ngroup_by: ip\nwindow: 1h\nspike: {factor: 3, baseline: 2h, min: 1}\n"
    factor, least = seen([failed("first", 0), failed("again", 12600)], spike)
    assert (factor["percentiles"]["50"], factor["suggested"], factor["now"]["fires"]) == (1_000_000, None, 1)
    assert least["suggested"]["threshold"] == 2
    assert [line for line in _lines(factor) if "suggested" in line] == [
        "  suggested  none: at that percentile nothing was usual before, and any threshold is reached"
    ]


def test_without_any_event_nothing_is_suggested(seen):
    (found,) = seen([], playbook())
    assert (found["suggested"], found["measured"], found["percentiles"]["50"]) == (None, 0, None)


def test_files_out_of_order_say_the_same(seen):
    assert seen(CROWD[::-1], playbook()) == seen(CROWD, playbook())


def test_past_the_bound_of_groups_it_goes_on_with_a_sample(seen, monkeypatch):
    monkeypatch.setattr(module, "MOST", 100)
    raws = [failed(f"{n}-{k}", n + k, user=f"u{n}") for n in range(2000) for k in range(1 + n % 4)]
    (found,) = seen(raws, playbook(group_by="user", window="4s"), 75.0)
    assert found["sampled"] and 1300 < found["measured"] < 2700
    assert found["percentiles"]["50"] in (2, 3)
