"""What only PostgreSQL is asked for: several processes over one database, partitions, lost connections, no secrets."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from sentinel.compat.exceptionless.config import Configs
from sentinel.compat.moesif.names import AllTypes
from sentinel.core.batch import Label, Sighting
from sentinel.core.decision import Decision
from sentinel.core.duration import DAY
from sentinel.core.errors import StoreBusy, StoreError
from sentinel.core.record import Allowance, App, Filter, Snapshot
from sentinel.edge.errors import refusal
from sentinel.store.changes import AHEAD
from sentinel.store.postgres import learning, news
from sentinel.store.postgres.control import Control, connect, parts
from sentinel.store.postgres.partitions import MANY
from sentinel.store.postgres.state import look
from sentinel.store.postgres.store import open_postgres
from sentinel.store.postgres.text import escaped, escaped_json, unescaped, unescaped_json
from sentinel.store.tables import access_keys
from tests import postgres
from tests.api.served import wait_for
from tests.contract.values import NOW, batch, decision, event, finding, put
from tests.passwords import SPELLINGS, passwords, pieces
from tests.store.postgres.together import at_once


def send(store, events):
    """Store what is fresh of some events, sent again where the store says so, and return which those were."""
    while True:
        try:
            with store.unit() as unit:
                fresh = [one for one, new in zip(events, unit.claim("shop", events), strict=True) if new]
                unit.commit([batch(events=tuple(fresh))])
            return [one.id for one in fresh]
        except StoreBusy:
            continue


def test_an_older_server_goes_on_while_the_first_new_one_brings_the_tables_up_to_date(stores):
    """What it opens before and after is found by its severity, though it knows of no such column."""
    with stores[0].control.write() as connection:
        connection.exec_driver_sql("ALTER TABLE finding DROP COLUMN rank")  # and with it the indexes
        for name, columns in {"finding_time": "app, at, id", "finding_status": "app, status, at, id"}.items():
            connection.exec_driver_sql(f"CREATE INDEX {name} ON finding ({columns})")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    put(stores[0], batch(findings=(finding("before", severity="critical"), finding("low", severity="low"))))
    open_postgres(postgres.shared().url(stores[0].control.parts["dbname"])).close()
    put(stores[0], batch(findings=(finding("after", severity="critical"),)))
    found = stores[1].findings.list("shop", severity="critical").items
    assert {one.finding.id for one in found} == {"before", "after"}


def test_the_same_events_sent_to_both_at_once_are_stored_once(stores):
    events = [event(f"e{n:03}", NOW + n) for n in range(200)]
    for start in range(0, 200, 20):
        lot = events[start : start + 20]
        first, second = at_once(lambda lot=lot: send(stores[0], lot), lambda lot=lot: send(stores[1], lot[::-1]))
        assert sorted(first + second) == [one.id for one in lot]
    assert stores[0].events.count("shop", Filter()) == 200


def test_what_one_claimed_and_left_is_fresh_for_the_other(stores):
    with stores[0].unit() as unit:
        assert unit.claim("shop", [event("a")]) == [True]
    with stores[1].unit() as unit:
        assert unit.claim("shop", [event("a")]) == [True]


def test_revisions_of_both_are_one_after_the_other(stores):
    def decide(store, who):
        for n in range(25):
            put(store, batch(decisions=(decision(f"{who}{n}", f"id:{who}{n}"),)))

    at_once(lambda: decide(stores[0], "a"), lambda: decide(stores[1], "b"))
    added = {who: [stores[0].decisions.get("shop", f"{who}{n}").added for n in range(25)] for who in "ab"}
    assert sorted(added["a"] + added["b"]) == list(range(1, 51))
    assert all(some == sorted(some) for some in added.values())
    assert len(stores[0].decisions.delta("shop", 0, NOW).added) == 50


def test_settings_of_clients_that_both_change_at_once_are_all_kept(stores):
    def change(store, who):
        for n in range(20):
            Configs(store, lambda: NOW).put("shop", f"{who}{n}", "on", "jane")

    at_once(lambda: change(stores[0], "a"), lambda: change(stores[1], "b"))
    kept = Configs(stores[0], lambda: NOW).read("shop")
    assert kept.version == 40
    assert sorted(kept.settings) == sorted(f"{who}{n}" for who in "ab" for n in range(20))


def test_types_of_names_that_both_fix_at_once_are_all_kept(stores):
    def fix(store, who):
        types = AllTypes(lambda: store.settings, lambda: NOW)
        for n in range(20):
            types.load("shop").expected(f"{who}{n}", "number", True)
            types.keep("shop")

    at_once(lambda: fix(stores[0], "a"), lambda: fix(stores[1], "b"))
    kept = AllTypes(lambda: stores[0].settings, lambda: NOW).load("shop").of
    assert sorted(kept) == sorted(f"{who}{n}" for who in "ab" for n in range(20))


def test_a_finding_opened_by_both_is_opened_once(stores):
    def open_it(store, n):
        return put(store, batch(findings=(finding(f"f{n}", at=NOW + n),))).opened

    for n in range(10):
        both = at_once(lambda n=n: open_it(stores[0], n), lambda n=n: open_it(stores[1], n))
        assert sorted(both) == [(), (f"f{n}",)]


def test_keys_linked_by_both_at_once_are_one_persons(stores):
    """One says that a and b are one, the other b and c: whoever is second sees what the first did."""

    def link(store, *keys):
        with store.unit() as unit:
            unit.resolve("shop", [Sighting(keys, True, NOW)])
            unit.commit([batch()])

    for n in range(15):
        one, two, three = f"id:{n}", f"email:{n}", f"username:{n}"
        at_once(lambda a=one, b=two: link(stores[0], a, b), lambda b=two, c=three: link(stores[1], c, b))
        assert set(stores[0].people.keys("shop", one)) == {one, two, three}


def test_what_one_changed_the_other_knows_soon(stores):
    here, there = stores
    heard = []
    there.watch(heard.append)
    key, secret = here.access.make_key("shop", "sdk", "jane", NOW)
    assert there.access.key(secret) == key
    here.access.revoke("shop", key.id, "jane", NOW)
    here.labels.put("shop", Label("user", "id:1", "vip"), "jane", NOW)
    here.allow.add("shop", Allowance("a", "user", "id:1", "office", NOW), "jane", NOW)
    put(here, batch(events=(event("e"),), decisions=(decision("d"),)))
    wait_for(lambda: there.access.key(secret) is None)
    wait_for(lambda: there.labels.of("shop", "user", "id:1", NOW) == ("vip",))
    wait_for(lambda: there.allow.list("shop"))
    wait_for(lambda: there.decisions.revision("shop") == 1)
    assert heard == ["shop"]
    wait_for(lambda: [kept.event.id for kept in there.events.matching("shop", Filter())] == ["e"])
    here.deletions.delete("shop", "id:9", "jane", "asked", NOW)
    wait_for(lambda: there.deletions.concerns("shop", event("late", NOW - 1, user={"id": "9"})))


def test_a_database_put_back_under_servers_is_noticed_and_every_sdk_takes_its_list_anew(stores, database):
    """Else they hold what is gone, and hear nothing until as much was decided again; and keys go on that are gone."""
    server, (here, there) = postgres.shared(), stores
    put(here, batch(decisions=(decision("a"),)))
    here.labels.put("shop", Label("user", "id:1", "kept"), "jane", NOW)
    kept = Snapshot("p", 1, "1", b"of before", NOW)
    here.snapshots.save("shop", kept)
    versions = server.run("SELECT app, room, version FROM room_version", database)
    put(here, batch(decisions=(decision("b"),)))
    here.labels.put("shop", Label("user", "id:1", "gone"), "jane", NOW)
    _, secret = here.access.make_key("shop", "sdk", "jane", NOW)
    wait_for(lambda: there.decisions.revision("shop") == 2 and there.labels.of("shop", "user", "id:1", NOW)[1:])
    assert there.access.key(secret)
    assert not there.health().warnings
    heard = []
    there.watch(heard.append)

    earlier = ["DELETE FROM decision WHERE id = 'b'", "DELETE FROM label WHERE name = 'gone'", "DELETE FROM access_key"]
    earlier += ["UPDATE app SET revision = revision - 1", "DELETE FROM room_version"]
    earlier += [f"INSERT INTO room_version VALUES ('{app}', '{room}', {version})" for app, room, version in versions]
    server.run("; ".join(earlier), database)

    for store in stores:
        wait_for(lambda store=store: store.decisions.revision("shop") > 2)
        assert store.decisions.revision("shop") == 1 + AHEAD, "one of them has renewed it, once"
        delta = store.decisions.delta("shop", 2, NOW)
        assert (delta.reset, [one.id for one in delta.added]) == (True, ["a"])
        assert store.access.key(secret) is None
        assert store.labels.of("shop", "user", "id:1", NOW) == ("kept",)
        assert "went back to an earlier time" in store.health().warnings[0]
        store.snapshots.save("shop", Snapshot("p", 9, "1", b"of what is gone", NOW))
        assert store.snapshots.load("shop") == {"p": kept}, "the next start folds what is stored, and nothing else"
    assert heard
    put(here, batch(decisions=(decision("c"),)))
    wait_for(lambda: there.decisions.revision("shop") == 2 + AHEAD)


@pytest.mark.parametrize("earlier", ["UPDATE app SET revision = 0", "DELETE FROM room_version"])
def test_windows_are_not_saved_into_a_database_that_was_put_back_before_that_is_noticed_either(
    stores, database, earlier
):
    """The next start went on from them, and folded none of what was stored since."""
    here, kept = stores[0], Snapshot("p", 1, "1", b"of before", NOW)
    here.snapshots.save("shop", kept)
    put(here, batch(decisions=(decision("a"),)))
    here.labels.put("shop", Label("user", "id:1", "gone"), "jane", NOW)
    for store in stores:
        store._news.stop()  # nobody notices: who does counts on from far ahead
    postgres.shared().run(earlier, database)
    here.snapshots.save("shop", Snapshot("p", 9, "1", b"of what is gone", NOW))
    assert stores[1].snapshots.load("shop") == {"p": kept}


def test_keys_that_two_servers_mark_as_used_at_once_hold_up_neither(stores):
    """Each locked keys in an order of its own, and waited for the other until the database gave one of them up."""
    here, there = stores
    one, two = (here.access.make_key("shop", "sdk", "jane", NOW)[0].id for _ in range(2))
    with here.control.write() as connection:
        connection.execute(update(access_keys).where(access_keys.c.id == one).values(used=NOW + 1))
        there.access.mark_used([one, two], NOW + 2)
    assert {key.id: key.used for key in here.access.keys("shop")} == {one: NOW + 1, two: NOW + 2}


def test_what_one_changed_before_the_other_did_the_same_is_heard_of_all_the_same(stores):
    """What a process did itself it need not read again: what came before that, it must."""
    here, there = stores
    here._news.stop()  # it hears of nothing, until it looks
    there.labels.put("shop", Label("user", "id:1", "vip"), "jane", NOW)
    here.labels.put("shop", Label("user", "id:2", "vip"), "jane", NOW)
    assert here.labels.of("shop", "user", "id:1", NOW) == ()
    here._news.look()
    assert here.labels.of("shop", "user", "id:1", NOW) == ("vip",)


def test_the_app_of_a_key_is_known_with_the_key_however_new_both_are(stores):
    stores[1]._news.stop()  # it hears of nothing
    stores[0].access.add_app(App("new", made=NOW), "test", NOW)
    _, secret = stores[0].access.make_key("new", "sdk", "test", NOW)
    assert stores[1].access.key(secret).app == "new"
    assert stores[1].access.app("new") is not None
    assert stores[1].access.remembers(secret)


def test_whose_a_key_is_the_other_knows_soon(stores):
    def whose(store, proven, *keys):
        with store.unit() as unit:
            (found,) = unit.resolve("shop", [Sighting(keys, proven, NOW)])
            unit.commit([batch()])
        return found

    assert whose(stores[1], False, "email:a") == "email:a"  # remembered as nobody's
    assert whose(stores[0], True, "id:1", "email:a") == "id:1"
    wait_for(lambda: whose(stores[1], False, "email:a") == "id:1")
    stores[0].people.cut("shop", "email:a", "jane", NOW)
    wait_for(lambda: whose(stores[1], False, "email:a") == "email:a")


def test_of_many_who_want_the_lease_one_gets_it(stores):
    calls = [lambda n=n: stores[n % 2].leases.take("jobs", f"holder{n}", NOW + 10, NOW) for n in range(6)]
    assert len([lease for lease in at_once(*calls) if lease]) == 1
    later = [lambda n=n: stores[n % 2].leases.take("jobs", f"other{n}", NOW + 99, NOW + 20) for n in range(6)]
    (second,) = [lease for lease in at_once(*later) if lease]
    assert second.fence == 2


def test_a_follower_misses_nothing_that_is_committed_later_at_an_earlier_position(stores):
    slow = stores[0].unit()
    unit = slow.__enter__()
    unit.claim("shop", [event("slow")])
    blocks = unit._machine.place.take(unit._connection, 1)
    put(stores[1], batch(events=(event("fast"),)))
    seen = list(stores[1].events.after("shop", 0))
    assert seen == []  # what is before it is not decided yet
    slow.__exit__(None, None, None)
    assert blocks == [1]
    assert [kept.event.id for kept in stores[1].events.after("shop", 0)] == ["fast"]


def partitions(database):
    rows = postgres.shared().run(
        "SELECT relname FROM pg_class WHERE relname LIKE 'events_2%' AND relkind = 'r'", database
    )
    return sorted(name for (name,) in rows)


def test_days_have_partitions_ahead_and_an_imported_day_gets_one(stores, database):
    store = stores[0]
    old = NOW - 40 * DAY
    put(store, batch(events=tuple(event(f"e{n}", old + n) for n in range(MANY))))
    put(store, batch(events=(event("stray", NOW - 90 * DAY), event("new", NOW))))
    store.project()
    days = ["20261011", "20261119", "20261120", "20261121", "20261122", "20261123"]
    assert partitions(database) == [f"events_{day}" for day in days]
    assert postgres.shared().run("SELECT count(*) FROM events_20261011", database) == [(MANY,)]
    assert [row[0] for row in postgres.shared().run("SELECT id FROM events_rest", database)] == ["stray"]
    assert store.events.count("shop", Filter()) == MANY + 2
    with store.unit() as unit:
        assert unit.claim("shop", [event("e0", old), event("stray", NOW - 90 * DAY)]) == [False, False]


def test_retention_drops_whole_days_and_leaves_other_apps_theirs(stores, database):
    store = stores[0]
    store.access.add_app(App("blog", made=NOW), "test", NOW)
    put(store, batch(events=(event("a", NOW - DAY), event("b", NOW), event("c", NOW + DAY))))
    put(store, batch("blog", events=(event("a", NOW),)))
    store.project()
    assert store.events.forget("shop", NOW + DAY) == 2
    assert [kept.event.id for kept in store.events.matching("shop", Filter())] == ["c"], "of the day that is not over"
    assert "events_20261119" not in partitions(database)
    assert "events_20261120" in partitions(database)
    assert store.events.count("blog", Filter()) == 1
    with store.unit() as unit:
        assert unit.claim("shop", [event("a", NOW - DAY)]) == [True], "what is gone may come again"


def test_events_that_are_not_learnt_from_are_told(stores, monkeypatch):
    """Where too many wait, the oldest are stored and found, but what properties they brought is not known."""
    monkeypatch.setattr(learning, "MOST_WAITING", 3)
    put(stores[0], batch(events=tuple(event(f"e{n}", properties={f"p{n}": 1}) for n in range(5))))
    assert stores[0].project() == 3
    assert [one.path for one in stores[0].schema.properties("shop")] == ["p2", "p3", "p4"]
    assert stores[0].health().warnings == ("events whose properties were not learnt, for too many waited: 2",)
    assert stores[1].health().warnings == ()


def test_a_property_that_two_processes_see_first_is_of_the_type_that_was_kept_first(stores):
    """The later one's count from then on by that type, and what it saw meanwhile is not lost."""
    for number, store in enumerate(stores[:2]):
        put(store, batch(events=(event(f"e{number}", NOW - number, properties={"p": ["text", 5][number]}),)))
        store.project()
    stores[0].checkpoint()
    (found,) = stores[1].schema.properties("shop")
    assert (found.type, found.first, found.last) == ("string", NOW - 1, NOW)
    for number in (3, 4):  # each counts what it saw since it wrote last
        put(stores[1], batch(events=(event(f"f{number}", NOW + number, properties={"p": number}),)))
        stores[1].project()
        stores[1].checkpoint()
    (found,) = stores[0].schema.properties("shop")
    assert (found.type, found.last, found.conflicts) == ("string", NOW + 4, 2)


