"""All users of a window: who is kept, who goes when there are too many, and what is done to them."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel.core.decision import pair
from sentinel.engine import crowd
from sentinel.engine.crowd import Crowd
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Action, Guard, Metric
from sentinel.engine.respond import MORE
from tests.engine.playbooks import HOUR, MINUTE, Desk, event, playbook

DISTINCT = (Metric("distinct", 3, field="user"),)
EVERYBODY = Action("block_users", durations=(HOUR,))
SHARED = Action("block_ip", durations=(HOUR,), unless_shared_by=2)


def tries(*users: str, start: int = 0, **fields: Any) -> list[Any]:
    return [event(start + n, user=user, id=f"{start + n}{user}", **fields) for n, user in enumerate(users)]


def regulars(*users: str) -> list[Any]:
    """Return logins of users from the usual address on two days long before."""
    return [
        event(day * 86_400, success=True, user=user, device=f"{user}'s", id=f"{user}{day}")
        for day in (-3, -2)
        for user in users
    ]


class TestBlockUsers:
    def test_every_user_seen_in_the_window_is_blocked(self) -> None:
        desk = Desk(playbook(when=DISTINCT, actions=(EVERYBODY,)))
        (finding,) = desk.feed(*tries("a", "b", "c"))
        assert [(one.kind, one.target, one.length) for one in finding.effects] == [
            ("block_user", "id:a", HOUR), ("block_user", "id:b", HOUR), ("block_user", "id:c", HOUR)
        ]  # fmt: skip
        assert finding.acted

    def test_whoever_was_seen_before_the_window_or_in_another_group_is_not(self) -> None:
        desk = Desk(playbook(when=DISTINCT, actions=(EVERYBODY,)))
        early, other = tries("early", start=-601), tries("other", start=-1, ip="203.0.113.10")
        (finding,) = desk.feed(*early, *other, *tries("a", "b", "c"))
        assert {one.target for one in finding.effects} == {"id:a", "id:b", "id:c"}

    def test_all_are_only_claimed_so_their_familiar_places_are_spared(self) -> None:
        desk = Desk(playbook(when=DISTINCT, actions=(EVERYBODY,)))
        home = event(-86_400, success=True, user="a", ip="198.51.100.7", id="home")
        (finding,) = desk.feed(home, *tries("a", "b", "c"))
        block, spared = finding.effects[0].decisions
        assert (block.value, block.logins_only) == ("id:a", True)
        assert (spared.kind, spared.value) == ("allow", pair("id:a", "198.51.100.7"))

    def test_without_a_length_it_lasts_for_one_cooldown(self) -> None:
        (finding,) = Desk(playbook(when=DISTINCT, actions=(Action("block_users"),), cooldown=7 * MINUTE)).feed(
            *tries("a", "b", "c")
        )
        assert {one.length for one in finding.effects} == {7 * MINUTE}

    def test_each_user_climbs_a_ladder_of_their_own(self) -> None:
        ladder = Action("block_users", durations=(15 * MINUTE, HOUR))
        desk = Desk(playbook(when=DISTINCT, actions=(ladder,)))
        _, finding = desk.feed(*tries("a", "b", "c"), *tries("a", "d", "e", start=3600))
        assert {one.target: one.length for one in finding.effects} == {
            "id:a": HOUR, "id:d": 15 * MINUTE, "id:e": 15 * MINUTE
        }  # fmt: skip

    def test_they_all_count_for_the_guard(self) -> None:
        desk = Desk(playbook(when=DISTINCT, actions=(EVERYBODY,), guard=Guard(max=2, per=HOUR)))
        (finding,) = desk.feed(*tries("a", "b", "c"))
        assert {one.held for one in finding.effects} == {"guard"}

    def test_the_allowlisted_are_spared_one_by_one(self) -> None:
        memory = Memory(protected=lambda kind, target, at: "allowlisted" if target == "id:b" else None)
        (finding,) = Desk(playbook(when=DISTINCT, actions=(EVERYBODY,)), memory=memory).feed(*tries("a", "b", "c"))
        assert [one.held for one in finding.effects] == [None, "allowlisted", None]

    def test_of_too_many_the_last_are_blocked_and_it_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(crowd, "MOST", 2)
        (finding,) = Desk(playbook(when=DISTINCT, actions=(EVERYBODY,))).feed(*tries("a", "b", "c"))
        assert [(one.target, one.held) for one in finding.effects] == [
            ("id:b", None), ("id:c", None), (None, MORE)
        ]  # fmt: skip

    def test_where_no_event_names_a_user_it_is_said(self) -> None:
        (finding,) = Desk(playbook(actions=(EVERYBODY,))).feed(*[event(n, user=None) for n in range(3)])
        assert [one.held for one in finding.effects] == ["no event names a user"]


class TestSharedAddress:
    def test_the_users_of_the_window_are_challenged_instead(self) -> None:
        desk = Desk(playbook(actions=(SHARED,)))
        (finding,) = desk.feed(*regulars("x", "y"), *tries("a", "x", "b"))
        assert [(one.kind, one.target, one.held) for one in finding.effects] == [
            ("block_ip", "203.0.113.9", "shared address"), ("challenge_user", "id:a", None),
            ("challenge_user", "id:x", None), ("challenge_user", "id:b", None),
        ]  # fmt: skip
        assert finding.acted

    def test_the_attacked_address_is_nobodys_own_place_but_familiar_devices_are(self) -> None:
        """Everybody there is at home at that address, the attacker too."""
        desk = Desk(playbook(actions=(SHARED,)))
        (finding,) = desk.feed(*regulars("x", "y"), *tries("x", "a", "b"))
        challenge, *spared = finding.effects[1].decisions
        assert (challenge.kind, challenge.value, challenge.logins_only) == ("challenge", "id:x", True)
        assert [(one.kind, one.scope, one.value) for one in spared] == [
            ("allow", "user+device", pair("id:x", "x's"))
        ]  # fmt: skip

    def test_a_redirect_falls_back_to_a_challenge_that_leads_nowhere(self) -> None:
        action = Action("redirect_ip", durations=(HOUR,), to="/slow", unless_shared_by=2)
        (finding,) = Desk(playbook(actions=(action,))).feed(*regulars("x", "y"), *tries("a", "b", "c"))
        assert finding.effects[1].decisions[0].to is None

    def test_an_allowlisted_address_is_spared_altogether(self) -> None:
        memory = Memory(protected=lambda kind, target, at: "allowlisted" if kind == "ip" else None)
        desk = Desk(playbook(actions=(SHARED,)), memory=memory)
        (finding,) = desk.feed(*regulars("x", "y"), *tries("a", "b", "c"))
        assert [(one.kind, one.held) for one in finding.effects] == [("block_ip", "allowlisted")]

    def test_in_monitor_it_is_told_who_would_be_challenged(self) -> None:
        desk = Desk(playbook(mode="monitor", actions=(SHARED,)))
        (finding,) = desk.feed(*regulars("x", "y"), *tries("a", "b", "c"))
        assert [one.held for one in finding.effects] == ["shared address", "monitor", "monitor", "monitor"]
        assert not finding.acted


class TestKept:
    def test_it_survives_a_dump(self) -> None:
        one, other = Crowd(), Crowd()
        for n in range(crowd.MOST + 5):
            one.learn("w", "k", f"id:{n}", n)
        assert other.load(one.dump())
        assert other.of("w", "k", 100) == one.of("w", "k", 100)
        assert other.of("w", "k", 4) == one.of("w", "k", 4)
        assert other.of("w", "k", 3)[1] and not other.of("w", "k", 4)[1]

    def test_those_seen_last_stay_in_whatever_order_they_came(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(crowd, "MOST", 3)
        one = Crowd()
        for at in (9, 3, 8, 1, 7, 2, 6, 4, 5):
            one.learn("w", "k", f"id:{at}", at)
        one.learn("w", "k", "id:6", 1)
        assert one.of("w", "k", 0) == (["id:7", "id:8", "id:9"], True)
        assert one.of("w", "k", 6) == (["id:7", "id:8", "id:9"], False)
        assert one.of("w", "k", 8) == (["id:9"], False)

    def test_of_damaged_bytes_nothing_is_kept(self) -> None:
        one = Crowd()
        assert not one.load([b'[["w", "k", 0, {"id:1": 1}], 3]'])
        assert one.of("w", "k", 0) == ([], False)

    def test_a_deleted_person_is_called_otherwise_in_groups_and_in_their_keys(self) -> None:
        one = Crowd()
        for user in ("id:a", "id:b"):
            one.learn("w", "203.0.113.9", user, 5)
            one.learn("by-user", user, user, 5)
            one.learn("by-both", f"4:{user}11:203.0.113.9", user, 5)
        one.rename({"id:a": "gone:1"})
        assert b"id:a" not in b"".join(one.dump())
        assert one.of("w", "203.0.113.9", 4) == (["gone:1", "id:b"], False)
        assert one.of("by-user", "gone:1", 4) == one.of("by-both", "6:gone:111:203.0.113.9", 4) == (["gone:1"], False)
        assert one.of("by-user", "id:b", 4) == (["id:b"], False)

    def test_past_the_bound_the_groups_touched_longest_ago_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(crowd, "KEPT", 20)
        one = Crowd()
        for n in range(100):
            one.learn("w", "kept", "id:regular", n)
            one.learn("w", f"{n}", "id:a", n)
        known = [key for key in ("kept", *map(str, range(100))) if one.of("w", key, -1)[0]]
        assert known[0] == "kept" and known[-1] == "99"
        assert len(known) <= 22

    def test_one_takes_over_what_another_knows(self) -> None:
        one, other = Crowd(), Crowd()
        one.learn("w", "k", "id:a", 5)
        other.learn("w", "k", "id:a", 3)
        other.learn("w", "k", "id:b", 3)
        one.take_over(other)
        assert one.of("w", "k", 4) == (["id:a"], False)
        assert set(one.of("w", "k", 2)[0]) == {"id:a", "id:b"}
