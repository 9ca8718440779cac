"""The decision list: whoever follows it by deltas holds what a newcomer is given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.batch import Sighting
from sentinel.core.decision import Delta, Subject, pair
from sentinel.core.decisions import Decisions
from sentinel.core.errors import SentinelError
from sentinel.core.record import BY_HAND
from sentinel.service import about
from tests.contract.values import NOW, batch, decision, finding, fresh_app, link, put

HOUR = 3_600_000_000


class Follower:
    """An enforcement point: what it holds, and how far it has followed."""

    def __init__(self) -> None:
        self.held = {}
        self.revision = 0

    def follow(self, delta: Delta) -> None:
        if delta.reset:
            self.held = {}
        self.held |= {one.id: one for one in delta.added}
        for id in delta.removed:
            self.held.pop(id, None)
        self.revision = delta.revision

    def in_force(self, now: int) -> dict:
        return {id: one for id, one in self.held.items() if one.in_force(now)}


def everything(store, app, now):
    return {one.id: one for one in store.decisions.delta(app, 0, now).added}


def test_a_new_list_is_empty_at_revision_zero(store):
    assert store.decisions.revision("shop") == 0
    assert store.decisions.delta("shop", 0, NOW) == Delta(0, reset=True)


def test_a_delta_holds_what_changed_since_and_nothing_else(store):
    put(store, batch(decisions=(decision("a"), decision("b"))))
    put(store, batch(decisions=(decision("c"),)))
    assert store.decisions.lift("shop", "a", "jane", "a mistake", NOW) == 3
    assert store.decisions.delta("shop", 1, NOW) == Delta(3, (decision("c"),), ("a",))
    assert store.decisions.delta("shop", 3, NOW) == Delta(3)


def test_decisions_of_a_period_are_counted_by_kind_each_once_for_all_keys_of_a_person(store):
    app = fresh_app(store)
    link(store, app, "id:1", "email:a@b.c")
    later = decision("b", "id:2", made=NOW + 5)
    last = decision("c", "203.0.113.9", scope="ip", kind="challenge", made=NOW + 10)
    put(store, batch(app, decisions=(decision("a"), later, last)))
    put(store, batch("blog", decisions=(decision("d"),)))
    assert store.decisions.tally(app, NOW, NOW + 10) == {"block": 2}
    assert store.decisions.tally(app, NOW + 1, NOW + 11) == {"block": 1, "challenge": 1}
    listed = store.decisions.list(app, values=["id:2", "203.0.113.9"]).items
    assert [kept.decision.id for kept in listed] == ["c", "b"]


def test_what_was_decided_on_an_address_is_told_when_it_is_over_whoever_decided_it(store):
    """People block an IPv6 address by the network that it is grouped by, and so do playbooks, which call it one."""
    app, group = fresh_app(store), "2001:db8:7:1::/64"
    over = [decision(f"{scope} over", group, NOW - 1, scope=scope) for scope in ("ip", "network")]
    around = [decision(f"around {n}", "2001:db8:7::/48", NOW + n, scope="network") for n in (-1, 1)]
    put(store, batch(app, decisions=(*over, *around)))
    told = about.decided(store, app, about.names_of("2001:db8:7:1::5", 64), NOW)
    assert {kept.decision.id for kept in told} == {"ip over", "network over", "around 1"}


def test_all_that_a_playbook_decided_ends_in_one_change_and_nothing_else_does(store):
    mine = tuple(decision(f"d{n}", f"id:{n}", playbook="wrong") for n in range(700))
    over, other = decision("over", "id:over", NOW - 1, playbook="wrong"), decision("other", "id:other")
    put(store, batch(decisions=(*mine, over, other)))
    put(store, batch("blog", decisions=(decision("theirs", playbook="wrong"),)))
    assert store.decisions.lift_all("shop", "jane", "a mistake", NOW, playbook="wrong") == (2, 700)
    delta = store.decisions.delta("shop", 1, NOW)
    assert (delta.added, sorted(delta.removed)) == ((), sorted(one.id for one in mine))
    assert [one.decision.id for one in store.decisions.list("shop", now=NOW).items] == ["other"]
    assert len(store.decisions.list("blog", now=NOW).items) == 1
    (line,) = [one for one in store.audit.list("shop").items if one.action == "decision.lift"]
    assert (line.target, line.reason, line.detail) == ("playbook wrong", "a mistake", {"number": 700})
    assert store.decisions.lift_all("shop", "jane", "again", NOW, playbook="wrong") == (2, 0)


def test_what_people_decided_is_told_by_who_did_and_ends_in_one_change(store):
    def made(id, by, **more):
        return decision(id, f"id:{id}", playbook=None, by=by, **more)

    app = fresh_app(store)
    made_by = {"a": "account:ana", "b": "account:ana", "c": "key:1", "over": "account:joe"}
    for id, by in made_by.items():
        store.decisions.add(app, made(id, by, until=NOW - 1 if id == "over" else None), by, NOW)
    store.decisions.add(app, made("free", "account:ana", kind="allow"), "account:ana", NOW)
    put(store, batch(app, decisions=(decision("p", "id:p"),)))

    def listed(**asked):
        return {one.decision.id for one in store.decisions.list(app, **asked).items}

    assert listed(maker=BY_HAND) == {*made_by, "free"}
    assert listed(maker="account:ana", kind="block") == {"a", "b"}
    assert listed(maker="ana") == set()
    assert tuple(store.decisions.makers(app, NOW)) == ("account:ana", "key:1")
    before = store.decisions.revision(app)
    lifted = store.decisions.lift_all(app, "jane", "a mistake", NOW, maker="account:ana", kind="block")
    assert lifted == (before + 1, 2)
    assert listed(now=NOW) == {"c", "free", "p"}
    assert store.audit.list(app).items[0].target == "by account:ana kind block"
    assert store.decisions.lift_all(app, "jane", "all", NOW, maker=BY_HAND)[1] == 2
    assert listed(now=NOW) == {"p"}
    assert store.audit.list(app).items[0].target == "by hand"


def test_what_came_and_went_between_two_deltas_is_in_neither(store):
    put(store, batch(decisions=(decision("a"),)))
    put(store, batch(decisions=(decision("b"),)))
    store.decisions.lift("shop", "b", "jane", "a mistake", NOW)
    assert store.decisions.delta("shop", 1, NOW) == Delta(3)


def test_all_of_one_commit_is_one_revision(store):
    answer = put(store, batch(decisions=tuple(decision(f"d{n}", f"id:{n}") for n in range(700))))
    assert answer.revision == 1
    assert len(store.decisions.delta("shop", 0, NOW).added) == 700


def test_a_revision_from_the_future_gets_everything_anew(store):
    put(store, batch(decisions=(decision("a"),)))
    delta = store.decisions.delta("shop", 99, NOW)
    assert delta.reset
    assert [one.id for one in delta.added] == ["a"]


def test_a_decision_over_is_not_sent(store):
    put(store, batch(decisions=(decision("a", until=NOW + 5), decision("b", until=NOW + 6))))
    assert [one.id for one in store.decisions.delta("shop", 0, NOW + 5).added] == ["b"]


def test_a_known_decision_is_passed_over_and_moves_nothing(store):
    put(store, batch(decisions=(decision("a", reason="first"),)))
    answer = put(store, batch(decisions=(decision("a", reason="second"), decision("a", reason="third"))))
    assert (answer.revision, answer.changed) == (1, False)
    assert store.decisions.get("shop", "a").decision.reason == "first"


def test_undo_sticks_the_same_finding_does_not_decide_again(store):
    put(store, batch(findings=(finding("f"),), decisions=(decision("a", finding="f"),)))
    store.decisions.lift("shop", "a", "jane", "her own account", NOW)
    answer = put(store, batch(decisions=(decision("a", finding="f"), decision("b", "id:2", finding="f"))))
    assert answer.changed is False
    assert everything(store, "shop", NOW) == {}
    assert store.findings.get("shop", "f").undone
    put(store, batch(decisions=(decision("c", finding="g"),)))
    assert list(everything(store, "shop", NOW)) == ["c"]


def test_undo_tells_who_when_and_why(store):
    put(store, batch(decisions=(decision("a"),)))
    store.decisions.lift("shop", "a", "jane", "her own account", NOW + 7)
    kept = store.decisions.get("shop", "a")
    assert (kept.removed, kept.lifted, kept.lifted_by, kept.lifted_why) == (2, NOW + 7, "jane", "her own account")
    line = store.audit.list("shop").items[0]
    assert (line.actor, line.action, line.target, line.reason) == (
        "jane",
        "decision.lift",
        "user id:1",
        "her own account",
    )


def test_lifting_twice_changes_nothing_and_an_unknown_one_is_none(store):
    put(store, batch(decisions=(decision("a"),)))
    assert store.decisions.lift("shop", "a", "jane", "first", NOW) == 2
    assert store.decisions.lift("shop", "a", "joe", "second", NOW) == 2
    assert store.decisions.get("shop", "a").lifted_by == "jane"
    assert store.decisions.lift("shop", "nothing", "jane", "", NOW) is None


def test_how_some_are_met_is_known_however_many_decisions_were_made_since(store):
    app = fresh_app(store)
    mine = (
        decision("u", "id:early"),
        decision("c", "id:early", kind="challenge"),
        decision("o", "id:over", until=NOW),
        decision("n", "203.0.113.0/24", scope="network", kind="challenge"),
        decision("p", pair("id:partly", "203.0.113.9"), scope="user+ip"),
    )
    put(store, batch(app, decisions=mine))
    put(store, batch(app, decisions=tuple(decision(f"d{n}", f"id:{n}", made=NOW + 1) for n in range(1200))))
    asked = ["id:early", "id:over", "id:partly", "id:nobody", "203.0.113.0/24", *(f"id:{n}" for n in range(1200))]
    users, places = (store.decisions.on(app, scopes, asked, NOW) for scopes in (("user",), ("ip", "network")))
    assert {kept.decision.id for kept in users} == {"u", "c", *(f"d{n}" for n in range(1200))}
    assert [(kept.decision.id, kept.decision.kind) for kept in places] == [("n", "challenge")]
    assert not store.decisions.on(fresh_app(store), ("user",), asked, NOW)
    found = store.decisions.list(app, users=["id:early", "id:partly"], now=NOW).items
    assert {one.decision.id for one in found} == {"u", "c", "p"}


def test_a_persons_decision_meets_each_of_their_keys(store):
    app = fresh_app(store)
    with store.unit() as unit:
        unit.resolve(app, [Sighting(("id:1", "email:a@example.com"), True, NOW)])
        unit.commit([batch(app, decisions=(decision("a"),))])
    (kept,) = store.decisions.on(app, ("user",), ["email:a@example.com"], NOW)
    assert (kept.decision.kind, kept.decision.value) == ("block", "email:a@example.com")


def test_one_app_neither_sees_nor_touches_anothers(store):
    put(store, batch(decisions=(decision("a"),)))
    assert store.decisions.get("blog", "a") is None
    assert store.decisions.lift("blog", "a", "jane", "", NOW) is None
    assert store.decisions.delta("blog", 0, NOW) == Delta(0, reset=True)
    assert store.decisions.list("blog").items == ()


def test_a_decision_by_hand_is_in_the_list_and_in_the_audit(store):
    by_hand = decision("a", "203.0.113.0/24", scope="network", playbook=None, by="jane", reason="a bad network")
    assert store.decisions.add("shop", by_hand, "jane", NOW) == 1
    assert store.decisions.delta("shop", 0, NOW).added == (by_hand,)
    line = store.audit.list("shop").items[0]
    assert (line.actor, line.action, line.target, line.reason) == (
        "jane", "decision.add", "network 203.0.113.0/24", "a bad network",
    )  # fmt: skip


def test_a_decision_by_hand_needs_an_id_of_its_own(store):
    store.decisions.add("shop", decision("a"), "jane", NOW)
    with pytest.raises(SentinelError, match="`a` is known already"):
        store.decisions.add("shop", decision("a", "id:2"), "jane", NOW)


def test_the_list_is_filtered_and_paged_newest_first(store):
    made = [decision(f"d{n}", f"id:{n % 3}", made=NOW + n // 2, playbook=f"p{n % 2}") for n in range(10)]
    put(store, batch(decisions=tuple(made)))
    wanted = sorted(made, key=lambda one: (one.made, one.id), reverse=True)
    found, cursor = [], None
    while True:
        page = store.decisions.list("shop", limit=3, cursor=cursor)
        found += [kept.decision for kept in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == wanted
    ids = [kept.decision.id for kept in store.decisions.list("shop", value="id:1", playbook="p0").items]
    assert ids == ["d4"]


def test_the_list_says_what_is_in_force(store):
    put(store, batch(decisions=(decision("a", until=NOW + 1), decision("b"), decision("c"))))
    store.decisions.lift("shop", "c", "jane", "", NOW)
    assert [kept.decision.id for kept in store.decisions.list("shop", now=NOW + 1).items] == ["b"]
    assert len(store.decisions.list("shop").items) == 3


def test_another_lists_cursor_is_refused(store):
    with pytest.raises(SentinelError, match="`cursor`"):
        store.decisions.list("shop", cursor="bm9uZQ")


def test_a_decision_on_a_person_reaches_every_linked_key(store):
    put(store, batch(decisions=(decision("a", "id:1"), decision("b", pair("id:1", "203.0.113.9"), scope="user+ip"))))
    link(store, "shop", "id:1", "email:x@example.com")
    values = {one.value for one in everything(store, "shop", NOW).values()}
    assert values == {
        "id:1", "email:x@example.com", pair("id:1", "203.0.113.9"), pair("email:x@example.com", "203.0.113.9"),
    }  # fmt: skip
    put(store, batch(decisions=(decision("c", "email:x@example.com", kind="challenge"),)))
    delta = store.decisions.delta("shop", store.decisions.revision("shop") - 1, NOW)
    assert {one.value for one in delta.added} == {"id:1", "email:x@example.com"}
    assert len(store.decisions.list("shop").items) == 3


def test_lifting_a_decision_lifts_it_for_every_linked_key(store):
    link(store, "shop", "id:1", "email:x@example.com")
    put(store, batch(decisions=(decision("a", "id:1"),)))
    before = store.decisions.revision("shop")
    store.decisions.lift("shop", "a", "jane", "", NOW)
    assert everything(store, "shop", NOW) == {}
    assert len(store.decisions.delta("shop", before, NOW).removed) == 2


def test_what_a_refused_person_quotes_is_found_and_lifted_whichever_key_it_was_refused_by(store):
    link(store, "shop", "id:1", "email:x@example.com")
    put(store, batch(decisions=(decision("a", "id:1"),)))
    repeats = set(everything(store, "shop", NOW)) - {"a"}
    assert len(repeats) == 1
    (quoted,) = repeats
    assert store.decisions.get("shop", quoted) == store.decisions.get("shop", "a")
    assert store.decisions.get("other", quoted) is None
    store.decisions.lift("shop", quoted, "jane", "on the phone", NOW)
    assert everything(store, "shop", NOW) == {}
    assert store.decisions.get("shop", "a").lifted_by == "jane"


def test_cutting_a_link_ends_what_came_over_it_and_nothing_else(store):
    link(store, "shop", "id:1", "email:x@example.com")
    put(store, batch(decisions=(decision("a", "id:1"), decision("b", "email:x@example.com"))))
    assert len(everything(store, "shop", NOW)) == 4
    store.people.cut("shop", "email:x@example.com", "jane", NOW)
    assert everything(store, "shop", NOW) == {"a": decision("a", "id:1"), "b": decision("b", "email:x@example.com")}


def test_old_rows_go_and_whoever_may_have_missed_a_removal_starts_anew(store):
    put(store, batch(decisions=(decision("a"), decision("b", until=NOW + 1))))
    put(store, batch(decisions=(decision("c"),)))
    store.decisions.lift("shop", "a", "jane", "", NOW)
    assert store.decisions.expire(NOW + HOUR, HOUR - 1) == 2
    assert store.decisions.delta("shop", 2, NOW).reset
    assert store.decisions.delta("shop", 3, NOW) == Delta(3)
    assert list(everything(store, "shop", NOW)) == ["c"]


KEYS = ("id:1", "id:2", "email:a", "email:b")
CHANGES = st.one_of(
    st.tuples(st.just("decide"), st.sampled_from(KEYS), st.integers(0, 4), st.sampled_from([None, 2, 5])),
    st.tuples(st.just("lift"), st.integers(0, 20)),
    st.tuples(st.just("retract"), st.integers(0, 4)),
    st.tuples(st.just("mark"), st.integers(0, 4)),
    st.tuples(st.just("link"), st.sampled_from(KEYS), st.sampled_from(KEYS)),
    st.tuples(st.just("cut"), st.sampled_from(KEYS)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("follow"), st.integers(0, 1)),
)


@given(st.lists(CHANGES, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_followers_hold_what_a_newcomer_is_given(store, changes):
    """Whatever changes the list, and whenever each of two followers asks."""
    app, followers, decided = fresh_app(store), (Follower(), Follower()), []
    for step, (what, *how) in enumerate(changes):
        now = NOW + step
        if what == "decide":
            made = decision(f"d{step}", how[0], None if how[2] is None else now + how[2], finding=f"f{how[1]}")
            put(store, batch(app, now, findings=(finding(f"f{how[1]}"),), decisions=(made,)))
            decided.append(made.id)
        elif what == "lift" and decided:
            store.decisions.lift(app, decided[how[0] % len(decided)], "jane", "", now)
        elif what == "retract":
            put(store, batch(app, now, retracted=(f"f{how[0]}",)))
        elif what == "mark":
            store.findings.mark(app, f"f{how[0]}", "false-positive", "jane", now, lift=True)
        elif what == "link" and how[0] != how[1]:
            link(store, app, *how)
        elif what == "cut":
            person = store.people.get(app, how[0])
            if person and person.key != how[0]:
                store.people.cut(app, how[0], "jane", now)
        elif what == "expire":
            store.decisions.expire(now, 3)
        elif what == "follow":
            one = followers[how[0]]
            one.follow(store.decisions.delta(app, one.revision, now))
        everyone = everything(store, app, now)
        assert all(one.in_force(now) for one in everyone.values())
        for one in followers:
            late = Follower()
            late.held, late.revision = dict(one.held), one.revision
            late.follow(store.decisions.delta(app, one.revision, now))
            assert late.in_force(now) == everyone


DONE = st.one_of(
    st.tuples(st.just("decide"), st.sampled_from(KEYS), st.sampled_from(["block", "challenge"]), st.booleans()),
    st.tuples(st.just("by hand"), st.sampled_from(KEYS), st.sampled_from(["block", "allow"]), st.booleans()),
    st.tuples(st.just("lift"), st.integers(0, 9)),
    st.tuples(st.just("link"), st.sampled_from(KEYS), st.sampled_from(KEYS)),
    st.tuples(st.just("cut"), st.sampled_from(KEYS)),
)


@given(st.lists(DONE, max_size=10))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_sdk_tells_each_key_of_a_person_what_the_persons_page_says(store, changes):
    app, decided = fresh_app(store), []
    for step, (what, *how) in enumerate(changes):
        if what in ("decide", "by hand"):
            made = decision(f"d{step}", how[0], NOW + 5 if how[2] else None, kind=how[1])
            decided.append(made.id)
            if what == "decide":
                put(store, batch(app, NOW, decisions=(made,)))
            else:
                store.decisions.add(app, replace(made, playbook=None, by="jane"), "jane", NOW)
        elif what == "lift" and decided:
            store.decisions.lift(app, decided[how[0] % len(decided)], "jane", "", NOW)
        elif what == "link" and how[0] != how[1]:
            link(store, app, *how)
        elif what == "cut" and (person := store.people.get(app, how[0])) and person.key != how[0]:
            store.people.cut(app, how[0], "jane", NOW)
    for now in (NOW, NOW + 5):
        held = Decisions(b"salt").apply(store.decisions.delta(app, 0, now))
        told = {key: held.match(Subject((key,)), now).kind for key in KEYS}
        assert told == {key: shown(store, app, key, now) for key in KEYS}


def shown(store, app, key, now):
    """Return how the page of a key's person says that they are met."""
    who = about.known_person(store, app, key)
    first, *_ = [*about.standing(about.on_person(store, app, who.identifiers, now), now), None]
    return first.decision.kind if first is not None else "allow"
