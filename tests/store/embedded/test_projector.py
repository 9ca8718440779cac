"""Events on their way to where they are searched: whatever fails, commits go on and nothing is lost or doubled."""

from __future__ import annotations

import random
import subprocess
import sys
import threading

import duckdb
import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App, Filter
from sentinel.store.embedded import codec, journal, projector
from sentinel.store.embedded.store import EVENTS, open_store
from sentinel.store.rows import TEXTS
from tests.contract.values import NOW, batch, event, put


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def store(data):
    opened = open_store(data, recent=20)
    opened.access.add_app(App("shop"), "test", NOW)
    yield opened
    opened.close()


def ids(store):
    return sorted(kept.event.id for kept in store.events.search("shop", Filter(), limit=1000).items)


def lot(name, count=5, **fields):
    return tuple(event(f"{name}{n:03}", NOW + n, **fields) for n in range(count))


def break_down(store):
    store._duck.fail(duckdb.IOException("the disk went away"))


def test_a_failure_stops_the_explorer_and_nothing_else(store):
    put(store, batch(events=lot("a")))
    break_down(store)
    put(store, batch(events=lot("b")))
    assert store.health().explorer == "the disk went away"
    store._projector._wait = 99  # not yet
    with pytest.raises(StoreBusy, match="the disk went away"):
        store.events.search("shop", Filter())
    assert store.health().pending == 10


def test_after_a_failure_the_file_is_opened_again_and_nothing_is_missing(store):
    put(store, batch(events=lot("a")))
    store.project()
    break_down(store)
    put(store, batch(events=lot("b")))
    assert store.project() == 5
    assert store.health().explorer is None
    assert ids(store) == sorted(one.id for one in (*lot("a"), *lot("b")))


def test_the_file_is_not_opened_again_while_somebody_reads(store):
    put(store, batch(events=lot("a")))
    store.project()
    with store._duck.cursor() as own:
        break_down(store)
        assert store.project() == 0
        assert own.execute("SELECT count(*) FROM events").fetchall() == [(5,)]
    put(store, batch(events=lot("b")))
    for _ in range(projector._SLOWEST):
        store.project()
    assert store.health().explorer is None


def test_attempts_to_open_become_rare(store, monkeypatch):
    attempts = []
    monkeypatch.setattr(store._projector, "open", lambda: attempts.append(1) and False)
    break_down(store)
    for _ in range(1000):
        assert store.project() == 0
    assert 20 <= len(attempts) <= 30
    monkeypatch.undo()
    store._projector.open()


def test_of_what_waits_to_be_searchable_a_few_events_are_held_and_the_others_unpacked(store, monkeypatch):
    unpacked = []
    monkeypatch.setattr(journal, "HELD", 9)
    monkeypatch.setattr(journal, "unpack", lambda body: unpacked.append(body) or codec.unpack(body))
    for name, left in (("a", 0), ("b", 1)):
        put(store, batch(events=lot(f"{name}1")))
        if left:
            put(store, batch(events=lot(f"{name}2")))
        store.project()
        assert len(unpacked) == left
    assert len(ids(store)) == 15


def test_journal_rows_stay_until_a_checkpoint_past_them(store):
    put(store, batch(events=lot("a")))
    store.project()
    assert [row.events for row in store._journal.rows(0)] == [5]
    put(store, batch(events=lot("b")))
    store.checkpoint()
    assert [row.events for row in store._journal.rows(0)] == [5]
    store.project()
    store.checkpoint()
    assert store._journal.rows(0) == []


def test_without_a_checkpoint_no_row_goes(store):
    put(store, batch(events=lot("a")))
    store.project()
    break_down(store)
    store.checkpoint()
    assert [row.events for row in store._journal.rows(0)] == [5]


def test_a_large_backlog_is_told_and_not_waited_for(store, monkeypatch):
    monkeypatch.setattr(projector, "SIP", 20)
    for name in "abcdef":
        put(store, batch(events=lot(name, 10)))
    page = store.events.search("shop", Filter(), limit=100)
    assert (len(page.items), page.behind) == (20, 40)


def test_an_event_of_a_large_backlog_is_found_by_its_id(store, monkeypatch):
    """It was acknowledged: that it is not there would be untrue."""
    monkeypatch.setattr(projector, "SIP", 20)
    for name in "abcdef":
        put(store, batch(events=lot(name, 10)))
    assert store.events.get("shop", "f009").event.id == "f009"
    assert store.events.get("shop", "nothing") is None


def test_whether_there_is_an_event_is_not_said_while_that_cannot_be_known(store, monkeypatch):
    put(store, batch(events=lot("a")))
    monkeypatch.setattr(store._projector, "project", lambda most: 0)  # a long lump is under way
    with pytest.raises(StoreBusy):
        store.events.get("shop", "a001")