@pytest.mark.parametrize("text", ["", "a", "\0", "\x1a", "\x1a0", "\0\x1a1\0", "é\0", "\\u0000", '"\\\\u0000'])
def test_text_comes_back_as_it_was_without_nul_on_the_way(text):
    assert "\0" not in escaped(text)
    assert unescaped(escaped(text)) == text


def test_different_texts_stay_different():
    texts = ["\0", "\x1a0", "\x1a1", "\x1a", "0", "\x1a\x1a0"]
    assert len({escaped(text) for text in texts}) == len(texts)


def test_json_comes_back_as_it_was():
    for text in ('{"a\\u0000":["\\u001a0",{"b":"\\\\u0000"}]}', '{"a":1e308}', '"x"'):
        assert "\\u0000" not in escaped_json(text).replace("\\\\", "")
        assert unescaped_json(escaped_json(text)) == text


def test_whatever_a_sender_makes_up_is_stored(stores):
    odd = "\0\ud800\x1a" + "\U0001f600" * 60
    one = event("a", user={"id": "x" * 200}, properties={odd: {"deep": [1e308, odd, 10**40]}})
    one.request = {"path": odd, "user_agent": odd * 30}
    one.user = f"id:{odd}"
    found = finding("f", key=odd * 40, user=odd, playbook="p")
    put(stores[0], batch(events=(one,), findings=(found,), decisions=(Decision("d", "block", "user", odd, made=NOW),)))
    kept = stores[0].events.get("shop", "a").event
    plain = odd.replace("\ud800", "\ufffd")
    assert kept.request["path"] == plain
    assert kept.properties == {plain: {"deep": [1e308, plain, 10**40]}}
    assert stores[0].events.count("shop", Filter(user=f"id:{odd}")) == 1


