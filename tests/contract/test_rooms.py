"""Keys, labels, allowances, the outbox, leases, settings: small rooms, each with its promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from sentinel.core.batch import Label, Note, Outgoing
from sentinel.core.duration import DAY
from sentinel.core.errors import Conflict, SentinelError, StoreBusy
from sentinel.core.record import BY_HAND, KEY_SCOPES, Allowance, App, Draft, PlaybookVersion, Snapshot
from sentinel.store import access, keeping
from sentinel.store.tables import snapshots
from tests.contract.values import NOW, batch, decision, make_link, put


def test_an_app_comes_back_as_it_was_put(backend):
    app = App("news", "The news", NOW, ("uid", "email"), 56, 86_400_000_000, {"rate": 100})
    backend.store.access.add_app(app, "jane", NOW)
    assert backend.store.access.app("news") == app
    store = backend.reopen()
    assert store.access.app("news") == app
    assert [one.id for one in store.access.apps()] == ["blog", "news", "shop"]
    assert store.access.app("nowhere") is None


def test_changing_an_app_keeps_its_revision(store):
    store.decisions.add("shop", decision("d"), "jane", NOW)
    store.access.change_app("shop", {"name": "renamed"}, "jane", NOW)
    assert store.decisions.delta("shop", 1, NOW).revision == 1


def test_an_app_is_added_once_and_stays_what_it_was(store):
    assert store.access.add_app(App("news", "News", NOW, retention=5), "jane", NOW)
    assert not store.access.add_app(App("news", "Other", NOW + 1), "joe", NOW + 1)
    assert store.access.app("news") == App("news", "News", NOW, retention=5)
    assert [(line.actor, line.action) for line in store.audit.list("news").items] == [("jane", "app.add")]


def test_a_change_of_an_app_leaves_what_it_does_not_name(backend):
    app = App("news", "The news", NOW, ("uid", "email"), 56, 86_400_000_000, {"rate": 100})
    backend.store.access.add_app(app, "jane", NOW)
    changed = backend.store.access.change_app("news", {"ipv6": 48, "identifiers": ["id"]}, "jane", NOW + 1)
    assert changed == replace(app, ipv6=48, identifiers=("id",))
    line = backend.store.audit.list("news").items[0]
    assert (line.actor, line.action, line.detail) == ("jane", "app.change", {"ipv6": 48, "identifiers": ["id"]})
    for store in backend.twice():
        assert store.access.app("news") == changed
    assert backend.store.access.change_app("nowhere", {"ipv6": 48}, "jane", NOW) is None


@pytest.mark.parametrize("scope", KEY_SCOPES)
def test_a_key_is_known_by_its_secret_and_shown_only_once(store, scope):
    key, secret = store.access.make_key("shop", scope, "jane", NOW, name="web", settings={"origins": ["https://x.y"]})
    assert len(secret) >= 50
    assert secret.isascii()
    assert store.access.key(secret) == key == store.access.key(secret)
    assert (key.app, key.scope, key.name, key.settings) == ("shop", scope, "web", {"origins": ["https://x.y"]})
    assert secret not in repr(store.access.keys("shop"))
    assert secret not in repr(store.audit.list("shop"))


def test_of_one_app_only_so_many_keys_are_in_use(store, monkeypatch):
    monkeypatch.setattr(access, "MOST_KEYS", 2)
    first, _ = [store.access.make_key("shop", "admin", "jane", NOW)[0] for _ in range(2)]
    with pytest.raises(Conflict, match="there are 2 keys already"):
        store.access.make_key("shop", "read", "jane", NOW)
    store.access.make_key("blog", "sdk", "jane", NOW)
    store.access.revoke("shop", first.id, "jane", NOW)
    store.access.make_key("shop", "read", "jane", NOW)


def test_a_wrong_secret_is_nobodys(store):
    _, secret = store.access.make_key("shop", "sdk", "jane", NOW)
    for wrong in ("", "x", secret[:-1], secret + "x", secret.swapcase()):
        assert store.access.key(wrong) is None


def test_a_revoked_key_is_refused_at_once_and_after_opening_again(backend):
    store = backend.store
    key, secret = store.access.make_key("shop", "sdk", "jane", NOW)
    assert store.access.key(secret) is not None
    assert store.access.revoke("blog", key.id, "jane", NOW) is False
    assert store.access.key(secret) is not None
    assert store.access.revoke("shop", key.id, "jane", NOW + 1) is True
    assert store.access.revoke("shop", key.id, "jane", NOW + 2) is False
    assert store.access.key(secret) is None
    assert [one.revoked for one in store.access.keys("shop")] == [NOW + 1]
    assert backend.reopen().access.key(secret) is None


def test_allowances_come_in_pages_the_newest_first_and_those_asked_for_alone(store):
    for n in range(3):
        store.allow.add("shop", Allowance(f"a{n}", "user", f"id:{n}", "r", NOW + n, None if n else NOW + 9), "ana", NOW)
    store.allow.add("blog", Allowance("b", "user", "id:1", "r", NOW), "ana", NOW)
    first = store.allow.page("shop", now=NOW, limit=2)
    last = store.allow.page("shop", now=NOW, limit=2, cursor=first.cursor)
    assert [[one.id for one in page.items] for page in (first, last)] == [["a2", "a1"], ["a0"]]
    assert (first.total, last.cursor) == (3, None)
    assert [one.id for one in store.allow.page("shop", now=NOW + 9).items] == ["a2", "a1"]
    assert [one.id for one in store.allow.page("shop", values=["id:1", "id:x"]).items] == ["a1"]


def test_keys_come_in_pages_those_in_use_first_and_the_newest_of_them_first(store):
    made = [store.access.make_key("shop", "sdk", "jane", NOW + n)[0].id for n in range(4)]
    store.access.make_key("blog", "sdk", "jane", NOW)
    store.access.revoke("shop", made[3], "jane", NOW + 9)
    first = store.access.list_keys("shop", 2)
    last = store.access.list_keys("shop", 2, first.cursor)
    assert [[key.id for key in page.items] for page in (first, last)] == [[made[2], made[1]], [made[0], made[3]]]
    assert (first.total, last.cursor) == (4, None)


def test_the_last_use_of_a_key_is_kept_and_an_earlier_one_that_is_told_later_changes_nothing(store):
    used, secret = store.access.make_key("shop", "sdk", "jane", NOW)
    other = store.access.make_key("shop", "sdk", "jane", NOW)[0]
    for at in (NOW + 5, NOW + 3):
        store.access.mark_used([used.id, "revoked-and-gone"], at)
    assert {key.id: key.used for key in store.access.keys("shop")} == {used.id: NOW + 5, other.id: None}
    assert store.access.key(secret).id == used.id


def test_a_key_that_another_process_revokes_while_it_is_looked_up_is_not_remembered(store, monkeypatch):
    key, secret = store.access.make_key("shop", "sdk", "jane", NOW)
    elsewhere, read = access.Access(store.control), access._key

    def revoked_meanwhile(row):
        elsewhere.revoke("shop", key.id, "jane", NOW)
        store.access.reload()  # it hears of that
        return read(row)

    with monkeypatch.context() as patched:
        patched.setattr(access, "_key", revoked_meanwhile)
        store.access.key(secret)
    assert store.access.key(secret) is None


def test_a_key_revoked_here_while_it_is_looked_up_is_not_remembered(store, monkeypatch):
    key, secret = store.access.make_key("shop", "sdk", "jane", NOW)
    read = access._key
    with monkeypatch.context() as patched:
        patched.setattr(access, "_key", lambda row: store.access.revoke("shop", key.id, "jane", NOW) and read(row))
        store.access.key(secret)
    assert store.access.key(secret) is None


def test_a_key_needs_an_app_and_a_scope(store):
    with pytest.raises(SentinelError, match="no app `nowhere`"):
        store.access.make_key("nowhere", "sdk", "jane", NOW)
    with pytest.raises(SentinelError, match="`scope`: `root`"):
        store.access.make_key("shop", "root", "jane", NOW)


def test_a_one_time_link_is_good_until_its_end_and_for_its_purpose(store):
    secret = make_link(store, "setup", NOW + 10, NOW)
    looks = [("other", secret, NOW), ("setup", secret + "x", NOW), ("setup", secret, NOW + 10)]
    assert [store.access.good_link(*look) for look in [*looks, ("setup", secret, NOW + 9)]] == [False] * 3 + [True]


def test_labels_last_until_their_end_and_are_there_after_opening_again(backend):
    store = backend.store
    store.labels.put("shop", Label("user", "id:1", "vip"), "jane", NOW)
    put(store, batch(labels=(Label("user", "id:1", "bot", NOW + 5), Label("ip", "id:1", "other"))))
    for one in backend.twice():
        assert one.labels.of("shop", "user", "id:1", NOW + 4) == ("bot", "vip")
        assert one.labels.of("shop", "user", "id:1", NOW + 5) == ("vip",)
        assert one.labels.of("blog", "user", "id:1", NOW) == ()


def test_a_label_put_again_takes_the_new_end(store):
    store.labels.put("shop", Label("user", "id:1", "bot", NOW + 5), "jane", NOW)
    put(store, batch(labels=(Label("user", "id:1", "bot", NOW + 9),)))
    assert store.labels.of("shop", "user", "id:1", NOW + 8) == ("bot",)


def test_labels_are_listed_in_pages_those_put_on_last_first(backend):
    store = backend.store
    store.labels.put("shop", Label("user", "id:1", "vip"), "jane", NOW)
    store.labels.put("shop", Label("ip", "203.0.113.9", "bot", NOW + 5, by="jane"), "jane", NOW + 1)
    store.labels.put("shop", Label("user", "id:2", "vip"), "jane", NOW + 1)
    store.labels.put("blog", Label("user", "id:1", "other"), "jane", NOW)
    found, cursor = [], None
    while True:
        page = store.labels.list("shop", limit=1, cursor=cursor)
        found += page.items
        if (cursor := page.cursor) is None:
            break
    assert [(one.label.target, one.made) for one in found] == [
        ("id:2", NOW + 1), ("203.0.113.9", NOW + 1), ("id:1", NOW)
    ]  # fmt: skip
    assert found[1].label == Label("ip", "203.0.113.9", "bot", NOW + 5, None, "jane")
    assert len(store.labels.list("shop", now=NOW + 5).items) == 2
    assert [one.label.target for one in store.labels.list("shop", kind="user", name="vip").items] == ["id:2", "id:1"]
    assert [one.label.name for one in store.labels.list("shop", kind="user", target="id:1").items] == ["vip"]


def test_a_label_can_be_taken_off_and_old_ones_go(backend):
    store = backend.store
    store.labels.put("shop", Label("user", "id:1", "bot", NOW + 5), "jane", NOW)
    store.labels.put("shop", Label("user", "id:1", "vip"), "jane", NOW)
    assert store.labels.take("shop", "user", "id:1", "vip", "jane", NOW) is True
    assert store.labels.take("shop", "user", "id:1", "vip", "jane", NOW) is False
    assert store.labels.expire(NOW + 4) == 0
    assert store.labels.expire(NOW + 5) == 1
    assert backend.reopen().labels.of("shop", "user", "id:1", NOW) == ()


def test_allowances_have_a_reason_and_an_end(backend):
    store = backend.store
    office = Allowance("a", "network", "198.51.100.0/24", "office", NOW)
    guest = Allowance("b", "user", "id:1", "a guest", NOW - 1, NOW + 5, "joe")
    store.allow.add("shop", office, "jane", NOW)
    store.allow.add("shop", guest, "jane", NOW)
    for one in backend.twice():
        assert one.allow.list("shop") == [guest, office]
        assert one.allow.list("shop", NOW + 5) == [office]
        assert one.allow.list("blog") == []


def test_an_allowance_is_replaced_and_removed_by_id(backend):
    store = backend.store
    store.allow.add("shop", Allowance("a", "user", "id:1", "first", NOW), "jane", NOW)
    store.allow.add("shop", Allowance("a", "user", "id:2", "second", NOW), "jane", NOW)
    assert [one.value for one in store.allow.list("shop")] == ["id:2"]
    assert store.allow.remove("blog", "a", "jane", "", NOW) is False
    assert store.allow.remove("shop", "a", "jane", "gone", NOW) is True
    assert backend.reopen().allow.list("shop") == []
    assert [line.reason for line in backend.store.audit.list("shop").items[:2]] == ["gone", "second"]


def test_a_delivery_is_due_until_it_is_done(store):
    put(store, batch(outbox=(Outgoing("k", "webhook", "c", {"x": [1, "é"]}, "f"),)))
    (one,) = store.outbox.due(NOW)
    assert (one.app, one.key, one.kind, one.channel, one.body, one.finding) == (
        "shop", "k", "webhook", "c", {"x": [1, "é"]}, "f",
    )  # fmt: skip
    store.outbox.failed(one.id, "refused", NOW + 10)
    assert store.outbox.due(NOW + 9) == []
    (again,) = store.outbox.due(NOW + 10)
    assert (again.attempts, again.error) == (1, "refused")
    store.outbox.done(one.id, NOW + 11)
    assert store.outbox.due(NOW + 99) == []
    assert [(one.done, one.attempts) for one in store.outbox.list("shop").items] == [(NOW + 11, 2)]


def test_a_delivery_nobody_tried_is_due_though_the_clock_was_ahead_where_it_was_made(store):
    """Of two servers the one that delivers may be minutes behind the one that made it."""
    put(store, batch(now=NOW + 600_000_000, outbox=(Outgoing("k", "webhook", "c", {}),)))
    (one,) = store.outbox.due(NOW)
    store.outbox.failed(one.id, "refused", NOW + 10)
    assert store.outbox.due(NOW + 9) == []


def test_a_delivery_given_up_is_dead_until_it_is_revived(store):
    put(store, batch(outbox=(Outgoing("k", "webhook", "c", {}),)))
    (one,) = store.outbox.due(NOW)
    assert store.outbox.revive("shop", one.id, "jane", NOW) is False
    store.outbox.failed(one.id, "x" * 9000, None)
    assert store.outbox.due(NOW + 99) == []
    (dead,) = store.outbox.list("shop", dead=True).items
    assert len(dead.error) <= 500
    assert store.outbox.revive("blog", one.id, "jane", NOW) is False
    assert store.outbox.revive("shop", one.id, "jane", NOW + 5) is True
    assert [(one.attempts, one.dead) for one in store.outbox.due(NOW + 5)] == [(0, False)]


def test_all_that_were_given_up_are_tried_again_at_once_and_no_other_app_s(store):
    for app in ("shop", "blog"):
        put(store, batch(app, outbox=tuple(Outgoing(f"k{n}", "webhook", "c", {}) for n in range(3))))
    for one in store.outbox.due(NOW):
        if one.key != "k0":
            store.outbox.failed(one.id, "refused", None)
    assert store.outbox.revive_all("shop", "jane", NOW + 5) == 2
    assert [(one.key, one.attempts) for one in store.outbox.due(NOW + 5) if one.app == "shop"] == [
        ("k0", 0), ("k1", 0), ("k2", 0),
    ]  # fmt: skip
    assert len(store.outbox.list("blog", dead=True).items) == 2
    assert store.outbox.revive_all("shop", "jane", NOW + 5) == 0
    assert [(one.target, one.detail) for one in store.audit.list("shop").items if one.action == "outbox.revive"] == [
        ("all", {"number": 2})
    ]


def test_the_longest_due_delivery_comes_first(store):
    put(store, batch(outbox=tuple(Outgoing(f"k{n}", "webhook", "c", {}) for n in range(3))))
    first = store.outbox.due(NOW)[0]
    store.outbox.failed(first.id, "", NOW + 5)
    assert [one.key for one in store.outbox.due(NOW + 5, limit=2)] == ["k1", "k2"]


def test_what_is_due_may_be_asked_for_without_some_channels(store):
    names = ("a", "b", None)
    put(store, batch(outbox=tuple(Outgoing(f"k{name}", "webhook", name, {}) for name in names)))
    for but in ((), ("a",), (None,), ("a", "b"), ("b", None), names):
        assert [one.channel for one in store.outbox.due(NOW, 9, but)] == [name for name in names if name not in but]


def test_delivered_and_dead_ones_go_in_time_and_those_to_deliver_stay(store):
    put(store, batch(outbox=tuple(Outgoing(f"k{n}", "webhook", "c", {}) for n in range(3))))
    first, second, _ = store.outbox.due(NOW)
    store.outbox.done(first.id, NOW)
    store.outbox.failed(second.id, "", None)
    assert store.outbox.expire(NOW) == 0
    assert store.outbox.expire(NOW + 1) == 2
    assert [one.key for one in store.outbox.list("shop").items] == ["k2"]


def test_one_holder_at_a_time_has_the_lease_and_each_a_larger_fence(store):
    first = store.leases.take("jobs", "one", NOW + 10, NOW)
    assert store.leases.take("jobs", "two", NOW + 10, NOW + 9) is None
    extended = store.leases.take("jobs", "one", NOW + 20, NOW + 9)
    assert extended.fence == first.fence
    assert store.leases.holds(first, NOW + 19)
    second = store.leases.take("jobs", "two", NOW + 30, NOW + 20)
    assert second.fence > first.fence
    assert not store.leases.holds(extended, NOW + 20)
    assert store.leases.holds(second, NOW + 29)
    assert not store.leases.holds(second, NOW + 30)


def test_a_lease_taken_while_the_clock_was_ahead_holds_nobody_off(store):
    """Its holder was killed, and the clock put right: for a day nobody ran the jobs, nor told people of findings."""
    store.leases.take("jobs", "one", NOW + DAY + 10, NOW + DAY)
    assert store.leases.take("jobs", "two", NOW + 10, NOW)
    assert store.leases.take("jobs", "three", NOW + 11, NOW + 1) is None


def test_a_lapsed_lease_is_another_when_its_holder_takes_it_again(store):
    first = store.leases.take("jobs", "one", NOW + 10, NOW)
    again = store.leases.take("jobs", "one", NOW + 30, NOW + 10)
    assert again.fence > first.fence


def test_a_lease_given_back_is_free_and_only_by_its_holder(store):
    first = store.leases.take("jobs", "one", NOW + 10, NOW)
    store.leases.release(first)
    second = store.leases.take("jobs", "two", NOW + 10, NOW + 1)
    store.leases.release(first)
    assert store.leases.holds(second, NOW + 2)


def test_settings_are_json_values_for_the_server_or_an_app(store):
    store.settings.put("enforce", False, "jane", NOW)
    store.settings.put("enforce", {"mode": ["x", 1.5, None]}, "jane", NOW, app="shop")
    assert store.settings.get("enforce") is False
    assert store.settings.get("enforce", "shop") == {"mode": ["x", 1.5, None]}
    store.settings.put("enforce", None, "jane", NOW)
    assert store.settings.get("enforce") is None
    assert store.settings.get("enforce", "blog") is None


def test_a_setting_is_changed_from_what_it_was(store):
    def one_more(value):
        return [*(value or []), "x"]

    def fails(value):
        raise SentinelError("not so")

    assert store.settings.change("list", one_more, "jane", NOW, "shop") == ["x"]
    assert store.settings.change("list", one_more, "jane", NOW, "shop") == ["x", "x"]
    for app in ("shop", "blog"):
        with pytest.raises(SentinelError, match="not so"):
            store.settings.change("list", fails, "jane", NOW, app)
    assert store.settings.get("list", "shop") == ["x", "x"]
    assert (store.settings.get("list", "blog"), store.settings.get("list")) == (None, None)
    told = [(one.actor, one.target) for one in store.audit.list("shop").items if one.action == "setting.put"]
    assert told == [("jane", "list"), ("jane", "list")]


def test_a_playbooks_text_is_kept_when_it_changes(store):
    def version(number, source="text"):
        return PlaybookVersion("p", str(number), source, NOW, "jane")

    for versions in ([version(1), PlaybookVersion("q", "1", "", NOW)], [version(1)], [version(2)], [version(1)]):
        store.playbooks.keep("shop", versions)
    assert [one.version for one in store.playbooks.history("shop", "p").items] == ["1", "2", "1"]
    assert store.playbooks.history("blog", "p").items == ()
    first = store.playbooks.history("shop", "p", 2)
    last = store.playbooks.history("shop", "p", 2, first.cursor)
    assert [[one.version for one in page.items] for page in (first, last)] == [["1", "2"], ["1"]]
    assert (first.total, last.cursor) == (3, None)
    assert [one.version for one in store.playbooks.history("shop", "p", version="2").items] == ["2"]
    assert store.playbooks.last("shop") == {"p": "1", "q": "1"}
    store.playbooks.keep("shop", [PlaybookVersion("q", "", "", NOW)])
    assert (store.playbooks.last("shop"), store.playbooks.last("blog")) == ({"p": "1"}, {})


def test_a_playbooks_text_is_kept_with_its_line_in_the_audit_or_not_at_all(store, monkeypatch):
    one, two = (PlaybookVersion(id, "1", "text", NOW) for id in "pq")
    lines = {id: Note("files", "playbook.changed", id, "version 1") for id in "pq"}
    store.playbooks.keep("shop", [one])
    with monkeypatch.context() as patched, pytest.raises(StoreBusy):
        patched.setattr(keeping, "note", raised(StoreBusy("the disk is full")))
        store.playbooks.keep("shop", [one, two], lines)
    assert store.playbooks.last("shop") == {"p": "1"}
    store.playbooks.keep("shop", [one, two], lines)
    told = [one for one in store.audit.list("shop").items if one.action == "playbook.changed"]
    assert [(one.at, one.actor, one.target, one.reason) for one in told] == [(NOW, "files", "q", "version 1")]


def raised(error):
    """Return what raises an error however it is called."""

    def call(*_args, **_options):
        raise error

    return call


def test_the_last_snapshot_of_each_watch_comes_back(backend):
    store = backend.store
    kept = Snapshot("a", 5, "1", b"\x00\xff", NOW), Snapshot("b", 5, "1", b"", NOW)
    for one in (*kept, Snapshot("a", 9, "2", b"new", NOW + 1)):
        store.snapshots.save("shop", one)
    kept = {"a": Snapshot("a", 9, "2", b"new", NOW + 1), "b": Snapshot("b", 5, "1", b"", NOW)}
    assert backend.reopen().snapshots.load("shop") == kept
    backend.store.snapshots.forget("shop", "a")
    assert list(backend.store.snapshots.load("shop")) == ["b"]
    assert backend.store.snapshots.load("blog") == {}


def test_a_snapshot_of_an_older_version_and_a_damaged_one_are_given_as_they_are(backend):
    """Whoever reads it finds out; a damaged one is folded anew."""
    store, states = backend.store, {"older": b"state", "damaged": b"\x28\xb5\x2f\xfdno"}
    for name in states:
        store.snapshots.save("shop", Snapshot(name, 5, "1", b"", NOW))
    with store.snapshots._control.write() as connection:
        for name, state in states.items():
            connection.execute(update(snapshots).where(snapshots.c.watch == name).values(state=state))
    assert {name: one.state for name, one in store.snapshots.load("shop").items()} == states


def test_the_audit_is_paged_newest_first_and_by_app(store):
    for n in range(5):
        store.audit.write("blog", Note("jane", "did", str(n)), NOW + n)
    store.audit.write(None, Note("root", "did", "server"), NOW)
    page = store.audit.list("blog", limit=3)
    assert [line.target for line in page.items] == ["4", "3", "2"]
    rest = store.audit.list("blog", cursor=page.cursor)
    assert [line.target for line in rest.items] == ["1", "0", "blog"]
    assert [line.actor for line in store.audit.list(None).items] == ["root"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"by": "account:ana"}, "51"),
        ({"by": BY_HAND}, "541"),
        ({"by": "playbook:fast"}, "32"),
        ({"action": "decision.lift"}, "5"),
        ({"action": "decision"}, "54"),
        ({"action": "decision_"}, ""),
        ({"target": "user id:7"}, "42"),
        ({"since": NOW + 2, "until": NOW + 4}, "32"),
        ({"by": BY_HAND, "action": "decision", "target": "user id:7"}, "4"),
        ({"by": "account:nobody"}, ""),
    ],
)
def test_the_audit_is_asked_who_what_on_whom_and_when(store, asked, found):
    lines = (
        ("account:ana", "finding.mark", "f1"), ("playbook:fast", "block_user", "user id:7"),
        ("playbook:fast", "notify", "f1"), ("key:k1", "decision.add", "user id:7"),
        ("account:ana", "decision.lift", "user id:8"),
    )  # fmt: skip
    for n, (actor, action, target) in enumerate(lines, 1):
        store.audit.write("blog", Note(actor, action, target, str(n)), NOW + n)
    told = store.audit.list("blog", counted=True, **{"since": NOW + 1, **asked})
    assert ("".join(line.reason for line in told.items), told.total) == (found, len(found))


def test_drafts_are_their_owners_and_of_too_many_the_oldest_go(store):
    for n in range(60):
        store.drafts.put("jane", Draft(f"{n}.yaml", "a", "m", NOW + n))
    store.drafts.put("jane", Draft("59.yaml", "b", "m", NOW + 99))
    store.drafts.put("mary", Draft("59.yaml", "c", "", NOW))
    assert [one.file for one in store.drafts.list("jane")] == [f"{n}.yaml" for n in range(59, 9, -1)]
    assert store.drafts.get("jane", "59.yaml") == Draft("59.yaml", "b", "m", NOW + 99)
    assert (store.drafts.get("jane", "0.yaml"), store.drafts.remove("jane", "0.yaml")) == (None, False)
    assert store.drafts.remove("jane", "59.yaml")
    assert [one.text for one in store.drafts.list("mary")] == ["c"]