def test_large_events_make_small_lumps(store, monkeypatch):
    monkeypatch.setattr("sentinel.store.embedded.journal._WIDEST", 100_000)
    for name in "abcdef":
        put(store, batch(events=lot(name, 10, properties={"text": "x" * 5_000})))
    assert [store.project() for _ in range(4)] == [20, 20, 20, 0]


def test_a_reader_that_holds_the_right_to_write_does_not_wait_for_the_projector(store):
    """Else the two would wait for each other for ever."""
    put(store, batch(events=lot("a")))
    held, go = threading.Event(), threading.Event()

    def hold():
        with store._projector._lock:
            held.set()
            go.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(60)
    with store.unit():
        assert store.events.search("shop", Filter()).behind == 5
    go.set()
    other.join(60)


def test_events_that_could_not_be_checked_are_checked_before_they_are_searched(store):
    """While events cannot be searched, an old repeat cannot be told: it goes in, and is taken out on the way."""
    old = lot("old")
    put(store, batch(events=old))
    for n in range(10):
        put(store, batch(events=lot(f"new{n}.", 10)))
    store.project()
    break_down(store)
    store._projector._wait = 99
    with store.unit() as unit:
        assert unit.claim("shop", [*old, event("fresh")]) == [True] * 6
        unit.commit([batch(events=(*old, event("fresh")))])
    store._projector._wait = 1
    assert len(ids(store)) == 5 + 100 + 1
    assert ids(store).count("old000") == 1


def test_a_value_that_no_column_takes_costs_its_own_event_only(store):
    events = lot("a", 6)
    for n in (0, 2, 3, 5):
        events[n].received = 1 << 70
    put(store, batch(events=events))
    assert store.project() == 6
    warning = "events that cannot be searched, for something in them is no value of its column: 4"
    assert store.health().warnings == (warning,)
    assert ids(store) == ["a001", "a004"]


def test_events_that_fit_are_not_tried_one_by_one(store, monkeypatch):
    monkeypatch.setattr(projector, "sifted", lambda table: pytest.fail("tried one by one"))
    put(store, batch(events=lot("a", request={"status": 200, "params": {"q": "1"}}, properties={"x": [1]})))
    assert store.project() == 5


def test_promoted_properties_have_columns_of_their_own(store):
    put(store, batch(events=lot("a", 3, properties={"plan": "free", "total": 5, "deep": {"n": 1.5}, "ok": True})))
    put(store, batch(events=lot("b", 1, properties={"plan": 7, "total": "x"})))
    store.project()
    slots = {one.path: one.slot for one in store.schema.properties("shop")}
    assert slots == {"plan": "s01", "total": "n01", "deep": None, "deep.n": "n02", "ok": None}
    with store._duck.cursor() as own:
        rows = own.execute("SELECT DISTINCT s01, n01, n02, conflicts FROM events ORDER BY ALL").fetchall()
    assert rows == [("free", 5.0, 1.5, None), (None, None, None, '["plan","total"]')]


def test_a_file_of_an_older_version_gets_the_columns_it_lacks(store, data):
    put(store, batch(events=lot("a")))
    store.project()
    store.close()
    with duckdb.connect(str(data / EVENTS)) as file:
        file.execute("ALTER TABLE events DROP COLUMN country")
        file.execute("ALTER TABLE events DROP COLUMN ip")
    again = open_store(data)
    put(again, batch(events=lot("b", ip="203.0.113.9")))
    assert ids(again) == sorted(one.id for one in (*lot("a"), *lot("b")))
    assert again.events.get("shop", "b000").event.ip == "203.0.113.9"
    again.close()


def test_slots_are_few_kept_and_not_for_browsers(store, data):
    put(store, batch(events=lot("a", 1, properties={f"p{n:02}": "x" for n in range(20)})))
    public = lot("b", 1, properties={"number": 1})
    public[0].trust = "browser"
    put(store, batch(events=public))
    store.project()
    found = {one.path: one.slot for one in store.schema.properties("shop") if one.slot}
    assert found == {f"p{n:02}": TEXTS[n] for n in range(16)}
    store.close()
    again = open_store(data)
    assert {one.path: one.slot for one in again.schema.properties("shop") if one.slot} == found
    again.close()


def test_a_sender_cannot_make_up_properties_without_end(store, monkeypatch):
    monkeypatch.setattr("sentinel.store.paths.MOST", 50)
    put(store, batch(events=lot("a", 1, properties={f"p{n}": n for n in range(500)})))
    store.project()
    assert len(store.schema.properties("shop")) == 50
    assert len(store.events.get("shop", "a000").event.properties) == 500