def test_a_lost_connection_is_busy_once_and_made_again(stores, database):
    store = stores[0]
    put(store, batch(events=(event("a"),)))
    kill = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'"
    postgres.shared().run(kill)
    put(store, batch(events=(event("b"),)))
    assert store.events.count("shop", Filter()) == 2
    with store.unit() as unit:
        unit.claim("shop", [event("c")])
        postgres.shared().run(kill)
        with pytest.raises(StoreBusy, match="cannot be used now"), store._control.translated():
            unit.commit([batch(events=(event("c"),))])
    assert send(store, [event("c")]) == ["c"]
    wait_for(lambda: store.health().explorer is None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/x", "cannot be used now"),
        ("postgresql://u:hunter2@[", "no proper host and port"),
        ("postgresql://u:hunter2/p@127.0.0.1:1/x", "not a URL that can be read"),
        ("postgresql://u:p@hunter2@127.0.0.1:1/x", "not a URL that can be read"),
        ("postgresql://u:hunter2/x", "no proper host and port"),
        ("postgresql://u:hunter2@localhost/x?nonsense=1", "not a URL that PostgreSQL understands"),
    ],
)
def test_a_database_that_is_not_there_is_one_clear_error_without_the_password(url, said):
    with pytest.raises(StoreError, match=said) as failed:
        open_postgres(url)
    assert "hunter2" not in str(failed.value)
    assert "hunter2" not in repr(failed.value.__cause__)


