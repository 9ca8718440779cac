"""The table of playbooks.md §3, word for word, over Python's own tree: the slow twin of the compiled form.

U is None. Nothing is shared with the compiler but the functions of the language.
"""

from __future__ import annotations

import ast
import math
import operator
import sys
import warnings
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

import re2

from sentinel.core.event import Event
from sentinel.core.identity import read_key
from sentinel.engine import lists
from sentinel.engine.functions import FUNCTIONS

U = None
LISTS = {"names": lists.parse_list("a\nid:1\n10.0.0.0/8\n7\n")}
ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}  # fmt: skip
ORDER: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


def truth(source: str, event: Event) -> bool | None:
    return boolean(value(source, event))


def value(source: str, event: Event) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(ast.parse(source.strip(), mode="eval").body, event)


def boolean(value: Any) -> bool | None:
    return value if value is True or value is False else U


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def negate(answer: bool | None) -> bool | None:
    return U if answer is U else not answer


def all_of(answers: list[bool | None]) -> bool | None:
    return False if False in answers else U if None in answers else True


def any_of(answers: list[bool | None]) -> bool | None:
    return True if True in answers else U if None in answers else False


def equal(left: Any, right: Any) -> bool | None:
    if left is U or right is U:
        return U
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return all_of([equal(*pair) for pair in zip(left, right, strict=False)]) if len(left) == len(right) else False
    if isinstance(left, dict) and isinstance(right, dict):
        return all_of([equal(left.get(key), right.get(key)) for key in {**left, **right}])
    return type(left) is type(right) and bool(left == right)


def within(value: Any, container: Any) -> bool | None:
    if value is U:
        return U
    if isinstance(container, (list, tuple)):
        return any_of([equal(value, item) for item in container])
    return value in container if isinstance(value, str) and isinstance(container, str) else U


def compare(op: ast.cmpop, left: Any, right: Any) -> bool | None:
    if isinstance(op, (ast.Eq, ast.NotEq)):
        answer = equal(left, right)
        return answer if isinstance(op, ast.Eq) else negate(answer)
    if isinstance(op, (ast.In, ast.NotIn)):
        answer = within(left, right)
        return answer if isinstance(op, ast.In) else negate(answer)
    ordered = (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))
    return ORDER[type(op)](left, right) if ordered else U


def arithmetic(op: ast.operator, left: Any, right: Any) -> Any:
    if not (is_number(left) and is_number(right)):
        return U
    try:
        result = ARITHMETIC[type(op)](left, right)
    except (ZeroDivisionError, OverflowError):
        return U
    return finite(result)


def finite(number: Any) -> Any:
    return number if abs(number) <= sys.float_info.max else U  # false for NaN too


def path_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        outer = path_of(node.value)
        return None if outer is None else f"{outer}.{node.attr}"
    return None


def read(path: str, event: Event) -> Any:
    if path == "timestamp":
        return event.at / 1_000_000
    if path == "event":
        return event.name
    if path == "user.labels":
        return event.user_labels if event.user_labels or event.user is not None else U
    if path == "ip.labels":
        return event.ip_labels if event.ip_labels or event.ip is not None else U
    if path == "ip.network":
        return neighbours(event.ip)
    if "." not in path:
        return getattr(event, path)
    top, *keys = path.split(".")
    inner: Any = getattr(event, "identifiers" if top == "user" else top)
    for depth, key in enumerate(keys):
        if depth and not isinstance(inner, dict):
            return U
        inner = inner.get(key)
    return inner


def neighbours(ip: str | None) -> Any:
    try:
        found = ip_address(ip or "")
    except ValueError:
        return U
    free = 8 if found.version == 4 else 80
    return f"{type(found)(int(found) >> free << free)}/{found.max_prefixlen - free}"


def users(node: ast.Compare) -> list[ast.expr]:
    """`user == "u1"` is short for `user == "id:u1"`."""
    sides = [node.left, *node.comparators]
    for index, op in enumerate(node.ops):
        left, right = sides[index], sides[index + 1]
        if isinstance(op, (ast.Eq, ast.NotEq)):
            if path_of(left) == "user":
                sides[index + 1] = keyed(right)
            elif path_of(right) == "user":
                sides[index] = keyed(left)
        elif isinstance(op, (ast.In, ast.NotIn)) and path_of(left) == "user" and isinstance(right, ast.List):
            sides[index + 1] = ast.List([keyed(item) for item in right.elts])
    return sides


def keyed(node: ast.expr) -> ast.expr:
    return ast.Constant(read_key(node.value)) if isinstance(node, ast.Constant) and type(node.value) is str else node


def call(node: ast.Call, event: Event) -> Any:
    assert isinstance(node.func, ast.Name)
    name = node.func.id
    arguments = [evaluate(argument, event) for argument in node.args]
    if name == "coalesce":
        return next((argument for argument in arguments if argument is not U), U)
    if None in [argument if argument is U else 0 for argument in arguments]:
        return U
    if name == "matches":
        arguments[1] = re2.compile(arguments[1])
    if name == "cidr":
        wanted = arguments[1] if isinstance(arguments[1], list) else [arguments[1]]
        arguments[1] = lists.networks(map(ip_network, wanted))
    if name == "in_list":
        found = LISTS[arguments[1]]
        arguments[1] = found.of_users() if path_of(node.args[0]) == "user" else found
    if name in ("hour", "weekday") and len(arguments) == 2:
        arguments[1] = ZoneInfo(arguments[1])
    return FUNCTIONS[name].call(*arguments)


def evaluate(node: ast.expr, event: Event) -> Any:
    path = path_of(node)
    if path is not None:
        return read(path, event)
    match node:
        case ast.Constant(value=constant):
            return constant
        case ast.List(elts=items):
            return [evaluate(item, event) for item in items]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return negate(boolean(evaluate(operand, event)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = evaluate(operand, event)
            return finite(-found) if is_number(found) else U
        case ast.BoolOp(op=op, values=values):
            answers = [boolean(evaluate(one, event)) for one in values]
            return all_of(answers) if isinstance(op, ast.And) else any_of(answers)
        case ast.Compare(ops=[op], comparators=[ast.Constant(value=None)]):
            missing = evaluate(node.left, event) is U
            return missing if isinstance(op, ast.Eq) else not missing
        case ast.Compare():
            sides = [evaluate(side, event) for side in users(node)]
            return all_of([compare(*pair) for pair in zip(node.ops, sides, sides[1:], strict=False)])
        case ast.BinOp(left=left, op=op, right=right):
            return arithmetic(op, evaluate(left, event), evaluate(right, event))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            chosen = boolean(evaluate(test, event))
            return U if chosen is U else evaluate(body if chosen else orelse, event)
        case ast.Call():
            return call(node, event)
    raise AssertionError(ast.dump(node))


def same(left: Any, right: Any) -> bool:
    """Say whether two values are the same to a reader: kinds too, and NaN is NaN."""
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=False))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and bool(left == right)
