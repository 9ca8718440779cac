"""Accounts and sessions: what is kept, what ends them, and that somebody is always left to administer the server."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest

from sentinel.core.errors import Conflict, SentinelError, StoreBusy
from sentinel.core.record import EVERY_APP, Account, Draft, account_link
from sentinel.service import about
from sentinel.store import accounts as kept_accounts
from sentinel.store.accounts import MOST_SESSIONS
from tests.contract.values import NOW, decision, fresh_app, make_link

HOUR = 3_600_000_000
ANA = Account("a1", "ana", "admin", made=NOW, by="jane")
BOB = Account("b2", "bob", "viewer", ("blog", "shop"), NOW, "jane")


@pytest.fixture
def accounts(store):
    for account in (BOB, ANA):
        store.accounts.invite(account, NOW + HOUR, "jane", NOW)
    return store.accounts


def test_an_account_comes_back_as_it_was_invited(backend):
    backend.store.accounts.invite(BOB, NOW + HOUR, "jane", NOW)
    assert backend.store.accounts.named("bob") == (BOB, None)
    backend.store.accounts.set_password("b2", "$hash", "bob", NOW)
    store = backend.reopen()
    account, hash = store.accounts.named("bob")
    assert (account.apps, account.ready, hash) == (("blog", "shop"), True, "$hash")
    assert store.accounts.get("b2") == account
    assert store.accounts.get("nobody") is None
    assert store.accounts.named("nobody") is None


def test_accounts_are_listed_by_name_and_changed_in_place(accounts):
    accounts.set_password("b2", "$hash", "bob", NOW)
    accounts.change("b2", "jane", NOW + 1, role="analyst", apps=("shop",))
    assert [one.name for one in accounts.list()] == ["ana", "bob"]
    account, hash = accounts.named("bob")
    assert (account.role, account.apps, hash) == ("analyst", ("shop",), "$hash")


def test_a_change_leaves_what_it_does_not_name(store, accounts):
    accounts.set_password("b2", "$hash", "bob", NOW)
    assert accounts.change("b2", "jane", NOW + 1, role="analyst") == replace(BOB, role="analyst", ready=True)
    changed = accounts.change("b2", "jane", NOW + 2, apps=("blog",))
    assert changed == replace(BOB, role="analyst", apps=("blog",), ready=True) == accounts.get("b2")
    assert accounts.named("bob")[1] == "$hash"
    assert store.audit.list(None).items[0].detail == {"role": "analyst", "apps": ["blog"]}


def test_a_change_makes_no_account_that_was_removed(accounts):
    assert accounts.remove("b2", "jane", NOW)
    assert accounts.change("b2", "jane", NOW, role="admin") is None
    assert [one.name for one in accounts.list()] == ["ana"]


def test_nobody_is_changed_who_alone_administers_the_server(accounts):
    accounts.set_password("a1", "$hash", "ana", NOW)
    for change in ({"role": "viewer"}, {"apps": ("shop",)}):
        with pytest.raises(SentinelError, match="nobody would be left"):
            accounts.change("a1", "jane", NOW, **change)
    assert accounts.get("a1").server


def test_a_name_is_one_accounts(accounts):
    with pytest.raises(SentinelError, match="there is an account `ana` already"):
        accounts.invite(Account("c3", "ana", "viewer", made=NOW), NOW + HOUR, "jane", NOW)
    assert len(accounts.list()) == 2


@pytest.mark.parametrize("how", ["invite", "reset"])
def test_an_account_and_its_link_are_made_together_or_neither_is(store, accounts, monkeypatch, how):
    """Where the disk was full in between, there was an account, or one without a password, that nobody could open."""
    cleo = Account("c3", "cleo", "viewer", made=NOW)
    accounts.set_password("b2", "$hash", "bob", NOW)
    acts = {
        "invite": lambda: accounts.invite(cleo, NOW + HOUR, "jane", NOW),
        "reset": lambda: accounts.reset("b2", NOW + HOUR, "jane", NOW)[1],
    }
    with monkeypatch.context() as patched, pytest.raises(StoreBusy):
        patched.setattr(kept_accounts, "add_link", Mock(side_effect=StoreBusy("the disk is full")))
        acts[how]()
    assert [one.name for one in accounts.list()] == ["ana", "bob"]
    assert accounts.named("bob")[1] == "$hash"
    whose = "c3" if how == "invite" else "b2"
    assert store.access.good_link(account_link(whose), acts[how](), NOW)
    assert not accounts.get(whose).ready


def test_a_session_is_its_accounts_until_it_is_over(accounts):
    token = accounts.begin("b2", None, NOW + 12 * HOUR, NOW)
    found = accounts.session(token, NOW + HOUR, 2 * HOUR)
    assert (found.account.id, found.made, found.seen, found.until) == ("b2", NOW, NOW, NOW + 12 * HOUR)
    assert found.account.seen == NOW
    assert accounts.session(token, NOW + 2 * HOUR, 2 * HOUR) is None
    accounts.touch(token, NOW + HOUR)
    assert accounts.session(token, NOW + 2 * HOUR, 2 * HOUR).seen == NOW + HOUR
    accounts.touch(token, NOW + 12 * HOUR)
    assert accounts.session(token, NOW + 12 * HOUR, 2 * HOUR) is None
    assert accounts.session("nobody's", NOW, HOUR) is None
    assert accounts.session("\ud800", NOW, HOUR) is None


def test_an_ended_session_is_over_and_only_that_one(accounts):
    first, second = (accounts.begin("b2", None, NOW + 12 * HOUR, NOW) for _ in range(2))
    assert accounts.end(first, "account:bob", NOW) is True
    assert accounts.end(first, "account:bob", NOW) is False
    assert accounts.session(first, NOW, HOUR) is None
    assert accounts.session(second, NOW, HOUR) is not None


def test_a_password_that_is_another_by_now_begins_no_session_and_is_not_replaced(accounts):
    accounts.set_password("b2", "$one", "bob", NOW)
    assert accounts.begin("b2", "$other", NOW + HOUR, NOW) is None
    assert accounts.begin("b2", None, NOW + HOUR, NOW) is None
    assert accounts.begin("nobody", None, NOW + HOUR, NOW) is None
    assert accounts.set_password("b2", "$mine", "bob", NOW, old="$other") is False
    assert accounts.set_password("b2", "$mine", "bob", NOW) is False
    token = accounts.begin("b2", "$one", NOW + HOUR, NOW)
    assert accounts.session(token, NOW, HOUR).account.id == "b2"
    assert accounts.set_password("b2", "$two", "bob", NOW, old="$one") is True
    assert accounts.named("bob")[1] == "$two"


def test_an_account_has_so_many_sessions_and_those_used_longest_ago_end(accounts):
    others = [accounts.begin("a1", None, NOW + HOUR, NOW + at) for at in (0, *range(99, 98 + MOST_SESSIONS))]
    tokens = [accounts.begin("b2", None, NOW + HOUR, NOW + number) for number in range(MOST_SESSIONS)]
    accounts.touch(tokens[0], NOW + MOST_SESSIONS)
    newest = accounts.begin("b2", None, NOW + HOUR, NOW + MOST_SESSIONS + 1)
    over = [token for token in [*others, *tokens, newest] if accounts.session(token, NOW + 100, HOUR) is None]
    assert over == [tokens[1]]


@pytest.mark.parametrize("how", ["set_password", "reset", "remove"])
def test_what_shuts_an_account_out_ends_its_sessions_and_links_and_no_others(store, accounts, how):
    mine, other = (accounts.begin(id, None, NOW + 12 * HOUR, NOW) for id in ("b2", "a1"))
    link = make_link(store, account_link("b2"), NOW + HOUR, NOW)
    others = make_link(store, account_link("a1"), NOW + HOUR, NOW)
    acts = {
        "set_password": lambda: accounts.set_password("b2", "$new", "bob", NOW),
        "reset": lambda: accounts.reset("b2", NOW + HOUR, "jane", NOW) is not None,
        "remove": lambda: accounts.remove("b2", "jane", NOW),
    }
    for account in ("a1", "b2"):
        store.drafts.put(account, Draft("new.yaml", "", "", NOW))
    assert acts[how]() is True
    assert accounts.session(mine, NOW, HOUR) is None
    assert accounts.session(other, NOW, HOUR) is not None
    assert store.access.good_link(account_link("b2"), link, NOW) is False
    assert store.access.good_link(account_link("a1"), others, NOW) is True
    accounts.remove("b2", "jane", NOW)
    assert [len(store.drafts.list(account)) for account in ("a1", "b2")] == [1, 0]
    assert acts[how]() is False


def test_a_link_is_used_once_and_no_other_link_of_the_account_after_it(store, accounts):
    links = [make_link(store, account_link("b2"), NOW + HOUR, NOW) for _ in range(2)]
    for purpose, secret, at in (("a1", links[0], NOW), ("b2", f"{links[0]}x", NOW), ("b2", links[0], NOW + HOUR)):
        assert accounts.accept(account_link(purpose), secret, BOB, "$hash", NOW + 9 * HOUR, at) is None
    assert accounts.named("bob") == (BOB, None)
    token = accounts.accept(account_link("b2"), links[0], BOB, "$hash", NOW + 9 * HOUR, NOW + 1)
    assert accounts.session(token, NOW + 1, HOUR).account == replace(BOB, ready=True, seen=NOW + 1)
    for link in links:
        assert accounts.accept(account_link("b2"), link, BOB, "$other", NOW + 9 * HOUR, NOW + 2) is None
    assert accounts.named("bob")[1] == "$hash"
    told = [(line.action, line.actor) for line in store.audit.list(None, limit=3).items]
    assert told == [
        ("session.begin", "account:bob"),
        ("account.password", "account:bob"),
        ("link.use", "one-time link"),
    ]


def test_a_link_that_came_to_nothing_stays_good(store, accounts, monkeypatch):
    """The first administrator's was used up, and nobody could sign in."""
    link, cleo = make_link(store, "setup", NOW + HOUR, NOW), Account("c3", "cleo", "admin", made=NOW)

    def accept(account):
        return accounts.accept("setup", link, account, "$hash", NOW + HOUR, NOW)

    with pytest.raises(Conflict, match="there is an account `ana` already"):
        accept(replace(cleo, name="ana"))
    with monkeypatch.context() as patched, pytest.raises(StoreBusy):
        patched.setattr(kept_accounts, "insert", Mock(side_effect=StoreBusy("the disk is full")))
        accept(cleo)
    assert [one.name for one in accounts.list()] == ["ana", "bob"]
    token = accept(cleo)
    assert accounts.session(token, NOW, HOUR).account == replace(cleo, ready=True, seen=NOW)
    assert accept(replace(cleo, id="d4", name="dan")) is None


