"""The generated functions: nothing of the author's in them, nothing within their reach."""

from __future__ import annotations

import ast

import pytest

from sentinel.engine.expression import compile_expression
from tests.engine.expression_events import make


def test_the_code_of_the_usual_condition_can_be_read():
    code = compile_expression('event == "auth" and not success and geo.country not in ["FR", "DE"]').code
    assert code.splitlines()[:5] == [
        "# c0 = 'auth'",
        "# c1 = ('FR', 'DE')",
        "",
        "def matches(event):",
        (
            "    return (event.name == c0 and event.success is False"
            " and ((t0 := event.geo.get('country')) is not None and t0 not in c1))"
        ),
    ]


@pytest.mark.parametrize(
    "text", ['"); import os; ("', "__import__('os')", "\\", "'", '"""', "\\N{BULLET}", "{x}", "\n# c0", "\u2028"]
)
def test_an_authors_text_is_a_constant_and_never_code(text):
    expression = compile_expression(f"properties.x == {text!r}")
    assert expression.matches(make({"properties.x": text}))
    functions = "\n".join(line for line in expression.code.splitlines() if not line.startswith("#"))
    literals = [node.value for node in ast.walk(ast.parse(functions)) if isinstance(node, ast.Constant)]
    assert set(literals) <= {True, False, None}


def test_generated_functions_have_no_builtins():
    for function in (compile_expression("success").matches, compile_expression("success").truth):
        assert function.__globals__["__builtins__"] == {}  # type: ignore[attr-defined]


def test_a_deep_expression_is_split_into_functions_python_can_parse():
    source = "properties.a"
    for _ in range(40):
        source = f"({source} == properties.b)"
    expression = compile_expression(source)
    assert "def part" in expression.code
    assert expression.truth(make({"properties.a": 1, "properties.b": True})) is False
    assert expression.truth(make({"properties.a": 1, "properties.b": False})) is True
