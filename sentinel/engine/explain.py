"""Why an expression holds for an event or not: each clause with its truth and the values it was made from.

The truth comes from the compiled form, which decides. Values of calculated operands come from simpleeval, which runs
the checked tree with this language's own operators and functions, so that nothing in an event can stall it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from sentinel.engine import codegen, operators
from sentinel.engine.fields import compile_field
from sentinel.engine.functions import FUNCTIONS
from sentinel.engine.nodes import (
    And,
    Arithmetic,
    Call,
    Choice,
    Comparator,
    Compare,
    Field,
    ListOf,
    Literal,
    Missing,
    Negative,
    Node,
    Not,
    Operator,
    Or,
    Prepared,
    fields_of,
    walk,
)

if TYPE_CHECKING:
    from sentinel.core.event import Event


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition that `and` and `or` join: its text, and the fields it reads."""

    source: str
    fields: tuple[str, ...]
    tree: Node = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ClauseValue:
    """A clause judged on one event: its truth (None for unknown), and (text, value) of what it was made from.

    First the fields in the order of the text, then calls and calculations; None is a missing value.
    """

    source: str
    truth: bool | None
    fields: tuple[tuple[str, Any], ...]
    operands: tuple[tuple[str, Any], ...]


def clauses_of(tree: Node, source: str) -> tuple[Clause, ...]:
    """Return the leaves of the tree of `and` and `or`."""
    return tuple(Clause(source[leaf.span.start : leaf.span.end], fields_of(leaf), leaf) for leaf in _leaves(tree))


def _leaves(tree: Node) -> Iterator[Node]:
    if isinstance(tree, And | Or):
        for part in tree.parts:
            yield from _leaves(part)
    else:
        yield tree


def explain(clause: Clause, source: str, event: Event) -> ClauseValue:
    """Judge one clause of `source` on an event."""
    values = {path: compile_field(path)(event) for path in clause.fields}
    truth = codegen.compile_tree(clause.tree).truth(event)
    operands = {
        source[node.span.start : node.span.end]: _evaluate(node, values, event)
        for node in walk(clause.tree)
        if isinstance(node, Call | Arithmetic) and node is not clause.tree
    }
    return ClauseValue(clause.source, truth, tuple(values.items()), tuple(operands.items()))


def _evaluate(node: Node, values: dict[str, Any], event: Event) -> Any:
    evaluator = EvalWithCompoundTypes(operators=dict(_OPERATORS), functions=dict(_FUNCTIONS), names=values)
    try:
        return evaluator.eval("", previously_parsed=_python(node))
    except (InvalidExpression, RecursionError):  # simpleeval refuses some values this language lets through
        return codegen.compile_tree(node).value(event)


def _choose(test: Any, then: Any, otherwise: Any) -> Any:
    return then if test is True else otherwise if test is False else None


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operators.add, ast.Sub: operators.subtract, ast.Mult: operators.multiply, ast.Div: operators.divide,
    ast.Mod: operators.modulo, ast.USub: operators.negative, ast.Not: operators.negate,
    ast.Eq: operators.equal, ast.NotEq: operators.unequal, ast.In: operators.within, ast.NotIn: operators.without,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.Lt: operators.less, ast.LtE: operators.at_most, ast.Gt: operators.greater, ast.GtE: operators.at_least,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: function.call for name, function in FUNCTIONS.items()},
    "both": operators.both, "either": operators.either, "choose": _choose,
}  # fmt: skip
_BINARY: dict[Operator, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "%": ast.Mod,
}  # fmt: skip
_COMPARISON: dict[Comparator, type[ast.cmpop]] = {
    "==": ast.Eq, "!=": ast.NotEq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE,
    "in": ast.In, "not in": ast.NotIn,
}  # fmt: skip


def _python(node: Node) -> ast.expr:
    """Return a node as simpleeval reads it; what Python would cut short becomes a call of this language's own."""
    match node:
        case Literal(value=value):
            return ast.Constant(value)
        case Prepared(value=value):
            return ast.Constant(cast(str, value))  # to simpleeval, whatever a constant holds is a value
        case Field(path=path):
            return ast.Name(path)
        case ListOf(items=items):
            return ast.List(list(map(_python, items)))
        case Not(operand=operand):
            return ast.UnaryOp(ast.Not(), _python(operand))
        case Negative(operand=operand):
            return ast.UnaryOp(ast.USub(), _python(operand))
        case Arithmetic(operator=sign, left=left, right=right):
            return ast.BinOp(_python(left), _BINARY[sign](), _python(right))
        case Compare():
            pairs: list[ast.expr] = [_compare(*pair) for pair in node.pairs()]
            return pairs[0] if len(pairs) == 1 else _apply("both", pairs)
        case Missing(field=read, negated=negated):
            return ast.Compare(_python(read), [ast.IsNot() if negated else ast.Is()], [ast.Constant(None)])
        case And(parts=parts):
            return _apply("both", map(_python, parts))
        case Or(parts=parts):
            return _apply("either", map(_python, parts))
        case Choice(test=test, then=then, otherwise=otherwise):
            return _apply("choose", map(_python, (test, then, otherwise)))
        case Call(function=name, arguments=arguments):
            return _apply(name, map(_python, arguments))


def _compare(left: Node, sign: Comparator, right: Node) -> ast.expr:
    return ast.Compare(_python(left), [_COMPARISON[sign]()], [_python(right)])


def _apply(name: str, arguments: Iterable[ast.expr]) -> ast.expr:
    return ast.Call(ast.Name(name), list(arguments), [])
