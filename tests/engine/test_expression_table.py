"""Every operator and function on every kind of value: the compiled form against the written table, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from sentinel.engine.expression import ExpressionError, compile_expression
from sentinel.engine.functions import FUNCTIONS
from tests.engine import naive_expression as naive
from tests.engine.expression_events import make

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 0.0, 1.0, 2.5, 7, 23, 1e308, -1e308, 10**400, float("nan"), float("inf"),
    "", "a", "A b", "1", "id:1", "10.0.0.1", "x@A.com", "\ud800", [], ["a"], [1, True], [None], [[1], "a"],
    {}, {"a": 1}, {"a": None},
]  # fmt: skip
LITERALS = [
    "True",
    "False",
    "0",
    "1",
    "-1",
    "1.0",
    "2.5",
    "''",
    "'a'",
    "'1'",
    "['a']",
    "[1, True]",
    "[0, 1]",
    "[7, 23]",
]
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/", "%", "and", "or"]
LEFT, RIGHT = "properties.l", "properties.r"


def sources(operator: str) -> Iterator[str]:
    """Yield the operator between two fields, and between a field and each literal on either side."""
    yield f"{LEFT} {operator} {RIGHT}"
    for literal in LITERALS:
        yield f"{LEFT} {operator} {literal}"
        yield f"{literal} {operator} {RIGHT}"
    if operator in ("in", "not in"):
        yield f"{LEFT} {operator} {[str(number) for number in range(20)]}"
        yield f"{LEFT} {operator} [{RIGHT}, 'a', 1]"


def pairs() -> Iterator[dict[str, Any]]:
    for left, right in itertools.product(VALUES, VALUES):
        yield {LEFT: left, RIGHT: right}


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_is_its_line_of_the_table(operator):
    for source in sources(operator):
        known = compiled_or_none(source)
        if known is not None:
            for fields in singles(source):
                check(known, source, fields)


@pytest.mark.parametrize("form", ["not {l}", "-{l}", "{l} == None", "{l} != None", "{l}"])
def test_an_operator_of_one_value_is_its_line_of_the_table(form):
    source = form.format(l=LEFT)
    known = compiled_or_none(source)
    assert known is not None
    for fields in singles(source):
        check(known, source, fields)


@pytest.mark.parametrize(
    "form",
    [
        "{l} if {r} else 'else'",
        "'then' if {l} else {r}",
        "{l} < {r} < 7",
        "0 <= {l} == {r}",
        "-1 < {l} != {r} < 1e308",
        "not ({l} and {r})",
        "not ({l} or {r})",
        "not (True if {l} else {r})",
        "not ({l} < {r} <= 2)",
        "not {l} in [{r}]",
        "({l} == {r}) == True",
        "({l} < {r} < 7) != {r}",
        "({l} or {r}) == False",
    ],
)
def test_combined_operators_follow_the_table(form):
    source = form.format(l=LEFT, r=RIGHT)
    known = compiled_or_none(source)
    assert known is not None
    for fields in pairs():
        check(known, source, fields)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_answers_for_every_kind_of_argument_and_never_raises(name):
    literal = {"matches": "'^[a-z]+$'", "cidr": "'10.0.0.0/8'", "in_list": "'names'"}.get(name)
    count = FUNCTIONS[name].fewest
    arguments = [LEFT, literal or RIGHT][:count]
    source = f"{name}({', '.join(arguments)})"
    known = compiled_or_none(source)
    assert known is not None
    for fields in singles(source):
        check(known, source, fields)


def compiled_or_none(source: str) -> Any:
    try:
        return compile_expression(source, lists=naive.LISTS, condition=False)
    except ExpressionError:  # the kinds forbid it: nothing to compare
        return None


def singles(source: str) -> Iterator[dict[str, Any]]:
    """Yield values for the fields a source reads."""
    if LEFT in source and RIGHT in source:
        yield from pairs()
    else:
        for value in VALUES:
            yield {LEFT: value, RIGHT: value}


def check(expression: Any, source: str, fields: dict[str, Any]) -> None:
    event = make(fields)
    expected = naive.truth(source, event)
    assert naive.same(expression.value(event), naive.value(source, event)), (source, fields)
    assert expression.truth(event) is expected, (source, fields)
    assert expression.matches(event) is (expected is True), (source, fields)
