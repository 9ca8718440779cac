"""The changes that `sentinel test --mutate` tries: each one thing, each a playbook that could have been written."""

from typing import Any

import pytest

from sentinel.loader.assembly import Content, assemble
from sentinel.service.trials.mutants import mutants, unnoticed
from tests.loader.samples import RULE

BASE = "playbook: p\nrule: login-failed\ngroup_by: ip\nwindow: 10m\nwhen: {count: 5}\n"


def read(text: str) -> Content:
    return assemble({"r.yaml": RULE.encode(), "p.yaml": text.encode()})


def changes(text: str) -> list[str]:
    content = read(text)
    return [mutant.change for mutant in mutants(content.playbooks["p"], content.lists)]


def test_thresholds_windows_groups_and_conditions_are_nudged_both_ways() -> None:
    assert changes(BASE) == [
        "window: 9m59s",
        "window: 10m1s",
        "when: count >= 4",
        "when: count >= 6",
        "group_by: without ip",
        "where of rule login-failed: not (not success)",
        "where of rule login-failed: none",
    ]


@pytest.mark.parametrize(
    ("when", "nudged"),
    [
        ("{count: 1}", ["count >= 2"]),
        ("{distinct: {user: {gt: 3}}}", ["distinct.user > 2", "distinct.user > 4"]),
        ("{sum: {properties.x: 10.5}}", ["sum.properties.x >= 9.45", "sum.properties.x >= 11.55"]),
        ("{ratio: {where: properties.x > 1, gte: 1}}", ["ratio >= 0", "ratio where not (properties.x > 1)"]),
        ("{max: {properties.x: 0}}", ["max.properties.x >= -1", "max.properties.x >= 1"]),
    ],
)
def test_a_nudge_stays_within_what_could_be_asked(when: str, nudged: list[str]) -> None:
    found = changes(BASE.replace("{count: 5}", when))
    assert [one.removeprefix("when: ") for one in found if one.startswith("when: ")] == nudged


def test_what_means_the_same_is_no_change() -> None:
    """No test could notice it, and whoever wants none unnoticed would look for one in vain."""
    every = changes(BASE.replace("rule: login-failed", 'event: [a, "*", pay.card]'))
    assert [one for one in every if one.startswith("event: ")] == ["event: without *"]
    some = changes(BASE.replace("rule: login-failed", 'event: [pay.card, "pay.*"]'))
    assert [one for one in some if one.startswith("event: ")] == ["event: without pay.*", "event: any"]
    counted = changes(BASE.replace("{count: 5}", "{count: 5, distinct: {user: {gt: 4}}}"))
    assert "when: count >= 4" not in counted and "when: count >= 6" in counted


def test_each_clause_of_a_condition_is_turned_round_by_itself() -> None:
    found = changes(BASE + 'where: ip != None and (user == "id:1" or not properties.x)\n')
    assert [one for one in found if one.startswith("where: ")] == [
        "where: not (ip != None)",
        'where: not (user == "id:1")',
        "where: not (not properties.x)",
        "where: none",
    ]


def test_each_event_and_each_exception_is_left_out_once() -> None:
    text = BASE.replace("rule: login-failed", "event: [a, b]")
    found = changes(text + "exceptions: [{where: ip == None, reason: office}]\n")
    assert found[-4:] == ["event: without a", "event: without b", "event: any", "exceptions: without `office`"]


def test_a_condition_that_only_logins_can_meet_makes_their_name_no_difference() -> None:
    """No other event has `success`: a mutant that looks at all of them could never be noticed."""
    assert not [one for one in changes(BASE) if one.endswith(": any")]


def test_every_mutant_differs_from_the_playbook_in_one_thing() -> None:
    content = read(BASE + "where: ip != None\n")
    playbook = content.playbooks["p"]
    fields = ("rule", "events", "where", "group_by", "window", "when", "exceptions")
    for mutant in mutants(playbook, content.lists):
        changed = [name for name in fields if getattr(mutant.playbook, name) != getattr(playbook, name)]
        assert len(changed) == 1, mutant.change


def test_unnoticed_are_those_that_still_pass() -> None:
    content = read(BASE)

    def passes(playbook: Any) -> bool:
        return bool(playbook.window != content.playbooks["p"].window)

    found = unnoticed(content.playbooks["p"], content.lists, passes)
    assert [mutant.change for mutant in found] == ["window: 9m59s", "window: 10m1s"]
