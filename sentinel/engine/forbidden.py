"""Python that is not part of the language: what to say about each construct, and what to write instead."""

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
_MISSING = "`field == None` asks whether a field is missing, `!= None` whether it is there"
_OF_OTHERS = {  # words by which other tools call what a function does, or what needs none here
    "matches": ("regex", "rlike", "regexp", "regexp_match", "search", "re_match"),
    "lower": ("tolower", "to_lower", "lowercase"), "upper": ("toupper", "to_upper", "uppercase"),
    "cidr": ("cidrmatch", "cidr_match", "ip_in_cidr", "iprange", "inrange", "ip_in"),
    "len": ("length", "count", "size"), "in_list": ("lookup", "in_file"), "number": ("int", "float", "to_int"),
}  # fmt: skip
_FUNCTIONS = {word: f"did you mean `{name}`?" for name, words in _OF_OTHERS.items() for word in words}
_FUNCTIONS |= dict.fromkeys(("is_null", "isnull", "isnotnull", "exists", "empty", "defined", "is_missing"), _MISSING)
_FUNCTIONS |= dict.fromkeys(("now", "today", "time"), "a condition knows no clock: `timestamp` is the event's own time")
_FUNCTIONS |= dict.fromkeys(("range", "between"), "write `low <= x < high`")
_FUNCTIONS |= dict.fromkeys(("any", "all"), "ask with `in`, or with `contains`")
_TOKEN = re.compile(r"""\w+(?:\.\w+)*|"[^"]*"|'[^']*'|[=!<>]+|\S""")


def meant_function(name: str) -> str | None:
    """Return what to write in place of a function of other tools, None where the name is none of theirs."""
    return _FUNCTIONS.get(name.lower())


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
