"""Which stored events a replay may need, so that the others need not be read. Values only; `service.trials` makes them.

An answer may hold more events than these, never fewer: what the events amount to is decided by the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sentinel.core.record import Query


@dataclass(frozen=True, slots=True)
class Selection:
    """Events whose name `named` accepts and that every condition in `wheres` is true of.

    Events of a selection that does not `count` are read along with others, and bring no group nearer to a finding.
    """

    named: Callable[[str], bool]
    wheres: tuple[Query, ...] = ()
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Fewest:
    """The least a group must have for its events to be read: `count` events, and `distinct` values of fields.

    `distinct` holds (field, number) pairs; the field `geo` is the place an event came from. With a `window`, in
    microseconds, this must be so within a stretch of time that one window can cover; then only the events in such
    stretches are read, or with `whole` all of the group.
    """

    count: int = 1
    distinct: tuple[tuple[str, int], ...] = ()
    window: int | None = None
    whole: bool = False

    @property
    def nothing(self) -> bool:
        """Whether it asks for nothing: every group with an event has it."""
        return self.count <= 1 and all(least <= 1 for _, least in self.distinct)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The events from `since` (inclusive) to `until` (exclusive), in microseconds, that a selection accepts.

    `group` names the fields that make an event's group, which it must have; None asks for no group. `trusted` leaves
    out what browsers sent. With `users`, only events about those users or from `ips` (addresses, or the networks that
    events are grouped by).
    """

    since: int
    until: int
    selections: tuple[Selection, ...]
    group: tuple[str, ...] | None = None
    trusted: bool = False
    fewest: Fewest = Fewest()
    users: frozenset[str] | None = None
    ips: frozenset[str] = frozenset()
