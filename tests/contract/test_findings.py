"""Findings: everything of one comes back, and what people make of it is kept beside it."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Acted, Allowance
from sentinel.store import changes, findings, standing
from sentinel.store import decisions as decisions_room
from tests.contract.values import NOW, batch, decision, finding, fresh_app, link, put


def test_every_field_of_a_finding_comes_back(store):
    odd = finding("odd", group={"user": "id:1", "properties.n": 5, "flag": True, "rate": 0.5}, approximate=True)
    put(store, batch(findings=(odd, finding("bare", at=NOW + 1, effects=(), user=None, ip=None, acted=False))))
    assert store.findings.get("shop", "odd").finding == odd
    assert store.findings.get("shop", "bare").finding.effects == ()


def test_a_new_finding_is_new(store):
    put(store, batch(now=NOW + 5, findings=(finding("f"),)))
    kept = store.findings.get("shop", "f")
    assert (kept.opened, kept.status, kept.note, kept.evidence, kept.last) == (NOW + 5, "new", "", 1, NOW)
    assert (kept.closed, kept.undone, kept.by) == (None, False, None)


def test_one_app_does_not_see_anothers(store):
    put(store, batch(findings=(finding("f"),)))
    assert store.findings.get("blog", "f") is None
    assert store.findings.list("blog").items == ()
    assert store.findings.mark("blog", "f", "closed", "jane", NOW) is None


def test_findings_are_counted_by_playbook_by_status_and_by_steps_of_a_period(store):
    app = fresh_app(store)
    some = [finding(f"f{n}", at=NOW + n, playbook=f"p{n % 2}") for n in range(10)]
    put(store, batch(app, findings=tuple(some)))
    for id in ("f1", "f3", "f4"):
        store.findings.mark(app, id, "false-positive", "jane", NOW)
    assert store.findings.tally(app, NOW + 1, NOW + 9) == {"p0": 4, "p1": 4}
    assert store.findings.tally(app, NOW + 1, NOW + 9, "false-positive") == {"p0": 1, "p1": 2}
    assert store.findings.tally(app, NOW, NOW + 10, "closed") == {}
    assert store.findings.steps(app, "p0", NOW - 3, NOW + 9, 4) == {0: 1, 1: 2, 2: 2}
    assert store.findings.steps(app, "p1", NOW - 9, NOW + 2, 5) == {2: 1}
    assert store.findings.steps("blog", "p0", NOW, NOW + 9, 4) == {}


def test_the_list_is_filtered_and_paged_by_the_anchors_time(store):
    made = [
        finding(
            f"f{n}",
            at=NOW + n // 2,
            playbook=f"p{n % 2}",
            user=f"id:{n % 3}",
            ip=f"203.0.113.{n}",
            severity={1: "medium", 3: "critical"}.get(n, "high"),
        )
        for n in range(10)
    ]
    put(store, batch(findings=tuple(made)))
    store.findings.mark("shop", "f4", "confirmed", "jane", NOW)
    found, cursor = [], None
    while True:
        page = store.findings.list("shop", limit=4, cursor=cursor)
        found += [kept.finding for kept in page.items]
        if (cursor := page.cursor) is None:
            break
    assert found == sorted(made, key=lambda one: (one.at, one.id), reverse=True)

    def ids(**wanted):
        return [kept.finding.id for kept in store.findings.list("shop", **wanted).items]

    assert ids(playbook="p0", user="id:0") == ["f6", "f0"]
    assert ids(status="confirmed") == ["f4"]
    assert ids(ip="203.0.113.7") == ["f7"]
    assert ids(severity="critical") == ["f3"]
    assert ids(severity="high", until=NOW + 2) == ["f3", "f2", "f0"]
    assert ids(severity="medium", until=NOW + 1) == ["f1", "f0"]
    assert ids(since=NOW + 4) == ["f9", "f8"]
    assert ids(since=NOW + 1, until=NOW + 2) == ["f3", "f2"]


def test_a_list_says_how_many_there_are_on_all_pages_up_to_a_thousand(store):
    put(store, batch(findings=tuple(finding(f"f{n:04}", at=NOW + n, playbook=f"p{n // 1000}") for n in range(1001))))
    first = store.findings.list("shop", playbook="p0", limit=600, counted=True)
    later = store.findings.list("shop", playbook="p0", limit=600, cursor=first.cursor, counted=True)
    assert (len(first.items), len(later.items), first.total, later.total) == (600, 400, 1000, 1000)
    assert store.findings.list("shop", counted=True).total is None
    assert store.findings.list("shop", playbook="p1").total == 1  # all of it is on the page
    assert store.findings.list("shop", playbook="p0").total is None  # nobody asked
    assert store.findings.list("blog", counted=True).total == 0


def test_marking_keeps_who_and_why_and_closes(store):
    put(store, batch(findings=(finding("f"),), decisions=(decision("d", finding="f"),)))
    assert store.findings.mark("shop", "f", "closed", "jane", NOW + 3, note="done") == 1
    kept = store.findings.get("shop", "f")
    assert (kept.status, kept.note, kept.closed, kept.by, kept.undone) == ("closed", "done", NOW + 3, "jane", False)
    assert store.findings.mark("shop", "f", "confirmed", "joe", NOW + 4) == 1
    kept = store.findings.get("shop", "f")
    assert (kept.status, kept.note, kept.closed) == ("confirmed", "done", None)
    assert [line.actor for line in store.audit.list("shop").items[:2]] == ["joe", "jane"]


def test_a_false_positive_can_lift_its_decisions_for_good(store):
    put(store, batch(findings=(finding("f"),), decisions=(decision("d", finding="f"), decision("other"))))
    assert store.findings.mark("shop", "f", "false-positive", "jane", NOW, lift=True) == 2
    put(store, batch(decisions=(decision("e", "id:2", finding="f"),)))
    assert [one.id for one in store.decisions.delta("shop", 0, NOW).added] == ["other"]


def test_a_false_positive_and_its_exceptions_are_one_transaction(backend, monkeypatch):
    """Where the disk was full in between, a finding was marked whose users the next one blocked all the same."""
    store = backend.store
    link(store, "shop", "id:1", "email:a@b.c")
    blocked = (decision("d", finding="f"), decision("e", "203.0.113.9", scope="ip"), decision("other", "id:2"))
    put(store, batch(findings=(finding("f"),), decisions=(*blocked, decision("hand", playbook=None, by="joe"))))
    user, office = (
        Allowance("u", "user", "email:a@b.c", "y", NOW),
        Allowance("o", "network", "203.0.113.0/24", "y", NOW),
    )

    def pardon():
        return store.findings.mark("shop", "f", "false-positive", "jane", NOW, "y", lift=True, allow=(user, office))

    before = store.findings.get("shop", "f"), store.decisions.delta("shop", 0, NOW)
    for room in (changes, decisions_room, standing):
        with monkeypatch.context() as patched, pytest.raises(StoreBusy):
            if room is changes:
                patched.setattr(changes, "lift", Mock(side_effect=StoreBusy("the disk is full")))
            else:
                patched.setattr(room, "note", Mock(side_effect=StoreBusy("the disk is full")))
            pardon()
        assert (store.findings.get("shop", "f"), store.decisions.delta("shop", 0, NOW)) == before
        assert store.allow.list("shop") == []
    revision = store.decisions.revision("shop")
    assert pardon() == store.decisions.revision("shop") == revision + 1
    for one in backend.twice():
        assert one.findings.get("shop", "f").status == "false-positive"
        assert one.allow.list("shop") == [office, user]
        assert {kept.id for kept in one.decisions.delta("shop", 0, NOW).added if not kept.manual} == {"other"}
        assert one.decisions.get("shop", "hand").lifted is None


def test_what_is_decided_while_an_allowance_is_made_ends_with_the_rest(store, monkeypatch):
    """What was decided before is found without anybody waiting for it; meanwhile more may be decided."""
    put(store, batch(decisions=(decision("before"),)))
    asked = store.allow.concerned

    def meanwhile(*args):
        found = asked(*args)
        put(store, batch(decisions=(decision("meanwhile"), decision("other", "id:2"))))
        return found

    monkeypatch.setattr(store.allow, "concerned", meanwhile)
    assert store.allow.add("shop", Allowance("a", "user", "id:1", "known", NOW), "jane", NOW, lift=True)
    assert [one.id for one in store.decisions.delta("shop", 0, NOW).added] == ["other"]


def test_of_a_finding_that_is_gone_nobody_is_excepted(store):
    allow = [Allowance("a", "user", "id:1", "known", NOW)]
    assert store.findings.mark("shop", "gone", "false-positive", "jane", NOW, lift=True, allow=allow) is None
    assert store.allow.list("shop") == []


def test_a_finding_without_decisions_that_is_undone_decides_nothing_later(store):
    put(store, batch(findings=(finding("f"),)))
    store.findings.mark("shop", "f", "false-positive", "jane", NOW, lift=True)
    assert put(store, batch(decisions=(decision("d", finding="f"),))).changed is False


def test_a_status_that_is_none_is_refused(store):
    put(store, batch(findings=(finding("f"),)))
    with pytest.raises(SentinelError, match="`status`: `wrong`"):
        store.findings.mark("shop", "f", "wrong", "jane", NOW)


def test_a_retracted_finding_decides_nothing_any_more(store):
    put(store, batch(findings=(finding("f"),), decisions=(decision("d", finding="f"),)))
    answer = put(store, batch(now=NOW + 5, retracted=("f", "unknown")))
    kept = store.findings.get("shop", "f")
    assert (answer.changed, kept.status, kept.closed) == (True, "retracted", NOW + 5)
    assert store.decisions.delta("shop", 1, NOW).removed == ("d",)
    assert put(store, batch(decisions=(decision("e", finding="f"),))).changed is False


def test_what_was_taken_back_and_comes_up_again_is_new_and_decides_again(store):
    app = fresh_app(store)
    link(store, app, "id:1", "email:a@b.c")
    made = batch(app, findings=(finding("f"),), decisions=(decision("d", finding="f", until=NOW + 100),))
    revision = put(store, made).revision
    put(store, batch(app, now=NOW + 5, retracted=("f",)))
    later = decision("d", finding="f", until=NOW + 200)
    assert put(store, batch(app, now=NOW + 9, findings=(finding("f"),), decisions=(later,))).changed
    kept = store.findings.get(app, "f")
    assert (kept.status, kept.closed, kept.undone, kept.opened) == ("new", None, False, NOW + 9)
    delta = store.decisions.delta(app, revision, NOW + 9)
    assert sorted((one.value, one.until) for one in delta.added) == [("email:a@b.c", NOW + 200), ("id:1", NOW + 200)]
    assert put(store, batch(app, now=NOW + 10, retracted=("f",))).changed
    assert len(store.decisions.delta(app, revision, NOW + 10).removed) == 2


def test_what_a_person_has_lifted_decides_no_more_though_its_finding_comes_up_again(store):
    made = batch(findings=(finding("f"),), decisions=(decision("d", finding="f"),))
    put(store, made)
    store.decisions.lift("shop", "d", "jane", "a customer", NOW + 1)
    put(store, batch(now=NOW + 5, retracted=("f",)))
    assert put(store, made).changed is False
    assert store.findings.get("shop", "f").status == "retracted"


def test_findings_since_a_time_come_oldest_first(store):
    made = [finding(f"f{n}", at=NOW + n % 5) for n in range(12)]
    put(store, batch(findings=tuple(made)))
    wanted = sorted((one for one in made if one.at >= NOW + 2), key=lambda one: (one.at, one.id))
    assert [kept.finding for kept in store.findings.since("shop", NOW + 2)] == wanted


def test_only_what_was_carried_out_counts_as_acted(store):
    put(store, batch(now=NOW + 9, findings=(finding("f"),)))
    put(store, batch(now=NOW + 7, findings=(finding("g", at=NOW + 1, acted=False),)))
    put(store, batch(now=NOW + 8, findings=(finding("h", at=NOW + 2),)))
    acts = [Acted("p", "block_user", "id:1", NOW + 8, "h"), Acted("p", "block_user", "id:1", NOW + 9, "f")]
    assert list(store.findings.acted("shop", NOW)) == acts
    assert list(store.findings.acted("shop", NOW + 9)) == acts[1:]


def test_of_findings_since_a_time_each_is_given_once_however_many_are_read_at_a_time(store, monkeypatch):
    monkeypatch.setattr(findings, "_LOT", 2)
    app = fresh_app(store)
    put(store, batch(app, findings=tuple(finding(name, at=NOW + at // 3) for at, name in enumerate("abcdef"))))
    for since, names in ((NOW, "abcdef"), (NOW + 1, "def"), (NOW + 2, "")):
        assert [kept.finding.id for kept in store.findings.since(app, since)] == [*names]
    assert [act.finding for act in store.findings.acted(app, NOW)] == [*"abcdef"]
