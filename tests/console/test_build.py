"""What pages are made of: files that may be missing, text that is made inert, and tracebacks that tell no secret."""

from __future__ import annotations

import io
import logging
import sys

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sentinel import logs
from sentinel.console import assets, render
from sentinel.console.forms import Form
from sentinel.core.errors import SentinelError
from tests.console.visiting import text, visited

STEERING = "\x00\x07\x1b\x7f\x9b\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\ue000"
ANYTHING = st.text(st.characters() | st.sampled_from(STEERING + "<>&\"'`{}%\ud800"), max_size=900)
env = render.environment()


def test_pages_work_without_the_scripts_that_need_a_build_and_the_log_says_so_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(assets, "BUILT", tmp_path / "nowhere")
    monkeypatch.setattr(assets.Assets.__init__, "__defaults__", ((assets.HERE, tmp_path / "nowhere"),))
    with visited(tmp_path) as console:
        page = console.reader().page("/overview")
        assert "Events, by the minute" in text(page)
        assert "console.js" not in page and "/static/base." in page
    said = [line for line in capsys.readouterr().out.splitlines() if "not built" in line]
    assert len(said) == 1
    assert "make frontend" in said[0]


@given(ANYTHING)
def test_whatever_is_shown_steers_nothing(value):
    shown = env.from_string("{{ value }}").render(value=value)
    assert not set(shown) & {"<", ">", '"', "'"}
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    assert len(shown) < 10 * render.LONGEST + 40


@given(ANYTHING)
def test_a_text_area_holds_all_of_a_text(value):
    shown = env.from_string("{{ value|whole }}").render(value=value)
    assert not set(shown) & {"<", ">", '"', "'"}
    shown.encode()


@given(st.recursive(ANYTHING | st.floats(allow_nan=False) | st.none(), lambda inner: st.dictionaries(ANYTHING, inner)))
def test_figures_in_an_attribute_are_no_markup(value):
    shown = env.from_string("{{ value|plain_json }}").render(value=value)
    assert not set(shown) & {"<", ">", "'", "&"}


@pytest.mark.parametrize(
    ("micros", "said"),
    [(0, "0 s"), (59_000_000, "59 s"), (61_000_000, "1 min 1 s"), (3_600_000_000, "1 h"), (90_061_000_000, "1 d 1 h")],
)
def test_lengths_are_told_in_two_units_at_most(micros, said):
    assert render.lasting(micros) == said


@pytest.mark.parametrize(
    ("micros", "said"),
    [(0, "0 s"), (1_400_000, "1 s"), (3_599_000_000, "60 min"), (3_600_000_000, "1 h"), (604_799_000_000, "7 d"),
     (129_000_000_000, "1 d"), (131_000_000_000, "2 d")],
)  # fmt: skip
def test_what_was_made_for_a_week_ends_in_a_week(micros, said):
    assert render.nearly(micros) == said


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`a<b` is no field", "<code>a&lt;b</code> is no field"),
        ("did you mean `x`, `y`?", "did you mean <code>x</code>, <code>y</code>?"),
        ("a ` of their own & `x`", "a ` of their own &amp; `x`"),
        ("`\u202e`", "<code>\\u202e</code>"),
        ("`می\u200cخواهد a\u200cb`", "<code>می\u200cخواهد a\\u200cb</code>"),
    ],
)
def test_what_a_message_quotes_is_code_and_harmless(message, shown):
    assert render.quoted(message) == shown


def test_a_description_is_told_in_paragraphs():
    text = "Somebody\n  guesses `<b>`.\nWhat to do: nothing.\n\nAsk: `x`"
    said = "<p>Somebody\n  guesses <code>&lt;b&gt;</code>.</p><p>What to do: nothing.</p><p>Ask: <code>x</code></p>"
    assert render.prose(text) == said
    assert render.prose("") == ""


def test_of_a_mistake_the_line_and_what_points_into_it_are_shown():
    assert render.excerpt("q:1:3: wrong\n    a  b\n       ^\n    hint: c") == "a  b\n   ^"
    assert render.excerpt("q:1:1: the condition is empty\n    hint: write one") == ""


def test_a_field_says_what_is_wrong_with_it():
    form = Form([("a", " x "), ("b", "y" * 50), ("b", "z")])
    assert form.text("a") == "x"
    assert form.all("b") == ["y" * 50, "z"]
    for read, words in (
        (lambda: form.text("c"), "`c`: missing"),
        (lambda: form.text("b", most=10), "`b`: longer than 10"),
        (lambda: form.choice("a", ["one", "two"]), "is none of one, two"),
    ):
        with pytest.raises(SentinelError, match=words):
            read()


def test_a_traceback_on_a_terminal_shows_no_local_variable(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    kept, config = logging.getLogger().handlers[:], structlog.get_config()
    try:
        logs.configure("console", "info")
        try:
            _fail("-".join(["river", "anvil"]))
        except ValueError as error:
            structlog.get_logger("x").error("fault", exc_info=error)
    finally:
        logging.getLogger().handlers[:] = kept
        structlog.configure(**config)
    assert "ValueError" in stream.getvalue()
    assert "river-anvil" not in stream.getvalue()


def _fail(password):
    raise ValueError(len(password))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (0.5, "0.50"),
        (0.0314, "0.031"),
        (1e12, "1,000,000,000,000"),
        (1.7e308, "1.7e+308"),
        (-1e15, "-1e+15"),
    ],
)
def test_a_number_is_told_with_its_thousands_or_by_its_power_of_ten(value, shown):
    assert render.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("pro", "pro"), (None, "none"), ("none", '"none"'), ("", '""'), (" ", '" "'), (5, "5"), ("5", '"5"'),
     (True, "True"), ("true", '"true"'), ("+49 30", "+49 30"), ("1.2.3.4", "1.2.3.4")],
)  # fmt: skip
def test_a_value_is_never_taken_for_nothing_or_for_one_of_another_type(value, shown):
    assert render.valued(value) == shown


@given(st.floats())
def test_every_number_is_short(value):
    assert len(render.number(value)) < 25
