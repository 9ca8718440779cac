"""Cursors: what was handed out is read back, and whatever else is sent is one clear refusal."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.core.errors import SentinelError
from sentinel.store.paging import cursor, place

UNICODE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def written(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@given(WHOLE, UNICODE, WHOLE)
def test_a_place_comes_back(first: int, text: str, last: int) -> None:
    assert place(cursor([first, text, last]), int, str, int) == [first, text, last]


@example(written([1 << 63, "x"]))
@example(written([0, "a\0"]))
@example(written([0, "\ud800"]))
@example(written([True, "x"]))
@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | JSON.map(written))
def test_any_other_text_is_refused_in_one_line(text: str) -> None:
    try:
        found = place(text, int, str)
    except SentinelError as error:
        assert "was not given by this list" in str(error)
    else:
        number, word = found
        assert (type(number), type(word)) == (int, str)
        assert abs(number) < 2**63
        assert word.encode().decode() == word and "\0" not in word


@pytest.mark.parametrize(
    "value",
    [
        [True, "a"], [1, "a", 2], [1], {"0": 1}, [2**63, "a"], [-(2**63), "a"], [1, "\ud800"], [1, "\0"], [1.0, "a"],
        [[1], "a"], [None, "a"],
    ],
)  # fmt: skip
def test_what_no_store_can_look_up_is_refused(value: object) -> None:
    with pytest.raises(SentinelError, match="was not given by this list"):
        place(written(value), int, str)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 10_000, "é", "a", "===="])
def test_bombs_are_refused(text: str) -> None:
    for form in (text, base64.urlsafe_b64encode(text.encode()).decode()):
        with pytest.raises(SentinelError, match="was not given by this list"):
            place(form, int, str)
