"""From openings to findings: reasons, ladders, guards, and whom nothing may be done to."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel.core.decision import Delta, Subject, pair
from sentinel.core.decisions import Decisions
from sentinel.engine.memory import Memory
from sentinel.engine.metrics import wanted
from sentinel.engine.playbook import Action, Guard, Metric
from tests.engine.playbooks import HOUR, MINUTE, SECOND, START, Desk, event, playbook

BLOCK_IP = Action("block_ip", durations=(15 * MINUTE, HOUR, None))
BLOCK_USER = Action("block_user", durations=(HOUR,))


def burst(start: int, size: int = 3, **fields: Any) -> list[Any]:
    return [event(start + n, id=f"e{start + n}-{fields.get('ip', '')}", **fields) for n in range(size)]


def test_a_finding_carries_its_reasons() -> None:
    (finding,) = Desk(playbook(actions=(BLOCK_IP,))).feed(*burst(0))
    assert finding.group == {"ip": "203.0.113.9"}
    assert (finding.at, finding.event_id) == (START + 2 * SECOND, "e2-")
    assert finding.tally == {"count": 3}
    assert finding.threshold == {"count": ">= 3"}
    assert (finding.playbook, finding.version, finding.severity, finding.mode) == ("p", "v1", "high", "enforce")
    (effect,) = finding.effects
    (decision,) = effect.decisions
    assert (decision.kind, decision.scope, decision.value) == ("block", "ip", "203.0.113.9")
    assert (decision.made, decision.until) == (START + 2 * SECOND, START + 2 * SECOND + 15 * MINUTE)
    assert (decision.playbook, decision.finding, decision.reason) == ("p", finding.id, "Too many")
    assert finding.acted


def test_each_time_within_thirty_days_climbs_a_step_of_the_ladder() -> None:
    desk = Desk(playbook(actions=(BLOCK_IP,)))
    day = 86_400
    starts = [0, day, 2 * day, 3 * day, 40 * day]
    findings = desk.feed(*[one for start in starts for one in burst(start)])
    lengths = [finding.effects[0].length for finding in findings]
    assert lengths == [15 * MINUTE, HOUR, None, None, 15 * MINUTE]


def test_a_batch_done_again_climbs_no_step() -> None:
    """A commit that failed is healed by sending again: the same finding, with the same effects."""
    desk = Desk(playbook(actions=(BLOCK_IP,)))
    (first,) = desk.feed(*burst(0))
    again = desk.feed(event(2, id="e2-"))
    assert again == [first]


def test_monitor_records_what_would_have_been_done_and_acts_on_nobody() -> None:
    """People are told, programs are not: what a webhook starts may act on somebody."""
    actions = BLOCK_IP, Action("notify", channel="log"), Action("webhook", channel="log")
    (finding,) = Desk(playbook(mode="monitor", actions=actions)).feed(*burst(0))
    held = [(effect.kind, effect.held) for effect in finding.effects]
    assert held == [("block_ip", "monitor"), ("notify", None), ("webhook", "monitor")]
    assert not finding.acted


@pytest.mark.parametrize("rollout", [None, 0.0])
def test_a_webhook_is_called_where_the_group_is_acted_on(rollout: float | None) -> None:
    (finding,) = Desk(playbook(rollout=rollout, actions=(Action("webhook", channel="log"),))).feed(*burst(0))
    assert finding.effects[0].held == (None if rollout is None else "rollout")


def test_past_the_guard_no_program_is_told_but_people_are() -> None:
    """From the very finding on that would have been one too many."""
    actions = BLOCK_IP, Action("notify", channel="log"), Action("webhook", channel="log")
    desk = Desk(playbook(actions=actions, guard=Guard(1, HOUR)))
    findings = desk.feed(*[one for n in range(3) for one in burst(10 * n, ip=f"203.0.113.{n}")])
    held = [[effect.held for effect in finding.effects] for finding in findings]
    assert held == [[None, None, None], ["guard", None, "guard"], ["guard", None, "guard"]]


def test_an_event_later_than_the_lateness_acts_on_nobody() -> None:
    desk = Desk(playbook(actions=(BLOCK_IP,)))
    desk.feed(event(3600, ip="203.0.113.1"))
    (finding,) = desk.feed(*burst(0))
    assert finding.historical
    assert finding.effects[0].held == "historical"


@pytest.mark.parametrize("mode", ["enforce", "monitor"])
def test_nobody_is_told_of_what_is_past(mode: str) -> None:
    """A year that is imported would else be a year of notifications."""
    desk = Desk(playbook(mode=mode, actions=(Action("notify", channel="log"),)))
    desk.feed(event(3600, ip="203.0.113.1"))
    (finding,) = desk.feed(*burst(0))
    assert [effect.held for effect in finding.effects] == ["historical"]


@pytest.mark.parametrize("ip", ["10.1.2.3", "127.0.0.1", "192.168.0.7", "100.64.3.4", "fd00::1", "fe80::1", "::1"])
def test_private_addresses_are_never_blocked(ip: str) -> None:
    (finding,) = Desk(playbook(actions=(BLOCK_IP,))).feed(*burst(0, ip=ip))
    assert finding.effects[0].held == "private or local address"


def test_allowlisted_targets_are_spared_and_it_is_said() -> None:
    protected = Memory(protected=lambda kind, target, at: "allowlisted" if target == "203.0.113.9" else None)
    desk = Desk(playbook(actions=(BLOCK_IP,)), memory=protected)
    (spared,) = desk.feed(*burst(0))
    (blocked,) = desk.feed(*burst(10, ip="203.0.113.10"))
    assert (spared.effects[0].held, spared.acted) == ("allowlisted", False)
    assert blocked.acted


def test_ipv6_is_grouped_and_blocked_by_its_64() -> None:
    events = [event(n, ip=f"2001:db8:1:2::{n + 1}") for n in range(3)]
    (finding,) = Desk(playbook(actions=(BLOCK_IP,))).feed(*events)
    assert finding.group == {"ip": "2001:db8:1:2::/64"}
    (decision,) = finding.effects[0].decisions
    assert (decision.scope, decision.value) == ("network", "2001:db8:1:2::/64")


def test_a_guard_turns_a_playbook_that_acts_on_too_many_into_a_watcher() -> None:
    desk = Desk(playbook(actions=(BLOCK_IP,), guard=Guard(max=2, per=HOUR)))
    attack = [one for n in range(5) for one in burst(10 * n, ip=f"203.0.113.{n}")]
    held = [finding.effects[0].held for finding in desk.feed(*attack)]
    assert held == [None, None, "guard", "guard", "guard"]
    (after,) = desk.feed(*burst(2 * 3600, ip="203.0.113.77"))
    assert after.acted


def test_a_target_acted_on_again_does_not_count_twice_for_the_guard() -> None:
    desk = Desk(playbook(actions=(BLOCK_IP,), guard=Guard(max=1, per=HOUR)))
    findings = desk.feed(*burst(0), *burst(700), *burst(1400))
    assert [finding.acted for finding in findings] == [True, True, True]


def test_from_failed_logins_a_user_is_blocked_for_logins_only_and_familiar_places_are_spared() -> None:
    desk = Desk(playbook(group_by=("user",), actions=(BLOCK_USER,)))
    home = event(-86_400, success=True, ip="198.51.100.7", device="d1", id="home")
    (finding,) = desk.feed(home, *burst(0))
    block, by_ip, by_device = finding.effects[0].decisions
    assert (block.kind, block.scope, block.value, block.logins_only) == ("block", "user", "id:u1", True)
    assert (by_ip.kind, by_ip.value) == ("allow", pair("id:u1", "198.51.100.7"))
    assert (by_device.kind, by_device.value) == ("allow", pair("id:u1", "d1"))
    assert {one.until for one in finding.effects[0].decisions} == {block.until}


@pytest.mark.parametrize("ipv6", [32, 40, 48, 52, 56, 60, 64, 96, 127, 128])
def test_at_home_the_owner_is_spared_by_whichever_prefix_the_app_groups_addresses(ipv6: int) -> None:
    """The decisions of the finding are asked as an SDK asks them: by the exact address."""
    events = [event(-86_400, success=True, ip="2001:db8:aaaa:bbbb::7", id="home"), *burst(0)]
    for one in events:
        one.ipv6 = ipv6
    (finding,) = Desk(playbook(group_by=("user",), actions=(BLOCK_USER,))).feed(*events)
    decisions = Decisions().apply(Delta(1, finding.effects[0].decisions))
    homes = [Subject(("id:u1",), ip, login=True) for ip in ("2001:db8:aaaa:bbbb::7", "2001:db9::7")]
    assert [decisions.match(home, finding.at).kind for home in homes] == ["allow", "block"]


def test_a_place_first_seen_during_the_attack_is_not_familiar() -> None:
    desk = Desk(playbook(group_by=("user",), actions=(BLOCK_USER,)))
    (finding,) = desk.feed(event(-1, success=True, ip="203.0.113.9", id="guessed"), *burst(0))
    assert [one.kind for one in finding.effects[0].decisions] == ["block"]


@pytest.mark.parametrize(
    ("where", "events", "claimed"),
    [
        ("not success", ("auth",), True),
        (None, ("auth",), True),
        (None, (), True),
        ("success", ("auth",), False),
        ('success and ip != "192.0.2.1"', ("auth",), False),
        ("hour(timestamp) < 5", ("auth",), True),
        (None, ("invoice.*",), False),
        (None, ("password.reset_requested",), True),
        (None, ("password.*",), True),
        (None, ("account.reset_requested",), True),
        (None, ("password.changed",), False),
        ('event == "password.changed"', ("password.*",), False),
        (None, ("a*",), True),
    ],
)
def test_whose_users_are_only_claimed_is_seen_from_the_condition(where: Any, events: Any, claimed: bool) -> None:
    judge = Desk(playbook(where, events=events)).engine.judges["p"]
    assert judge.claimed is claimed


def test_a_playbook_can_say_that_its_users_are_only_claimed() -> None:
    lookup = playbook(None, events=("lookup",), group_by=("user",), actions=(BLOCK_USER,), claimed=True)
    (finding,) = Desk(lookup).feed(*burst(0, event="lookup", success=None))
    assert [one.logins_only for one in finding.effects[0].decisions] == [True]


def test_whoever_accepts_the_lockout_gets_the_full_block() -> None:
    desk = Desk(playbook(group_by=("user",), actions=(BLOCK_USER,), accept_lockout=True))
    (finding,) = desk.feed(*burst(0))
    assert [one.logins_only for one in finding.effects[0].decisions] == [False]


def test_an_address_shared_by_many_users_is_not_blocked() -> None:
    action = Action("block_ip", durations=(HOUR,), unless_shared_by=2)
    desk = Desk(playbook(actions=(action,)))
    logins = [
        event(day * 86_400, success=True, user=user, id=f"{user}{day}") for day in (-3, -2) for user in ("a", "b")
    ]
    (finding,) = desk.feed(*logins, *burst(0))
    assert finding.effects[0].held == "shared address"


def test_users_seen_on_one_day_only_do_not_make_an_address_shared() -> None:
    action = Action("block_ip", durations=(HOUR,), unless_shared_by=2)
    desk = Desk(playbook(actions=(action,)))
    logins = [event(-86_400 + n, success=True, user=user, id=user) for n, user in enumerate("abc")]
    (finding,) = desk.feed(*logins, *burst(0))
    assert finding.acted


def test_a_target_names_whom_to_act_on_where_the_group_does_not() -> None:
    action = Action("block_ip", durations=(HOUR,), target="properties.origin")
    events = burst(0, properties={"origin": "203.0.113.200"})
    (finding,) = Desk(playbook(group_by=("user",), actions=(action,))).feed(*events)
    assert finding.effects[0].target == "203.0.113.200"


@pytest.mark.parametrize(
    ("target", "key"), [("user.email", "email:a@x"), ("user.uid", "id:7"), ("user.company", "company:b")]
)
def test_an_identifier_as_target_is_a_key_of_its_own_type(target: str, key: str) -> None:
    desk = Desk(playbook(actions=(Action("block_user", durations=(HOUR,), target=target),)))
    (finding,) = desk.feed(*burst(0, user={"uid": "7", "email": "a@x", "company": "b"}))
    assert finding.effects[0].target == key


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("7", "id:7"), (7, "id:7"), ("email:A@x", "email:a@x"), (" ", None), ("", None), ("email: ", None),
        (True, None), (7.0, None), ([7], None), ({"id": 7}, None), ("x" * 257, None), (10**300, None),
    ],
    ids=[
        "text", "number", "typed", "blanks", "empty", "typed, empty", "boolean", "fraction", "list", "object",
        "too long", "a long number",
    ],
)  # fmt: skip
def test_a_property_as_target_names_a_user_or_nobody(value: Any, key: str | None) -> None:
    """A number is an identifier as its text is; whatever else a sender puts into it is said, and the batch goes on."""
    desk = Desk(playbook(actions=(Action("block_user", durations=(HOUR,), target="properties.account"),)))
    (finding,) = desk.feed(*burst(0, properties={"account": value}))
    assert finding.effects[0].target == key
    assert finding.effects[0].held == (None if key else "the event names no target")


@pytest.mark.parametrize("value", [None, True, 7, ["203.0.113.7"], "nowhere", "203.0.113.0/24"], ids=str)
def test_a_property_that_holds_no_address_names_none(value: Any) -> None:
    desk = Desk(playbook(actions=(Action("block_ip", durations=(HOUR,), target="properties.origin"),)))
    (finding,) = desk.feed(*burst(0, properties={"origin": value}))
    assert [(one.target, one.held) for one in finding.effects] == [(None, "the event names no target")]


@pytest.mark.parametrize("value", ["null", 0, "email:None", "anonymous"])
def test_nobody_is_acted_on_by_a_property_that_stands_for_no_user(value: Any) -> None:
    desk = Desk(playbook(actions=(Action("block_user", durations=(HOUR,), target="properties.account"),)))
    (finding,) = desk.feed(*burst(0, properties={"account": value}))
    assert [one.held for one in finding.effects] == ["it stands for no user"]


def test_a_target_that_is_not_there_is_said_and_nothing_is_done() -> None:
    action = Action("block_user", durations=(HOUR,))
    (finding,) = Desk(playbook(actions=(action,))).feed(*burst(0, user=None))
    assert finding.effects[0].held == "the event names no target"


def test_a_redirect_says_where_to() -> None:
    action = Action("redirect_ip", durations=(HOUR,), to="https://example.com/slow-down")
    (finding,) = Desk(playbook(actions=(action,))).feed(*burst(0))
    assert finding.effects[0].decisions[0].to == "https://example.com/slow-down"


def test_sums_are_shown_in_the_field_s_own_unit() -> None:
    metrics = (Metric("sum", 1.5, field="properties.amount"), Metric("max", 1, field="properties.amount"))
    found = Desk(playbook(None, events=("pay",), when=metrics)).feed(
        event(0, event="pay", success=None, properties={"amount": 0.25}),
        event(1, event="pay", success=None, properties={"amount": 1.25}),
    )
    assert [dict(finding.tally) for finding in found] == [{"sum.properties.amount": 1.5, "max.properties.amount": 1.25}]


def test_a_right_guess_that_was_refused_makes_no_place_familiar() -> None:
    """The SDK reports it as a login that succeeded, marked as blocked: the next block must not spare the guesser."""
    desk = Desk(playbook(group_by=("user",), actions=(BLOCK_USER,)))
    refused = event(-86_400, success=True, ip="203.0.113.66", device="d9", properties={"blocked": True}, id="guessed")
    (finding,) = desk.feed(refused, *burst(0))
    assert [one.kind for one in finding.effects[0].decisions] == ["block"]


@pytest.mark.parametrize(
    "when", [(Metric("count", 3),), (Metric("count", 3), Metric("max", 0, field="request.status"))]
)
def test_a_finding_names_the_events_it_rests_on(when: Any) -> None:
    """Those of its window, whether hits are packed or logged; of many, the newest."""
    desk = Desk(playbook(when=when))
    early = event(-700, id="outside the window", request={"status": 401})
    (finding,) = desk.feed(early, *burst(0, request={"status": 401}))
    assert finding.events == ("e0-", "e1-", "e2-")


def test_a_threshold_that_was_written_with_a_point_is_told_as_the_number_it_is() -> None:
    told = [wanted(Metric("sum", value, field="properties.amount")) for value in (10.0, 0.5, 10, 2_000_000.0)]
    assert told == [">= 10", ">= 0.5", ">= 10", ">= 2000000"]
