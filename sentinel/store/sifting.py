"""Evaluate a condition on stored events one by one, where no database can: matching events in pages, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sentinel.core.errors import SentinelError
from sentinel.core.record import KeptEvent, Page, Query
from sentinel.store.paging import cursor, place

LOT = 1_000  # events looked at for a page at a time
EXAMINED = 20_000  # for one page
SETTLED = 200_000  # for one question about all events that a condition holds for

Spot = tuple[int, str, int]  # where an event stands in the order of time: its time, its id, its position
Newest = Callable[[Spot | None, int], list[KeptEvent]]  # gives so many events behind a spot, newest first


def spot_of(kept: KeptEvent) -> Spot:
    """Return an event's place in the order of time."""
    return kept.event.at, kept.event.id, kept.position


def spot_at(text: str | None) -> Spot | None:
    """Return the spot of a cursor, None without one; raises SentinelError for a text that is no cursor."""
    if text is None:
        return None
    at, id, position = place(text, int, str, int)
    return at, id, position


def cursor_of(kept: KeptEvent) -> str:
    """Return the cursor of the page that begins after an event."""
    return cursor(spot_of(kept))


def sifted(newest: Newest, q: Query, limit: int, after: Spot | None, behind: int = 0) -> Page[KeptEvent]:
    """Return a page of the events that a condition holds for, of those that `newest` gives.

    After EXAMINED events the page ends, with a cursor, even if it is not full.
    """
    found: list[KeptEvent] = []
    for _ in range(EXAMINED // LOT):
        some = newest(after, LOT)
        found += matching(q, some)
        if len(found) > limit:
            return Page(tuple(found[:limit]), cursor_of(found[limit - 1]), behind)
        if len(some) < LOT:
            return Page(tuple(found), None, behind)
        after = spot_of(some[-1])
    return Page(tuple(found), cursor_of(some[-1]), behind)


def matching(q: Query, found: Iterable[KeptEvent]) -> Iterator[KeptEvent]:
    """Give the events that a condition of the rules' language holds for."""
    matches = q.matches
    return (kept for kept in found if matches(kept.event))


def too_many(hint: str) -> SentinelError:
    """Return the error for a question that would need more than SETTLED events to be evaluated one by one."""
    return SentinelError(f"`q`: more than {SETTLED:,} events have to be looked at one by one for this", hint)
