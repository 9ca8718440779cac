"""Events in order, each once: streamed if the files keep time, sorted within bounded memory if not."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import InputError
from sentinel.core.event import read
from sentinel.service.eventfiles import order
from sentinel.service.eventfiles.exported import event_of
from sentinel.service.eventfiles.order import Disorder, Sorting, as_they_came, in_order, sort
from sentinel.service.eventfiles.reading import Batch


def batches(keys, size=3):
    """Return batches of events with these (seconds, id)."""
    raws = [{"id": id, "event": "x", "timestamp": at, "user": {"id": "u", "phone": "110"}} for at, id in keys]
    events = [read(raw) for raw in raws]
    return [Batch(raws[at : at + size], events[at : at + size]) for at in range(0, len(raws), size)]


def keys(lots):
    return [(event.at // 1_000_000, event.id) for lot in lots for event in lot]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


KEYS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["a", "ab", "b", "é", "~", "z\U0001f642"])), max_size=40)


@given(KEYS.map(lambda found: sorted(found, key=lambda key: key[0])), st.integers(1, 9))
def test_a_stream_in_the_order_of_time_is_given_in_order_each_once(found, size):
    sorting = Sorting()
    assert keys(in_order(batches(found, size), sorting)) == sorted(set(found))
    assert sorting.repeats == len(found) - len(set(found))


@given(KEYS, st.integers(1, 9))
def test_a_stream_that_goes_back_in_time_is_refused_as_soon_as_it_does(found, size):
    """What was given until then was in order and newer than nothing that came."""
    given, back = [], any(b[0] < a[0] for a, b in pairwise(found))
    try:
        for lot in in_order(batches(found, size), Sorting()):
            given += keys([lot])
    except Disorder:
        assert back
    else:
        assert not back
    assert given == sorted(set(given))


@pytest.mark.parametrize("size", [1, 3, 9])
def test_files_own_order_keeps_the_first_of_each_id_and_day(size):
    day = 86_400
    came = [(day, "a"), (5, "b"), (5, "a"), (6, "a"), (day - 1, "b"), (day, "b"), (day + 7, "a"), (2 * day, "a")]
    sorting = Sorting()
    assert keys(as_they_came(batches(came, size), sorting)) == [came[at] for at in (0, 1, 2, 5, 7)]
    assert sorting.repeats == 3


def test_files_own_order_remembers_no_more_than_it_has_room_for(monkeypatch):
    """At least the newest so many are known; what is older than twice that comes again."""
    monkeypatch.setattr(order, "KNOWN", 2)
    came = [(0, id) for id in "abcbcdea"]
    assert "".join(id for _, id in keys(as_they_came(batches(came), Sorting()))) == "abcdea"


def test_what_cannot_be_followed_any_more_is_given_at_once():
    """Only events of the newest time are held back."""
    stream = in_order(batches([(1, "b"), (1, "a"), (2, "d"), (2, "c"), (3, "e"), (3, "f")], size=2), Sorting())
    assert keys([next(stream)]) == []
    assert keys([next(stream)]) == [(1, "a"), (1, "b")]


def test_too_many_events_of_one_time_are_sorted_otherwise(monkeypatch):
    monkeypatch.setattr(order, "HELD", 10)
    with pytest.raises(Disorder):
        list(in_order(batches([(1, str(n)) for n in range(20)]), Sorting()))


@given(KEYS, st.integers(1, 8), st.integers(2, 4), st.integers(1, 9))
def test_any_stream_is_sorted_whatever_fits_into_memory(found, piece, fan, size):
    sorting = Sorting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "PIECE", piece)
        patch.setattr(order, "FAN", fan)
        patch.setattr(order, "LOT", 4)
        assert keys(sort(batches(found, size), sorting)) == sorted(set(found))
    assert sorting.repeats == len(found) - len(set(found))


def test_both_ways_give_the_same_events():
    found = [(n // 3, str(n % 7)) for n in range(60)]
    random.Random(1).shuffle(found)
    in_time = sorted(found, key=lambda key: key[0])
    straight = [vars(event) for lot in in_order(batches(in_time), Sorting()) for event in lot]
    assert [vars(event) for lot in sort(batches(found), Sorting()) for event in lot] == straight


def test_sorted_events_are_named_by_the_app_s_own_identifiers():
    ((event,),) = sort(batches([(1, "a")]), Sorting(), ("phone",))
    assert event.user == "phone:110"


def test_sorted_events_that_a_server_shows_keep_their_persons():
    shown = {"id": "a", "event": "x", "timestamp": 1, "user": "id:7", "identifiers": {"phone": "110"}}
    raw = shown | {"received": 1, "trust": "server"}
    ((found,),) = sort([Batch([raw], [event_of(raw)])], Sorting(), ("phone",))
    assert (found.user, found.identifiers) == ("id:7", {"phone": "110"})


def test_what_fits_into_memory_touches_no_disk(monkeypatch):
    monkeypatch.setattr(order.tempfile, "TemporaryFile", None)
    assert keys(sort(batches([(2, "b"), (1, "a")]), sorting := Sorting())) == [(1, "a"), (2, "b")]
    assert sorting.pieces == 0


def test_a_piece_is_bounded_in_bytes_too(monkeypatch):
    monkeypatch.setattr(order, "PIECE_BYTES", 200)
    list(sort(batches([(n, str(n)) for n in range(20)]), sorting := Sorting()))
    assert sorting.pieces >= 5


@pytest.mark.parametrize("ended", [True, False])
def test_no_file_stays_behind(monkeypatch, tmp_path, ended):
    """Neither a name in the folder nor an open file, whether everything was taken or giving was ended early."""
    monkeypatch.setattr(order, "PIECE", 5)
    monkeypatch.setattr(order, "FAN", 3)
    monkeypatch.setattr(order.tempfile, "tempdir", str(tmp_path))
    before = open_files()
    stream = sort(batches([(100 - n, str(n)) for n in range(100)]), Sorting())
    next(stream)
    assert list(tmp_path.iterdir()) == []
    if ended:
        for _ in stream:
            pass
    stream.close()
    assert open_files() == before


def test_many_pieces_are_merged_with_few_open_files(monkeypatch):
    monkeypatch.setattr(order, "PIECE", 2)
    monkeypatch.setattr(order, "FAN", 4)
    before = open_files()
    stream = sort(batches([(200 - n, str(n)) for n in range(200)], size=2), Sorting())
    next(stream)
    assert open_files() - before <= 4


def test_a_full_disk_gets_one_clear_message(monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def writelines(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(order, "PIECE", 2)
    monkeypatch.setattr(order.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(InputError) as caught:
        list(sort(batches([(n, str(n)) for n in range(20)]), Sorting()))
    assert str(caught.value) == (
        "the events could not be sorted on disk: No space left on device (TMPDIR names a folder with more room)"
    )
