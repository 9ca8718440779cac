"""Deleted persons: gone from events, links and labels; a keyed hash elsewhere; blocks last; nothing comes back."""

from __future__ import annotations

import json

from sqlalchemy import update

from sentinel.core.batch import Label, Note, Outgoing, Sighting
from sentinel.core.record import Allowance, Filter, SavedSearch
from sentinel.store.tables import tombstones
from tests.contract.values import NOW, batch, decision, event, finding, link, put

JANE = ("id:1", "email:jane@example.com")


def told(store) -> str:
    """Return everything the store can be asked about a person, as one text."""
    events = [*store.events.search("shop", Filter()).items, *store.events.after("shop", 0)]
    return json.dumps([repr(one) for one in [*records(store, "shop"), *(kept.event.__dict__ for kept in events)]])


def records(store, app) -> list[object]:
    """Return all of that but the events."""
    return [
        *store.findings.list(app).items, *store.decisions.list(app).items, *store.outbox.list(app).items,
        *store.audit.list(app, limit=1000).items, *store.allow.list(app), *store.searches.list(app),
        *(store.people.get(app, key) for key in JANE), *(store.labels.of(app, "user", key, NOW) for key in JANE),
    ]  # fmt: skip


def jane(store, *, until: int | None = NOW - 1, app="shop") -> None:
    """Let Jane be linked, blocked, found, labelled, searched for and told of; John beside her."""
    link(store, app, *JANE)
    events = (
        event("a", user={"id": "1"}), event("b", user={"email": "jane@example.com"}),
        event("c", user={"id": "2", "email": "jane@example.com"}), event("d", user={"id": "2"}), event("e"),
    )  # fmt: skip
    found = finding("f", group={"user": "id:1"}, title="Many tries at jane@example.com", user="id:1")
    sent = Outgoing("k", "notify", "security", {"user": "id:1", "text": "jane@example.com was tried"})
    put(store, batch(
        app, events=events, findings=(found,), decisions=(decision("x", "id:1", until), decision("y", "id:2")),
        labels=(Label("user", "id:1", "vip"),), outbox=(sent,), audit=(Note("p", "block_user", "id:1", "jane"),),
    ))  # fmt: skip
    store.allow.add(app, Allowance("w", "user", "email:jane@example.com", "known", NOW), "ann", NOW)
    store.searches.put(app, SavedSearch("s", "Jane", "", {"user": "id:1"}, "ann", NOW, NOW), "ann", NOW)


def test_what_told_of_a_deleted_person_keeps_only_a_hash(backend):
    jane(backend.store)
    done = backend.store.deletions.delete("shop", "email:jane@example.com", "ann", "asked for it", NOW + 5)
    assert done.events == 3
    assert done.pseudonym.startswith("gone:")
    for store in backend.twice():
        text = told(store)
        assert "jane" not in text.replace("'jane'", "")
        assert "id:1'" not in text
        (kept,) = store.findings.list("shop").items
        assert kept.finding.user == done.pseudonym
        assert dict(kept.finding.group) == {"user": done.pseudonym}
        assert [one.event.id for one in store.events.search("shop", Filter()).items] == ["e", "d"]
        assert store.people.get("shop", "id:1") is None
        assert store.decisions.get("shop", "x").decision.value == done.pseudonym
        assert store.decisions.get("shop", "y").decision.value == "id:2"
        line = store.audit.list("shop").items[0]
        assert (line.action, line.target, line.reason) == ("user.delete", done.pseudonym, "asked for it")
        assert store.deletions.owed("shop")["id:1"] == done.pseudonym


OURS = (
    "playbook", "version", "effects", "decisions", "group", "enforce", "high", "block", "block_user", "notify",
    "security", "user", "email", "scope", "count", "brute-force", "auth", "true", "allowlisted",
)  # fmt: skip