def test_a_password_is_hashed_again_only_where_it_is_still_the_same(accounts):
    accounts.set_password("b2", "$old", "bob", NOW)
    accounts.rehash("b2", "$old", "$better")
    accounts.rehash("b2", "$old", "$worse")
    assert accounts.named("bob")[1] == "$better"


def test_somebody_who_can_sign_in_and_administer_the_server_is_always_left(accounts):
    accounts.set_password("a1", "$hash", "ana", NOW)
    for act in (
        lambda: accounts.remove("a1", "jane", NOW),
        lambda: accounts.change("a1", "jane", NOW, role="analyst"),
        lambda: accounts.change("a1", "jane", NOW, apps=("shop",)),
    ):
        with pytest.raises(SentinelError, match="nobody would be left"):
            act()
    accounts.change("b2", "jane", NOW, role="admin", apps=(EVERY_APP,))
    with pytest.raises(SentinelError, match="nobody would be left"):
        accounts.remove("a1", "jane", NOW)  # bob has no password yet
    accounts.set_password("b2", "$hash", "bob", NOW)
    assert accounts.remove("a1", "jane", NOW) is True


def test_sessions_that_are_over_are_dropped(accounts):
    accounts.begin("b2", None, NOW + HOUR, NOW)
    kept = accounts.begin("b2", None, NOW + 12 * HOUR, NOW + HOUR)
    assert accounts.expire(NOW + HOUR, 2 * HOUR) == 1
    assert accounts.session(kept, NOW + HOUR, 2 * HOUR) is not None
    assert accounts.expire(NOW + 3 * HOUR, 2 * HOUR) == 1


