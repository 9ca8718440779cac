"""What the operators of an expression do to values: the table of the language, a function for each line of it.

Values are texts, numbers, booleans, lists and objects; None stands for unknown. Every function is total: whatever it is
given, it answers and never raises. How trees of operators are run is in codegen.py.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any

from sentinel.engine.kinds import LISTS, NUMBERS
from sentinel.engine.nodes import Comparator, Operator

_LARGEST = sys.float_info.max
_DEEPEST = 32  # events are nested less (core.event); beyond, an answer could exhaust the stack


def equal(left: Any, right: Any) -> bool | None:
    """Compare two values; unknown if either is, false if the kinds differ (a boolean is no number)."""
    return _same(left, right, _DEEPEST)


def unequal(left: Any, right: Any) -> bool | None:
    """Return the opposite of `equal`."""
    return negate(_same(left, right, _DEEPEST))


def _same(left: Any, right: Any, depth: int) -> bool | None:
    if left is None or right is None:
        return None
    kind, other = left.__class__, right.__class__
    if kind is other and (kind is str or kind in NUMBERS or kind is bool):
        return bool(left == right)
    if kind in NUMBERS and other in NUMBERS:
        return bool(left == right)
    if kind in LISTS and other in LISTS:
        return _same_lists(left, right, depth)
    if kind is dict and other is dict:
        return _same_objects(left, right, depth)
    return False


def _same_lists(left: Any, right: Any, depth: int) -> bool | None:
    if len(left) != len(right):
        return False
    if depth == 0:
        return None
    return _all(_same(one, two, depth - 1) for one, two in zip(left, right, strict=True))


def _same_objects(left: Any, right: Any, depth: int) -> bool | None:
    if depth == 0:
        return None
    return _all(_same(left.get(key), right.get(key), depth - 1) for key in left.keys() | right.keys())


def _all(answers: Any) -> bool | None:
    known = True
    for answer in answers:
        if answer is False:
            return False
        known = known and answer is True
    return True if known else None


def _any(answers: Any) -> bool | None:
    known = True
    for answer in answers:
        if answer is True:
            return True
        known = known and answer is False
    return False if known else None


def both(*truths: Any) -> bool | None:
    """Return the `and` of truths: false if any is, true if all are; a value that is no boolean is unknown."""
    return _all(truths)


def either(*truths: Any) -> bool | None:
    """Return the `or` of truths."""
    return _any(truths)


def negate(truth: Any) -> bool | None:
    """Turn true into false and false into true; anything else is unknown."""
    return None if truth is not True and truth is not False else not truth


def _ordered(left: Any, right: Any) -> bool:
    kind, other = left.__class__, right.__class__
    return (kind in NUMBERS and other in NUMBERS) or (kind is str and other is str)


def less(left: Any, right: Any) -> bool | None:
    """Compare two numbers or two texts."""
    return left < right if _ordered(left, right) else None


def at_most(left: Any, right: Any) -> bool | None:
    """Compare two numbers or two texts."""
    return left <= right if _ordered(left, right) else None


def greater(left: Any, right: Any) -> bool | None:
    """Compare two numbers or two texts."""
    return left > right if _ordered(left, right) else None


def at_least(left: Any, right: Any) -> bool | None:
    """Compare two numbers or two texts."""
    return left >= right if _ordered(left, right) else None


def within(value: Any, container: Any) -> bool | None:
    """Say whether a list holds a value or a text holds a text; unknown if the value is."""
    if value is None:
        return None
    if container.__class__ is str:
        return value in container if value.__class__ is str else None
    if container.__class__ not in LISTS:
        return None
    if value.__class__ is str:  # a text equals nothing but the same text
        return True if value in container else None if None in container else False
    return _any(_same(value, item, _DEEPEST) for item in container)


def without(value: Any, container: Any) -> bool | None:
    """Return the opposite of `within`."""
    return negate(within(value, container))


def _finite(number: Any) -> Any:
    return number if -_LARGEST <= number <= _LARGEST else None


def _arithmetic(calculate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if left.__class__ in NUMBERS and right.__class__ in NUMBERS:
            try:
                return _finite(calculate(left, right))
            except (OverflowError, ZeroDivisionError):
                return None
        return None

    return apply


add = _arithmetic(operator.add)
subtract = _arithmetic(operator.sub)
multiply = _arithmetic(operator.mul)
divide = _arithmetic(operator.truediv)
modulo = _arithmetic(operator.mod)


def negative(value: Any) -> Any:
    """Change the sign of a number."""
    return _finite(-value) if value.__class__ in NUMBERS else None


COMPARATORS: Mapping[Comparator, Callable[[Any, Any], bool | None]] = {
    "==": equal,
    "!=": unequal,
    "<": less,
    "<=": at_most,
    ">": greater,
    ">=": at_least,
    "in": within,
    "not in": without,
}
OPERATORS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
}
