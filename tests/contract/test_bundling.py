"""What comes above a channel's bound is folded into one message, and nothing is lost or told twice by that."""

from __future__ import annotations

from sentinel.core.batch import Outgoing
from sentinel.core.bundle import Bound, Lane, Settled
from sentinel.core.duration import MINUTE
from sentinel.store.changes import LOT
from tests.contract.values import NOW, batch, finding, put

TWO = Bound(2, 10 * MINUTE)
USUAL = Lane("shop", "chat", "usual")


def told(name, **fields):
    return {
        "id": name, "playbook": "p", "title": "P", "severity": "high", "at": "2026-01-05T00:00:00Z", "acted": True,
        "group": {"ip": name}, "user": None, "ip": name, **fields,
    }  # fmt: skip


def send(store, *names, lane=USUAL, now=NOW):
    rows = tuple(Outgoing(name, "notify", lane.channel, told(name), name, lane.name) for name in names)
    put(store, batch(lane.app, now, outbox=rows))


def due(store, now=NOW):
    return [one.key for one in store.outbox.due(now, 2000)]


def bundled(store, app="shop"):
    """Return how many findings each bundle says it has, and the keys of the deliveries that are in it."""
    kept = store.outbox.list(app, limit=1000).items
    bundles = {one.id: one for one in kept if one.kind == "bundle"}
    members = {id: [one.key for one in kept if one.bundle == id] for id in bundles}
    return {one.key: (one.body["findings"], sorted(members[id])) for id, one in bundles.items()}


def test_what_is_in_a_lane_is_not_due_before_it_is_decided(store):
    send(store, "a", "b")
    assert due(store) == []
    assert store.outbox.lanes(NOW) == [USUAL]
    assert store.outbox.settle(USUAL, TWO, NOW) == Settled(2, 0, False)
    assert due(store) == ["a", "b"]
    assert store.outbox.lanes(NOW) == []


def test_what_comes_above_the_bound_is_in_one_delivery_when_the_period_ends(store, backend):
    send(store, "a", "b", "c")
    assert store.outbox.settle(USUAL, TWO, NOW) == Settled(2, 1, False)
    send(store, "d", now=NOW + 5)
    store = backend.reopen()
    assert store.outbox.settle(USUAL, TWO, NOW + 5) == Settled(0, 1, False)
    assert due(store) == ["a", "b"]
    (growing,) = store.outbox.growing("shop")
    assert (growing.next_at, growing.body["findings"]) == (NOW + TWO.per, 2)
    assert store.outbox.growing("blog") == []
    kept = {one.key: one for one in store.outbox.list("shop").items}
    assert (kept["c"].bundle, kept["c"].done) == (growing.id, NOW)
    assert [one.key for one in store.outbox.list("shop", bundle=growing.id).items] == ["d", "c"]
    assert store.outbox.list("blog", bundle=growing.id).items == ()
    put(store, batch(findings=tuple(finding(name, at=NOW + at) for at, name in enumerate("abcdx"))))
    put(store, batch("blog", findings=(finding("c"),)))
    listed = store.findings.list("shop", bundle=growing.id, counted=True)
    assert ([kept.finding.id for kept in listed.items], listed.total) == (["d", "c"], 2)
    assert [kept.finding.id for kept in store.findings.list("shop", bundle=growing.id, limit=1).items] == ["d"]
    assert store.findings.list("blog", bundle=growing.id).items == ()
    assert store.outbox.lanes(NOW + TWO.per - 1) == []
    assert store.outbox.lanes(NOW + TWO.per) == [USUAL]
    store.outbox.settle(USUAL, TWO, NOW + TWO.per)
    assert due(store, NOW + TWO.per) == ["a", "b", "bundle:c"]
    assert bundled(store) == {"bundle:c": (2, ["c", "d"])}


def test_what_was_told_in_a_period_is_counted_from_one_look_to_the_next(store):
    for at, name in enumerate("abcde"):
        send(store, name, now=NOW + at)
        store.outbox.settle(USUAL, TWO, NOW + at)
    assert due(store) == ["a", "b"]
    assert bundled(store) == {"bundle:c": (3, ["c", "d", "e"])}


def test_a_period_begins_with_what_comes_after_the_one_before(store):
    send(store, "a", "b", "c")
    store.outbox.settle(USUAL, TWO, NOW)
    store.outbox.settle(USUAL, TWO, NOW + TWO.per)
    later = NOW + 3 * TWO.per // 2
    send(store, "d", "e", "f", now=later)
    assert store.outbox.settle(USUAL, TWO, later) == Settled(2, 1, False)
    (growing,) = store.outbox.growing("shop")
    assert growing.next_at == later + TWO.per
    assert bundled(store) == {"bundle:c": (1, ["c"]), "bundle:f": (1, ["f"])}


