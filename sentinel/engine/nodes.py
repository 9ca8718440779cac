"""The tree of a checked expression, which all that reads expressions (code, explanation, search) walks.

How text becomes nodes is in syntax.py; what nodes mean is in codegen.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal as OneOf
from typing import TypeAlias

from sentinel.engine.kinds import Kind

Comparator: TypeAlias = OneOf["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
Operator: TypeAlias = OneOf["+", "-", "*", "/", "%"]
MIRRORED: Mapping[Comparator, Comparator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node is written: `source[start:end]`."""

    start: int
    end: int


NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class _Node:
    span: Span = field(default=NOWHERE, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal(_Node):
    """A text, number or boolean as written."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Field(_Node):
    """A field of the event, by its dotted path."""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class ListOf(_Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(_Node):
    """`not a`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class And(_Node):
    """`a and b and …`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(_Node):
    """`a or b or …`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare(_Node):
    """A comparison, or a chain of them: `1 <= a < b` has operands 1, a, b and operators <=, <."""

    operands: tuple[Node, ...]
    operators: tuple[Comparator, ...]

    def pairs(self) -> Iterator[tuple[Node, Comparator, Node]]:
        """Yield the chain's comparisons, whose `and` it is."""
        yield from zip(self.operands, self.operators, self.operands[1:], strict=False)


@dataclass(frozen=True, slots=True)
class Missing(_Node):
    """`field == None`, or with `negated` `field != None`: never unknown."""

    field: Field
    negated: bool


@dataclass(frozen=True, slots=True)
class Arithmetic(_Node):
    """`a + b` and its like."""

    operator: Operator
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Negative(_Node):
    """`-a`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Choice(_Node):
    """`then if test else otherwise`."""

    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Prepared(_Node):
    """A literal argument made ready at load: a compiled pattern, a set of networks, a named list, a time zone."""

    literal: Node
    value: object = field(compare=False)


@dataclass(frozen=True, slots=True)
class Call(_Node):
    """A call of a function of the table in functions.py."""

    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = (
    Literal | Field | ListOf | Not | And | Or | Compare | Missing | Arithmetic | Negative | Choice | Prepared | Call
)


def children(node: Node) -> tuple[Node, ...]:
    """Return a node's operands, left to right."""
    match node:
        case ListOf(items=parts) | And(parts=parts) | Or(parts=parts):
            return parts
        case Compare(operands=parts) | Call(arguments=parts):
            return parts
        case Not(operand=operand) | Negative(operand=operand):
            return (operand,)
        case Missing(field=read):
            return (read,)
        case Arithmetic(left=left, right=right):
            return (left, right)
        case Choice(test=test, then=then, otherwise=otherwise):
            return (then, test, otherwise)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def fields_of(node: Node) -> tuple[str, ...]:
    """Return the paths of the fields a node reads, each once, in the order of the text."""
    return tuple(dict.fromkeys(part.path for part in walk(node) if isinstance(part, Field)))
