"""Which events a selector means, and what can be known of them before any event is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial

from sentinel.core.event import Event
from sentinel.engine.playbook import Absent, Playbook, Rule, Selector, Sequence
from sentinel.engine.remembered import Remembered

RESETS = ("password.reset_requested", "password_reset.requested", "password_reset_requested")
RESET = "*reset?requested"
NAMES = 10_000  # so many event names are remembered, each with what it means


def selectors(playbook: Playbook) -> Iterator[Selector]:
    """Yield each of a playbook's selectors: its own, then those of its detector."""
    yield playbook.selector
    match playbook.detector:
        case Sequence(steps=steps, until=until):
            yield from (step.selector for step in steps)
            if until is not None:
                yield until
        case Absent(selector=selector):
            yield selector


def counted(playbook: Playbook) -> tuple[Selector, ...]:
    """Return the selectors of the events that count: those of a sequence's steps, else the playbook's own."""
    if isinstance(playbook.detector, Sequence):
        return tuple(step.selector for step in playbook.detector.steps)
    return (playbook.selector,)


def rules_of(playbook: Playbook) -> Iterator[Rule]:
    """Yield every rule that a playbook uses."""
    return (selector.rule for selector in selectors(playbook) if selector.rule is not None)


def is_pattern(name: str) -> bool:
    """Say whether a name of events stands for several."""
    return any(sign in name for sign in "*?[")


def names(selector: Selector, name: str) -> bool:
    """Say whether events of this name can be meant."""
    return all(any(fnmatchcase(name, one) for one in some) for some in selector.patterns)


def conditions(selector: Selector) -> list[Callable[[Event], bool]]:
    """Return the conditions an event of the right name must meet."""
    return [where.matches for where in selector.wheres]


def meets(selector: Selector) -> Callable[[Event], bool]:
    """Return the function that says whether a selector means an event."""
    wheres = conditions(selector)
    known = Remembered(partial(names, selector), NAMES)

    def selected(event: Event) -> bool:
        meant = known[event.name]
        if meant:
            for where in wheres:
                if not where(event):
                    return False
        return meant

    return selected


def may_be_claimed(selector: Selector) -> bool:
    """Say whether a login that failed could be meant, or a request for a new password: its user is only claimed."""
    named = [name for some in selector.patterns for name in some]
    resets = {name for name in named if fnmatchcase(name, RESET)} | (set(RESETS) if named else set())
    return may_meet(selector, "auth", success=False) or any(may_meet(selector, name) for name in resets)


def may_meet(selector: Selector, name: str, **known: object) -> bool:
    """Say whether a selector could mean an event of this name whose attributes have the values `known`.

    All else is left unknown: by the three-valued logic, a condition that is False then is False of every such event.
    """
    if not names(selector, name):
        return False
    event = Event()
    event.name = name
    for attribute in ("id", "at", "trust", "user_labels", "ip_labels"):
        setattr(event, attribute, known.get(attribute))
    for attribute, value in known.items():
        setattr(event, attribute, value)
    return not any(where.truth(event) is False for where in selector.wheres)
