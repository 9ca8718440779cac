"""Expressions: conditions on one event, compiled once; each is true, false or unknown.

This is the language's public side: its words are in syntax.py, fields.py and functions.py, its meaning in operators.py
and codegen.py. No event, list or file is read from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sentinel.engine import codegen, contradictions, possible, syntax, typecheck
from sentinel.engine.arguments import Context
from sentinel.engine.explain import Clause, ClauseValue, clauses_of, explain
from sentinel.engine.fields import compile_field, field_kind
from sentinel.engine.kinds import Kind
from sentinel.engine.lists import ListValues, parse_list
from sentinel.engine.nodes import Call, Literal, Node, Prepared, fields_of, walk
from sentinel.engine.problems import ExpressionError, Problem, Problems

if TYPE_CHECKING:
    from sentinel.core.event import Event

__all__ = [
    "Clause", "ClauseValue", "Expression", "ExpressionError", "Kind", "ListValues", "Problem",
    "compile_expression", "compile_field", "field_kind", "parse_list",
]  # fmt: skip

_NO_LISTS: Mapping[str, ListValues] = {}


@dataclass(frozen=True)
class Expression:
    """One compiled expression. Equal to another of the same text.

    `matches(event)` is True only where the expression is true; `truth(event)` is True, False or None for unknown;
    `value(event)` is the plain value, None if unknown. None of them raises, whatever the event holds.
    """

    source: str
    tree: Node = field(repr=False, compare=False)
    matches: Callable[[Event], bool] = field(repr=False, compare=False)
    truth: Callable[[Event], bool | None] = field(repr=False, compare=False)
    value: Callable[[Event], Any] = field(repr=False, compare=False)
    code: str = field(repr=False, compare=False)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The paths of the fields it reads, each once, in the order of the text."""
        return fields_of(self.tree)

    @cached_property
    def lists(self) -> tuple[str, ...]:
        """The names of the lists it looks values up in."""
        return tuple(dict.fromkeys(_list_names(self.tree)))

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """The conditions that `and` and `or` join, in the order of the text."""
        return clauses_of(self.tree, self.source)

    def explain(self, event: Event) -> tuple[ClauseValue, ...]:
        """Return each clause with its truth for the event, and the values it was made from."""
        return tuple(explain(clause, self.source, event) for clause in self.clauses)


def compile_expression(
    source: str,
    *,
    lists: Mapping[str, ListValues] = _NO_LISTS,
    condition: bool = True,
    strict: bool = False,
) -> Expression:
    """Return the compiled expression, or raise ExpressionError with every mistake in it.

    `lists` are the named lists `in_list` may ask. Without `condition` the expression may be any value, not only true
    or false. With `strict` comparisons with what a field never is, and those that never hold together, are mistakes,
    too.
    """
    problems = Problems(source)
    tree = syntax.parse(source, Context(lists, problems))
    if tree is not None:
        typecheck.check(tree, problems, condition=condition)
        if strict:
            possible.check(tree, problems)
            if not problems:
                contradictions.check(tree, problems)
    if problems or tree is None:
        raise ExpressionError(source, problems.sorted())
    program = codegen.compile_tree(tree)
    return Expression(source, tree, program.matches, program.truth, program.value, program.listing)


def _list_names(tree: Node) -> list[str]:
    calls = (node for node in walk(tree) if isinstance(node, Call) and node.function == "in_list")
    names = (call.arguments[1] for call in calls)
    return [
        str(name.literal.value) for name in names if isinstance(name, Prepared) and isinstance(name.literal, Literal)
    ]
