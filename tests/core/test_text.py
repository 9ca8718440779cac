"""Text that was sent: whatever halves of pairs it holds, it can be written everywhere, and what is unseen is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.core.text import legible, whole

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


def forms(*kinds):
    """Return the letters that Unicode has forms of presentation of these kinds for."""
    found = (unicodedata.decomposition(chr(code)).split() for code in range(0xFB50, 0xFF00))
    return frozenset(chr(int(parts[1], 16)) for parts in found if len(parts) == 2 and parts[0] in kinds)


BOTH, AFTER = forms("<initial>", "<medial>"), forms("<initial>", "<medial>", "<final>")
EMOJI, SKIN = "👩🐈❤⚕🔥", "🏽"
UNSEEN = "\u200b\ufeff\u202e\u2066\u200e\u00ad\u2060\U000e0041\x1b\n"
MIXED = st.text(st.sampled_from("\u200c\u200d" * 5 + "aא日بهد\u064eक\u094d\ufe0f" + EMOJI + SKIN + UNSEEN), max_size=12)


def joins(text, place):
    """Say naively whether a joiner, or its opposite, changes what is seen."""
    before, after = text[:place], text[place + 1 :]
    if unicodedata.combining((before or " ")[-1]) == 9:
        return text[place] == "\u200d" or (after or " ")[0].isalpha()
    if text[place] == "\u200c":
        return (before.rstrip("\u064e") or " ")[-1] in BOTH and (after.lstrip("\u064e") or " ")[0] in AFTER
    shown = before.removesuffix("\ufe0f")
    return (after or " ")[0] in EMOJI + SKIN and (shown or " ")[-1] in EMOJI + SKIN


@example("می\u200cخواهد")
@example("क\u094d\u200dष")
@example("क\u094d\u200cष क\u094d\u200c")
@example("👩🏽\u200d🔥 ❤\ufe0f\u200d🔥\u200d🔥")
@given(MIXED)
def test_joiners_stay_where_they_join_and_all_else_that_is_unseen_is_spelt(text):
    spelt = (
        char if char.isprintable() or (char in "\u200c\u200d" and joins(text, place))
        else char.encode("unicode_escape").decode()
        for place, char in enumerate(text)
    )  # fmt: skip
    assert legible(text) == "".join(spelt)


@pytest.mark.parametrize("letter", sorted(BOTH), ids=ascii)
def test_between_letters_that_join_on_both_sides_what_parts_them_stays(letter):
    assert legible(f"{letter}\u200c{letter}") == f"{letter}\u200c{letter}"


@pytest.mark.parametrize("letter", sorted(AFTER - BOTH - {"\u06ba"}), ids=ascii)  # which joins, but has no such form
def test_a_letter_that_joins_to_the_one_before_alone_is_parted_from_that_one_alone(letter):
    assert legible(f"ب\u200c{letter}\u200cب") == f"ب\u200c{letter}\\u200cب"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay\u200cpal \u200d", "pay\\u200cpal \\u200d"),
        ("ب\u200dب", "ب\\u200dب"),
        ("ب\u200c\u200cب", "ب\\u200c\\u200cب"),
        ("👩\u200ca", "👩\\u200ca"),
        ("क\u094d\u200c क\u094d\u200cष", "क\u094d\\u200c क\u094d\u200cष"),
        ("\u200d", "\\u200d"),
    ],
    ids=ascii,
)
def test_a_joiner_that_nobody_would_see_is_spelt(text, shown):
    assert legible(text) == shown
