"""From a place in the text of a scalar back to the line and column of the file, whatever the scalar's style.

Quotes, escapes, folded lines and the indentation of blocks lie between the two. Both texts are walked side by side:
but for escapes and white space, they hold the same characters in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sentinel.loader.source import Scalar

_ESCAPES = {"x": 4, "u": 6, "U": 10}


def positions(scalar: Scalar, lines: Sequence[str]) -> Callable[[int], tuple[int, int]]:
    """Return the function that maps an offset of the scalar's text to its (line, column), from 1."""
    line, column = scalar.spot.line - 1, scalar.spot.column - 1
    raw = "\n".join(lines[line : scalar.last])[column:]
    places = _align(scalar.text, raw, scalar.style)

    def position(offset: int) -> tuple[int, int]:
        index = places[min(offset, len(places) - 1)] + (0 if offset < len(places) else 1) if places else 0
        before = raw[:index]
        row = before.count("\n")
        return line + row + 1, index - before.rfind("\n") if row else column + index + 1

    return position


def _align(text: str, raw: str, style: str) -> list[int]:
    """Return for each character of `text` the index in `raw` at which it is written, or its escape begins."""
    at = raw.find("\n") + 1 if style in ("|", ">") else len(style)
    places = []
    for char in text:
        if not char.isspace():
            at = _past_blanks(raw, at, style)
        places.append(at)
        if not (char.isspace() and not raw[at : at + 1].isspace() and raw[at : at + 1] != "\\"):
            at += _width(raw, at, style)
    return places


def _past_blanks(raw: str, at: int, style: str) -> int:
    while raw[at : at + 1].isspace() or (style == '"' and raw[at : at + 2] == "\\\n"):
        at += 1 if raw[at].isspace() else 2
    return at


def _width(raw: str, at: int, style: str) -> int:
    """Return how many characters of the file stand for one of the text."""
    if style == "'" and raw[at : at + 2] == "''":
        return 2
    if style == '"' and raw[at : at + 1] == "\\":
        return _ESCAPES.get(raw[at + 1 : at + 2], 2)
    return 1