def crash(data, name=""):
    """Leave a log behind: a process projects 1,200 events, checkpoints after 300 of them, and dies."""
    code = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, '.')\n"
        "from sentinel.core.record import App; from sentinel.store.embedded.store import open_store\n"
        "from tests.contract.values import *\n"
        "store = open_store(Path(sys.argv[1]))\n"
        "store.access.add_app(App('shop'), 'test', NOW); store.access.add_app(App('blog'), 'test', NOW)\n"
        "put(store, batch(events=tuple(event(f'{sys.argv[2]}kept{n}') for n in range(300))))\n"
        "store.project(); store.checkpoint()\n"
        "for lot in range(3):\n"
        "    put(store, batch(events=tuple(event(f'{sys.argv[2]}{lot}.{n}') for n in range(300))))\n"
        "    store.project()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(data), name], timeout=300, check=False)


def zero_tail(log):
    return log[:-300] + bytes(300)


def flip_tail(log):
    return log[:-100] + bytes([log[-100] ^ 255]) + log[-99:]


def flip_middle(log):
    return log[: len(log) // 2] + bytes([log[len(log) // 2] ^ 255]) + log[len(log) // 2 + 1 :]


def cut_off(log):
    return log[: len(log) * 2 // 3]


def nothing(log):
    return b""


def noise(log):
    return random.Random(5).randbytes(len(log))


@pytest.mark.parametrize(
    ("damage", "aside"),
    [(zero_tail, True), (flip_tail, True), (flip_middle, True), (cut_off, False), (nothing, False), (noise, False)],
)
def test_a_damaged_log_is_set_aside_and_its_events_come_from_the_journal(data, damage, aside):
    crash(data)
    log = data / f"{EVENTS}.wal"
    damaged = damage(log.read_bytes())
    log.write_bytes(damaged)
    store = open_store(data)
    assert store.health().explorer is None
    assert store.events.count("shop", Filter()) == 1200
    kept = list(data.glob(f"{EVENTS}.wal.damaged-*"))
    assert [file.read_bytes() for file in kept] == ([damaged] if aside else [])
    warnings = store.health().warnings
    assert len(warnings) == aside
    assert all(str(data / EVENTS) in warning and kept[0].name in warning for warning in warnings)
    store.close()


def test_a_second_damaged_log_does_not_replace_the_first(data):
    for number in (1, 2):
        crash(data, f"{number}:")
        log = data / f"{EVENTS}.wal"
        log.write_bytes(flip_tail(log.read_bytes()))
        open_store(data).close()
        assert len(list(data.glob(f"{EVENTS}.wal.damaged-*"))) == number


def test_of_logs_set_aside_the_newest_three_are_kept(data):
    crash(data, "1:")
    for number in range(5):
        (data / f"{EVENTS}.wal.damaged-2020010{number}T000000Z").write_bytes(b"%d" % number)
    log = data / f"{EVENTS}.wal"
    damaged = flip_tail(log.read_bytes())
    log.write_bytes(damaged)
    open_store(data).close()
    kept = sorted(data.glob(f"{EVENTS}.wal.damaged-*"))
    assert [file.read_bytes() for file in kept] == [b"3", b"4", damaged]


def test_a_damaged_file_stops_the_explorer_until_a_good_one_is_back(data):
    crash(data)
    file, log = data / EVENTS, data / f"{EVENTS}.wal"
    good, good_log = file.read_bytes(), log.read_bytes()
    file.write_bytes(bytes(4096) + good[4096:])
    bad = file.read_bytes()
    store = open_store(data)
    assert "cannot be opened" in store.health().explorer
    put(store, batch(events=lot("a")))
    with store.unit() as unit:
        assert unit.claim("shop", (*lot("a"), event("2.1"))) == [False] * 6
        assert unit.claim("blog", (event("2.1"),)) == [True]
    assert (file.read_bytes(), log.read_bytes()) == (bad, good_log)
    assert list(data.glob("*damaged*")) == []
    file.write_bytes(good)
    for _ in range(4):
        store.project()
    assert store.events.count("shop", Filter()) == 1205
    store.close()


def test_a_file_that_another_process_has_open_is_left_alone(data):
    crash(data)
    log = (data / f"{EVENTS}.wal").read_bytes()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(data / EVENTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        store = open_store(data)
        assert "lock" in store.health().explorer
        assert list(data.glob("*damaged*")) == []
        other.stdin.close()
        other.wait(60)
    assert log
    for _ in range(4):
        store.project()
    assert store.events.count("shop", Filter()) == 1200
    store.close()


def test_a_file_without_a_byte_is_begun_anew(data):
    """A process that died in its first moment leaves one."""
    data.mkdir()
    (data / EVENTS).touch()
    store = open_store(data)
    assert store.health().explorer is None
    store.close()
