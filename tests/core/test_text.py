"""Text that was sent: whatever halves of surrogate pairs it holds, what is kept can be written everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.text import whole

HALVES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"])


@given(st.text(st.characters() | HALVES))
def test_whatever_was_sent_can_be_written_afterwards_and_is_whole_already(text):
    found = whole(text)
    assert found.encode().decode() == whole(found) == found


@given(st.text())
def test_a_text_without_halves_stays_as_it_is(text):
    assert whole(text) == text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("\ud83d\ude00", "😀"), ("a\ud83d", "a\ufffd"), ("\ude00\ud83d", "\ufffd\ufffd"), ("\ufeffa", "\ufeffa")],
    ids=["pair", "first half", "turned round", "byte order mark"],
)
def test_both_halves_are_one_character_and_one_alone_is_replaced(sent, kept):
    assert whole(sent) == kept