def test_nobody_is_called_what_would_change_all_that_others_are_told_by(backend):
    """Whoever may choose a name chooses one of ours, and asks to be deleted."""
    store, mary = backend.store, "email:mary@example.com"
    theirs, told_of = event("m", user={"email": "mary@example.com"}), {"user": mary, "event": "auth"}
    found = finding("f", playbook="brute-force", key=mary, user=mary, group=told_of, title="One user, high count")
    sent = Outgoing("k", "notify", "security", {"playbook": "brute-force", "group": told_of})
    said = Note("ann", "playbook.saved", "brute-force", "good", {"by": "x"})
    blocked = decision("x", mary)
    put(store, batch(events=(theirs,), findings=(found,), decisions=(blocked,), outbox=(sent,), audit=(said,)))
    search = SavedSearch(
        "s", "Failed", 'user.email == "mary@example.com" and not true', {"event": "auth"}, "ann", NOW, NOW
    )
    store.searches.put("shop", search, "ann", NOW)
    for name in OURS:
        store.deletions.delete("shop", f"username:{name}", "ann", "", NOW + 5)
    for one in backend.twice():
        assert one.findings.get("shop", "f").finding == found
        assert one.decisions.get("shop", "x").decision == blocked
        (kept,) = one.outbox.list("shop").items
        assert kept.body == sent.body
        (line,) = [line for line in one.audit.list("shop").items if line.action == "playbook.saved"]
        assert (line.target, line.reason) == ("brute-force", "good")
        assert one.searches.list("shop") == [search]


def test_a_block_lasts_to_its_end_and_loses_its_name_then(store):
    jane(store, until=NOW + 1000)
    done = store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    delta = store.decisions.delta("shop", 0, NOW + 6)
    assert {"id:1", "email:jane@example.com"} <= {one.value for one in delta.added}
    assert store.deletions.sweep(NOW + 6) == 0
    assert store.decisions.get("shop", "x").decision.value == "id:1"
    assert store.deletions.sweep(NOW + 999) == 0
    assert store.deletions.sweep(NOW + 1000) == 2
    assert store.decisions.get("shop", "x").decision.value == done.pseudonym
    assert store.deletions.sweep(NOW + 1001) == 0


def test_a_block_that_is_lifted_is_over(store):
    jane(store, until=None)
    put(store, batch(decisions=(decision("z", "id:1"),)))
    store.decisions.lift("shop", "x", "ann", "", NOW + 1)
    done = store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    assert [store.decisions.get("shop", id).decision.value for id in "xz"] == [done.pseudonym, "id:1"]
    store.decisions.lift("shop", "z", "ann", "", NOW + 6)
    store.deletions.sweep(NOW + 7)
    assert store.decisions.get("shop", "z").decision.value == done.pseudonym


def test_whoever_comes_back_while_an_old_block_lasts_keeps_the_name_on_what_is_decided_then(store):
    """They are somebody new: an analyst who looks for their blocks must find them."""
    jane(store, until=NOW + 1000)
    done = store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    later = decision("new", "id:1", NOW + 500, made=NOW + 10, reason="id:1 again")
    put(store, batch(decisions=(later,), now=NOW + 10))
    for now in (NOW + 501, NOW + 1001, NOW + 1002):
        store.deletions.sweep(now)
        assert store.decisions.get("shop", "new").decision == later
    assert store.decisions.get("shop", "x").decision.value == done.pseudonym


def test_events_of_before_a_deletion_are_known_by_any_of_the_persons_keys_and_later_ones_are_not(backend):
    jane(backend.store)
    backend.store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    for store in backend.twice():
        for user in (
            {"id": "1"},
            {"user_id": "1"},
            {"email": "jane@example.com"},
            {"id": "9", "email": "JANE@example.com"},
        ):
            assert store.deletions.concerns("shop", event("z", NOW + 5, user=user))
            assert not store.deletions.concerns("shop", event("z", NOW + 6, user=user))
        assert not store.deletions.concerns("shop", event("z", user={"id": "2"}))
        assert not store.deletions.concerns("shop", event("z", user={"username": "1"}))
        assert not store.deletions.concerns("blog", event("z", user={"id": "1"}))
        theirs = event("z", user={"username": "cut"})  # stored as hers, before that name was cut from her
        theirs.user = "id:1"
        assert store.deletions.concerns("shop", theirs)


def test_another_app_keeps_its_person_of_the_same_keys(backend):
    for app in ("shop", "blog"):
        jane(backend.store, app=app, until=NOW + 1000)
        link(backend.store, app, "id:1", "username:cut")
        backend.store.people.cut(app, "username:cut", "ann", NOW)
    before = records(backend.store, "blog")
    backend.store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    assert backend.store.deletions.sweep(NOW + 2000) == 2
    for store in backend.twice():
        assert records(store, "blog") == before
        assert len(store.events.search("blog", Filter()).items) == 5
        assert store.deletions.owed("blog") == {}
        assert store.people.keys("blog", "email:jane@example.com") == JANE
    link(backend.store, "blog", "id:1", "username:cut")
    assert backend.store.people.keys("blog", "id:1") == JANE


