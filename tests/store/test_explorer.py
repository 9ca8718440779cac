"""The explorer over DuckDB holds nothing up: each query ends in time, few run at once, and time zones are whole."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.buckets import buckets
from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Filter
from sentinel.store.embedded import columns, where
from sentinel.store.embedded.duck import Duck
from sentinel.store.embedded.questions import Asker
from sentinel.store.embedded.store import open_store
from sentinel.store.embedded.words import DUCKDB_WORDS
from sentinel.store.explorer.buckets import number_of
from sentinel.store.explorer.machine import Machine
from sentinel.store.sql import Sql
from tests.contract.values import NOW, batch, event, fresh_app, put

ENDLESS = "SELECT count(*) FROM range(1000000) AS a (x), range(1000000) AS b (y) WHERE x * y % 7 = 3"


@pytest.fixture
def duck(tmp_path):
    found = Duck(tmp_path / "x.duckdb", lambda connection: None, memory="64MB")
    found.open()
    yield found
    found.close()


def test_a_query_that_takes_too_long_is_ended_and_the_next_is_answered(duck):
    ask = Asker(duck, longest=0.2)
    with pytest.raises(SentinelError) as caught:
        ask(ENDLESS, [])
    assert str(caught.value) == "the answer takes longer than 0.2 s (ask for a shorter time, or for fewer values)"
    assert (Asker(duck)("SELECT ?", [1]), duck.failure) == ([(1,)], None)


def test_a_query_that_wants_too_much_memory_is_refused_and_the_next_is_answered(duck):
    ask = Asker(duck)
    with duck.cursor() as own:
        own.execute("SET temp_directory = ''").fetchall()
    with pytest.raises(SentinelError, match="more memory than there is"):
        ask("SELECT list(x) FROM range(100000000) AS a (x)", [])
    assert (ask("SELECT 1", []), duck.failure) == ([(1,)], None)


def test_too_many_at_once_are_asked_to_come_back():
    """A question that fails leaves its place too."""
    held, ended = threading.Event(), threading.Event()

    def ask(query, values):
        held.set()
        ended.wait(60)
        raise SentinelError("ended")

    place = threading.BoundedSemaphore(1)
    machine = Machine(ask, None, None, None, DUCKDB_WORDS, place, patience=0.05)

    def slowly() -> None:
        with pytest.raises(SentinelError, match="ended"):
            machine.rows(Sql("SELECT 1"))

    first = threading.Thread(target=slowly)
    first.start()
    held.wait(60)
    try:
        with pytest.raises(StoreBusy, match="too many questions at once"):
            machine.rows(Sql("SELECT 1"))
    finally:
        ended.set()
        first.join()
    slowly()


def test_whose_name_has_the_hash_of_another_name_is_not_found_by_that(tmp_path, monkeypatch):
    """Users and addresses are looked up by hashes of 64 bits, then held to what was asked for."""
    for room in (where, columns):
        monkeypatch.setattr(room, "hash_of", lambda text: 7)
    store = open_store(tmp_path / "data")
    try:
        app = fresh_app(store)
        some = [event(f"e{n}", at=NOW - n, ip=f"203.0.113.{n}") for n in range(4)]
        for number, one in enumerate(some):
            one.user = f"id:{number % 2}"
        put(store, batch(app, events=tuple(some)))
        assert [kept.event.id for kept in store.events.search(app, Filter(user="id:1")).items] == ["e1", "e3"]
        assert [kept.event.id for kept in store.events.search(app, Filter(ip="203.0.113.2")).items] == ["e2"]
        assert store.events.search(app, Filter(user="id:2")).items == ()
    finally:
        store.close()


def test_places_of_rows_stay_while_they_are_read(tmp_path):
    """A page is its rows' places first, then the rows: meanwhile others may be deleted and the file written anew."""
    with duckdb.connect(str(tmp_path / "x.duckdb"), config={"threads": 1}) as own:
        own.execute("CREATE TABLE t AS SELECT range AS x FROM range(400000)")
        own.execute("CHECKPOINT")
        reader, writer = own.cursor(), own.cursor()
        reader.execute("BEGIN TRANSACTION READ ONLY")
        (place,) = reader.execute("SELECT rowid FROM t WHERE x = 300000").fetchall()[0]
        writer.execute("DELETE FROM t WHERE x < 250000").fetchall()
        writer.execute("CHECKPOINT").fetchall()
        assert reader.execute("SELECT x FROM t WHERE rowid = ?", [place]).fetchall() == [(300000,)]
        reader.execute("COMMIT")


MOMENTS = st.integers(0, 1_900_000_000_000_000)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
     "Asia/Beirut", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns"]
)  # fmt: skip


@given(MOMENTS, ZONES, st.sampled_from(["day", "week", "month"]), st.lists(st.floats(0, 1), max_size=8))
def test_every_moment_lies_in_the_bucket_of_its_local_date(since, zone, interval, parts):
    """Also where clocks are put at midnight, or a whole day is left out: SQL and the calendar agree."""
    since += 2 * DAY
    over = buckets(interval, zone, since, since + 200 * DAY, 300)
    starts, end = over.starts(), over.end()
    assert starts[0] <= since < end
    assert list(starts) == sorted(starts)
    some = [since, *(int(since + part * 200 * DAY) for part in parts), *starts[1:], *(one - 1 for one in starts[1:])]
    listed = ", ".join(f"(CAST({one} AS BIGINT))" for one in some)
    number = number_of(over, since, lambda what, by: DUCKDB_WORDS.divided.format(what, by))
    with duckdb.connect() as own:
        found = own.execute(f"SELECT ts, {number} FROM (VALUES {listed}) AS t (ts)").fetchall()
    for at, which in found:
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()
        begun = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=over.start(which))).astimezone(
            ZoneInfo(zone)
        )
        first = {"day": local, "week": local - timedelta(days=local.weekday()), "month": local.replace(day=1)}[interval]
        assert begun.date() == first or over.start(which) == over.start(which + 1)
