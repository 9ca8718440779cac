"""Which events a selector means, and what can be known of it before any event is seen."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from sentinel.core.event import Event
from sentinel.engine.playbook import Selector


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

    def selected(event: Event) -> bool:
        return names(selector, event.name) and all(where(event) for where in wheres)

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
