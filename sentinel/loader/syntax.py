"""The YAML parser's complaints in plainer words, with a place and a hint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import yaml

from sentinel.engine.problems import quote

_FLOW = "inside `{…}` and `[…]` a text with `,`, `{`, `[` or `: ` needs quotes"


class Fault(NamedTuple):
    """What is wrong at a line and column counted from 0."""

    line: int
    column: int
    message: str
    hint: str | None
    width: int = 1


class _Complaint(NamedTuple):
    """How we say what the parser calls `problem`; `at_start` where its beginning is the place that helps."""

    message: str
    hint: str | None = None
    at_start: bool = False


_COMPLAINTS = {
    "did not find expected ',' or '}'": _Complaint("`,` or `}` expected", _FLOW),
    "did not find expected ',' or ']'": _Complaint("`,` or `]` expected", _FLOW),
    "did not find expected node content": _Complaint("a value expected", _FLOW),
    "found unexpected ':'": _Complaint("`:` is not expected here", _FLOW, at_start=True),
    "did not find expected key": _Complaint("this line does not belong to what stands above", "check its indentation"),
    "did not find expected '-' indicator": _Complaint("`- ` expected, as in the list above", "check the indentation"),
    "could not find expected ':'": _Complaint("no `:` follows this key", "write `key: value`", at_start=True),
    "mapping values are not allowed in this context": _Complaint(
        "`: ` is not expected here", "a text with `: ` needs quotes; otherwise check the indentation"
    ),
    "block sequence entries are not allowed in this context": _Complaint(
        "`- ` is not expected here", "begin a list on a line of its own"
    ),
    "found unknown escape character": _Complaint(
        "this is no escape of YAML", r"write the text in single quotes, or `\\` for one backslash"
    ),
    "did not find expected <document start>": _Complaint("a document ends above", "begin the next one with `---`"),
}  # fmt: skip
_ENDLESS = ("found unexpected end of stream", "found unexpected document indicator")
_LONGEST = 100  # characters of a text that a hint repeats
_TEMPLATE = re.compile(r"[^\s,\[\]{}]*\{[A-Za-z_]*\}[^\s,\[\]{}]*")
_STARTS_WITH_COLON = re.compile(r":[0-9A-Fa-f:.]*|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:.]*:")


def explain(error: yaml.YAMLError, lines: Sequence[str], first: int) -> tuple[Fault, int]:
    """Return what is wrong, in our words where we have them, and the line where the parser gave up.

    The parser began at line `first` of `lines`; lines count from 0.
    """
    problem = getattr(error, "problem", None) or "this is no YAML"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Fault(first, 0, problem, None), len(lines)
    start = getattr(error, "context_mark", None) or mark
    here, there = (first + mark.line, mark.column), (first + start.line, start.column)
    return _fault(error, problem, lines, here, there), here[0]


def _fault(
    error: yaml.YAMLError, problem: str, lines: Sequence[str], here: tuple[int, int], there: tuple[int, int]
) -> Fault:
    line = lines[here[0]] if here[0] < len(lines) else ""
    if problem in _ENDLESS and "quoted" in str(getattr(error, "context", None)):
        return Fault(*there, "this quote is never closed", "another like it is missing at the end")
    if not line.strip() or line.startswith("---"):
        return _ending(problem, there, lines)
    return _special(problem, line, here, there) or _general(problem, here, there)


def _ending(problem: str, start: tuple[int, int], lines: Sequence[str]) -> Fault:
    """Something is still open where the document ends; `start` is where that is, or the end itself."""
    row = min(start[0], len(lines) - 1)
    if start == (row, start[1]) and lines[row][start[1] :].strip() and not lines[row].startswith("---"):
        if problem not in _COMPLAINTS:
            return Fault(*start, problem, None)
        return Fault(*start, "what begins here is never closed", "a `}` or a `]` is missing")
    while row and (not lines[row].strip() or lines[row].startswith("---")):
        row -= 1
    return Fault(row, max(len(lines[row].rstrip()) - 1, 0), "the document ends before this is complete", None)


def _general(problem: str, here: tuple[int, int], there: tuple[int, int]) -> Fault:
    known = _COMPLAINTS.get(problem)
    if known is None:
        return Fault(*here, problem, None)
    return Fault(*(there if known.at_start else here), known.message, known.hint)


def _special(problem: str, line: str, here: tuple[int, int], there: tuple[int, int]) -> Fault | None:
    """Recognise the slips that deserve their own words: `u{n}`, `::1`, `*.failed`, `@name`, tabs."""
    row, column = here
    if "\t" in line[: column + 1] and not line[:column].strip():
        return Fault(row, line.index("\t"), "a tab cannot indent", "use spaces")
    if problem == "found a tab character that violates indentation":
        return Fault(row, line.find("\t"), "a tab cannot indent", "use spaces")
    if problem == "found character that cannot start any token":
        return Fault(row, column, f"a text cannot start with {quote(line[column])}", "put it in quotes")
    if problem == "did not find expected alphabetic or numeric character":
        return Fault(*there, f"a text cannot start with {quote(line[there[1] : there[1] + 1])}", "put it in quotes")
    if problem == "did not find expected key" and line[:column].rstrip().endswith(("'", '"')):
        return Fault(row, column, "the text goes on after its closing quote", "put quotes around the whole of it")
    return _template(line, row, column) or _address(line, here if problem.startswith("did") else there, row)


def _template(line: str, row: int, column: int) -> Fault | None:
    """`user: u{n}` inside braces: the brace ends the text."""
    start = column = min(column, len(line))
    while start and line[start - 1] not in ",[]{}:" and not line[start - 1].isspace():
        start -= 1  # an expression that searches for an end takes the square of a line
    whole = _TEMPLATE.match(line, start)
    if start == column or whole is None:
        return None
    message = f"inside `{{…}}` the text {quote(whole[0])} needs quotes"
    return Fault(row, start, message, f'write `"{whole[0][:_LONGEST]}"`', len(whole[0]))


def _address(line: str, at: tuple[int, int], row: int) -> Fault | None:
    """`ip: ::1` inside braces: a colon cannot start or end a text there."""
    if at[0] != row:
        return None
    start = len(line[: at[1]].rstrip(":"))
    match = _STARTS_WITH_COLON.match(line, start)
    if match is None or "::" not in match[0]:
        return None
    text = match[0]
    message = f"inside `{{…}}` the text {quote(text)} needs quotes"
    return Fault(row, start, message, f'write `"{text[:_LONGEST]}"`', len(text))
