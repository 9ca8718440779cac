"""Find conditions on one value that exclude each other, such as `x > 5 and x < 3`. Only what is certain is reported.

Files are checked for this, as for what `possible` knows. It works by trial, not by calculation: of each kind of value,
those written in the conditions and some between them are tried.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard

from sentinel.engine.nodes import (
    MIRRORED,
    And,
    Call,
    Comparator,
    Compare,
    Field,
    ListOf,
    Literal,
    Missing,
    Node,
    Not,
    Prepared,
    Span,
    children,
)
from sentinel.engine.problems import Problems

_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NEXT = "\0"  # makes of a text the one after it: nothing lies between
_OTHER = object()  # whatever is neither a text nor a number nor a boolean
_Kind = str | bool | Fraction


class _Atom(NamedTuple):
    """What one part asks of a value, and where it is written. Without an operator: whether it is missing."""

    of: Node
    operator: str
    values: tuple[_Kind, ...]
    span: Span

    def takes(self, value: Any) -> bool:
        """Say whether a value meets it; None is a missing one."""
        if value is None or self.operator == "missing":
            return value is None and self.operator == "missing"
        same = any(_is_same(value, one) for one in self.values)
        match self.operator:
            case "==" | "in":
                return same
            case "!=" | "not in":
                return not same
        (bound,) = self.values
        return type(value) is type(bound) and not isinstance(bound, bool) and bool(_ORDERS[self.operator](value, bound))


def check(tree: Node, problems: Problems) -> None:
    """Record each part that can never hold beside one before it."""
    for parts in _together(tree):
        for known in dict.fromkeys(atom.of for atom in parts):
            wrong = _clash([atom for atom in parts if atom.of == known and _is_plain(atom)])
            if wrong is not None:
                atom, before = wrong
                beside = problems.quoted(before.span) if before else "what stands before it"
                problems.at(atom.span, f"this can never hold beside {beside}")


def _together(tree: Node) -> Iterator[list[_Atom]]:
    """Give the conditions that must hold together: one list for each `and` and each chain of comparisons."""
    if isinstance(tree, And | Compare):
        yield list(_atoms(tree))
    for part in _below(tree):
        yield from _together(part)


def _below(tree: Node) -> Iterator[Node]:
    """Give the parts of a node; in place of those whose conditions an `and` has gathered, their own parts."""
    for part in children(tree):
        if isinstance(tree, And) and isinstance(part, And | Compare):
            yield from _below(part)
        else:
            yield part


def _atoms(node: Node) -> Iterator[_Atom]:
    """Give what a node asks of single values; parts that ask for more than one value are left out."""
    match node:
        case And(parts=parts):
            for part in parts:
                yield from _atoms(part)
        case Compare():
            for left, comparator, right in node.pairs():
                yield from _compared(left, comparator, right)
        case Missing(field=field, negated=negated):
            yield _Atom(field, "not in" if negated else "missing", (), node.span)
        case Not(operand=Field() | Call() as known) if _is_known(known):
            yield _Atom(known, "==", (False,), node.span)
        case Field() | Call() if _is_known(node):
            yield _Atom(node, "==", (True,), node.span)


def _compared(left: Node, comparator: Comparator, right: Node) -> Iterator[_Atom]:
    span = Span(left.span.start, right.span.end)
    if _is_known(left) and isinstance(right, Literal) and comparator in MIRRORED:
        yield _Atom(left, comparator, (_kind(right),), span)
    elif _is_known(right) and isinstance(left, Literal) and comparator in MIRRORED:
        yield _Atom(right, MIRRORED[comparator], (_kind(left),), span)
    elif _is_known(left) and isinstance(right, ListOf):
        literals = [item for item in right.items if isinstance(item, Literal)]
        if len(literals) == len(right.items):
            yield _Atom(left, comparator, tuple(map(_kind, literals)), span)


def _is_known(node: Node) -> TypeGuard[Field | Call]:
    """Say whether a node has one value in an event, whoever asks for it."""
    if isinstance(node, Call):
        return all(
            isinstance(one, Field | Prepared) or (isinstance(one, Literal) and isinstance(one.value, str))
            for one in node.arguments
        )
    return isinstance(node, Field)


def _kind(literal: Literal) -> _Kind:
    value = literal.value
    return value if isinstance(value, str | bool) else Fraction(value)


def _is_same(value: Any, other: _Kind) -> bool:
    return type(value) is type(other) and bool(value == other)


def _clash(atoms: Sequence[_Atom]) -> tuple[_Atom, _Atom | None] | None:
    """Return the first part that nothing meets with those before it, and the one of these that rules it out alone."""
    tried = list(_tried(atoms))
    left = tried
    for number, atom in enumerate(atoms):
        left = [value for value in left if atom.takes(value)]
        if not left and number:
            rest = [value for value in tried if atom.takes(value)]
            return atom, next((one for one in atoms[:number] if not any(map(one.takes, rest))), None)
    return None


def _tried(atoms: Iterable[_Atom]) -> Iterator[Any]:
    """Give values to try: where any value at all meets all parts, one of these does."""
    values = [value for atom in atoms for value in atom.values]
    yield from (None, _OTHER, True, False)
    numbers = sorted({value for value in values if isinstance(value, Fraction)})
    if numbers:
        yield from (numbers[0] - 1, *numbers, numbers[-1] + 1)
        yield from ((one + other) / 2 for one, other in pairwise(numbers))
    for text in {"", *(value for value in values if isinstance(value, str))}:
        yield from (text, text + _NEXT)


def _is_plain(atom: _Atom) -> bool:
    """Say whether no text ends in the sign that makes the next one of it: else the texts tried are not enough."""
    return not any(isinstance(value, str) and value.endswith(_NEXT) for value in atom.values)
