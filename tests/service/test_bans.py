"""The table of bans says of every address what an SDK's decision set says, and tells every change of it once."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.decision import FOREVER, Decision, Delta, Place, Subject, place
from sentinel.core.decisions import Decisions
from sentinel.core.duration import SECOND
from sentinel.core.errors import StoreBusy
from sentinel.service import bans
from sentinel.service.bans import AGAIN, REMEMBERED, Ban, Bans, Change, Table

NOW = 1_000_000
ADDRESSES = [f"198.51.100.{last}" for last in range(8)]
NETWORKS = ["198.51.100.0/24", "198.51.100.0/30", "198.51.100.2/31", "198.51.100.4/30"]

decisions = st.builds(
    Decision,
    id=st.sampled_from(["a", "b", "c", "d", "e"]),
    kind=st.sampled_from(["block", "challenge", "allow"]),
    scope=st.just("network"),
    value=st.sampled_from(ADDRESSES + NETWORKS),
    made=st.just(1),
    until=st.none() | st.integers(NOW - 3, NOW + 10),
    playbook=st.sampled_from(["p", "p", None]),
    logins_only=st.sampled_from([False, False, False, True]),
)
deltas = st.lists(
    st.tuples(st.lists(decisions, max_size=4), st.lists(st.sampled_from("abcde"), max_size=2), st.booleans()),
    min_size=1, max_size=6,
)  # fmt: skip


def banned(known, ip):
    """The kind that holds for an address by a table's bans: the strictest of those it lies in."""
    kinds = {ban.kind for target, ban in known.items() if _in(ip, target)}
    return "block" if "block" in kinds else "challenge" if kinds else "allow"


def _in(ip, target):
    return ipaddress.ip_address(ip) in ipaddress.ip_network(str(target))


def fold(held, changes):
    """What a gate holds after changes: what it held goes first."""
    for change in changes:
        if change.was is not None:
            held.pop(change.target, None)
    for change in changes:
        if change.now is not None:
            held.setdefault(change.target, change.now)
    return held


@given(deltas)
def test_every_address_is_banned_as_a_decision_set_says(steps):
    table, oracle, now = Table(), Decisions(), NOW
    for number, (added, removed, reset) in enumerate(steps, 1):
        delta = Delta(number, tuple(added), tuple(removed), reset)
        oracle, now = oracle.apply(delta), now + 1
        # `apply` adds first and then removes; a decision list never does both for one id
        delta = Delta(number, tuple(one for one in added if one.id not in removed), tuple(removed), reset)
        table.update(delta, True, now)
        for ip in ADDRESSES:
            assert banned(table.bans, ip) == oracle.match(Subject(ip=ip), now).kind


