"""Compile the nodes of an expression into Python functions.

Each node has three pieces of code. Where it stands for a condition: *true*, truthy exactly when the node is true, and
*false*, truthy exactly when it is false; where it stands for a value: *value*, None when unknown. Every piece names
each operand once, so code grows in proportion to the expression. No text of the author's gets into it: literals are
constants in the functions' namespace, which has no builtins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sentinel.engine import operators
from sentinel.engine.fields import FIELDS, FieldSpec, find_field, seconds
from sentinel.engine.functions import FUNCTIONS
from sentinel.engine.kinds import NUMBERS
from sentinel.engine.nodes import (
    MIRRORED,
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
)

if TYPE_CHECKING:
    from sentinel.core.event import Event

_NESTED = 8  # levels in one function; deeper ones call another, for Python's parser reads 200 brackets at most
_FEW = 8  # items that are compared one by one as fast as they are hashed
_NAMES: Mapping[Comparator, str] = {
    "==": "equal", "!=": "unequal", "<": "less", "<=": "at_most", ">": "greater", ">=": "at_least",
    "in": "within", "not in": "without",
}  # fmt: skip
_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}
_RUNTIME: Mapping[str, Any] = {
    "__builtins__": {}, "seconds": seconds, "NUMBERS": NUMBERS, "str": str, "bool": bool, "dict": dict,
    "both": operators.both, "either": operators.either, "negate": operators.negate, "negative": operators.negative,
    **{name: operators.COMPARATORS[sign] for sign, name in _NAMES.items()},
    **{name: operators.OPERATORS[sign] for sign, name in _ARITHMETIC.items()},  # type: ignore[index]
    **{f"{name}_": function.call for name, function in FUNCTIONS.items()},
}  # fmt: skip


class Program(NamedTuple):
    """The functions of one expression, their Python source and the constants it names."""

    matches: Callable[[Event], bool]
    truth: Callable[[Event], bool | None]
    value: Callable[[Event], Any]
    source: str
    constants: Mapping[str, object]

    @property
    def listing(self) -> str:
        """The source, with a line for each constant, to be read."""
        return "".join(f"# {name} = {value!r}\n" for name, value in self.constants.items()) + "\n" + self.source


def compile_tree(tree: Node) -> Program:
    """Return the functions of a checked tree."""
    writer = _Writer()
    writer.define("matches", f"return {writer.true(tree)}")
    writer.define("truth", f"return True if {writer.true(tree)} else False if {writer.false(tree)} else None")
    writer.define("value", f"return {writer.value(tree)}")
    found = writer.run()
    return Program(found["matches"], found["truth"], found["value"], writer.source, writer.constants)


class _Operand(NamedTuple):
    """One side of a comparison: its node, and code that may be used once."""

    node: Node
    code: str


class _Writer:
    """Writes functions of one argument, `event`."""

    def __init__(self) -> None:
        self.constants: dict[str, object] = {}
        self._known: dict[tuple[type, object], str] = {}
        self._functions: list[str] = []
        self._temporaries: set[str] = set()
        self._level = 0

    @property
    def source(self) -> str:
        """The Python source of all functions."""
        return "\n\n".join(self._functions) + "\n"

    def define(self, name: str, body: str) -> None:
        """Add one function."""
        self._functions.append(f"def {name}(event):\n    {body}")

    def run(self) -> dict[str, Any]:
        """Compile what was written and return the namespace with its functions."""
        namespace = {**_RUNTIME, **self.constants}
        exec(compile(self.source, "<expression>", "exec"), namespace)  # noqa: S102  nothing of the author's is in it
        return namespace

    def _constant(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value)
        plain = isinstance(value, str | int | float | tuple | frozenset)
        key = (type(value), repr(value) if plain else id(value))
        if key not in self._known:
            self._known[key] = f"c{len(self._known)}"
            self.constants[self._known[key]] = value
        return self._known[key]

    def _temporary(self) -> str:
        name = f"t{len(self._temporaries)}"
        self._temporaries.add(name)
        return name

    def _kept(self, code: str) -> tuple[str, str]:
        """Return code that evaluates `code` and a name for its value afterwards."""
        if code in self._temporaries:
            return code, code
        name = self._temporary()
        return f"({name} := {code})", name

    def _within_bounds(self, node: Node, write: Callable[[Node], str]) -> str:
        """Write a node's code, in a function of its own where brackets would nest too deeply."""
        if isinstance(node, Literal | Prepared | Field):
            return write(node)
        if self._level < _NESTED:
            self._level += 1
            code = write(node)
            self._level -= 1
            return code
        level, self._level = self._level, 0
        code = write(node)
        self._level = level
        name = f"part{len(self._functions)}"
        self.define(name, f"return {code}")
        return f"{name}(event)"

    def true(self, node: Node) -> str:
        """Return code that is True exactly when the node is true, False otherwise."""
        return self._within_bounds(node, self._true)

    def false(self, node: Node) -> str:
        """Return code that is True exactly when the node is false, False otherwise."""
        return self._within_bounds(node, self._false)

    def value(self, node: Node) -> str:
        """Return code whose value is the node's, None when unknown."""
        return self._within_bounds(node, self._value)

    def _true(self, node: Node) -> str:
        match node:
            case And(parts=parts):
                return f"({' and '.join(map(self.true, parts))})"
            case Or(parts=parts):
                return f"({' or '.join(map(self.true, parts))})"
            case Not(operand=operand):
                return self.false(operand)
            case Compare():
                return self._compare(node, True)
            case Choice(test=test, then=then, otherwise=otherwise):
                return self._choose(test, self.true(then), self.true(otherwise))
            case Missing() | Literal(value=bool()):
                return self.value(node)
            case _:
                return f"{self.value(node)} is True"

    def _false(self, node: Node) -> str:
        match node:
            case And(parts=parts):
                return f"({' or '.join(map(self.false, parts))})"
            case Or(parts=parts):
                return f"({' and '.join(map(self.false, parts))})"
            case Not(operand=operand):
                return self.true(operand)
            case Compare():
                return self._compare(node, False)
            case Choice(test=test, then=then, otherwise=otherwise):
                return self._choose(test, self.false(then), self.false(otherwise))
            case Missing(field=field, negated=negated):
                return self.value(Missing(field, not negated))
            case Literal(value=bool(value)):
                return str(not value)
            case _:
                return f"{self.value(node)} is False"

    def _choose(self, test: Node, then: str, otherwise: str) -> str:
        chosen = self._temporary()
        return f"({then} if ({chosen} := {self.value(test)}) is True else {chosen} is False and {otherwise})"

    def _value(self, node: Node) -> str:
        match node:
            case Literal(value=value) | Prepared(value=value):
                return self._constant(value)
            case Field(path=path):
                return self._field(path)
            case ListOf(items=items):
                return self._list(items)
            case Not(operand=operand):
                return f"negate({self.value(operand)})"
            case And(parts=parts):
                return f"both({', '.join(map(self.value, parts))})"
            case Or(parts=parts):
                return f"either({', '.join(map(self.value, parts))})"
            case Compare():
                return self._compare_value(node)
            case Missing(field=field, negated=negated):
                return f"({self.value(field)} {'is not' if negated else 'is'} None)"
            case Arithmetic(operator=operator, left=left, right=right):
                return f"{_ARITHMETIC[operator]}({self.value(left)}, {self.value(right)})"
            case Negative(operand=operand):
                return f"negative({self.value(operand)})"
            case Call(function=name, arguments=arguments):
                return f"{name}_({', '.join(map(self.value, arguments))})"
            case Choice(test=test, then=then, otherwise=otherwise):
                chosen, other = self._temporary(), self.value(otherwise)
                test_code, then_code = self.value(test), self.value(then)
                return f"({then_code} if ({chosen} := {test_code}) is True else {other} if {chosen} is False else None)"

    def _list(self, items: tuple[Node, ...]) -> str:
        literals = _literals(items)
        if literals is not None:
            return self._constant(literals)
        return f"({''.join(self.value(item) + ', ' for item in items)})"

    def _field(self, path: str) -> str:
        spec = find_field(tuple(path.split(".")))
        assert isinstance(spec, FieldSpec)
        if spec.attribute == "at":
            return "seconds(event.at)"
        if spec.of is not None:
            found = self._temporary()
            return f"({found} if ({found} := event.{spec.attribute}) or event.{spec.of} is not None else None)"
        keys = [repr(key) if path in FIELDS else self._constant(key) for key in spec.keys]
        code = f"event.{spec.attribute}"
        for depth, key in enumerate(keys):
            if depth == 0:
                code = f"{code}.get({key})"
            else:
                outer = self._temporary()
                code = f"({outer}.get({key}) if ({outer} := {code}).__class__ is dict else None)"
        return code

    def _bind(self, node: Compare) -> tuple[str, list[_Operand]]:
        """Return code (always truthy) that evaluates what a chain of comparisons names twice, and its operands."""
        operands, bound = [], []
        for index, operand in enumerate(node.operands):
            code = self.value(operand)
            if 0 < index < len(node.operators) and not isinstance(operand, Literal):
                name = self._temporary()
                bound.append(f"({name} := {code}),")
                code = name
            operands.append(_Operand(operand, code))
        return f"({' '.join(bound)}) and " if bound else "", operands

    def _compare(self, node: Compare, wanted: bool) -> str:
        """Return code for a chain of comparisons that is truthy exactly when its answer is `wanted`."""
        binding, operands = self._bind(node)
        pairs = zip(operands, node.operators, operands[1:], strict=False)
        codes = [self._pair(left, operator, right, wanted) for left, operator, right in pairs]
        if len(codes) == 1:
            return codes[0]
        return f"({binding}({(' and ' if wanted else ' or ').join(codes)}))"

    def _compare_value(self, node: Compare) -> str:
        binding, operands = self._bind(node)
        pairs = zip(operands, node.operators, operands[1:], strict=False)
        codes = [f"{_NAMES[operator]}({left.code}, {right.code})" for left, operator, right in pairs]
        return codes[0] if len(codes) == 1 else f"({binding}both({', '.join(codes)}))"

    def _pair(self, left: _Operand, operator: Comparator, right: _Operand, wanted: bool) -> str:
        """Return code for one comparison that is truthy exactly when its answer is `wanted`."""
        if operator == "!=":
            return self._pair(left, "==", right, not wanted)
        if operator == "not in":
            return self._pair(left, "in", right, not wanted)
        if isinstance(left.node, Literal) and not isinstance(right.node, Literal) and operator in MIRRORED:
            left, operator, right = right, MIRRORED[operator], left
        if isinstance(right.node, Literal) and operator == "==":
            return self._equals(left.code, right, wanted)
        if isinstance(right.node, Literal) and operator in MIRRORED:
            return self._ordered(left.code, operator, right, wanted)
        if isinstance(right.node, ListOf):
            literals = _literals(right.node.items)
            if literals and operator == "in" and _one_kind(literals):
                return self._among(left.code, literals, wanted)
        return f"{_NAMES[operator]}({left.code}, {right.code}) is {wanted}"

    def _equals(self, code: str, right: _Operand, wanted: bool) -> str:
        literal = right.code
        value = right.node.value if isinstance(right.node, Literal) else None
        if wanted and (isinstance(value, bool) or value not in (0, 1)):
            return f"{code} {'is' if isinstance(value, bool) else '=='} {literal}"
        first, found = self._kept(code)
        if isinstance(value, bool):
            return f"({first} is not None and {found} is not {literal})"
        if isinstance(value, str) or value not in (0, 1):
            return f"({first} is not None and {found} != {literal})"
        if wanted:  # to Python, False and True equal 0 and 1
            return f"({first} == {literal} and {found}.__class__ is not bool)"
        return f"({first} is not None and ({found} != {literal} or {found}.__class__ is bool))"

    def _ordered(self, code: str, operator: Comparator, right: _Operand, wanted: bool) -> str:
        first, found = self._kept(code)
        of_text = isinstance(right.node, Literal) and isinstance(right.node.value, str)
        test = f"{'' if wanted else 'not '}{found} {operator} {right.code}"
        return f"({first}.__class__ {'is str' if of_text else 'in NUMBERS'} and {test})"

    def _among(self, code: str, values: tuple[Any, ...], wanted: bool) -> str:
        """Write the search in a list of texts only, or of numbers only."""
        of_text = isinstance(values[0], str)
        few = of_text and len(values) <= _FEW
        known = self._constant(values if few else frozenset(values))
        if few and wanted:
            return f"{code} in {known}"
        first, found = self._kept(code)
        if few:
            return f"({first} is not None and {found} not in {known})"
        if wanted:
            return f"({first}.__class__ {'is str' if of_text else 'in NUMBERS'} and {found} in {known})"
        other = "is not str" if of_text else "not in NUMBERS"
        return f"({first} is not None and ({found}.__class__ {other} or {found} not in {known}))"


def _literals(items: tuple[Node, ...]) -> tuple[Any, ...] | None:
    values = tuple(item.value for item in items if isinstance(item, Literal))
    return values if len(values) == len(items) else None


def _one_kind(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) for value in values) or all(type(value) in NUMBERS for value in values)