@settings(max_examples=50)
@given(passwords(), st.sampled_from(SPELLINGS))
def test_no_spelling_of_a_url_puts_a_piece_of_the_password_into_an_error(password, spelling):
    with pytest.raises(StoreError) as failed:
        look(spelling.format(scheme="postgresql", password=password))
    assert not any(piece in f"{failed.value} {failed.value.__cause__!r}" for piece in pieces(password))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("connection failed: fe_sendauth: no password supplied", "refuses this server"),
        ("server does not support SSL, but SSL was required", "refuses this server"),
        ("SSL error: certificate verify failed", "refuses this server"),
        ('FATAL:  password authentication failed for user "u"', "refuses this server"),
        ("SSL connection has been closed unexpectedly", "cannot be used now"),
    ],
)
def test_what_somebody_has_to_mend_is_told_apart_and_senders_are_told_of_no_place(stores, said, words):
    """It is busy all the same: a password is changed while servers run, and they go on once it is theirs again."""
    with pytest.raises(StoreBusy, match=words) as caught, stores[0].control.translated():
        raise psycopg.OperationalError(said)
    assert (caught.value.hint == "see `database` in the settings") == (words != "cannot be used now")
    answer = refusal(caught.value)
    assert (answer.status, answer.message) == (503, "the database cannot be used now")
    assert answer.hint == "try again" and answer.retry_after


