"""What keeps a server in shape: each function does its work, again and again, and no more than its work."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from sentinel.core.batch import Batch, Label, Note, Outgoing
from sentinel.core.decision import Decision
from sentinel.core.duration import DAY, HOUR
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.event import read
from sentinel.core.finding import Finding
from sentinel.core.record import App, Filter
from sentinel.service import upkeep
from sentinel.service.accounts import Accounts
from sentinel.service.setup import APP, first_start
from sentinel.service.switch import Switch
from sentinel.store import keeping
from sentinel.store.embedded.store import open_store
from tests.prepared import prepared

NOW = 1_795_210_200_000_000


@pytest.fixture
def store(tmp_path):
    store = open_store(prepared(tmp_path / "data"))
    for app in ("one", "two"):
        store.access.add_app(App(app), "test", 1)
    yield store
    store.close()


def keep(store, app, *ages, **more):
    """Store events of such ages, and whatever else a commit takes."""
    events = tuple(read({"event": "x", "id": str(age), "timestamp": (NOW - age) / 1_000_000}) for age in ages)
    with store.unit() as unit:
        unit.claim(app, events)
        unit.commit([Batch(app, NOW, events=events, **more)])


def ids(store, app):
    return [kept.event.id for kept in store.events.search(app, Filter()).items]


def test_projecting_takes_all_that_came_in_within_bounds(store):
    keep(store, "one", 1, 2, 3)
    assert upkeep.project(store) == 3
    assert upkeep.project(store) == 0
    assert store.health().pending == 0


def test_what_comes_in_during_a_lump_that_is_not_large_waits_for_the_next_call():
    """Else a busy server makes ever more small lumps, each of which costs as much as thousands of events."""
    busy = Mock(project=Mock(side_effect=[20_000, 6_000, 500]))
    assert upkeep.project(busy) == 26_000


def test_events_go_when_their_app_no_longer_keeps_them(store):
    store.access.change_app("one", {"retention": 2 * DAY}, "test", 1)
    for app in ("one", "two"):
        keep(store, app, HOUR, DAY, 3 * DAY, 9 * DAY)
    upkeep.project(store)
    assert upkeep.retain(store, NOW, 5 * DAY) == 3
    assert (len(ids(store, "one")), len(ids(store, "two"))) == (2, 3)
    assert upkeep.retain(store, NOW, 5 * DAY) == 0


def test_without_a_retention_events_stay(store):
    keep(store, "one", 9000 * DAY)
    upkeep.project(store)
    assert upkeep.retain(store, NOW, None) == 0
    assert len(ids(store, "one")) == 1


def test_what_is_long_over_is_dropped_and_what_is_not_stays(store):
    def decision(id, until):
        return Decision(id, "block", "ip", "203.0.113.9", made=NOW - 9 * DAY, until=until, reason="x")

    for id, until in (("over", NOW - 2 * DAY), ("just", NOW - HOUR), ("force", NOW + HOUR), ("ever", None)):
        store.decisions.add("one", decision(id, until), "test", NOW - 9 * DAY)
    labels = (Label("ip", "203.0.113.9", "old", NOW - 1), Label("ip", "203.0.113.9", "new", NOW + 1))
    keep(store, "one", labels=labels, outbox=(Outgoing("a", "notify", None, {}), Outgoing("b", "notify", None, {})))
    (sent, _) = store.outbox.due(NOW)
    store.outbox.done(sent.id, NOW - 31 * DAY)
    assert upkeep.expire(store, NOW, upkeep.Keep(DAY)) == 3
    assert {kept.decision.id for kept in store.decisions.list("one").items} == {"just", "force", "ever"}
    assert store.labels.of("one", "ip", "203.0.113.9", NOW - 2) == ("new",)
    assert len(store.outbox.list("one").items) == 1
    assert upkeep.expire(store, NOW, upkeep.Keep(DAY)) == 0


class TestSwitch:
    def test_everything_is_on_until_somebody_turns_it_off(self, store):
        switch = Switch(store)
        assert switch.on("one") and switch.state(None) and switch.state("one")

    def test_an_apps_switch_is_its_own(self, store):
        switch = Switch(store)
        switch.turn("one", False, "somebody", "a drill", NOW)
        assert (switch.on("one"), switch.on("two")) == (False, True)
        switch.turn("one", True, "somebody", "over", NOW)
        assert switch.on("one")

    def test_the_servers_switch_is_everybodys(self, store):
        switch = Switch(store)
        switch.turn(None, False, "somebody", "a drill", NOW)
        assert (switch.on("one"), switch.on("two"), switch.state("one")) == (False, False, True)

    def test_it_is_remembered_and_another_process_sees_it(self, store):
        switch, other = Switch(store), Switch(store)
        switch.turn("one", False, "somebody", "a drill", NOW)
        assert not Switch(store).on("one")
        assert other.on("one")
        other.refresh()
        assert not other.on("one")

    def test_who_turned_it_and_why_is_in_the_audit(self, store):
        Switch(store).turn("one", False, "somebody", "a drill", NOW)
        line, *_ = store.audit.list("one").items
        assert (line.action, line.actor, line.target, line.reason) == ("enforcement.off", "somebody", "one", "a drill")

    def test_it_is_turned_with_its_line_in_the_audit_or_not_at_all(self, store, monkeypatch):
        switch = Switch(store)
        with monkeypatch.context() as patched, pytest.raises(StoreBusy):
            patched.setattr(keeping, "note", Mock(side_effect=StoreBusy("the disk is full")))
            switch.turn("one", False, "somebody", "a drill", NOW)
        assert switch.on("one") and Switch(store).on("one")


class TestFirstStart:
    def test_it_makes_an_app_a_key_and_a_link_that_works_once_within_an_hour(self, store):
        first = first_start(store, NOW)
        key = store.access.key(first.key)
        assert (key.app, key.scope) == (APP, "sdk")
        accounts = Accounts(store, lambda: now)
        now = NOW + HOUR
        with pytest.raises(SentinelError, match="used up, over or not complete"):
            accounts.accept(first.link, "ana", "four quiet words here")
        now -= 1
        assert accounts.accept(first.link, "ana", "four quiet words here")
        with pytest.raises(SentinelError, match="used up, over or not complete"):
            accounts.accept(first.link, "eve", "four quiet words here")

    def test_it_happens_once(self, store):
        first_start(store, NOW)
        assert first_start(store, NOW) is None
        assert len(store.access.keys(APP)) == 1


def finding(id, at, **more):
    known = {
        "playbook": "p", "version": "1", "severity": "high", "mode": "enforce", "key": id, "group": {"user": "id:1"},
        "event_id": f"e{id}", "tally": {"count": 3}, "threshold": {"count": ">= 3"}, "title": "A title",
    }  # fmt: skip
    return Finding(id=id, at=at, **known | more)


def commit(store, app, at, **parts):
    with store.unit() as unit:
        unit.commit([Batch(app, at, **parts)])


def test_findings_go_when_they_are_old_and_nothing_rests_on_them(store):
    lasting = Decision(id="d", kind="block", scope="user", value="id:1", made=NOW, playbook="p", finding="rested")
    old = NOW - 100 * DAY
    commit(store, "one", old, findings=(finding("old", old), finding("rested", old)), decisions=(lasting,))
    commit(store, "two", NOW - DAY, findings=(finding("young", NOW - DAY), finding("late", old)))
    keep = upkeep.Keep(DAY, findings=90 * DAY)
    assert upkeep.expire(store, NOW, keep) == 1
    assert [store.findings.get("one", id) is None for id in ("old", "rested")] == [True, False]
    assert [store.findings.get("two", id) is None for id in ("young", "late")] == [False, False]
    assert upkeep.expire(store, NOW, keep) == 0


def test_the_audit_is_kept_as_long_as_told_and_says_what_went(store):
    store.audit.write("one", Note("ann", "old", "x"), NOW - 100 * DAY)
    store.audit.write("one", Note("ann", "young", "x"), NOW - DAY)
    upkeep.expire(store, NOW, upkeep.Keep(DAY))
    assert len(store.audit.list("one").items) >= 2
    upkeep.expire(store, NOW, upkeep.Keep(DAY, audit=90 * DAY))
    assert [line.action for line in store.audit.list("one").items if line.at > 1] == ["young"]
    (said,) = [line for line in store.audit.list(None).items if line.action == "audit.expire"]
    assert said.detail["lines"] >= 1 and said.actor == "sentinel"


def test_deliveries_go_when_they_were_made_or_given_up_long_ago(store):
    commit(store, "one", NOW - 40 * DAY, outbox=tuple(Outgoing(key, "notify", None, {}, None) for key in "abc"))
    ids = {one.key: one.id for one in store.outbox.due(NOW)}
    store.outbox.done(ids["a"], NOW - 40 * DAY)
    store.outbox.failed(ids["b"], "gone", None)
    assert upkeep.expire(store, NOW, upkeep.Keep(DAY, deliveries=50 * DAY)) == 0
    assert upkeep.expire(store, NOW, upkeep.Keep(DAY)) == 2
    assert [one.key for one in store.outbox.list("one").items] == ["c"], "what is still to be delivered stays"