def test_what_comes_as_a_period_ends_is_in_no_bundle_that_is_told(store):
    send(store, "a", "b", "c")
    store.outbox.settle(USUAL, TWO, NOW)
    send(store, "d", now=NOW + TWO.per)
    assert store.outbox.settle(USUAL, TWO, NOW + TWO.per) == Settled(1, 0, False)
    assert sorted(due(store, NOW + TWO.per)) == ["a", "b", "bundle:c", "d"]
    assert bundled(store) == {"bundle:c": (1, ["c"])}


def test_lanes_apps_and_channels_are_counted_by_themselves(store):
    critical, mail, blog = (
        Lane("shop", "chat", "critical"),
        Lane("shop", "mail", "usual"),
        Lane("blog", "chat", "usual"),
    )
    for number, lane in enumerate((USUAL, critical, mail, blog)):
        send(store, *(f"{number}{letter}" for letter in "abc"), lane=lane)
    assert sorted(store.outbox.lanes(NOW)) == sorted([USUAL, critical, mail, blog])
    for lane in (USUAL, critical, mail, blog):
        assert store.outbox.settle(lane, TWO, NOW) == Settled(2, 1, False)
    assert bundled(store, "blog") == {"bundle:3c": (1, ["3c"])}


def test_without_a_bound_each_goes_by_itself_and_what_was_gathered_goes_at_once(store):
    send(store, "a", "b", "c")
    store.outbox.settle(USUAL, TWO, NOW)
    send(store, "d", "e", "f", now=NOW + 5)
    assert store.outbox.settle(USUAL, None, NOW + 5) == Settled(3, 0, False)
    assert sorted(due(store, NOW + 5)) == ["a", "b", "bundle:c", "d", "e", "f"]


def test_a_clock_that_was_set_back_ends_the_period(store):
    send(store, "a", "b", "c")
    store.outbox.settle(USUAL, TWO, NOW)
    send(store, "d", now=NOW - 10**12)
    store.outbox.settle(USUAL, TWO, NOW - 10**12)
    assert sorted(due(store, NOW - 10**12)) == ["a", "b", "bundle:c", "d"]


def test_many_are_decided_of_a_lot_at_a_time(store):
    send(store, *(f"{number:04}" for number in range(LOT + 10)))
    assert store.outbox.settle(USUAL, TWO, NOW) == Settled(2, LOT - 2, True)
    assert store.outbox.settle(USUAL, TWO, NOW) == Settled(0, 10, False)
    ((findings, members),) = bundled(store).values()
    assert findings == len(members) == LOT + 8


def test_a_bundle_given_up_is_tried_again_with_all_that_is_in_it(store):
    send(store, "a", "b", "c")
    store.outbox.settle(USUAL, TWO, NOW)
    store.outbox.settle(USUAL, TWO, NOW + TWO.per)
    (bundle,) = [one for one in store.outbox.due(NOW + TWO.per) if one.kind == "bundle"]
    store.outbox.failed(bundle.id, "refused", None)
    assert store.outbox.revive_all("shop", "jane", NOW + TWO.per) == 1
    assert bundled(store) == {"bundle:c": (1, ["c"])}


def test_the_name_of_a_deleted_person_goes_from_a_bundle_too(store):
    body = told("x", user="email:jane@example.com", group={"user": "email:jane@example.com"})
    put(store, batch(outbox=tuple(Outgoing(k, "notify", "chat", body, k, "usual") for k in "abc")))
    store.outbox.settle(USUAL, TWO, NOW)
    store.deletions.delete("shop", "email:jane@example.com", "ana", "asked", NOW)
    assert "jane@example.com" not in str(store.outbox.list("shop").items)
    send(store, "d")
    store.outbox.settle(USUAL, TWO, NOW)
    ((findings, members),) = bundled(store).values()
    assert (findings, members) == (2, ["c", "d"])


def test_what_an_older_server_told_in_the_meantime_is_in_no_message_again(store):
    """It knows no lanes, and takes what is not done for due; so it may beside this one while both are upgraded."""
    send(store, "a", "b", "c", "d", "e")
    kept = {one.key: one.id for one in store.outbox.list("shop").items}
    store.outbox.done(kept["a"], NOW)
    assert store.outbox.settle(USUAL, TWO, NOW) == Settled(2, 2, False)
    (growing,) = store.outbox.growing("shop")
    store.outbox.done(growing.id, NOW)
    assert store.outbox.growing("shop") == store.outbox.lanes(NOW + TWO.per) == []
    send(store, "f")
    assert store.outbox.settle(USUAL, TWO, NOW) == Settled(0, 1, False)
    assert bundled(store) == {"bundle:d": (2, ["d", "e"]), "bundle:f": (1, ["f"])}
