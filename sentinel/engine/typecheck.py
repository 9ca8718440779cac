"""Find conditions that can never hold, before any event is seen, from the kinds of fields, literals and functions."""

from __future__ import annotations

from sentinel.engine.functions import FUNCTIONS, signature
from sentinel.engine.kinds import Kind, kind_of_value
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
    Or,
    Prepared,
    walk,
)
from sentinel.engine.problems import Problems

_SEVERAL = 'ask for each, with `or`, or for a pattern: `matches(request.path, "^/(admin|login)")`'
_YES_AND_NO = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n"})


def kind_of(node: Node) -> Kind:
    """Return what a node's value may be, when it is known at all."""
    match node:
        case Literal(value=value):
            return kind_of_value(value)
        case Field(kind=kind):
            return kind
        case ListOf():
            return Kind.LIST
        case Not() | And() | Or() | Compare() | Missing():
            return Kind.BOOL
        case Arithmetic() | Negative():
            return Kind.NUMBER
        case Choice(then=then, otherwise=otherwise):
            return kind_of(then) | kind_of(otherwise)
        case Prepared(literal=literal):
            return kind_of(literal)
        case Call(function=name, arguments=arguments):
            return FUNCTIONS[name].returns or _union(arguments)


def _union(nodes: tuple[Node, ...]) -> Kind:
    kind = Kind(0)
    for node in nodes:
        kind |= kind_of(node)
    return kind


def check(tree: Node, problems: Problems, *, condition: bool = True) -> None:
    """Record every part of a tree that can never hold or never has a value.

    With `condition` the whole must be true or false.
    """
    checker = _Checker(problems)
    if condition:
        checker.truth(tree)
    for node in walk(tree):
        checker.visit(node)


class _Checker:
    def __init__(self, problems: Problems) -> None:
        self._at, self._quoted = problems.at, problems.quoted

    def _is(self, node: Node) -> str:
        return f"{self._quoted(node.span)} is {kind_of(node)}"

    def visit(self, node: Node) -> None:
        """Check one node, not what is below it."""
        match node:
            case Not(operand=operand):
                self.truth(operand)
            case And(parts=parts) | Or(parts=parts):
                for part in parts:
                    self.truth(part)
            case Choice(test=test):
                self.truth(test)
            case Compare():
                for left, operator, right in node.pairs():
                    self._pair(left, operator, right)
            case Arithmetic():
                self._arithmetic(node)
            case Negative(operand=operand):
                self._number(operand)
            case Call():
                self._call(node)
            case _:
                pass

    def truth(self, node: Node) -> None:
        """Record a node that stands where a condition must, and cannot be one."""
        if not kind_of(node) & Kind.BOOL:
            hint = "compare it with something; `!= None` asks whether it is there"
            self._at(node.span, f"{self._is(node)}, not a condition", hint)

    def _pair(self, left: Node, operator: Comparator, right: Node) -> None:
        if operator in ("==", "!="):
            self._equality(left, right)
        elif operator in ("in", "not in"):
            self._membership(left, right)
        elif not kind_of(left) & kind_of(right) & (Kind.NUMBER | Kind.TEXT):
            message = f"`{operator}` compares two numbers or two texts: {self._is(left)}, {self._is(right)}"
            self._at(right.span, message, _as_written(left, right))

    def _equality(self, left: Node, right: Node) -> None:
        if not kind_of(left) & kind_of(right):
            where = right if isinstance(right, Literal) else left
            message = f"this can never hold: {self._is(left)}, {self._is(right)}"
            self._at(where.span, message, _as_written(left, right) or _as_written(right, left))

    def _membership(self, item: Node, container: Node) -> None:
        if isinstance(container, ListOf):
            if not container.items:
                self._at(container.span, "an empty list holds nothing")
            for candidate in container.items:
                self._equality(item, candidate)
        elif not kind_of(container) & (Kind.LIST | Kind.TEXT):
            self._at(container.span, f"a value is looked for in a list or a text: {self._is(container)}")
        elif kind_of(container) is Kind.TEXT and not kind_of(item) & Kind.TEXT:
            self._at(item.span, f"a text holds texts only: {self._is(item)}", _as_written(container, item))

    def _arithmetic(self, node: Arithmetic) -> None:
        self._number(node.left)
        self._number(node.right)
        if node.operator in "/%" and isinstance(node.right, Literal) and node.right.value == 0:
            self._at(node.right.span, "division by zero has no result")

    def _number(self, node: Node) -> None:
        if not kind_of(node) & Kind.NUMBER:
            hint = "`number(…)` is the number that a text spells" if kind_of(node) is Kind.TEXT else None
            self._at(node.span, f"only numbers are calculated with: {self._is(node)}", hint)

    def _call(self, node: Call) -> None:
        function = FUNCTIONS[node.function]
        for index, argument in enumerate(node.arguments):
            param = function.param(index)
            if param is not None and not isinstance(argument, Prepared) and not kind_of(argument) & param.kind:
                message = f"`{param.name}` of `{node.function}` is {param.kind}: {self._is(argument)}"
                hint = _SEVERAL if isinstance(argument, ListOf) and index else f"`{signature(node.function)}`"
                self._at(argument.span, message, hint)
        if node.function == "contains":
            self._membership(node.arguments[1], node.arguments[0])


def _as_written(known: Node, literal: Node) -> str | None:
    """Suggest the literal the author may have meant beside a value of known kind."""
    if not isinstance(literal, Literal) or kind_of(literal) & kind_of(known):
        return None
    value, kind = literal.value, kind_of(known)
    if kind is Kind.TEXT and not isinstance(value, str):
        return f'write `"{value}"`'
    if kind is Kind.NUMBER and isinstance(value, str) and value.strip().isdigit():
        return f"write `{value.strip()}`"
    if kind is Kind.BOOL and (isinstance(value, int | float) or value.lower() in _YES_AND_NO):
        return "write `True` or `False`"
    return None
