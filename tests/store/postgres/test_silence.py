"""A database that stands still, all of it or one process of it: nobody waits for ever, and it is used again after."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg
import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import Filter
from sentinel.store.postgres import news, patient, store
from sentinel.store.postgres.control import connect, driver, parts
from tests import postgres
from tests.api.served import wait_for
from tests.contract.values import batch, event, put


@pytest.fixture
def silent(monkeypatch):
    """Let the database be asked often, and its silence be noticed soon."""
    monkeypatch.setattr(news, "EVERY", 0.1)
    monkeypatch.setattr(news, "_LONGEST", 0.1)
    for module in (news, patient):
        monkeypatch.setattr(module, "SILENT", 2.0)
    monkeypatch.setattr(patient, "_LEAST", 0.1)


@contextmanager
def frozen():
    server = postgres.shared()
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_of_a_database_that_stands_still_nobody_waits_and_it_is_used_again_after(silent, stores):
    here = stores[0]
    put(here, batch(events=(event("a"),)))
    with frozen():
        with pytest.raises(StoreBusy, match="cannot be used now: no answer for"):
            here.events.count("shop", Filter())
        with pytest.raises(StoreBusy, match="cannot be used now"):
            put(here, batch(events=(event("b"),)))
    wait_for(lambda: here.health().down is None)
    put(here, batch(events=(event("b"),)))
    assert here.events.count("shop", Filter()) == 2


def test_in_the_midst_of_a_commit_it_is_given_up_too(silent, stores):
    with pytest.raises(StoreBusy, match="no answer for"), stores[0].unit() as unit:
        unit.claim("shop", [event("a")])
        with frozen():
            unit.commit([batch(events=(event("a"),))])
    wait_for(lambda: stores[0].health().down is None)
    put(stores[0], batch(events=(event("b"),)))


def test_where_one_process_of_it_stands_still_events_are_held_up_not_long_and_that_is_told(silent, stores, monkeypatch):
    """Others answer, so that the database is not silent: so it is where a disk hangs."""
    here, told = stores[0], []
    monkeypatch.setattr(store, "TAKING", 1.5)
    asking = threading.Thread(target=lambda: told.append(wait_for(lambda: _writing(here))))
    asking.start()
    with (
        pytest.raises(StoreBusy, match=r"no answer for \d+ s"),
        here.unit() as unit,
        stopped(driver(unit._connection).info.backend_pid),
    ):
        unit.claim("shop", [event("a")])
    asking.join()
    assert told
    put(here, batch(events=(event("a"),)))
    assert here.events.count("shop", Filter()) == 1


def _writing(of):
    down = of.health().down
    return down if down is not None and "has been writing for" in down else None


def test_so_it_is_with_whoever_else_writes_and_holds_up_events(silent, stores):
    with (
        pytest.raises(StoreBusy, match=r"no answer for \d+ s"),
        stores[0].control.write(longest=1.0) as connection,
        stopped(driver(connection).info.backend_pid),
    ):
        connection.exec_driver_sql("SELECT 1")
    put(stores[0], batch(events=(event("a"),)))


def test_what_takes_long_is_waited_for_while_others_are_answered(database, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(patient, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pulse, url, over = patient.Pulse(), parts(postgres.shared().url(database)), threading.Event()
    pulse.take()
    with connect(url, pulse) as slow, connect(url, pulse) as other:

        def ask():
            while not over.is_set():
                other.execute("SELECT 1")
                now[0] += patient.SILENT * 0.9

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            assert slow.execute("SELECT 7 FROM pg_sleep(0.5)").fetchone() == (7,)
        finally:
            over.set()
            asking.join()


def test_where_nobody_asks_nothing_heard_is_no_silence(database, monkeypatch):
    """Whoever asks all the time may be held up by one who writes and waits for something else."""
    monkeypatch.setattr(patient, "SILENT", 0.1)
    pulse, url = patient.Pulse(), parts(postgres.shared().url(database))
    pulse.take()
    with connect(url, pulse) as one:
        one.execute("LISTEN x")
        one.listen(0.3)
        one.rollback()  # for which nothing has to be asked
        one.rollback()
        one.listen(0.3)
        assert not pulse.silent()
        pulse.ask()
        one.listen(0.3)
        assert pulse.silent()
        pulse.hear()
        assert not pulse.silent()


def test_once_the_server_ends_nobody_waits_however_well_the_database_is(silent, stores):
    here = stores[0]
    with pytest.raises(StoreBusy, match="no answer"), here.control.read() as connection:
        here.give_up()
        driver(connection).execute("SELECT pg_sleep(30)")


def test_a_question_is_broken_off_though_the_database_stands_still(database, monkeypatch):
    monkeypatch.setattr(patient, "_INTERRUPT", 0.2)
    with connect(parts(postgres.shared().url(database))) as one, frozen():
        one.interrupt()
    asked = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'"
    with connect(parts(postgres.shared().url(database))) as one, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(one.execute, "SELECT pg_sleep(60)")
        wait_for(lambda: postgres.shared().run(asked))
        one.interrupt()
        with pytest.raises(psycopg.errors.QueryCanceled):
            asking.result(60)
