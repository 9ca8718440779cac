"""Playbooks that are a little wrong, to see whether their tests notice: each threshold, window and condition nudged.

How tests are run is the caller's; here it is only said what to try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from sentinel.core.duration import SECOND, format_duration
from sentinel.engine.expression import Expression, ExpressionError, ListValues, compile_expression
from sentinel.engine.playbook import Metric, Playbook

Lists = Mapping[str, ListValues]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A playbook with one thing changed, and what that is."""

    change: str
    playbook: Playbook


def unnoticed(playbook: Playbook, lists: Lists, passes: Callable[[Playbook], bool]) -> Iterator[Mutant]:
    """Give the mutants that still pass; `passes` runs every test of the playbook it is given."""
    return (mutant for mutant in mutants(playbook, lists) if passes(mutant.playbook))


def mutants(playbook: Playbook, lists: Lists) -> Iterator[Mutant]:
    """Give a playbook's mutants."""
    for nudge in (-SECOND, SECOND):
        if (window := playbook.window + nudge) > 0:
            yield Mutant(f"window: {format_duration(window)}", replace(playbook, window=window))
    for index, metric in enumerate(playbook.when):
        for change, other in _metrics(metric, lists):
            yield Mutant(f"when: {change}", replace(playbook, when=_with(playbook.when, index, other)))
    yield from _groups(playbook)
    yield from _events(playbook)
    yield from _conditions(playbook, lists)


def _with(metrics: tuple[Metric, ...], index: int, other: Metric | None) -> tuple[Metric, ...]:
    return metrics[:index] + ((other,) if other else ()) + metrics[index + 1 :]


def _metrics(metric: Metric, lists: Lists) -> Iterator[tuple[str, Metric | None]]:
    """Give a metric's variants: nudged both ways, and its own condition changed."""
    for threshold in _nudged(metric):
        sign = ">" if metric.strict else ">="
        yield f"{metric.name} {sign} {threshold:g}", replace(metric, threshold=threshold)
    if metric.where is not None:
        for change, where in _variants(metric.where, lists):
            yield f"{metric.name} where {change}", replace(metric, where=where)


def _nudged(metric: Metric) -> Iterator[int | float]:
    value = metric.threshold
    if isinstance(value, int):
        step: int | float = 1
    else:
        step = round(abs(value) / 10, 6) or 0.1
    most = 1 if metric.kind == "ratio" else None
    least = 1 if metric.kind in ("count", "distinct") else None
    for nudged in (round(value - step, 6), round(value + step, 6)):
        if (least is None or nudged >= least) and (most is None or nudged <= most):
            yield nudged


def _groups(playbook: Playbook) -> Iterator[Mutant]:
    for field in playbook.group_by:
        rest = tuple(other for other in playbook.group_by if other != field)
        yield Mutant(f"group_by: without {field}", replace(playbook, group_by=rest))


def _events(playbook: Playbook) -> Iterator[Mutant]:
    """Give the playbooks that look at fewer events, and the one that looks at all."""
    own = playbook.events
    rule = playbook.rule
    for name in own if len(own) > 1 else ():
        yield Mutant(f"event: without {name}", replace(playbook, events=tuple(one for one in own if one != name)))
    conditions = [playbook.where, rule.where if rule else None]
    logins = any(where is not None and "success" in where.fields for where in conditions)  # no other event has it
    if own and not logins:
        yield Mutant("event: any", replace(playbook, events=()))
    if rule is None:
        return
    for name in rule.events if len(rule.events) > 1 else ():
        fewer = replace(rule, events=tuple(one for one in rule.events if one != name))
        yield Mutant(f"event of rule {rule.id}: without {name}", replace(playbook, rule=fewer))
    if rule.events and not logins:
        yield Mutant(f"event of rule {rule.id}: any", replace(playbook, rule=replace(rule, events=())))


def _conditions(playbook: Playbook, lists: Lists) -> Iterator[Mutant]:
    rule = playbook.rule
    if playbook.where is not None:
        yield from _changed("where", playbook.where, lists, lambda where: replace(playbook, where=where))
        yield Mutant("where: none", replace(playbook, where=None))
    if rule is not None and rule.where is not None:
        yield from _changed(
            f"where of rule {rule.id}",
            rule.where,
            lists,
            lambda where: replace(playbook, rule=replace(rule, where=where)),
        )
        yield Mutant(f"where of rule {rule.id}: none", replace(playbook, rule=replace(rule, where=None)))
    for index, exception in enumerate(playbook.exceptions):
        fewer = playbook.exceptions[:index] + playbook.exceptions[index + 1 :]
        yield Mutant(f"exceptions: without `{exception.reason}`", replace(playbook, exceptions=fewer))


def _changed(what: str, where: Expression, lists: Lists, make: Callable[[Expression], Playbook]) -> Iterator[Mutant]:
    for change, other in _variants(where, lists):
        yield Mutant(f"{what}: {change}", make(other))


def _variants(where: Expression, lists: Lists) -> Iterator[tuple[str, Expression]]:
    """Give a condition with each of its clauses turned round."""
    for clause in where.clauses:
        span = clause.tree.span
        source = f"{where.source[: span.start]}(not ({clause.source})){where.source[span.end :]}"
        try:
            yield f"not ({clause.source})", compile_expression(source, lists=lists)
        except ExpressionError:
            continue  # the language refuses what can never hold: no author could write it
