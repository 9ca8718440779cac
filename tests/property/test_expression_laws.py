"""What holds of every expression on every event: the compiled form is the table, simpleeval agrees, silence is safe."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simpleeval import EvalWithCompoundTypes

from sentinel.engine.expression import Expression, ExpressionError, compile_expression
from sentinel.engine.functions import FUNCTIONS
from tests.engine import naive_expression as naive
from tests.engine.expression_events import make
from tests.property.expression_language import COMPLETE, Options, hostile, reduced, text

ALL = text(Options())
TYPED = text(Options(any_kind=False, large=False))
MONOTONE = text(Options(none=False))


def compiled(source: str, condition: bool = True) -> Expression:
    try:
        return compile_expression(source, lists=naive.LISTS, condition=condition)
    except ExpressionError:  # a division by a literal zero, a comparison of two literals of different kinds
        assume(False)
        raise


@given(ALL["bool"], hostile())
def test_the_compiled_form_is_the_table_whatever_the_event_holds(source, event):
    expression = compiled(source)
    expected = naive.truth(source, event)
    assert expression.truth(event) is expected
    assert expression.matches(event) is (expected is True)


@given(st.one_of(ALL["number"], ALL["text"], ALL["list"], ALL["any"], ALL["bool"]), hostile())
def test_values_are_those_of_the_table(source, event):
    expression = compiled(source, condition=False)
    assert naive.same(expression.value(event), naive.value(source, event))


@given(ALL["bool"], COMPLETE)
def test_the_compiled_form_is_the_table_on_ordinary_events(source, fields):
    event = make(fields)
    assert compiled(source).truth(event) is naive.truth(source, event)


@settings(max_examples=200)
@given(TYPED["bool"], COMPLETE)
def test_simpleeval_says_the_same_of_complete_well_typed_events(source, fields):
    expression = compiled(source)
    try:
        expected = reference(source, fields)
    except Exception:
        assume(False)
    assert expression.truth(make(fields)) is expected


@settings(max_examples=200)
@given(MONOTONE["bool"], COMPLETE, st.data())
def test_an_answer_given_with_fields_missing_is_the_answer_for_every_completion(source, fields, data):
    expression = compiled(source)
    partial = make(data.draw(reduced(fields)))
    answer = expression.truth(partial)
    assert answer is None or answer is expression.truth(make(fields))


@given(ALL["bool"], hostile())
def test_an_explanation_tells_the_truth_of_every_clause_and_the_value_of_every_operand(source, event):
    for clause in compiled(source).explain(event):
        assert clause.truth is naive.truth(clause.source, event)
        for operand, value in (*clause.fields, *clause.operands):
            assert naive.same(value, naive.value(operand, event))


ALPHABET = st.sampled_from(
    [
        "user",
        "properties.a",
        "geo.country",
        "and",
        "or",
        "not",
        "in",
        "if",
        "else",
        "is",
        "None",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "==",
        "=",
        "!=",
        "!",
        "<",
        "&&",
        "||",
        "+",
        "-",
        "*",
        "**",
        "/",
        "//",
        "%",
        ":",
        ":=",
        ",",
        ".",
        "@",
        "'",
        '"',
        '"a"',
        "f'x'",
        "1",
        "1.5",
        "1e999",
        "9" * 30,
        "10m",
        "lambda",
        "for",
        "await",
        "yield",
        "len(",
        "matches(user, ",
        "cidr(ip, ",
        "hour(",
        "\\",
        "#",
        "\n",
        "\x00",
        "\ud800",
        "é",
        "ﬁ",
        "²",
        "`",
        "$",
        "?",
        ";",
    ]
)


@given(st.lists(ALPHABET, max_size=25).map(" ".join) | st.lists(ALPHABET, max_size=25).map("".join) | st.text())
def test_any_text_at_all_compiles_or_is_refused_with_places_in_it(source):
    try:
        compile_expression(source)
    except ExpressionError as error:
        assert error.problems
        for problem in error.problems:
            assert 0 <= problem.offset <= problem.offset + problem.length <= max(len(source), 1)
            assert source[: problem.offset].count("\n") == problem.line
            assert problem.message and "\n" not in problem.message


@given(ALL["bool"], ALPHABET, st.data())
def test_a_damaged_expression_compiles_or_is_refused(source, damage, data):
    at = data.draw(st.integers(0, len(source)))
    try:
        compile_expression(source[:at] + damage + source[at:], lists=naive.LISTS)
    except ExpressionError as error:
        assert error.problems


class Named(str):
    """A text that has fields of its own, as `user` has `user.email`."""


def reference(source: str, fields: dict[str, Any]) -> Any:
    """Evaluate with simpleeval itself: its own operators, and functions that raise where ours know nothing."""
    names: dict[str, Any] = {}
    for path, value in sorted(fields.items()):
        outer, _, key = path.rpartition(".")
        if outer == "user":
            setattr(names["user"], key, list(value) if isinstance(value, tuple) else value)
        elif path == "user":
            names[path] = Named(value)
        else:
            _put(names, path.split("."), value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            node.left, *node.comparators = naive.users(node)
    functions = {name: _strict(name) for name in FUNCTIONS}
    return EvalWithCompoundTypes(names=names, functions=functions).eval("", previously_parsed=tree)


def _put(names: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        names = names.setdefault(key, {})
    names[path[-1]] = value


def _strict(name: str) -> Any:
    def apply(*arguments: Any) -> Any:
        written = ", ".join(repr(argument) for argument in arguments)
        result = naive.value(f"{name}({written})", make({}))
        if result is None:
            raise ValueError(name)
        return result

    return apply