def test_a_database_that_hangs_is_down_though_no_connection_broke(stores, database, monkeypatch):
    monkeypatch.setattr(news, "SILENT", 0.2)
    with psycopg.connect(postgres.shared().url(database)) as other:
        other.execute("LOCK TABLE app IN ACCESS EXCLUSIVE MODE")
        down = wait_for(lambda: stores[0].health().down)
    assert re.fullmatch(rf"the database `{database}` at `[^`]+` has not answered for \d+ s", down)
    monkeypatch.undo()
    wait_for(lambda: stores[0].health().down is None)


def test_a_database_that_refuses_everybody_is_down_for_the_reason_it_gives(stores, database):
    server = postgres.shared()
    server.run(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    try:
        down = wait_for(lambda: (one := stores[0].health().down) and "not currently accepting" in one and one)
        assert f"the database `{database}` at" in down
    finally:
        server.run(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    wait_for(lambda: stores[0].health().down is None)


def test_a_database_that_does_not_exist_is_named(database):
    url = postgres.shared().url("nowhere")
    with pytest.raises(StoreError, match='refuses this server: database "nowhere" does not exist') as failed:
        open_postgres(url)
    assert "`nowhere`" in str(failed.value)


@pytest.mark.parametrize(("default", "found"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_what_is_committed_is_on_disk_whatever_the_databases_default(database, default, found):
    server = postgres.shared()
    server.run(f"ALTER DATABASE {database} SET synchronous_commit = {default}")
    with closing(Control(server.url(database))) as control, control.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == found


def test_two_servers_that_start_at_once_make_the_tables_once(database):
    url = postgres.shared().url(database)
    for store in at_once(lambda: open_postgres(url), lambda: open_postgres(url)):
        assert store.access.apps() == []
        store.close()


def test_a_server_alone_refuses_others_until_it_is_closed(database, monkeypatch):
    monkeypatch.setattr("sentinel.store.postgres.news._LEAVING", 0.3)
    url = postgres.shared().url(database)
    first = open_postgres(url, alone=True)
    with pytest.raises(StoreError, match="in use by another server"):
        open_postgres(url)
    first.close()
    open_postgres(url, alone=True).close()


def test_a_second_server_is_told_who_has_its_data_folder(database, tmp_path):
    """Of two in one folder commands would find one alone, and none once that one had ended."""
    url = postgres.shared().url(database)
    with closing(open_postgres(url, folder=tmp_path)):
        with pytest.raises(StoreError, match=f"`{tmp_path}` is in use by process {os.getpid()}"):
            open_postgres(url, folder=tmp_path)
        open_postgres(url, folder=tmp_path / "own").close()
    open_postgres(url, folder=tmp_path).close()


def test_a_look_says_what_is_there_and_what_is_wrong(database):
    url = postgres.shared().url(database)
    before = look(url)
    assert before.tables == "the tables will be made"
    assert before.problems == ("`fsync` is off: a power cut may lose or damage what was acknowledged",)
    open_postgres(url).close()
    assert look(url).tables == "the tables are there"


def test_a_look_says_that_another_programs_tables_are_there(database):
    postgres.shared().run("CREATE TABLE app (x int)", database)
    url = postgres.shared().url(database)
    assert "it holds another program's table `app` (name an empty database)" in look(url).problems
    with pytest.raises(StoreError, match="another program's table `app`"):
        open_postgres(url)


def test_a_look_says_what_would_break_work_off(database):
    server = postgres.shared()
    server.run(f"ALTER DATABASE {database} SET statement_timeout = '59s'")
    server.run(f"ALTER DATABASE {database} SET idle_in_transaction_session_timeout = '10min'")
    (problem,) = (one for one in look(server.url(database)).problems if "timeout" in one)
    assert problem.startswith("`statement_timeout` is 59000 ms: what takes longer is broken off")


def test_a_look_says_that_clocks_differ(database, monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr("sentinel.store.postgres.state.time.time_ns", lambda: now - 300_000_000_000)
    (problem,) = (one for one in look(postgres.shared().url(database)).problems if "clock" in one)
    assert re.fullmatch(r"its clock and this machine's differ by 30\d s \(keep both by NTP\)", problem)


def test_a_look_says_that_a_data_folder_is_there_by_half(database):
    url = postgres.shared().url(database)
    store = open_postgres(url)
    with store.control.write() as connection:
        connection.exec_driver_sql("INSERT INTO setting (app, name, value) VALUES ('', 'moving', '\"x\"')")
    store.close()
    assert "it holds half of a data folder (run `sentinel migrate` again)" in look(url).problems


@pytest.mark.parametrize(("ahead", "way"), [(300, "behind"), (-300, "ahead of")])
def test_by_how_much_the_clocks_differ_is_known_and_told(stores, ahead, way):
    """Leases are by the database's clock: a server whose own is minutes ahead would hold them for minutes."""
    assert abs(stores[0].skew()) < 1_000_000 and stores[0].health().warnings == ()
    wall = stores[0]._news._wall
    stores[0]._news._wall = lambda: wall() - ahead * 1_000_000
    wait_for(lambda: abs(stores[0].skew() - ahead * 1_000_000) < 1_000_000)
    (warning,) = stores[0].health().warnings
    assert re.fullmatch(rf"this machine's clock is (299|300|301) s {way} the database's: keep both by NTP", warning)


def test_a_host_that_vanished_is_noticed_soon_and_the_url_may_say_when(database):
    url = postgres.shared().url(database)
    with connect(parts(url)) as connection:
        found = connection.info.get_parameters()
    assert (found["tcp_user_timeout"], found["keepalives_idle"]) == ("30000", "10")
    with connect(parts(f"{url}&keepalives_idle=60")) as connection:
        assert connection.info.get_parameters()["keepalives_idle"] == "60"


def test_a_dump_is_put_back_as_the_manual_says_without_an_error(tmp_path):
    server = postgres.shared()
    lines = (Path(__file__).parents[3] / "docs" / "several-servers.md").read_text().splitlines()
    programs = "dropdb", "createdb", "pg_restore"
    steps = [shlex.split(line, comments=True) for line in lines if line.startswith(programs)][-3:]
    assert [step[0] for step in steps] == ["dropdb", "createdb", "pg_restore"]
    environment = {"PGHOST": str(server.folder), "PGUSER": "sentinel"}
    try:
        server.run("CREATE DATABASE sentinel TEMPLATE template0")
        store = open_postgres(server.url("sentinel"))
        store.access.add_app(App("shop", made=NOW), "test", NOW)
        send(store, [event("a"), event("b")])
        store.close()
        for name, *options in [["pg_dump", "--format=custom", "--file", "sentinel.dump", "sentinel"], *steps]:
            command = [postgres.programs() / name, *options]
            subprocess.run(command, check=True, env=environment, cwd=tmp_path, timeout=300)
        again = open_postgres(server.url("sentinel"))
        assert len(again.events.search("shop", Filter()).items) == 2
        again.close()
    finally:
        server.run("DROP DATABASE IF EXISTS sentinel WITH (FORCE)")


def test_events_come_in_while_those_of_a_deleted_person_are_looked_for(stores, database):
    """That takes minutes where there are many events: here somebody else holds one that is to go."""
    store = stores[0]
    put(store, batch(events=(event("a", user={"id": "7"}),)))
    with psycopg.connect(postgres.shared().url(database)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT 1 FROM events FOR UPDATE")
        deleting = pool.submit(store.deletions.delete, "shop", "id:7", "jane", "asked", NOW + DAY)
        wait_for(lambda: postgres.shared().run("SELECT 1 FROM pg_locks WHERE NOT granted", database))
        put(store, batch(events=(event("b", user={"id": "8"}),)))
        assert not deleting.done()
        other.rollback()
        assert deleting.result(60).events == 1
    assert [kept.event.id for kept in store.events.matching("shop", Filter())] == ["b"]


def test_settling_waits_for_whoever_has_begun_to_write_and_then_knows_what_they_wrote(stores):
    """Another process has claimed an event and not committed: who settles is not done before it is, and reads it."""
    one, other = stores
    over, made = threading.Event(), event("e")
    with other.unit() as unit:
        unit.claim("shop", [made])
        waiting = threading.Thread(target=lambda: (one.settle(), over.set()))
        waiting.start()
        assert not over.wait(0.3)
        unit.commit([batch(events=(made,))])
    assert over.wait(60)
    waiting.join()
    assert [found.id for found in one.events.in_order("shop", 0)] == ["e"]


def test_a_database_that_was_read_only_is_written_to_again_by_itself(stores, database):
    """A connection keeps what was set when it was made, and one to what was the primary leads there for ever."""
    server = postgres.shared()

    def tried():
        try:
            put(stores[0], batch(events=(event("a"),)))
        except StoreBusy as error:
            return error.message
        return ""

    def room():
        try:
            stores[0].room()
        except StoreBusy:  # over a connection of before
            return False
        return True

    server.run(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    wait_for(lambda: "read-only transaction" in tried())
    assert not room()
    assert any("takes no writes" in problem for problem in look(server.url(database)).problems)
    server.run(f"ALTER DATABASE {database} RESET default_transaction_read_only")

    wait_for(lambda: tried() == "")
    wait_for(room)
    assert server.run("SELECT to_regclass('sentinel_room')", database) == [(None,)]


def test_tables_stay_in_their_schema_whatever_the_search_path_becomes(stores, database):
    """Partitions of further days were made in the schema that came first then, where nothing looked for them later."""
    server, name = postgres.shared(), f'odd "{database}"'
    quoted = '"' + name.replace('"', '""') + '"'
    server.run(f"CREATE SCHEMA {quoted}", database)
    server.run(f"ALTER DATABASE {database} SET search_path = {quoted}, public")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    wait_for(lambda: _made(stores[0]))
    after = open_postgres(server.url(database))
    try:
        assert [one.event.id for one in after.events.search("shop", Filter()).items] == ["far"]
        after.prepare([NOW // DAY + 41], NOW)
    finally:
        after.close()
    found = f"SELECT count(*) FROM pg_tables WHERE schemaname = '{name}'"
    assert server.run(found, database) == [(0,)]


def _made(store):
    """Put an event of a day to come, and make partitions; say whether the database was there for it."""
    try:
        put(store, batch(events=(event("far", NOW + 40 * DAY),)))
        store.prepare([NOW // DAY + 40], NOW)
    except StoreBusy:
        return False
    return True


def test_a_schema_of_an_odd_name_is_used_as_any(database):
    server = postgres.shared()
    server.run('CREATE SCHEMA "Odd, ""one"""', database)
    server.run(f'ALTER DATABASE {database} SET search_path = "Odd, ""one"""')
    store = open_postgres(server.url(database))
    try:
        store.access.add_app(App("shop"), "test", NOW)
        put(store, batch(events=(event("a"),)))
    finally:
        store.close()
    assert server.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database) == [(0,)]


def test_a_database_that_cannot_hold_every_text_is_refused(database):
    server, name = postgres.shared(), f"{database}_latin"
    server.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1'")
    try:
        with pytest.raises(StoreError, match="is in LATIN1, which cannot hold every text"):
            open_postgres(server.url(name))
    finally:
        server.drop(name)
