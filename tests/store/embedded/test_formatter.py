"""Events put into columns by another process: found as if the server had done it, whatever becomes of that process."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App, Filter
from sentinel.engine.expression import compile_expression
from sentinel.store.embedded import formatter, projector
from sentinel.store.embedded.codec import packed
from sentinel.store.embedded.formatter import Formatter
from sentinel.store.embedded.formatting import READY, Asked
from sentinel.store.embedded.formatting import send as send_message
from sentinel.store.embedded.journal import Row
from sentinel.store.embedded.store import open_store
from sentinel.store.rows import TEXTS
from tests.api.served import wait_for
from tests.contract.values import NOW, batch, event, put

ODD = (
    {"properties": {"n": 1, "text": "é\u2028\0", "deep": {"a": [1, {"b": None}]}, "a.b": True}},
    {"properties": {"n": "another type", "big": 10**30}},
    {"user": {"id": "1", "email": "A@x.example"}, "ip": "2001:db8::1", "device": "d"},
    {"request": {"method": "GET", "status": 2**63, "params": {"q": ["1"]}}},
    {},
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def store(folder, monkeypatch):
    monkeypatch.setattr(projector, "MUCH", 1)
    opened = open_store(folder)
    opened.access.add_app(App("shop"), "test", NOW)
    yield opened
    opened.close()


def send(store, name: str, *fields: dict) -> None:
    put(store, batch(events=tuple(event(f"{name}{n}", NOW + n, **one) for n, one in enumerate(fields))))


def warm(store) -> None:
    """Have a lump to do, for which it is started, and wait until it can be asked."""
    send(store, "first", {})
    store.project()
    wait_for(store._formatter._is_ready)


def worker(store) -> int:
    return store._formatter._process.pid


def asked(store, monkeypatch) -> list[int]:
    """Return a list that gets an entry for each file that is read in."""
    counts: list[int] = []
    real = projector._read_in
    monkeypatch.setattr(projector, "_read_in", lambda *a: counts.append(1) or real(*a))
    return counts


def lumps(folder: Path) -> list[Path]:
    return list(folder.glob(formatter.LUMP.format("*")))


def everything(store) -> list[tuple]:
    """Return every stored event, and how each lies in the table."""
    items = store.events.search("shop", Filter(), limit=100).items
    with store._duck.cursor() as own:
        rows = own.execute("SELECT * EXCLUDE seq FROM events ORDER BY ts, id").fetchall()
    return [[vars(kept.event) for kept in items], rows, store.schema.properties("shop")]


def test_what_it_makes_is_what_the_server_makes(store, tmp_path, monkeypatch):
    other = open_store(tmp_path / "other")
    other.access.add_app(App("shop"), "test", NOW)
    warm(store)
    apart = asked(store, monkeypatch)
    for each in (store, other):
        if each is other:
            send(other, "first", {})
        for name in "ab":
            send(each, name, *ODD)
            each.project()
    assert len(apart) == 2
    assert everything(store) == everything(other)
    other.close()


def test_properties_learnt_by_either_are_known_to_both(store, monkeypatch):
    """A property promoted here, and those learnt here meanwhile, have their columns there; and the other way round."""
    warm(store)
    apart = asked(store, monkeypatch)
    send(store, "a", {"properties": {f"p{n:02}": "x" for n in range(len(TEXTS))}})
    store.project()
    send(store, "b", {"properties": {"late": "x", "p00": "x"}})
    store.project()
    store.schema.promote("shop", "late")
    send(store, "c", {"properties": {"late": "y", "p00": "y"}})
    store.project()
    monkeypatch.setattr(projector, "MUCH", 1000)
    send(store, "d", {"properties": {"late": 7, "here": 1}})
    store.project()
    monkeypatch.setattr(projector, "MUCH", 1)
    send(store, "e", {"properties": {"here": "text", "late": "y"}})
    store.project()
    assert len(apart) == 4
    known = {one.path: one for one in store.schema.properties("shop")}
    assert (known["late"].slot is not None, known["p00"].slot, known["late"].conflicts) == (True, None, 1)
    assert (known["here"].type, known["here"].conflicts) == ("number", 1)
    for q, ids in (('properties.late == "y"', ["c0", "e0"]), ('properties.p00 == "y"', ["c0"])):
        found = store.events.search("shop", Filter(q=compile_expression(q))).items
        assert sorted(kept.event.id for kept in found) == ids


def test_it_is_asked_also_where_a_thousand_connections_are_open(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    mine, its = socket.socketpair()
    with mine, its, socket.socket(fileno=fcntl.fcntl(mine, fcntl.F_DUPFD_CLOEXEC, 1024)) as late:
        monkeypatch.setattr(Formatter, "_start", lambda self: setattr(self, "_connection", late))
        made = Formatter(tmp_path)
        assert not made._is_ready(), "it was only started"
        assert not made._is_ready(), "it has not said that it is ready"
        send_message(its, READY)
        assert made._is_ready()


def test_one_that_dies_costs_nothing_and_another_is_started(store, monkeypatch):
    warm(store)
    send(store, "a", *ODD)
    killed = worker(store)
    os.kill(killed, signal.SIGKILL)
    store._formatter._process.wait()
    assert store.project() == len(ODD)
    wait_for(store._formatter._is_ready)
    assert worker(store) != killed
    apart = asked(store, monkeypatch)
    send(store, "b", *ODD)
    assert (store.project(), len(apart)) == (len(ODD), 1)
    assert len(everything(store)[0]) == 2 * len(ODD) + 1


def test_one_that_hangs_is_given_up(store):
    warm(store)
    store._formatter._connection.settimeout(0.05)
    os.kill(worker(store), signal.SIGSTOP)
    send(store, "a", *ODD)
    assert store.project() == len(ODD)
    assert store._formatter._process is None
    assert len(everything(store)[0]) == len(ODD) + 1


def test_one_that_never_works_is_asked_no_more_and_that_is_told(store, monkeypatch):
    monkeypatch.setattr(formatter.sys, "executable", "/bin/false")
    for n in range(200):
        send(store, f"a{n}-", {})
        assert store.project() == 1
        if store.health().warnings:
            break
        if store._formatter._process is not None:
            store._formatter._process.wait()
    (told,) = store.health().warnings
    assert "the other process failed" in told
    send(store, "b", {})
    assert (store.project(), store._formatter._process) == (1, None)


def test_a_lump_it_refuses_is_done_here(store, monkeypatch):
    warm(store)
    apart = asked(store, monkeypatch)
    monkeypatch.setattr(store._formatter, "_file", store._formatter._file / "no-folder")
    send(store, "a", *ODD)
    assert (store.project(), apart) == (len(ODD), [])
    assert store._formatter._process is not None


def test_events_of_a_person_whose_deletion_broke_off_are_not_found(store, monkeypatch):
    warm(store)
    apart = asked(store, monkeypatch)
    erase = store.deletions._erase

    def breaking_off(*what):
        gone = erase(*what)
        send(store, "meanwhile", {"user": {"id": "1"}}, {"user": {"id": "2"}})
        store._duck.fail(OSError("on purpose"))
        store._projector._wait = 99  # is not opened again yet
        return gone

    monkeypatch.setattr(store.deletions, "_erase", breaking_off)
    with pytest.raises(StoreBusy):
        store.deletions.delete("shop", "id:1", "test", "asked to", NOW + 10)
    store._projector._wait = 1
    store.project()
    assert (apart, sorted(kept["id"] for kept in everything(store)[0])) == ([], ["first0", "meanwhile1"])


def test_it_is_asked_again_once_a_person_is_deleted(store, monkeypatch):
    """The events of later lumps were looked at as they came in."""
    warm(store)
    apart = asked(store, monkeypatch)
    store.deletions.delete("shop", "id:1", "test", "asked to", NOW + 10)
    send(store, "a", *ODD)
    assert (store.project(), apart) == (len(ODD), [1])


def test_it_leaves_no_file_and_ends_with_the_store(store, folder):
    warm(store)
    send(store, "a", *ODD)
    store.project()
    process = store._formatter._process
    assert lumps(folder) == []
    store.close()
    assert process.returncode == 0


def test_a_file_that_a_killed_server_left_is_gone_at_the_next_start(folder):
    open_store(folder).close()
    (folder / formatter.LUMP.format("0a1b2c3d")).write_bytes(b"of a server that was killed")
    open_store(folder).close()
    assert lumps(folder) == []


def test_it_ends_when_its_server_is_killed(tmp_path):
    program = (
        "import sys; from pathlib import Path; from sentinel.store.embedded.formatter import Formatter\n"
        "made = Formatter(Path(sys.argv[1]))\n"
        "while not made._is_ready(): pass\n"
        "print(made._process.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        worker = int(server.stdout.readline())
        server.kill()
    wait_for(lambda: not _lives(worker))


def test_one_whose_server_is_gone_leaves_no_file_behind(tmp_path):
    """It was asked, and when it is done nobody hears of it."""
    made = formatter.Formatter(tmp_path)
    wait_for(made._is_ready)
    row = Row(1, "shop", 1, False, packed([event("a", NOW)])[0])
    asked = Asked([(row.first, row.app, row.body)], {"shop": []}, str(made._file))
    os.kill(made._process.pid, signal.SIGSTOP)
    send_message(made._connection, msgspec.msgpack.encode(asked))
    made._connection.close()
    os.kill(made._process.pid, signal.SIGCONT)
    assert made._process.wait(60) == 0
    assert lumps(tmp_path) == []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
