"""The first pass over an expression: its tokens, and spellings from other languages.

Afterwards Python's parser can read the text safely: it is bounded, balanced and on one line. Mistakes with one obvious
correction (`&&`, a single `=`) are corrected as well as reported, so that the rest can still be checked. Fields and
functions are not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sentinel.engine.problems import Problems, quote

LONGEST = 4096
DEEPEST = 50
UNREADABLE = "..."  # stands for what was reported already; written by an author it is refused

_TOKEN = re.compile(
    r"""
      (?P<space>   \s+ | \#[^\n]*)
    | (?P<string>  (?i:[bfru]|br|rb|fr|rf)? (?: "(?:[^"\\\r\n]|\\[^\r\n])*" | '(?:[^'\\\r\n]|\\[^\r\n])*' ))
    | (?P<number>  \.?[0-9] (?: [eE][+-][0-9] | [\w.] )*)
    | (?P<name>    [^\W\d]\w*)
    | (?P<op>      [=!]== | [=!]~ | && | \|\| | <> | [=!<>]= | := | \*\* | // | << | >> | [-+*/%<>=!&|^~@.,:()\[\]{}])
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){2,3}")

# What is written -> what it is read as, what is wrong, the hint.
_CORRECTIONS = {
    "=": ("==", "`=` does not compare", "write `==`"),
    "===": ("==", "`===` is not an operator", "write `==`"),
    "!==": ("!=", "`!==` is not an operator", "write `!=`"),
    "<>": ("!=", "`<>` is not an operator", "write `!=`"),
    "&&": (" and ", "`&&` is not an operator", "write `and`"),
    "||": (" or ", "`||` is not an operator", "write `or`"),
    "!": (" not ", "`!` is not an operator", "write `not`"),
    "=~": ("==", "`=~` is not an operator", 'write `matches(field, "pattern")`'),
    "!~": ("!=", "`!~` is not an operator", 'write `not matches(field, "pattern")`'),
    "AND": ("and", "`AND` is not an operator", "write `and`"),
    "OR": ("or", "`OR` is not an operator", "write `or`"),
    "NOT": ("not", "`NOT` is not an operator", "write `not`"),
    "IN": ("in", "`IN` is not an operator", "write `in`"),
}
_CHARACTERS = {
    "?": "a choice is written `a if condition else b`",
    "“": 'write the straight quote `"`', "”": 'write the straight quote `"`',
    "‘": "write the straight quote `'`", "’": "write the straight quote `'`",
    "`": 'texts stand in `"` or `\'`',
    "$": "fields are named without a sign, such as `geo.country`",
    ";": "one expression only; join conditions with `and`, `or`",
}  # fmt: skip
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(slots=True)
class Readable:
    """Text for Python's parser; `origin[i]` is the place in the source that character i comes from."""

    text: str = ""
    origin: list[int] = field(default_factory=list)

    def add(self, text: str, start: int, length: int) -> None:
        """Append text that stands for `length` characters of the source from `start` on."""
        self.text += text
        self.origin.extend(start + min(index, length - 1) for index in range(len(text)))


def make_readable(source: str, problems: Problems) -> Readable | None:
    """Return the text to parse, in brackets and on one line, or None if reading on is pointless."""
    if not _is_possible(source, problems):
        return None
    result = Readable()
    result.add("(", 0, 1)
    brackets: list[tuple[str, int]] = []
    before = ""  # the kind of the last token, or `.`
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            _unexpected(source, position, problems)
            return None
        kind, text = match.lastgroup or "", match[0]
        if kind == "op" and not _balance(text, position, brackets, problems):
            return None
        result.add(_written(kind, text, position, before, problems), position, len(text))
        if kind != "space":
            before = text if text == "." else kind
        position = match.end()
    if not before:
        problems.add(0, len(source), "the expression is empty", "such as `not success`")
        return None
    for bracket, start in brackets:
        problems.add(start, start + 1, f"`{bracket}` is never closed", f"a `{_CLOSING[bracket]}` is missing")
    result.add(")", max(len(source) - 1, 0), 1)
    return None if brackets else result


def _is_possible(source: str, problems: Problems) -> bool:
    if not source.strip():
        problems.add(0, len(source), "the expression is empty", "such as `not success`")
        return False
    if len(source) > LONGEST:
        problems.add(
            LONGEST, len(source), f"longer than {LONGEST:,} characters", "put values into a list for `in_list`"
        )
        return False
    bad = next((at for at, char in enumerate(source) if _is_control(char)), None)
    if bad is not None:
        problems.add(bad, bad + 1, f"the character U+{ord(source[bad]):04X} cannot stand in an expression")
    return bad is None


def _is_control(char: str) -> bool:
    return (char < " " and char not in "\t\r\n") or char == "\x7f" or "\ud800" <= char <= "\udfff"


def _unexpected(source: str, position: int, problems: Problems) -> None:
    char = source[position]
    if char in "\"'":
        problems.add(position, len(source), "this text is never closed", f"a `{char}` is missing")
    else:
        problems.add(position, position + 1, f"{quote(char)} is not part of the language", _CHARACTERS.get(char))


def _balance(text: str, position: int, brackets: list[tuple[str, int]], problems: Problems) -> bool:
    """Open or close a bracket where a token is one; False where the text cannot be read on."""
    if text in _CLOSING:
        brackets.append((text, position))
        if len(brackets) > DEEPEST:
            problems.add(
                position, position + 1, f"nested more than {DEEPEST} levels deep", "split it into several rules"
            )
            return False
    elif text in ")]}":
        if not brackets or _CLOSING[brackets[-1][0]] != text:
            problems.add(position, position + 1, f"`{text}` closes nothing")
            return False
        brackets.pop()
    return True


def _written(kind: str, text: str, start: int, before: str, problems: Problems) -> str:
    """Return what Python's parser shall read in place of one token."""
    end = start + len(text)
    if kind == "space":
        return " " * len(text)
    if kind == "number":
        return _number(text, start, problems)
    if kind == "string":
        return _string(text, start, before, problems)
    if kind == "name" and before == ".":  # any name will do behind a dot, be it a word of Python: `properties.from`
        return "_" * len(text)
    if text in _CORRECTIONS:
        correct, message, hint = _CORRECTIONS[text]
        problems.add(start, end, message, hint)
        return correct
    if kind == "name" and not text.isascii():
        return "_" * len(text)
    return text


def _number(text: str, start: int, problems: Problems) -> str:
    if _NUMBER.fullmatch(text):
        return text
    hint = f'an address is a text: "{text}"' if _ADDRESS.fullmatch(text) else "write `10` or `0.5`; a text needs quotes"
    problems.add(start, start + len(text), f"{quote(text)} is not a number", hint)
    return UNREADABLE


def _string(text: str, start: int, before: str, problems: Problems) -> str:
    end = start + len(text)
    if before == "string":
        problems.add(start, end, "two texts side by side", "a comma or an operator between them is missing")
    prefix = text[: len(text) - len(text.lstrip("bBfFrRuU"))]
    if set(prefix) & set("bBfF"):
        problems.add(start, end, f"texts with the prefix `{prefix}` are not part of the language", "leave it out")
        return UNREADABLE
    return text
