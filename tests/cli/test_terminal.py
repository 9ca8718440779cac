"""Text from outside reaches the terminal as text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.cli.terminal import complain, many, plain, plain_json, say, say_json

ANY = st.text(st.characters(exclude_categories=[]))


@given(ANY)
def test_nothing_that_steers_a_terminal_is_left(text):
    shown = plain(text)
    assert all(c.isprintable() or c in "\n\t\u200c\u200d" for c in shown)
    shown.encode()


@given(ANY, st.sampled_from([None, 2]))
def test_json_is_defused_and_means_the_same(text, indent):
    shown = plain_json(json.dumps({text: [text]}, ensure_ascii=False, indent=indent))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert json.loads(shown) == {text: [text]}


def test_json_stays_readable_and_its_controls_are_its_own_escapes(capsys):
    say_json({"name": "Zoë\x7f\x9b\u202e\U000e0001"})
    assert capsys.readouterr().out == '{"name": "Zoë\\u007f\\u009b\\u202e\\udb40\\udc01"}\n'


@given(ANY)
def test_printable_text_stays_as_it_is(text):
    readable = "".join(c for c in text if c.isprintable())
    assert plain(readable) == readable


@given(ANY)
def test_what_is_shown_is_defused_once_and_for_all(text):
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\n\tb\x08\x7f\0", "a\\r\n\tb\\x08\\x7f\\x00"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("zero\u200bwidth\u2028line", "zero\\u200bwidth\\u2028line"),
        ("\udc80", "\\udc80"),
        ("≥ 5 × Zoë\n\t日本", "≥ 5 × Zoë\n\t日本"),
        ("می\u200cخواهد a\u200db", "می\u200cخواهد a\\u200db"),
        ("[red]no markup[/red]", "[red]no markup[/red]"),
    ],
)
def test_each_kind_of_character(text, shown):
    assert plain(text) == shown


def test_both_streams_are_defused(capsys):
    say("\x1b]0;title\x07")
    complain("\x1b[2J")
    assert capsys.readouterr() == ("\\x1b]0;title\\x07\n", "sentinel: \\x1b[2J\n")


@pytest.mark.parametrize(("number", "said"), [(0, "0 events"), (1, "1 event"), (1234, "1,234 events")])
def test_one_thing_is_told_as_one(number, said):
    assert many(number, "event") == said
