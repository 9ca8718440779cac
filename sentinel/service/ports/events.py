"""What the service asks of the store about events: to read them, to aggregate them, and which properties they have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from sentinel.core.candidates import Candidates
from sentinel.core.event import Event
from sentinel.core.explore import (
    Activity,
    By,
    Funnel,
    FunnelWanted,
    Names,
    Retention,
    RetentionWanted,
    Series,
    SeriesWanted,
    Sums,
    Top,
    TopWanted,
    UserSeen,
    UsersWanted,
)
from sentinel.core.record import (
    Filter,
    KeptEvent,
    Page,
    Property,
)


class Events(Protocol):
    """The stored events. Everything acknowledged before the call is seen, except as `Page.behind` says.

    Raises StoreBusy while events cannot be searched; ingest and decisions go on.
    """

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events by (time, id), newest first.

        A page may be short and yet have a cursor, where a condition had to be looked at event by event.
        """

    def count(self, app: str, filter: Filter) -> int:
        """Return how many there are."""

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id: the newest, or the one of that time."""

    def some(self, app: str, ids: Sequence[str]) -> Sequence[KeptEvent]:
        """Return the newest event of each id that has one, in the order of the ids."""

    def matching(self, app: str, filter: Filter) -> Iterator[KeptEvent]:
        """Give the events a filter asks for in (time, id) order, oldest first."""

    def candidates(self, app: str, wanted: Candidates, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give at least the events a replay can need, in (time, id) order; stop where `gone` says so."""

    def parquet(self, app: str, filter: Filter, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Give the events a filter asks for as the bytes of a Parquet file, in no order; stop where `gone` says so."""

    def position(self) -> int:
        """Return the journal's position, behind the newest event of any app, 0 without events; from memory."""

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events later than a journal position in their order of arrival, up to what is decided."""

    def decided(self) -> int:
        """Return the last position before which nothing will come in any more, whoever writes; from the store."""

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events before a time, for its retention; return how many."""

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events since a time in (time, id) order; with `names` only those so named."""


class Explorer(Protocol):
    """Sums over the stored events, as of the call but for `behind`. Filters here have a beginning and an end.

    Raises SentinelError for fields that cannot be used so, and where an answer would take too much.
    """

    def series(self, app: str, wanted: SeriesWanted) -> Series:
        """Return a metric over time, beside the period before."""

    def top(self, app: str, wanted: TopWanted) -> Top:
        """Return the values of a field that there is most of, beside the period before."""

    def names(self, app: str, filter: Filter, by: By = "users", limit: int = 50, exact: bool = False) -> Names:
        """Return the event names, each with its users."""

    def sums(self, app: str, filter: Filter, exact: bool = False) -> Sums:
        """Return how many events there are, and of how many users and addresses."""

    def funnel(self, app: str, wanted: FunnelWanted) -> Funnel:
        """Return how many users do one thing after another."""

    def retention(self, app: str, wanted: RetentionWanted) -> Retention:
        """Return how many users come back."""

    def users(self, app: str, wanted: UsersWanted) -> Page[UserSeen]:
        """Return one page of user keys."""

    def user(self, app: str, keys: Sequence[str], filter: Filter) -> Activity:
        """Return what the person of some keys did."""

    def ip(self, app: str, filter: Filter) -> Activity:
        """Return what came from the filter's address or network."""


class Schema(Protocol):
    """The properties each app sends. Learnt while events are made searchable, never on the way in."""

    def properties(self, app: str) -> list[Property]:
        """Return every known property path, by path."""

    def promote(self, app: str, path: str, pinned: Collection[str] = ()) -> None:
        """Give a property a column for the events to come, if need be that of the one asked for least.

        Those `pinned` keep theirs. Raises SentinelError where it cannot have one.
        """

    def choose(self, app: str, pinned: Collection[str] = ()) -> str | None:
        """Promote the property that is asked for most, if it is worth another's column, and return it."""
