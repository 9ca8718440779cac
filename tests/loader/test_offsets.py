"""A place inside a scalar's text is found again in the file, whatever the style: plain, quoted, folded, block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.loader.offsets import positions
from sentinel.loader.source import Mapping, Scalar, open_page, read_documents


def scalar(text: str) -> tuple[Scalar, list[str]]:
    page = open_page("f.yaml", text.encode())
    (document,) = read_documents(page)
    assert isinstance(document.root, Mapping)
    value = document.root.entries[-1][1]
    assert isinstance(value, Scalar)
    return value, page.lines


@pytest.mark.parametrize(
    "text",
    [
        "k: a and X b",
        "k: 'it''s a and X b'",
        'k: "a \\"q\\" \\x41 \\u0041 and X b"',
        "k:\n  a\n  and\n  X b",
        "k: 'a\n  and\n\n  X b'",
        'k: "a \\\n   and\\tX b"',
        "k: >-\n  a\n  and\n    X b\n",
        "k: >\n\n  a\n\n  and X b\n",
        "k: |\n  a\n    and X b\n",
        "k: |2-\n   a\n  and X b\n",
        "? z\n: |  # a comment\n  a ü 🙂\n  and X b\n",
    ],
)
def test_the_marked_letter_is_found_in_every_style(text: str) -> None:
    value, lines = scalar(text)
    line, column = positions(value, lines)(value.text.index("X"))
    assert lines[line - 1][column - 1] == "X"
    assert text.count("X") == 1


def test_past_the_end_is_right_behind_the_last_letter() -> None:
    value, lines = scalar("k: 'ab'")
    assert positions(value, lines)(2) == (1, 7)


WORDS = st.lists(st.text("abcé🙂'\"\\#:", min_size=1, max_size=6), min_size=1, max_size=8)


@given(WORDS, st.sampled_from(["'", '"', "|", ">"]), st.data())
def test_every_letter_of_a_written_scalar_is_found(words: list[str], style: str, data: st.DataObject) -> None:
    """Compared letter by letter with what stands in the file; escaped ones stand behind their backslash."""
    value, lines = scalar(_written(words, style, data.draw(st.sampled_from([" ", "\n  "]))))
    assert value.text.split() == words
    place = positions(value, lines)
    for index, char in enumerate(value.text):
        if not char.isspace():
            line, column = place(index)
            found = lines[line - 1][column - 1 :]
            assert found[0] == char or found[:2] == "\\" + char


def _written(words: list[str], style: str, gap: str) -> str:
    if style == "'":
        return "k: '" + gap.join(word.replace("'", "''") for word in words) + "'"
    if style == '"':
        return 'k: "' + gap.join(word.replace("\\", "\\\\").replace('"', '\\"') for word in words) + '"'
    return f"k: {style}\n  " + gap.join(words) + "\n"
