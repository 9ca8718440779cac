"""The SQLite file under the rooms: one writer, readers that see one moment, errors in our own words."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from sqlalchemy import text

from sentinel.core.errors import StoreBusy, StoreError
from sentinel.store.embedded import control as module
from sentinel.store.embedded.control import Control, translated


@pytest.fixture
def control(tmp_path):
    opened = Control(tmp_path / "a.sqlite3")
    with opened.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    yield opened
    opened.close()


def add(connection, number):
    connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})


def numbers(connection):
    return list(connection.execute(text("SELECT n FROM t ORDER BY n")).scalars())


def test_a_commit_waits_for_the_disk_and_readers_do_not_wait_for_it(control):
    assert control.raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert control.raw.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_transaction_is_seen_when_it_is_over_and_not_before(control):
    with control.write() as connection:
        add(connection, 1)
        with control.read() as other:
            assert numbers(other) == []
    with control.read() as other:
        assert numbers(other) == [1]


def test_a_reader_sees_one_moment(control):
    with control.read() as reader:
        assert numbers(reader) == []
        with control.write() as connection:
            add(connection, 1)
        assert numbers(reader) == []


def test_an_error_undoes_the_transaction_and_leaves_the_connection_usable(control):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), control.write() as connection:
            add(connection, 1)
            raise ZeroDivisionError
    with control.write() as connection:
        add(connection, 2)
    with control.read() as reader:
        assert numbers(reader) == [2]


def test_a_transaction_does_not_begin_within_another(control):
    with control.write(), pytest.raises(RuntimeError, match="within another"), control.write():
        pass
    with control.write() as connection:
        add(connection, 1)


def test_writers_take_turns_and_know_whether_it_is_theirs(control):
    order, inside = [], threading.Event()

    def other():
        inside.set()
        with control.writing():
            order.append("other")

    with control.writing():
        assert control.held
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(60)
        with control.write() as connection:
            add(connection, 1)
        order.append("first")
    thread.join(60)
    assert not control.held
    assert order == ["first", "other"]


def test_another_process_that_holds_the_file_makes_it_busy(control, tmp_path):
    control.raw.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "a.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="cannot be used now: database is locked"), control.write() as connection:
        add(connection, 1)
    other.execute("ROLLBACK")
    other.close()
    with control.write() as connection:
        add(connection, 1)


def test_too_many_readers_are_told_to_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    control = Control(tmp_path / "b.sqlite3")
    open_ones = [control.read() for _ in range(31)]
    for one in open_ones:
        one.__enter__()
    with pytest.raises(StoreBusy, match="too many"), control.read():
        pass
    for one in open_ones:
        one.__exit__(None, None, None)
    with control.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    control.close()


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (sqlite3.SQLITE_FULL, StoreBusy, "the disk is full"),
        (sqlite3.SQLITE_IOERR, StoreBusy, "cannot be used now"),
        (sqlite3.SQLITE_BUSY, StoreBusy, "cannot be used now"),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, StoreError, "is damaged"),
        (sqlite3.SQLITE_NOTADB, StoreError, "is damaged"),
    ],
)
def test_each_failure_of_the_machine_is_one_of_ours(tmp_path, code, kind, says):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    with pytest.raises(kind, match=says) as raised, translated(tmp_path / "x"):
        raise error
    assert raised.type is kind
    assert kind is StoreError or str(tmp_path) not in str(raised.value), "senders need not know where the files lie"


@pytest.mark.parametrize("statement", ["SELECT nothing FROM t", "no SQL at all", "INSERT INTO nowhere VALUES (1)"])
def test_a_mistake_of_ours_is_not_taken_for_the_machines(control, statement):
    with pytest.raises(sqlite3.OperationalError), control.read() as connection:
        connection.execute(text(statement))
