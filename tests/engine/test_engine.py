"""Matching: who counts, for which group, and what is passed over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import StoreBusy
from sentinel.engine.engine import Engine, Responded, retracted
from sentinel.engine.expression import compile_expression
from sentinel.engine.judge import Judge
from sentinel.engine.keys import key_text
from sentinel.engine.memory import Memory
from sentinel.engine.metrics import gauge
from sentinel.engine.playbook import Exemption, Metric, Rule
from sentinel.engine.respond import respond
from sentinel.engine.select import NAMES
from sentinel.engine.windows import Gauge, Hit, Opening
from sentinel.windows.memory import MemoryWindows
from tests.engine.playbooks import HERE, SECOND, START, Desk, event, playbook


def matched(asked: Any, *events: Any) -> Any:
    return Engine([asked]).match(events)


def test_an_event_without_a_group_field_is_skipped_and_counted() -> None:
    found = matched(playbook(group_by=("user",)), event(0, user=None), event(1))
    assert [hit.id for hit in found.hits] == ["e1"]
    assert found.skipped == {("p", "a group field is missing"): 1}


@pytest.mark.parametrize("group_by", [("properties.key",), ("user", "properties.key")])
def test_what_an_sdk_left_out_as_a_secret_is_no_group(group_by: tuple[str, ...]) -> None:
    """Else all users would be one group, and one of them would answer for all."""
    keys = event(0, properties={"key": "<redacted>"}), event(1, properties={"key": "k1"})
    found = matched(playbook(group_by=group_by), *keys)
    assert [hit.id for hit in found.hits] == ["e1"]
    assert found.skipped == {("p", "a group field is missing"): 1}


def test_what_an_sdk_left_out_as_a_secret_is_no_value_that_differs_from_others() -> None:
    assert key_text("<redacted>") is None


def test_a_rule_and_a_where_are_both_asked() -> None:
    rule = Rule("failed", "", ("auth",), compile_expression("not success"), HERE)
    both = playbook('user == "u1"', rule=rule, events=())
    found = matched(both, event(0), event(1, user="u2"), event(2, success=True), event(3, event="pay", success=None))
    assert [hit.id for hit in found.hits] == ["e0"]


def test_exceptions_take_events_out_until_their_end() -> None:
    until = START + 10 * SECOND
    exempt = Exemption(compile_expression('ip == "203.0.113.9"'), "office", until)
    found = matched(playbook(exceptions=(exempt,)), event(9), event(10), event(11, ip="203.0.113.1"))
    assert [hit.id for hit in found.hits] == ["e10", "e11"]


def test_what_a_browser_says_counts_only_where_it_is_trusted() -> None:
    claim = event(0, event="click", success=None, trust="browser")
    assert matched(playbook(None, events=("click",)), claim).hits == []
    assert len(matched(playbook(None, events=("click",), trust="any"), claim).hits) == 1


def test_a_playbook_that_is_off_judges_nothing() -> None:
    assert Engine([playbook(mode="off")]).judges == {}


def test_a_playbook_that_raises_is_skipped_and_the_others_go_on() -> None:
    def broken(event: Any) -> bool:
        raise ZeroDivisionError("boom")

    bad = playbook("not success", id="bad")
    assert bad.where is not None
    bad = replace(bad, where=replace(bad.where, matches=broken))
    found = Engine([bad, playbook()]).match([event(0)])
    assert [hit.watch for hit in found.hits] == ["p"]
    assert found.errors == {("bad", "ZeroDivisionError: boom"): 1}


def test_a_playbook_whose_answer_raises_is_skipped_and_the_others_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = responding(monkeypatch, ZeroDivisionError("boom"))
    assert [finding.playbook for finding in answer.findings] == ["p"]
    assert [opening.hit.watch for opening, _ in answer.found] == ["p"]
    assert answer.errors == {("bad", "ZeroDivisionError: boom"): 1}


def test_memory_that_cannot_be_reached_is_no_playbook_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreBusy, match="away"):
        responding(monkeypatch, StoreBusy("away"))


def responding(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Responded:
    """Return what an engine of two playbooks answers, of which answering for one raises."""

    def broken(judge: Judge, *rest: Any, **more: Any) -> Any:
        if judge.playbook.id == "bad":
            raise error
        return respond(judge, *rest, **more)

    monkeypatch.setattr("sentinel.engine.engine.respond", broken)
    engine, events = Engine([playbook(id="bad"), playbook()]), [event(n) for n in range(3)]
    openings = MemoryWindows(engine.watches()).hit(engine.match(events).hits, events[-1].at)
    assert [opening.hit.watch for opening in openings] == ["bad", "p"]
    return engine.respond(openings, events, Memory(), events[-1].at)


def test_numbers_that_a_metric_cannot_take_are_passed_over_and_counted() -> None:
    asked = playbook(None, events=("pay",), when=(Metric("sum", 10, field="properties.amount"),))
    amounts: list[Any] = [1, -1, "7", None, True, 1e300, 2.5]
    events = [event(n, event="pay", success=None, properties={"amount": one}) for n, one in enumerate(amounts)]
    found = matched(asked, *events)
    assert [hit.values[0] for hit in found.hits] == [1_000_000, None, None, None, None, None, 2_500_000]
    assert found.skipped == {("p", "`properties.amount` is not a number that `sum` can take"): 5}


@pytest.mark.parametrize("beside", [(), (Metric("count", 3),)], ids=["alone", "beside another"])
def test_numbers_and_booleans_are_different_values_too(beside: tuple[Metric, ...]) -> None:
    asked = playbook(when=(Metric("distinct", 3, field="properties.plan"), *beside))
    findings = Desk(asked).feed(*(event(n, properties={"plan": plan}) for n, plan in enumerate((1, True, 1.0, "1"))))
    assert [finding.event_id for finding in findings] == ["e3"]


def test_event_names_chosen_by_senders_fill_no_memory() -> None:
    engine = Engine([playbook(None, events=("x.*",))])
    for n in range(NAMES + 10):
        engine.match([event(n, event=f"x.{n}", success=None)])
    assert len(engine._by_name) <= NAMES


def test_an_event_past_the_lateness_is_historical_and_time_never_goes_back() -> None:
    engine = Engine([playbook()], lateness=60 * SECOND)
    events = [event(100), event(41), event(40), event(39)]
    found = engine.match(events)
    assert [one.historical for one in events] == [False, False, False, True]
    assert [hit.acting for hit in found.hits] == [True, True, True, False]
    assert found.newest == START + 100 * SECOND


def test_an_imported_event_does_not_move_the_clock() -> None:
    imported = event(500)
    imported.historical = True
    assert Engine([playbook()]).match([event(0), imported]).newest == START


def test_two_playbooks_do_not_share_a_window() -> None:
    findings = Desk(playbook(id="a"), playbook(id="b", when=(Metric("count", 2),))).feed(*map(event, range(3)))
    assert [(one.playbook, one.event_id) for one in findings] == [("b", "e1"), ("a", "e2")]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Metric("count", 3), Gauge("count", 3)),
        (Metric("count", 3, strict=True), Gauge("count", 4)),
        (Metric("distinct", 2.5, field="user"), Gauge("distinct", 3)),
        (Metric("sum", 0.1, field="x"), Gauge("sum", 100_000)),
        (Metric("sum", 0.1, field="x", strict=True), Gauge("sum", 100_001)),
        (Metric("max", 9.5, field="x", strict=True), Gauge("max", 9.5, True)),
        (Metric("ratio", 0.9), Gauge("ratio", 900_000)),
    ],
)
def test_thresholds_become_integers_where_they_can(metric: Metric, expected: Gauge) -> None:
    assert gauge(metric) == expected


SCALARS = st.one_of(
    st.text(max_size=300), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)


@given(SCALARS, SCALARS)
def test_values_have_one_key_exactly_if_they_are_the_same(one: Any, other: Any) -> None:
    same = one == other and (type(one) is bool) == (type(other) is bool) and (type(one) is str) == (type(other) is str)
    assert (key_text(one) == key_text(other)) is same


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), min_size=2, max_size=2, unique=True))
def test_two_groups_of_several_fields_never_share_a_key(pairs: list[tuple[str, str]]) -> None:
    asked = playbook(None, events=("x",), group_by=("properties.a", "properties.b"))
    events = [event(0, event="x", success=None, properties={"a": a, "b": b}) for a, b in pairs]
    found = matched(asked, *events)
    assert len({hit.key for hit in found.hits}) == 2


@pytest.mark.parametrize(("course", "gone"), [("+-", 1), ("+-+", 0), ("-+", 0), ("-+-", 1), ("+", 0)])
def test_of_what_is_taken_back_and_opens_again_in_a_batch_the_last_word_counts(course: str, gone: int) -> None:
    hit = Hit("p", "u", START, "e1", (), True, None)
    openings = [Opening(hit, START, "e1", (1,), retracted=sign == "-") for sign in course]
    assert len(retracted(openings, "default")) == gone
