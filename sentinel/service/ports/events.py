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
    """The stored events. A call sees every event acknowledged before it, except the few that `Page.behind` counts.

    Every call raises StoreBusy while events cannot be searched; ingest and decisions go on meanwhile.
    """

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events ordered by (time, id), newest first.

        A page may hold fewer than `limit` and still have a cursor: where the condition is checked event by event.
        """

    def count(self, app: str, filter: Filter) -> int:
        """Return how many events the filter finds."""

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id, None where there is none: the newest, or with `at` the one of that time."""

    def some(self, app: str, ids: Sequence[str]) -> Sequence[KeptEvent]:
        """Return the newest event of each id, in the order of the ids; ids without an event are left out."""

    def matching(self, app: str, filter: Filter) -> Iterator[KeptEvent]:
        """Give the events that the filter finds, ordered by (time, id), oldest first."""

    def candidates(self, app: str, wanted: Candidates, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give the events that a replay may need (perhaps more), oldest first; end early once `gone()` is true."""

    def parquet(self, app: str, filter: Filter, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Give the pieces of a Parquet file of the events found, in no order; end early once `gone()` is true."""

    def position(self) -> int:
        """Return the journal's position behind the newest event of any app, 0 without events; from memory."""

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events behind a journal position, in their order of arrival, up to `decided()`."""

    def decided(self) -> int:
        """Return the position up to which the journal is final: no process will add events before it."""

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events older than a time, for its retention; return how many."""

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events from a time on, ordered by (time, id); with `names` only events of these names."""


class Explorer(Protocol):
    """Aggregates of the stored events; each answer says in `behind` how many events it does not see yet.

    Filters here need a beginning and an end. Raises SentinelError for a field that cannot be used so, and for a
    question that would take too much time or memory.
    """

    def series(self, app: str, wanted: SeriesWanted) -> Series:
        """Return a metric in buckets of time, with the period before beside it."""

    def top(self, app: str, wanted: TopWanted) -> Top:
        """Return the most frequent values of a field, with the period before beside them."""

    def names(self, app: str, filter: Filter, by: By = "users", limit: int = 50, exact: bool = False) -> Names:
        """Return the event names with the most users or events, as `by` says; `exact` forbids estimated users."""

    def sums(self, app: str, filter: Filter, exact: bool = False) -> Sums:
        """Return the number of events, and of their distinct users and addresses; `exact` forbids estimates."""

    def funnel(self, app: str, wanted: FunnelWanted) -> Funnel:
        """Return how many users reach each step of a funnel."""

    def retention(self, app: str, wanted: RetentionWanted) -> Retention:
        """Return how many of the users who began in a bucket of time come back in each later one."""

    def users(self, app: str, wanted: UsersWanted) -> Page[UserSeen]:
        """Return one page of the user keys that events have."""

    def user(self, app: str, keys: Sequence[str], filter: Filter) -> Activity:
        """Return what the person with these user keys did."""

    def ip(self, app: str, filter: Filter) -> Activity:
        """Return what came from the address or network in the filter."""


class Schema(Protocol):
    """The properties that each app sends. They are learnt while events are made searchable, never on the way in."""

    def properties(self, app: str) -> list[Property]:
        """Return every known property, ordered by path."""

    def promote(self, app: str, path: str, pinned: Collection[str] = ()) -> None:
        """Give a property a column of its own for the events to come.

        Where no column is free it takes that of the property asked for least, but of none that is `pinned`. Raises
        SentinelError where it cannot have one.
        """

    def choose(self, app: str, pinned: Collection[str] = ()) -> str | None:
        """Promote the property that searches ask for most, where that pays, and return its path; None otherwise."""
