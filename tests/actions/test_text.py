"""Other people's text: whatever it holds, it steers nothing, calls nobody and links nowhere."""

from __future__ import annotations

import re
import unicodedata

import pytest
from apprise.common import NotifyFormat
from apprise.conversion import convert_between
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.actions.text import LONGEST, defanged, link, markdown, printable

NASTY = st.text(
    st.sampled_from("ab1.:/@<>!#[]()*_`~|\\&;\x1b\n\r\u202e\u2066\u200b\u2028\ufeff\ud800é日א") | st.characters()
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\r\x00", "two\\nlines\\r\\x00"),
        ("\x1b[31mred\x9b0m", "\\x1b[31mred\\x9b0m"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("\u2066x\u2069\u200f\u061c", "\\u2066x\\u2069\\u200f\\u061c"),
        ("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\xad"),
        ("line\u2028break\u2029\x85", "line\\u2028break\\u2029\\x85"),
        ("\ud800", "\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("Zoë 日本 🦊", "Zoë 日本 🦊"),
        ("می\u200cخواهد 👩\u200d🔥 a\u200cb", "می\u200cخواهد 👩\u200d🔥 a\\u200cb"),
        (42, "42"),
        (None, "None"),
    ],
)
def test_what_steers_is_written_as_its_code(raw: object, shown: str) -> None:
    assert printable(raw) == shown


@given(NASTY)
def test_shown_text_is_one_line_without_anything_that_steers(raw: str) -> None:
    shown = printable(raw)
    assert len(shown) <= LONGEST
    unseen = [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert set(unseen) <= {"\u200c", "\u200d"}  # which stay where they join


@given(st.text(st.characters(categories=["L", "N"]), max_size=LONGEST))
def test_ordinary_words_stay_as_they_are(raw: str) -> None:
    if raw.isprintable():
        assert printable(raw) == raw


def test_endless_text_is_cut() -> None:
    assert printable("x" * 10_000) == "x" * (LONGEST - 1) + "…"
    assert len(printable("\x1b" * 10_000)) == LONGEST


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("http://evil.example/a", "http[:]//evil[.]example/a"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("@everyone", "[@]everyone"),
        ("<@U123> <!channel> <#C1>", "<[@]U123> <!channel> <#C1>"),
        ("email:jane@everyone.example", "email:jane[@]everyone[.]example"),
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("id:42", "id:42"),
    ],
)
def test_links_and_calls_are_defanged_and_addresses_stay_readable(raw: str, shown: str) -> None:
    assert defanged(raw) == shown


@example("@everyone: http://evil.example/a")
@given(NASTY)
def test_a_defanged_text_holds_nothing_to_follow_or_to_call(raw: str) -> None:
    shown = defanged(raw)
    assert "://" not in shown
    assert not re.search(r"@\w", shown)
    assert not re.search(r"\.[^\W\d]", shown)


@given(NASTY)
def test_marked_text_is_the_text_itself_to_a_reader_of_markdown(raw: str) -> None:
    """An independent Markdown parser turns it into HTML with no tag of the text's making."""
    shown = defanged(raw)
    html = convert_between(NotifyFormat.MARKDOWN, NotifyFormat.HTML, f"- x: {markdown(shown)}")
    assert set(re.findall(r"<[^>]*>", html)) <= {"<ul>", "<li>", "</li>", "</ul>"}


def test_every_sign_of_markdown_is_escaped() -> None:
    assert markdown("a*b_[c](d)`e`<f>#|~\\&") == r"a\*b\_\[c\]\(d\)\`e\`\<f\>\#\|\~\\\&"


@pytest.mark.parametrize("url", ["https://sentinel.example/findings/1?a=b&c=%20", "http://127.0.0.1:8787/x(1)"])
def test_our_page_is_a_link(url: str) -> None:
    assert link(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "ftp://a/", "//a/", "", None, 7, "https://",
        "https://a/\n", "https://a/ b",
        "https://a/>x", "https://a/<x", 'https://a/"x', "https://a/\u202e", "https://a/`x", "https://a/\\x", "xhttps://a/",
    ],
)  # fmt: skip
def test_nothing_else_is(url: object) -> None:
    assert link(url) is None
