"""The explorer of one database; see `service.ports.events.Explorer`. The query of each question is in a module."""

from __future__ import annotations

from collections.abc import Sequence

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
from sentinel.core.record import Filter, Page
from sentinel.store.explorer import funnel, people, retention, timeseries, top
from sentinel.store.explorer.machine import Machine


class Explorer:
    """Aggregates of the stored events of all apps."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def series(self, app: str, wanted: SeriesWanted) -> Series:
        """Return a metric in buckets of time."""
        return timeseries.series(self._machine, app, wanted)

    def top(self, app: str, wanted: TopWanted) -> Top:
        """Return the most frequent values of a field."""
        return top.top(self._machine, app, wanted)

    def names(self, app: str, filter: Filter, by: By = "users", limit: int = 50, exact: bool = False) -> Names:
        """Return the event names with the most users or events, as `by` says; `exact` forbids estimated users."""
        return top.names(self._machine, app, filter, by, limit, exact)

    def sums(self, app: str, filter: Filter, exact: bool = False) -> Sums:
        """Return the number of events, and of their distinct users and addresses; `exact` forbids estimates."""
        return top.sums(self._machine, app, filter, exact)

    def funnel(self, app: str, wanted: FunnelWanted) -> Funnel:
        """Return how many users reach each step of a funnel."""
        return funnel.funnel(self._machine, app, wanted)

    def retention(self, app: str, wanted: RetentionWanted) -> Retention:
        """Return how many of the users who began in a bucket of time come back in each later one."""
        return retention.retention(self._machine, app, wanted)

    def users(self, app: str, wanted: UsersWanted) -> Page[UserSeen]:
        """Return one page of the user keys that events have."""
        return people.users(self._machine, app, wanted)

    def user(self, app: str, keys: Sequence[str], filter: Filter) -> Activity:
        """Return what the person with these user keys did."""
        return people.of_user(self._machine, app, keys, filter)

    def ip(self, app: str, filter: Filter) -> Activity:
        """Return what came from the address or network in the filter."""
        return people.of_ip(self._machine, app, filter)
