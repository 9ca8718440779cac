"""One commit: all of a batch or nothing, and a repeat changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.batch import Batch, Evidence, Label, Note, Outgoing
from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError
from sentinel.core.record import Filter
from tests.contract.values import NOW, batch, decision, event, finding, fresh_app, put


def test_what_was_committed_is_seen_at_once(store):
    answer = put(store, batch(events=(event("a"),), findings=(finding("f"),), decisions=(decision("d"),)))
    assert (answer.revision, answer.changed, answer.opened) == (1, True, ("f",))
    assert store.events.get("shop", "a").event.id == "a"
    assert store.findings.get("shop", "f").finding == finding("f")
    assert store.decisions.get("shop", "d").decision == decision("d")


def test_everything_of_a_batch_is_kept(store):
    put(
        store,
        batch(
            labels=(Label("user", "id:1", "vip"),),
            outbox=(Outgoing("k", "notify", "security", {"text": "hello"}),),
            audit=(Note("playbook:p", "block_ip", "203.0.113.9", "why", {"finding": "f"}),),
        ),
    )
    assert store.labels.of("shop", "user", "id:1", NOW) == ("vip",)
    assert [one.body for one in store.outbox.due(NOW)] == [{"text": "hello"}]
    line = next(one for one in store.audit.list("shop").items if one.action == "block_ip")
    assert (line.actor, line.target, line.reason, line.detail) == ("playbook:p", "203.0.113.9", "why", {"finding": "f"})


def test_a_unit_that_is_left_without_commit_leaves_nothing(store):
    with store.unit() as unit:
        assert unit.claim("shop", [event("a")]) == [True]
    with store.unit() as unit:
        assert unit.claim("shop", [event("a")]) == [True]
    assert store.events.count("shop", Filter()) == 0


def test_a_commit_that_fails_leaves_nothing_of_any_batch(store):
    with pytest.raises(SentinelError, match="no app `nowhere`"), store.unit() as unit:
        unit.claim("shop", [event("a")])
        unit.commit([batch(events=(event("a"),), decisions=(decision("d"),)), Batch("nowhere", NOW)])
    assert store.events.count("shop", Filter()) == 0
    assert store.decisions.delta("shop", 0, NOW).added == ()
    with store.unit() as unit:
        assert unit.claim("shop", [event("a")]) == [True]


def test_an_error_in_the_middle_of_writing_rolls_everything_back(store):
    class Unwritable:
        pass

    with pytest.raises(Exception), store.unit() as unit:  # noqa: B017 - whatever the machine raises
        unit.commit([batch(events=(event("a"),), outbox=(Outgoing("k", "notify", None, {"x": Unwritable()}),))])
    assert store.events.count("shop", Filter()) == 0
    put(store, batch(events=(event("a"),)))
    assert store.events.count("shop", Filter()) == 1


def test_several_batches_go_in_one_commit(store):
    with store.unit() as unit:
        first, second = unit.commit(
            [batch(events=(event("a"),)), batch(app="blog", events=(event("a"),), decisions=(decision("d"),))]
        )
    assert (first.revision, first.changed, second.revision, second.changed) == (0, False, 1, True)
    before, after = (kept.position for app in ("shop", "blog") for kept in store.events.after(app, 0))
    assert before < after
    assert [store.events.count(app, Filter()) for app in ("shop", "blog")] == [1, 1]


def test_whether_there_is_room_is_tried_and_leaves_nothing(store):
    for _ in range(2):
        store.room()
    assert store.events.count("shop", Filter()) == 0


def test_a_position_grows_with_events_and_stays_without(store):
    put(store, batch(events=(event("a"),)))
    first = store.events.position()
    put(store, batch())
    assert store.events.position() == first > 0
    put(store, batch(events=(event("b"),)))
    assert store.events.position() > first


def test_a_repeat_is_known_within_and_after_its_commit(store):
    with store.unit() as unit:
        assert unit.claim("shop", [event("a"), event("b"), event("a")]) == [True, True, False]
        assert unit.claim("shop", [event("b")]) == [False]
        unit.commit([batch(events=(event("a"), event("b")))])
    with store.unit() as unit:
        assert unit.claim("shop", [event("b"), event("c")]) == [False, True]


def test_the_same_id_on_another_day_or_in_another_app_is_another_event(store):
    put(store, batch(events=(event("a", at=NOW),)))
    with store.unit() as unit:
        assert unit.claim("shop", [event("a", at=NOW + DAY)]) == [True]
        assert unit.claim("blog", [event("a", at=NOW)]) == [True]


def test_the_day_is_that_of_the_timestamp_as_sent(store):
    clamped = event("a", at=NOW + 3 * DAY, received=NOW)
    assert clamped.clamped
    put(store, batch(events=(clamped,)))
    with store.unit() as unit:
        assert unit.claim("shop", [event("a", at=NOW + 3 * DAY, received=NOW + 5 * DAY)]) == [False]
        assert unit.claim("shop", [event("a", at=NOW)]) == [True]


def test_events_without_a_timestamp_are_known_by_id_whenever_they_come(store):
    put(store, batch(events=(event("a", at=None, received=NOW),)))
    with store.unit() as unit:
        assert unit.claim("shop", [event("a", at=None, received=NOW + 2 * DAY)]) == [False]


def test_repeats_are_known_after_the_store_was_opened_again(backend):
    put(backend.store, batch(events=(event("a"), event("b", at=None, received=NOW))))
    with backend.reopen().unit() as unit:
        again = [event("a"), event("b", at=None, received=NOW), event("c")]
        assert unit.claim("shop", again) == [False, False, True]


@pytest.mark.parametrize("reopened", [False, True])
def test_a_repeat_is_known_however_many_events_came_since(backend, reopened):
    old = [event(f"old{n}", at=NOW - n * 1_000_000) for n in range(30)]
    odd = event("odd", at=NOW + 2 * DAY, received=NOW)  # clamped: its own time lies elsewhere
    put(backend.store, batch(events=(*old, odd)))
    for lot in range(20):
        put(backend.store, batch(events=tuple(event(f"{lot}.{n}", at=NOW + lot * 10**7 + n) for n in range(40))))
        backend.store.project()
    store = backend.reopen() if reopened else backend.store
    with store.unit() as unit:
        assert unit.claim("shop", [*old, odd]) == [False] * 31
        assert unit.claim("shop", [event("0.0", at=NOW), event("0.0", at=NOW - DAY)]) == [False, True]
        assert unit.claim("shop", [event(f"new{n}", at=NOW - n * 1_000_000) for n in range(30)]) == [True] * 30


@given(
    sent=st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3), st.sampled_from([None, 0, 1, 86_399_999_999])),
        max_size=60,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_identity_is_stored_once_whatever_is_resent(store, sent):
    """In batches of three, ids and days in any order: fresh is what shares app, day and id with nothing before."""
    app, day, seen = fresh_app(store), NOW // DAY * DAY, set()
    for start in range(0, len(sent), 3):
        lot = [
            event(id, at=None if offset is None else day + which * DAY + offset, received=day + 9 * DAY)
            for id, which, offset in sent[start : start + 3]
        ]
        expected = []
        for one in lot:
            of = (one.id, None if one.sent is None else one.sent // DAY)
            expected.append(of not in seen)
            seen.add(of)
        with store.unit() as unit:
            fresh = unit.claim(app, lot)
            unit.commit([batch(app, events=tuple(one for one, new in zip(lot, fresh, strict=True) if new))])
        assert fresh == expected
    assert store.events.count(app, Filter()) == len(seen)


def test_findings_are_upserted_and_what_is_known_of_one_stays(store):
    put(store, batch(findings=(finding("f", title="first"),)))
    store.findings.mark("shop", "f", "confirmed", "jane", NOW, note="seen")
    answer = put(store, batch(findings=(finding("f", title="second"), finding("g", at=NOW + 1))))
    kept = store.findings.get("shop", "f")
    assert (kept.finding.title, kept.status, kept.note) == ("first", "confirmed", "seen")
    assert answer.opened == ("g",)


def test_a_finding_that_acts_takes_the_place_of_the_one_that_did_not(store):
    watched = finding("f", acted=False, mode="monitor")
    put(store, batch(findings=(watched, finding("g", acted=False))))
    store.findings.mark("shop", "f", "confirmed", "jane", NOW, note="seen")
    store.findings.mark("shop", "g", "false-positive", "jane", NOW, lift=True)
    answer = put(store, batch(now=NOW + 9, findings=(finding("f"), finding("g"))))
    kept = store.findings.get("shop", "f")
    assert (kept.finding, kept.opened, kept.status, kept.note) == (finding("f"), NOW + 9, "confirmed", "seen")
    assert store.findings.get("shop", "g").finding.acted is False  # a person has said that it is none
    assert answer.opened == ()
    put(store, batch(now=NOW + 10, findings=(watched,)))
    assert store.findings.get("shop", "f").finding.acted is True


def test_evidence_is_counted_and_its_newest_time_kept(store):
    put(store, batch(findings=(finding("f"),)))
    put(store, batch(evidence=(Evidence("f", 3, NOW + 9), Evidence("unknown", 1, NOW))))
    put(store, batch(evidence=(Evidence("f", 2, NOW + 4),)))
    kept = store.findings.get("shop", "f")
    assert (kept.evidence, kept.last) == (6, NOW + 9)


def test_an_outgoing_row_is_inserted_once_for_each_key(store):
    put(store, batch(outbox=(Outgoing("k", "notify", "a", {"n": 1}),)))
    put(store, batch(outbox=(Outgoing("k", "notify", "b", {"n": 2}), Outgoing("l", "notify", "b", {"n": 3}))))
    put(store, batch(app="blog", outbox=(Outgoing("k", "notify", "a", {"n": 4}),)))
    assert [one.body["n"] for one in store.outbox.due(NOW)] == [1, 3, 4]
