"""Python that is not part of the language: what to say about each, and what to write instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from itertools import islice

from sentinel.engine.functions import FUNCTIONS
from sentinel.engine.problems import quote

_LISTS = "write a list in `[ ]`"
_LOOPS = "loops are not part of the language"
_ASK = "ask with `in`, or with `contains`"

FORBIDDEN: Mapping[type[ast.AST], tuple[str, str | None]] = {
    ast.Is: ("`is` is not an operator", "write `==`, or `== None` for a missing field"),
    ast.Tuple: ("a list in round brackets", _LISTS),
    ast.Set: ("a list in braces", _LISTS),
    ast.Dict: ("objects cannot be written", None),
    ast.ListComp: (_LOOPS, _ASK),
    ast.SetComp: (_LOOPS, _ASK),
    ast.DictComp: (_LOOPS, _ASK),
    ast.GeneratorExp: (_LOOPS, _ASK),
    ast.Lambda: ("`lambda` is not part of the language", None),
    ast.NamedExpr: ("`:=` is not part of the language", "write `==` to compare"),
    ast.Starred: ("`*` spreads nothing here", "write the arguments out"),
    ast.JoinedStr: ("texts with the prefix `f` are not part of the language", "leave it out"),
    ast.Pow: ("`**` is not an operator", "multiply instead"),
    ast.FloorDiv: ("`//` is not an operator", "write `floor(a / b)`"),
    ast.BitAnd: ("`&` is not an operator", "write `and`"),
    ast.BitOr: ("`|` is not an operator", "write `or`"),
    ast.BitXor: ("`^` is not an operator", None),
    ast.LShift: ("`<<` is not an operator", None),
    ast.RShift: ("`>>` is not an operator", None),
    ast.MatMult: ("`@` is not an operator", None),
}

_WORDS = {
    "is": "write `==`, or `== None` for a missing field",
    "like": 'write `contains(a, "b")` or `matches(a, "pattern")`',
    "between": "write `low <= x <= high`",
    "then": "a choice is written `a if condition else b`",
    "has": "write `contains(a, b)` or `b in a`",
}
_TOKEN = re.compile(r"""\w+(?:\.\w+)*|"[^"]*"|'[^']*'|[=!<>]+|\S""")


def unexpected(source: str, start: int, reason: str) -> tuple[int, int, str, str | None]:
    """Return start, end, message and hint for the place where Python's parser gave up."""
    if "else" in reason:
        return start, start + 1, "`if` without `else`", "a choice is written `a if condition else b`"
    if not source[start + 1 :].strip():
        return start, start + 1, "the expression ends too early", "a value is missing at its end"
    for match in islice(_TOKEN.finditer(source, start), 2):
        word = match[0]
        if word in _WORDS:
            return *match.span(), f"{quote(word)} is not expected here", _WORDS[word]
        if word in FUNCTIONS:
            hint = f"functions are called: `{FUNCTIONS[word].example}`"
            return *match.span(), f"{quote(word)} is not expected here", hint
    first = _TOKEN.search(source, start)
    end = first.end() if first else start + 1
    return start, end, f"something is wrong at {quote(source[start:end])}", "perhaps an operator or a comma is missing"
