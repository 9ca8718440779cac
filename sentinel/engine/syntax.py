"""From text to nodes: Python's parser reads, an allowlist decides which of it belongs to the language.

Nothing that is not listed here gets through. Whether the nodes make sense together is checked in typecheck.py.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

from sentinel.core import identity
from sentinel.core.errors import IdentityError
from sentinel.engine.arguments import Context
from sentinel.engine.fields import Fault, find_field
from sentinel.engine.forbidden import FORBIDDEN, meant_function, unexpected
from sentinel.engine.functions import FUNCTIONS, Function, signature
from sentinel.engine.kinds import Kind
from sentinel.engine.lexer import DEEPEST, UNREADABLE, Readable, make_readable
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
    Span,
)
from sentinel.engine.problems import quote, suggest

LONGEST_TEXT = 1024
LONGEST_LIST = 1000
LARGEST = 2**63 - 1

_BROKEN = "?"
_WORD = re.compile(r"[^\W\d]\w*")
_ZONE = re.compile(r"[A-Z][A-Za-z_]*(/[A-Z][A-Za-z_]*)+")  # `Europe/Berlin`: no field begins with a capital

_COMPARATORS: dict[type[ast.cmpop], Comparator] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], Operator] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%",
}  # fmt: skip


def parse(source: str, context: Context) -> Node | None:
    """Return the tree of an expression; None, or problems in `context`, if it cannot be used."""
    readable = make_readable(source, context.problems)
    if readable is None:
        return None
    tree = _python_tree(source, readable, context)
    return None if tree is None else _Reader(source, readable, context).read(tree, 0)


def _python_tree(source: str, readable: Readable, context: Context) -> ast.expr | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of "\d", which means what it says here
            return ast.parse(readable.text, mode="eval").body
    except SyntaxError as error:
        at = min(max((error.offset or 1) - 1, 0), len(readable.origin) - 1)
        start, end, message, hint = unexpected(source, readable.origin[at], error.msg)
        if not context.problems:
            context.problems.add(start, end, message, hint)
    except (RecursionError, MemoryError):
        context.problems.add(0, len(source), "nested too deeply to be read", "split it into several rules")
    except ValueError:
        context.problems.add(0, len(source), "this cannot be read as text")
    return None


class _Reader:
    """Turns one parsed tree into nodes, recording what does not belong."""

    def __init__(self, source: str, readable: Readable, context: Context) -> None:
        self._source = source
        self._origin = readable.origin
        self._context = context
        encoded = (len(char.encode()) for char in readable.text)
        self._chars = [index for index, size in enumerate(encoded) for _ in range(size)]
        self._depth_reported = False

    def read(self, tree: ast.expr, depth: int) -> Node:
        """Return the node of one expression."""
        if depth > DEEPEST:
            return self._too_deep(tree)
        reader = _READERS.get(type(tree))
        return self._forbid(tree) if reader is None else reader(self, tree, depth + 1)

    def _span(self, tree: ast.expr) -> Span:
        last = self._chars[(tree.end_col_offset or 1) - 1]
        return Span(self._origin[self._chars[tree.col_offset]], self._origin[last] + 1)

    def _text(self, tree: ast.expr) -> str:
        span = self._span(tree)
        return self._source[span.start : span.end]

    def _refuse(self, span: Span, message: str, hint: str | None = None) -> Node:
        self._context.problems.at(span, message, hint)
        return Field(_BROKEN, Kind.ANY, span=span)

    def _too_deep(self, tree: ast.expr) -> Node:
        span = self._span(tree)
        if self._depth_reported:
            return Field(_BROKEN, Kind.ANY, span=span)
        self._depth_reported = True
        return self._refuse(span, f"nested more than {DEEPEST} levels deep", "split it into several rules")

    def _forbid(self, tree: ast.expr) -> Node:
        message, hint = FORBIDDEN.get(type(tree), ("this is not part of the language", None))
        return self._refuse(self._span(tree), message, hint)

    def _constant(self, tree: ast.Constant, depth: int) -> Node:
        span, value = self._span(tree), tree.value
        if isinstance(value, bool):
            return Literal(value, span=span)
        if isinstance(value, str):
            return self._text_literal(value, span)
        if isinstance(value, int | float):
            if not math.isfinite(value) if isinstance(value, float) else value > LARGEST:
                return self._refuse(span, "this number is too large", f"at most {LARGEST}")
            return Literal(value, span=span)
        if value is None:
            return self._refuse(span, "`None` stands only in `field == None` and `field != None`")
        if value is ... and self._text(tree) != UNREADABLE:
            return Field(_BROKEN, Kind.ANY, span=span)
        return self._forbid(tree)

    def _text_literal(self, value: str, span: Span) -> Node:
        if len(value) > LONGEST_TEXT:
            return self._refuse(span, f"a text longer than {LONGEST_TEXT:,} characters")
        if any("\ud800" <= char <= "\udfff" for char in value):
            return self._refuse(span, "half a surrogate pair is no character")
        return Literal(value, span=span)

    def _list(self, tree: ast.List, depth: int) -> Node:
        if len(tree.elts) > LONGEST_LIST:
            hint = "put the values into a file of `rules/lists` and use `in_list`"
            return self._refuse(self._span(tree), f"a list of more than {LONGEST_LIST:,} items", hint)
        return ListOf(tuple(self.read(item, depth) for item in tree.elts), span=self._span(tree))

    def _name(self, tree: ast.Name, depth: int) -> Node:
        span = self._span(tree)
        return self._field((self._source[span.start : span.end],), span)

    def _attribute(self, tree: ast.Attribute, depth: int) -> Node:
        names: list[str] = []
        part: ast.expr = tree
        while isinstance(part, ast.Attribute):
            names.append(self._last_word(part))
            part = part.value
        if not isinstance(part, ast.Name):
            self.read(part, depth)
            return self._refuse(self._span(tree), f"`.{names[0]}` does not follow a field", "only fields have dots")
        return self._field((self._text(part), *reversed(names)), self._span(tree))

    def _last_word(self, tree: ast.Attribute) -> str:
        """Return the name behind a dot as written: what Python parsed may be a stand-in for it."""
        return self._source[self._span(tree).end - len(tree.attr) : self._span(tree).end]

    def _field(self, path: tuple[str, ...], span: Span) -> Node:
        found = find_field(path)
        if isinstance(found, Fault):
            if len(path) == 1 and path[0] in FUNCTIONS:
                return self._refuse(span, f"{quote(path[0])} is a function", f"call it: `{FUNCTIONS[path[0]].example}`")
            return self._refuse(span, found.message, found.hint)
        return Field(".".join(path), found.kind, span=span)

    def _bool(self, tree: ast.BoolOp, depth: int) -> Node:
        parts = tuple(self.read(value, depth) for value in tree.values)
        make = And if isinstance(tree.op, ast.And) else Or
        return make(parts, span=self._span(tree))

    def _unary(self, tree: ast.UnaryOp, depth: int) -> Node:
        span = self._span(tree)
        operand = self.read(tree.operand, depth)
        if isinstance(tree.op, ast.Not):
            return Not(operand, span=span)
        if isinstance(tree.op, ast.USub):
            if isinstance(operand, Literal) and type(operand.value) in (int, float):
                return Literal(-operand.value, span=span)  # type: ignore[operator]
            return Negative(operand, span=span)
        if isinstance(tree.op, ast.Invert):
            return self._refuse(span, "`~` is not an operator", "write `not`")
        return self._refuse(span, "`+` before a value changes nothing", "leave it out")

    def _binary(self, tree: ast.BinOp, depth: int) -> Node:
        if _ZONE.fullmatch(text := self._text(tree)):
            return self._refuse(self._span(tree), f"{quote(text)} is not a field", f'a text needs quotes: "{text}"')
        left, right = self.read(tree.left, depth), self.read(tree.right, depth)
        operator = _OPERATORS.get(type(tree.op))
        if operator is None:
            message, hint = FORBIDDEN[type(tree.op)]
            return self._refuse(self._span(tree), message, hint)
        return Arithmetic(operator, left, right, span=self._span(tree))

    def _choice(self, tree: ast.IfExp, depth: int) -> Node:
        parts = (self.read(part, depth) for part in (tree.test, tree.body, tree.orelse))
        return Choice(*parts, span=self._span(tree))

    def _compare(self, tree: ast.Compare, depth: int) -> Node:
        sides = [tree.left, *tree.comparators]
        if any(isinstance(side, ast.Constant) and side.value is None for side in sides):
            return self._missing(tree, depth)
        operands = [self.read(side, depth) for side in sides]
        operators = tuple(_COMPARATORS.get(type(op)) for op in tree.ops)
        known = tuple(operator for operator in operators if operator is not None)
        if len(known) < len(operators):
            return self._refuse(self._span(tree), *FORBIDDEN[ast.Is])
        for index, operator in enumerate(known):
            operands[index], operands[index + 1] = self._users(operands[index], operator, operands[index + 1])
        return Compare(tuple(operands), known, span=self._span(tree))

    def _missing(self, tree: ast.Compare, depth: int) -> Node:
        span, left = self._span(tree), self.read(tree.left, depth) if not _is_none(tree.left) else None
        equality = {ast.Eq: False, ast.Is: False, ast.NotEq: True, ast.IsNot: True}.get(type(tree.ops[0]))
        if len(tree.ops) > 1 or equality is None or not isinstance(left, Field):
            return self._refuse(span, "`None` stands only in `field == None` and `field != None`")
        if isinstance(tree.ops[0], ast.Is | ast.IsNot):
            return self._refuse(span, *FORBIDDEN[ast.Is])
        return Missing(left, equality, span=span)

    def _users(self, left: Node, operator: Comparator, right: Node) -> tuple[Node, Node]:
        """Let `user == "u1"` mean `user == "id:u1"`."""
        if _is_user(left) and operator in ("in", "not in") and isinstance(right, ListOf):
            return left, ListOf(tuple(map(self._user_key, right.items)), span=right.span)
        if operator in ("==", "!="):
            if _is_user(left):
                return left, self._user_key(right)
            if _is_user(right):
                return self._user_key(left), right
        return left, right

    def _user_key(self, node: Node) -> Node:
        if not isinstance(node, Literal) or not isinstance(node.value, str):
            return node
        try:
            return Literal(identity.read_key(node.value), span=node.span)
        except IdentityError:
            return self._refuse(node.span, f"no user has a name longer than {identity.LONGEST} characters")

    def _call(self, tree: ast.Call, depth: int) -> Node:
        if not isinstance(tree.func, ast.Name):
            return self._method(tree, depth)
        arguments = tuple(self.read(argument, depth) for argument in tree.args)
        name = self._text(tree.func)
        function = FUNCTIONS.get(name)
        if function is None:
            hint = meant_function(name) or suggest(name.lower(), FUNCTIONS) or "`sentinel functions` lists them"
            return self._refuse(self._span(tree.func), f"there is no function {quote(name)}", hint)
        if tree.keywords:
            return self._refuse(self._span(tree), "arguments have no names", f"`{signature(name)}`")
        if not self._accepts(tree, name, function):
            return Field(_BROKEN, Kind.ANY, span=self._span(tree))
        return Call(name, self._prepare(function, arguments), span=self._span(tree))

    def _accepts(self, tree: ast.Call, name: str, function: Function) -> bool:
        count, most = len(tree.args), len(function.params)
        if count < function.fewest or (count > most and not function.many):
            wants = f"{function.fewest} or more" if function.many else _range(function.fewest, most)
            self._refuse(self._span(tree), f"`{name}` takes {wants}, not {count}", f"`{signature(name)}`")
            return False
        return True

    def _prepare(self, function: Function, arguments: tuple[Node, ...]) -> tuple[Node, ...]:
        ready: list[Node] = []
        for index, argument in enumerate(arguments):
            param = function.param(index)
            is_broken = isinstance(argument, Field) and argument.path == _BROKEN
            if param is not None and param.prepare is not None and not is_broken:
                value = param.prepare(argument, arguments[:index], self._context)
                ready.append(Prepared(argument, value, span=argument.span))
            else:
                ready.append(argument)
        return tuple(ready)

    def _method(self, tree: ast.Call, depth: int) -> Node:
        func = tree.func
        for argument in tree.args:
            self.read(argument, depth)
        if not isinstance(func, ast.Attribute):
            return self._refuse(self._span(tree), "only functions are called", "`sentinel functions` lists them")
        name, rest = self._last_word(func), [self._text(argument) for argument in tree.args]
        known = {"lower", "upper", "startswith", "endswith", "strip", "contains"} & set(FUNCTIONS)
        hint = f"write `{name}({', '.join([self._text(func.value), *rest])})`" if name in known else None
        return self._refuse(self._span(tree), "values have no methods", hint or "`sentinel functions` lists functions")

    def _subscript(self, tree: ast.Subscript, depth: int) -> Node:
        key = tree.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and _WORD.fullmatch(key.value):
            return self._refuse(
                self._span(tree), "fields have no brackets", f"write `{self._text(tree.value)}.{key.value}`"
            )
        return self._refuse(self._span(tree), "values have no index", "ask with `in`, or name a nested field with dots")


def _is_none(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Constant) and tree.value is None


def _is_user(node: Node) -> bool:
    return isinstance(node, Field) and node.path == "user"


def _range(fewest: int, most: int) -> str:
    words = str(most) if fewest == most else f"{fewest} to {most}"
    return f"{words} argument" + ("" if most == 1 else "s")


_READERS: dict[type[ast.expr], Callable[[_Reader, Any, int], Node]] = {
    ast.Constant: _Reader._constant,
    ast.List: _Reader._list,
    ast.Name: _Reader._name,
    ast.Attribute: _Reader._attribute,
    ast.BoolOp: _Reader._bool,
    ast.UnaryOp: _Reader._unary,
    ast.BinOp: _Reader._binary,
    ast.IfExp: _Reader._choice,
    ast.Compare: _Reader._compare,
    ast.Call: _Reader._call,
    ast.Subscript: _Reader._subscript,
}
