"""What else could have been written: the neighbours of a number, a time, a condition, a selection of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from sentinel.core.duration import SECOND
from sentinel.engine.expression import Expression, ExpressionError, ListValues, compile_expression
from sentinel.engine.playbook import Selector

Lists = Mapping[str, ListValues]


def times(micros: int) -> Iterator[int]:
    """Give the durations a second less and more."""
    return (nudged for nudged in (micros - SECOND, micros + SECOND) if nudged > 0)


def numbers(value: int | float) -> tuple[int | float, int | float]:
    """Return a whole number's neighbours, another number a tenth less and more."""
    return around(value, 1 if isinstance(value, int) else round(abs(value) / 10, 6) or 0.1)


def tenths(value: int | float) -> tuple[int | float, int | float]:
    """Return the numbers a tenth less and more."""
    return around(value, round(abs(value) / 10, 6))


def around(value: int | float, step: int | float) -> tuple[int | float, int | float]:
    """Return the numbers a step less and more."""
    return round(value - step, 6), round(value + step, 6)


def conditions(where: Expression, lists: Lists) -> Iterator[tuple[str, Expression]]:
    """Give a condition with each of its clauses turned round."""
    for clause in where.clauses:
        span = clause.tree.span
        source = f"{where.source[: span.start]}(not ({clause.source})){where.source[span.end :]}"
        try:
            yield f"not ({clause.source})", compile_expression(source, lists=lists)
        except ExpressionError:
            continue  # the language refuses what can never hold: no author could write it


def selectors(selector: Selector, lists: Lists) -> Iterator[tuple[str, Selector]]:
    """Give the choices of fewer events, of all, and of those that another condition allows."""
    yield from _events(selector)
    rule = selector.rule
    if selector.where is not None:
        for change, where in conditions(selector.where, lists):
            yield f"where: {change}", replace(selector, where=where)
        yield "where: none", replace(selector, where=None)
    if rule is not None and rule.where is not None:
        for change, where in conditions(rule.where, lists):
            yield f"where of rule {rule.id}: {change}", replace(selector, rule=replace(rule, where=where))
        yield f"where of rule {rule.id}: none", replace(selector, rule=replace(rule, where=None))


def _events(selector: Selector) -> Iterator[tuple[str, Selector]]:
    rule = selector.rule
    logins = any("success" in where.fields for where in selector.wheres)  # no other event has it
    for change, events in _names(selector.events, logins):
        yield f"event: {change}", replace(selector, events=events)
    if rule is not None:
        for change, events in _names(rule.events, logins):
            yield f"event of rule {rule.id}: {change}", replace(selector, rule=replace(rule, events=events))


def _names(events: tuple[str, ...], logins: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in events if len(events) > 1 else ():
        others = tuple(one for one in events if one != name)
        if not any(fnmatchcase(name, one) for one in others):  # else they mean it anyway
            yield f"without {name}", others
    if events and not logins and "*" not in events:
        yield "any", ()
