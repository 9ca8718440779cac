"""The explorer over DuckDB holds nothing up: each query ends in time, few run at once, and time zones are whole."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.store.duck import Duck
from sentinel.store.explorer.buckets import buckets
from sentinel.store.explorer.embedded import Asker
from sentinel.store.explorer.words import DUCKDB_WORDS

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
    assert (ask("SELECT ?", [1]), duck.failure) == ([(1,)], None)


def test_a_query_that_wants_too_much_memory_is_refused_and_the_next_is_answered(duck):
    ask = Asker(duck)
    with duck.cursor() as own:
        own.execute("SET temp_directory = ''").fetchall()
    with pytest.raises(SentinelError, match="more memory than there is"):
        ask("SELECT list(x) FROM range(100000000) AS a (x)", [])
    assert (ask("SELECT 1", []), duck.failure) == ([(1,)], None)


def test_too_many_at_once_are_asked_to_come_back(duck):
    ask = Asker(duck, longest=30, at_once=1, patience=0.05)
    held = threading.Event()
    ended = threading.Event()

    class Slow:
        def __enter__(self):
            held.set()
            ended.wait(10)
            raise StoreBusy("ended", retry_after=1)

        def __exit__(self, *_):
            return None

    ask._duck = type("Held", (), {"cursor": lambda self: Slow()})()

    def slowly() -> None:
        with pytest.raises(StoreBusy, match="ended"):
            ask("SELECT 1", [])

    first = threading.Thread(target=slowly)
    first.start()
    held.wait(10)
    try:
        with pytest.raises(StoreBusy, match="too many questions at once"):
            ask("SELECT 1", [])
    finally:
        ended.set()
        first.join()


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
    number = over.number_of(since, lambda what, by: DUCKDB_WORDS.divided.format(what, by))
    with duckdb.connect() as own:
        found = own.execute(f"SELECT ts, {number} FROM (VALUES {listed}) AS t (ts)").fetchall()
    for at, which in found:
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()
        begun = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=over.start(which))).astimezone(
            ZoneInfo(zone)
        )
        first = {"day": local, "week": local - timedelta(days=local.weekday()), "month": local.replace(day=1)}[interval]
        assert begun.date() == first or over.start(which) == over.start(which + 1)