def test_a_key_that_joins_a_person_while_they_are_deleted_goes_with_them(store, monkeypatch):
    """Events take long to erase, and whoever is deleted may be about just then."""
    jane(store)
    deletions, erase, keys = store.deletions, store.deletions._erase, []

    def slowly(app, known, until):
        keys.append(tuple(known))
        if len(keys) == 1:
            link(store, app, "id:1", "username:jenny")
            put(store, batch(events=(event("n", user={"username": "jenny"}),)))
        return erase(app, known, until)

    monkeypatch.setattr(deletions, "_erase", slowly)
    done = deletions.delete("shop", "id:1", "ann", "jenny asked", NOW + 5)
    assert "jenny" not in told(store)
    owed = deletions.owed("shop")
    assert (done.events, owed["username:jenny"], owed["id:1"]) == (4, done.pseudonym, done.pseudonym)
    assert link(store, "shop", "username:jenny") == "username:jenny"


def test_deleting_twice_and_deleting_nobody_do_no_harm(store):
    jane(store)
    first = store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    again = store.deletions.delete("shop", "id:1", "ann", "", NOW + 6)
    assert (again.pseudonym, again.events) == (first.pseudonym, 0)
    assert store.deletions.delete("shop", "id:nobody", "ann", "", NOW + 7).events == 0


def test_a_deletion_that_another_process_left_half_done_is_finished_while_servers_run(store):
    jane(store)
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    left, new = (event(id, at, user={"id": "1"}) for id, at in (("left", NOW), ("back", NOW + 10)))
    put(store, batch(events=(left, event("kept", NOW, user={"id": "2"}), new)))
    assert len(store.events.search("shop", Filter()).items) == 5
    with store.control.write() as connection:
        connection.execute(update(tombstones).values(erased=False))
    store.deletions.delete("shop", "id:another", "ann", "", NOW + 6)
    assert (store.deletions.finish(), store.deletions.finish()) == (1, 0)
    assert sorted(one.event.id for one in store.events.search("shop", Filter()).items) == ["back", "d", "e", "kept"]


def test_whom_windows_may_still_name_is_known_until_they_do_not(backend):
    """Also after a crash, and where one of the person's names is all that is known when the deletion is done again."""
    jane(backend.store)
    done = backend.store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    backend.store.deletions.delete("shop", "id:1", "ann", "", NOW + 6)
    for store in backend.twice():
        assert store.deletions.owed("shop") == dict.fromkeys([*JANE, "jane@example.com"], done.pseudonym)
        assert store.deletions.owed("blog") == {}
    backend.store.deletions.renamed("shop", {"id:1": done.pseudonym})
    assert set(backend.store.deletions.owed("shop")) == {"email:jane@example.com", "jane@example.com"}
    backend.store.deletions.renamed("shop", backend.store.deletions.owed("shop"))
    for store in backend.twice():
        assert store.deletions.owed("shop") == {}


def test_a_person_who_comes_back_is_somebody_new(store):
    jane(store)
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    put(store, batch(events=(event("new", NOW + 10, user={"id": "1"}),)))
    assert store.events.count("shop", Filter(user="id:1")) == 1
    assert store.people.keys("shop", "id:1") == ("id:1",)
    with store.unit() as unit:
        assert unit.resolve("shop", [Sighting((JANE[1],), proven=False, at=NOW + 10)]) == [JANE[1]]
    assert store.labels.of("shop", "user", "id:1", NOW + 10) == ()
    store.labels.put("shop", Label("user", "id:1", "new"), "ann", NOW + 11)
    assert (store.deletions.recover(), store.deletions.finish()) == (0, 0)
    assert store.labels.of("shop", "user", "id:1", NOW + 12) == ("new",)


def test_saved_searches_are_kept_by_app_and_changed_in_place(backend):
    search = SavedSearch("s1", "Large orders", "properties.total > 9", {"event": "order"}, "ann", NOW, NOW)
    backend.store.searches.put("shop", search, "ann", NOW)
    changed = SavedSearch("s1", "Larger orders", "", {}, "ann", NOW, NOW + 1)
    for store in backend.twice():
        assert store.searches.list("shop") == [search]
        assert store.searches.get("blog", "s1") is None
    backend.store.searches.put("shop", changed, "bob", NOW + 1)
    assert backend.store.searches.get("shop", "s1") == changed
    assert not backend.store.searches.remove("blog", "s1", "bob", NOW)
    assert backend.store.searches.remove("shop", "s1", "bob", NOW)
    assert backend.store.searches.list("shop") == []
    assert [line.action for line in backend.store.audit.list("shop", limit=3).items] == [
        "search.remove", "search.put", "search.put",
    ]  # fmt: skip
