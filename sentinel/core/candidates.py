"""Which stored events a replay may need, so that the others need not be read. Values only; `service.trials` makes them.

An answer may hold more events than these, never fewer: what the events amount to is decided by the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sentinel.core.record import Query


@dataclass(frozen=True, slots=True)
class Selection:
    """Events of the names that `named` takes, of which every condition is true.

    Those that do not `count` are wanted beside others, and bring no group any nearer to a finding.
    """

    named: Callable[[str], bool]
    wheres: tuple[Query, ...] = ()
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Fewest:
    """What a group must have so that anything of it is wanted: so many events, so many different values of fields.

    The field `geo` is the place an event came from.

    With a `window` (microseconds) they must lie in a piece of time that a window of that length can reach, and only the
    events of such pieces are wanted, or with `whole` all of the group's.
    """

    count: int = 1
    distinct: tuple[tuple[str, int], ...] = ()
    window: int | None = None
    whole: bool = False

    @property
    def nothing(self) -> bool:
        """Whether every group with any event has it."""
        return self.count <= 1 and all(least <= 1 for _, least in self.distinct)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The events from `since` on and before `until`, in microseconds, that one of the selections takes.

    `group` names the fields an event must have one group by, None where no group is asked for. `trusted` leaves out
    what browsers sent. With `users` and `ips` (addresses, or networks as events are grouped by) only those about them.
    """

    since: int
    until: int
    selections: tuple[Selection, ...]
    group: tuple[str, ...] | None = None
    trusted: bool = False
    fewest: Fewest = Fewest()
    users: frozenset[str] | None = None
    ips: frozenset[str] = frozenset()