def test_what_becomes_of_accounts_is_audited_without_any_secret(store, accounts):
    token = accounts.begin("b2", None, NOW + HOUR, NOW)
    accounts.set_password("b2", "$hash", "account:bob", NOW)
    accounts.reset("b2", NOW + HOUR, "account:ana", NOW)
    accounts.remove("b2", "account:ana", NOW)
    lines = store.audit.list(None).items
    assert [line.action for line in lines][:4] == [
        "account.remove",
        "account.reset",
        "account.password",
        "session.begin",
    ]
    assert "$hash" not in repr(lines)
    assert token not in repr(lines)


def test_what_is_in_force_is_counted_by_kind(store):
    for id, until in (("a", NOW + HOUR), ("b", None), ("lifted", None)):
        store.decisions.add("shop", replace(decision(id), until=until), "jane", NOW)
    store.decisions.lift("shop", "lifted", "jane", "", NOW)
    store.decisions.add("blog", decision("c"), "jane", NOW)
    kind = decision("a").kind
    assert store.decisions.standing("shop", NOW) == {kind: 2}
    assert store.decisions.standing("shop", NOW + HOUR) == {kind: 1}
    assert store.decisions.standing("nowhere", NOW) == {}


def test_where_people_decided_too_is_the_same_target_the_same_user_and_whatever_lies_in_a_network_they_allow(store):
    """Over and lifted left out, on both sides."""
    app = fresh_app(store)

    def add(id, value, scope="user", **more):
        store.decisions.add(app, replace(decision(id, value), scope=scope, **more), "jane", NOW)

    def contested():
        return {kept.decision.id for kept in about.contested(store, app, NOW + HOUR) if kept.decision.playbook}

    by_hand = {"playbook": None, "by": "jane"}
    add("same", "id:1")
    add("other", "id:2")
    add("paired", '["id:1","203.0.113.9"]', "user+ip")
    add("address", "203.0.113.9", "ip")
    add("elsewhere", "198.51.100.9", "ip")
    add("over", "id:1", until=NOW + HOUR)
    add("ended", "id:2", until=NOW + 1, **by_hand)
    assert contested() == set()
    add("hand", "id:1", **by_hand)
    assert contested() == {"same", "paired"}
    add("allowed", "203.0.113.0/24", "network", kind="allow", **by_hand)
    assert contested() == {"same", "paired", "address"}
    assert set(about.overruling(store, app, about.contested(store, app, NOW + HOUR), NOW + HOUR)) == {"same", "address"}
    for id in ("hand", "allowed"):
        store.decisions.lift(app, id, "jane", "", NOW)
    assert contested() == set()
