"""Events as bytes: what comes out is what went in."""

from __future__ import annotations

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import StoreError
from sentinel.core.event import Event
from sentinel.store.embedded.codec import FORMAT, packed, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=8,
)


def made(**attributes) -> Event:
    event = Event()
    vars(event).update({"id": "e", "name": "n", "at": 5} | attributes)
    return event


@given(st.lists(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4), max_size=4))
def test_any_json_comes_back(properties):
    events = [made(properties=one, user_labels=("a",)) for one in properties]
    assert [vars(event) for event in unpack(packed(events)[0])] == [vars(event) for event in events]


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**300])
def test_integers_of_any_size_come_back(number):
    (event,) = unpack(packed([made(properties={"n": [number]})])[0])
    assert event.properties == {"n": [number]}


@pytest.mark.parametrize(("text", "kept"), [("a\ud800b", "a�b"), ("\ud83d\ude00", "😀"), ("\x00", "\x00")])
def test_half_of_a_surrogate_pair_becomes_the_replacement_character(text, kept):
    (event,) = unpack(packed([made(properties={text: [text]})])[0])
    assert event.properties == {kept: [kept]}


def test_an_attribute_that_was_not_set_is_not_set():
    (event,) = unpack(packed([made()])[0])
    assert vars(event) == {"id": "e", "name": "n", "at": 5}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02abc",
        FORMAT,
        FORMAT + b"garbage",
        packed([made()])[0][:-3],
        FORMAT + zstandard.compress(b"\xc1"),
        FORMAT + zstandard.compress(msgspec.msgpack.encode([{"x": msgspec.msgpack.Ext(9, b"")}])),
    ],
)
def test_other_bytes_are_an_error_of_the_store(data):
    with pytest.raises(StoreError, match="packed"):
        unpack(data)
