"""Find selectors that no event can meet, from what is known of every event of a name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import product

from sentinel.core.event import Event
from sentinel.engine.codegen import compile_tree
from sentinel.engine.expression import Expression
from sentinel.engine.nodes import And, Node, fields_of
from sentinel.engine.playbook import Selector
from sentinel.engine.possible import TRUSTS
from sentinel.engine.select import is_pattern, names

LOGIN = "auth"  # no other event has `success`
_KNOWN = frozenset({"event", "success", "trust"})
Asked = tuple[Callable[[Event], bool | None], Collection[str]]


def is_unmet(selector: Selector, trusts: Sequence[str] = TRUSTS) -> bool:
    """Say whether a selector can mean no event at all. `trusts` are the values of `trust` that events may have."""
    asked = _asked(selector)
    return bool(asked and _names(selector)) and next(_meant(selector, asked, trusts), None) is None


def settled(where: Expression, selector: Selector, trusts: Sequence[str] = TRUSTS) -> bool | None:
    """Return the truth of a condition where it is the same for all events a selector means; None where it is not."""
    if not _KNOWN.issuperset(where.fields):
        return None
    answers = {where.truth(event) for event in _meant(selector, _asked(selector), trusts)}
    return answers.pop() if len(answers) == 1 else None


def _asked(selector: Selector) -> list[Asked]:
    """Return the parts of a selector's conditions that ask for nothing but what is known, each with its fields."""
    parts = [part for where in selector.wheres for part in _conjuncts(where.tree)]
    return [(compile_tree(part).truth, fields_of(part)) for part in parts if _KNOWN.issuperset(fields_of(part))]


def _meant(selector: Selector, asked: Sequence[Asked], trusts: Sequence[str]) -> Iterator[Event]:
    """Give the events that may be meant, one of each kind."""
    for name in _names(selector):
        unsure = {"event"} if name is None else set()
        for event in _events(name, trusts):
            if all(truth(event) or (truth(event) is None and unsure.intersection(fields)) for truth, fields in asked):
                yield event


def asks_success(selector: Selector) -> bool:
    """Say whether a selector asks for `success`, which only logins have, and means no login."""
    asked = any("success" in where.fields for where in selector.wheres)
    return asked and LOGIN not in _names(selector)


def _conjuncts(tree: Node) -> Iterator[Node]:
    """Give the parts that must all hold."""
    if isinstance(tree, And):
        for part in tree.parts:
            yield from _conjuncts(part)
    else:
        yield tree


def _events(name: str | None, trusts: Iterable[str]) -> Iterator[Event]:
    """Give one event of each kind that a name allows, of which no more is known; None is a name that is not told."""
    for trust, success in product(trusts, (True, False, None) if name == LOGIN else (None,)):
        event = Event()
        event.id, event.at = "", 0
        event.name, event.trust, event.success = name, trust, success  # type: ignore[assignment]
        yield event


def _names(selector: Selector) -> set[str | None]:
    """Return the event names a selector spells out, a login's where it is meant, and None where others are, too."""
    told = {name for some in selector.patterns for name in some if not is_pattern(name)} | {LOGIN}
    meant: set[str | None] = {name for name in told if names(selector, name)}
    named = any(not any(map(is_pattern, some)) for some in selector.patterns)
    return meant if named else meant | {None}