@given(deltas, st.lists(st.booleans(), min_size=6, max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_gate_that_folds_the_changes_holds_the_table_whenever_it_asks(steps, asks, switches):
    table, held, number, now = Table(), {}, None, NOW
    for count, (added, removed, reset) in enumerate(steps):
        now += 1
        table.update(Delta(count + 1, tuple(added), tuple(removed), reset), switches[count], now)
        if asks[count]:
            number, changes = table.changes(number)
            held = fold(held, changes)
            assert {target: ban[:2] for target, ban in held.items()} == {t: ban[:2] for t, ban in table.bans.items()}
            assert table.changes(number) == (number, [])


def test_whoever_asks_from_before_what_is_remembered_gets_everything(monkeypatch):
    """What was told to them is gone: else they would go on without the changes in between."""
    monkeypatch.setattr(bans, "MOST_CHANGES", 2)
    table = Table()
    table.update(Delta(1, (decided("a", "192.0.2.1"),), reset=True), True, NOW)
    table.update(Delta(2, (decided("b", "192.0.2.2"),)), True, NOW)
    table.update(Delta(3, removed=("a",)), True, NOW)
    a, b = place("192.0.2.1"), place("192.0.2.2")
    assert table.changes(1) == (3, [Change(a, ban(), None), Change(b, None, ban(id="b"))])
    for unknown in (0, 4):
        number, told = table.changes(unknown)
        assert (number, told) == (3, [Change(b, None, ban(id="b")), Change(a, ban(), None)])


def test_what_is_over_is_told_for_a_day_to_those_of_whom_nothing_is_known(monkeypatch):
    table, over = Table(), NOW + 5
    first, second = decided("a", until=over), decided("d", "192.0.2.4", until=over + 1)
    table.update(Delta(1, (first, second), reset=True), True, NOW)
    for after, told in ((0, "a"), (1, "ad"), (REMEMBERED - 1, "ad"), (REMEMBERED, "d"), (REMEMBERED + 1, "")):
        table.update(Delta(1), True, now := over + after)
        assert "".join(one.was.decision for one in table.changes(None)[1] if one.was) == told
    monkeypatch.setattr(bans, "MOST_GONE", 1)
    table.update(Delta(2, (decided("b", "192.0.2.2"), decided("c", "192.0.2.3"))), True, now)
    table.update(Delta(3, removed=("b",)), True, now)
    table.update(Delta(4, removed=("c",)), True, now)
    assert table.changes(None)[1] == [Change(place("192.0.2.3"), ban(id="c"), None)]


def ban(until=FOREVER, kind="block", id="a", playbook="p"):
    return Ban(kind, until, id, playbook)


def decided(id, value="203.0.113.9", until=None, **more):
    more = {"kind": "block", "scope": "ip", "playbook": "p", **more}
    return Decision(id, value=value, made=1, until=until, **more)


def test_a_longer_ban_replaces_the_shorter_one_and_its_end_is_told():
    table, target = Table(), place("203.0.113.9")
    table.update(Delta(1, (decided("a", until=NOW + 10),), reset=True), True, NOW)
    start, _ = table.changes(None)
    table.update(Delta(2, (decided("b", until=NOW + 20),)), True, NOW + 1)
    after, changes = table.changes(start)
    assert changes == [Change(target, ban(NOW + 10), ban(NOW + 20, id="b"))]
    table.update(Delta(2), True, NOW + 10)
    assert table.changes(after)[1] == []
    table.update(Delta(2), True, NOW + 20)
    assert table.changes(after)[1] == [Change(target, ban(NOW + 20, id="b"), None)]


def test_a_hole_that_a_person_left_in_a_playbooks_network_stays_open():
    table = Table()
    hole = decided("b", "198.51.100.1", kind="allow", playbook=None)
    table.update(Delta(1, (decided("a", "198.51.100.0/30", scope="network"), hole), reset=True), True, NOW)
    assert {str(target) for target in table.bans} == {"198.51.100.0/32", "198.51.100.2/31"}
    table.update(Delta(2, removed=("b",)), True, NOW)
    assert {str(target) for target in table.bans} == {"198.51.100.0/30"}


def test_a_hole_is_only_in_what_playbooks_decided():
    table, network = Table(), "198.51.100.0/30"
    hole = decided("b", "198.51.100.1", kind="allow", playbook=None)
    table.update(Delta(1, (decided("a", network, scope="network", playbook=None), hole), reset=True), True, NOW)
    assert table.bans == {place(network): ban(playbook=None)}


def test_around_a_hole_the_strictest_that_is_left_holds():
    table, network = Table(), "198.51.100.0/30"
    hole = decided("b", "198.51.100.1", kind="allow", playbook=None)
    both = decided("a", network, scope="network", kind="challenge"), decided("c", "198.51.100.0", until=NOW + 9)
    table.update(Delta(1, (hole, *both), reset=True), True, NOW)
    assert table.bans[place("198.51.100.0")] == ban(NOW + 9, id="c")
    table.update(Delta(1), True, NOW + 9)
    assert table.bans[place("198.51.100.0")] == ban(kind="challenge")


def test_nobody_in_a_network_that_a_person_allows_is_banned_and_everybody_else_is():
    table = Table()
    allowed = decided("b", "198.51.100.0/24", scope="network", kind="allow", playbook=None)
    inside = decided("a", "198.51.100.7"), decided("c", "198.51.100.0/25", scope="network")
    table.update(Delta(1, (allowed, *inside, decided("d", "192.0.2.7")), reset=True), True, NOW)
    assert table.bans == {place("192.0.2.7"): ban(id="d")}


def test_a_decision_that_comes_again_with_another_end_lasts_to_that():
    table = Table()
    table.update(Delta(1, (decided("a", until=NOW + 5),), reset=True), True, NOW)
    table.update(Delta(2, (decided("a", until=NOW + 9),)), True, NOW)
    table.update(Delta(2), True, NOW + 5)
    assert table.bans == {place("203.0.113.9"): ban(NOW + 9)}
    assert table.fresh(2, True, NOW + 8) and not table.fresh(2, True, NOW + 9)


def test_users_are_banned_by_their_keys():
    table = Table()
    table.update(Delta(1, (decided("a", "id:42", scope="user"),), reset=True), True, NOW)
    assert table.bans == {"id:42": ban()}


def test_enforcement_switched_off_empties_the_table_and_tells_it():
    table = Table()
    table.update(Delta(1, (decided("a"),), reset=True), True, NOW)
    number, _ = table.changes(None)
    table.update(Delta(1), False, NOW)
    assert (table.bans, [one.now for one in table.changes(number)[1]]) == ({}, [None])


def test_an_address_is_found_in_every_ban_it_lies_in():
    table = Table()
    both = (decided("a", "198.51.100.0/24", scope="network"), decided("b", "198.51.100.7"))
    table.update(Delta(1, both, reset=True), True, NOW)
    found = table.covering(Place(4, 32, int(ipaddress.ip_address("198.51.100.7"))))
    assert [str(target) for target, _ in found] == ["198.51.100.0/24", "198.51.100.7/32"]


def test_a_ban_ends_at_the_very_moment_that_its_decision_says():
    table = Table()
    table.update(Delta(1, (decided("a", "198.51.100.7", until=NOW + 5),), reset=True), True, NOW)
    assert table.fresh(1, True, NOW + 4)
    assert not table.fresh(1, True, NOW + 5)
    table.update(Delta(1), True, NOW + 5)
    assert not table.bans


def test_a_ban_that_another_thread_ends_while_an_address_is_looked_up_costs_no_answer():
    class Ending(dict):
        def __contains__(self, target):
            there = super().__contains__(target)
            self.pop(target, None)
            return there

    one, table = place("198.51.100.7"), Table()
    table.bans = Ending({one: Ban("block", FOREVER, "d", None)})
    assert [target for target, _ in table.covering(one)] in ([one], [])


class Source:
    """A decision list that a test changes."""

    def __init__(self):
        self.now, self.on, self.number, self.busy, self.asked = NOW, True, 1, False, 0

    def revision(self, app):
        return self.number

    def delta(self, app, since, now):
        self.asked += 1
        if self.busy:
            raise StoreBusy("busy")
        return Delta(self.number, (decided("a", until=NOW + 50),), reset=True)

    def list(self, app, **more):
        return type("Page", (), {"items": ()})()


def test_the_list_is_asked_only_when_something_changed():
    source = Source()
    tables = Bans(source, lambda app: source.on, lambda: source.now)
    for _ in range(3):
        assert len(tables.table("one").bans) == 1
    assert source.asked == 1
    assert tables.fresh("one") is tables.table("one")
    source.number = 2
    assert tables.fresh("one") is None and tables.table("one").revision == 2
    source.on = False
    assert tables.table("one").bans == {}
    source.on = True
    assert len(tables.table("one").bans) == 1
    source.now = NOW + 50
    assert tables.fresh("one") is None
    assert tables.table("one").bans == {}


def test_a_busy_store_leaves_what_was_known():
    source = Source()
    tables = Bans(source, lambda app: True, lambda: source.now)
    tables.table("one")
    source.number, source.busy = 2, True
    assert len(tables.table("one").bans) == 1
    with pytest.raises(StoreBusy):
        tables.table("another")


def test_a_ban_that_outlasts_a_shorter_one_is_told_again_when_that_one_is_over():
    """Some gates keep the end that they were told first, and would let go of who is banned for longer."""
    table, here, at = Table(), place("198.51.100.1"), NOW
    short = Decision("a", "block", "ip", "198.51.100.1", until=NOW + 5 * SECOND, playbook="p")
    table.update(Delta(1, (short,), reset=True), True, at)
    table.update(Delta(2, (replace(short, id="b", until=NOW + 500 * SECOND),)), True, at)
    number, _ = table.changes(None)
    over = NOW + 5 * SECOND + AGAIN
    assert table.fresh(2, True, NOW + 5 * SECOND - 1)
    table.update(Delta(2), True, over - 1)
    assert table.changes(number) == (number, []) and table.fresh(2, True, over - 1) and not table.fresh(2, True, over)
    table.update(Delta(2), True, over)
    told, changes = table.changes(number)
    assert changes == [Change(here, None, table.bans[here])]
    assert table.changes(told) == (told, [])
    table.update(Delta(3, removed=("b",)), True, over)
    assert [(one.was is not None, one.now) for one in table.changes(number)[1]] == [(True, None)]


def test_nothing_is_told_again_of_who_is_banned_no_more():
    table, at = Table(), NOW
    short = Decision("a", "block", "ip", "198.51.100.1", until=NOW + 5 * SECOND, playbook="p")
    table.update(Delta(1, (short,), reset=True), True, at)
    table.update(Delta(2, (replace(short, id="b", until=NOW + 500 * SECOND),)), True, at)
    table.update(Delta(3, removed=("a", "b")), True, at)
    number, _ = table.changes(None)
    table.update(Delta(3), True, NOW + 6 * SECOND + AGAIN)
    assert table.changes(number) == (number, [])
