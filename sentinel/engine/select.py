"""Which events a selector means, and what can be known of it before any event is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from sentinel.core.event import Event
from sentinel.engine.playbook import Absent, Playbook, Rule, Selector, Sequence

NAMES = 10_000  # how many event names are remembered with the answer: senders choose names


def selectors(playbook: Playbook) -> Iterator[Selector]:
    """Yield each of a playbook's selectors: its own, then those of its detector."""
    yield Selector(playbook.rule, playbook.events, playbook.where)
    match playbook.detector:
        case Sequence(steps=steps, until=until):
            yield from (step.selector for step in steps)
            if until is not None:
                yield until
        case Absent(selector=selector):
            yield selector


def rules_of(playbook: Playbook) -> Iterator[Rule]:
    """Yield every rule that a playbook uses."""
    return (selector.rule for selector in selectors(playbook) if selector.rule is not None)


def names(selector: Selector, name: str) -> bool:
    """Say whether events of this name can be meant."""
    patterns = selector.events, selector.rule.events if selector.rule else ()
    return all(not some or any(fnmatchcase(name, one) for one in some) for some in patterns)


def conditions(selector: Selector) -> list[Callable[[Event], bool]]:
    """Return the conditions an event of the right name must meet."""
    wheres = [selector.rule.where if selector.rule else None, selector.where]
    return [where.matches for where in wheres if where is not None]


def meets(selector: Selector) -> Callable[[Event], bool]:
    """Return whether an event of any name is meant."""
    wheres = conditions(selector)
    known: dict[str, bool] = {}

    def selected(event: Event) -> bool:
        meant = known.get(event.name)
        if meant is None:
            if len(known) >= NAMES:
                known.clear()
            meant = known[event.name] = names(selector, event.name)
        if meant:
            for where in wheres:
                if not where(event):
                    return False
        return meant

    return selected


def may_be_claimed(selector: Selector) -> bool:
    """Say whether a login that failed could be meant: then the users it names are only claimed.

    The condition is asked about an event of which nothing is known but that it is a failed login; by the
    three-valued logic, an answer False then holds for every such event.
    """
    if not names(selector, "auth"):
        return False
    failed = Event()
    failed.name, failed.success = "auth", False
    for unknown in ("id", "at", "trust", "user_labels", "ip_labels"):
        setattr(failed, unknown, None)
    wheres = [selector.rule.where if selector.rule else None, selector.where]
    return not any(where is not None and where.truth(failed) is False for where in wheres)
