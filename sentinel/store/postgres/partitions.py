"""The partitions of events and of their ids, one a day: made ahead, made for an imported day of the past, dropped.

Each change is a transaction of its own that waits for nobody long: what it could not do now, it does at its next turn.
Events of any other day are in the default partition, and are found there just the same.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from sentinel.core.duration import DAY
from sentinel.core.errors import StoreBusy
from sentinel.store.postgres.control import Control
from sentinel.store.postgres.patient import WRITING

BEFORE, AHEAD = 1, 3  # days around today that always have a partition
FARTHEST = 1100  # days into the past that may get one
MANY = 500  # events of one day in one commit: then it is worth a partition
_WAIT = 500  # milliseconds for a lock: who comes after waits behind it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHILDREN = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass"
)


class _Table(NamedTuple):
    """A partitioned table: its name, the column it is cut by, and how many of that make a day."""

    name: str
    column: str
    day: int


_EVENTS = _Table("events", "ts", DAY)
_TABLES = (_Table("event_id", "day", 1), _EVENTS)  # in the order in which a commit writes them: else both wait for ever


class Partitions:
    """Which days have partitions, as far as this process knows."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._wanted: set[int] = set()
        self.days: set[int] = set()
        self._learn()

    def seen(self, days: Iterable[int]) -> None:
        """Learn of the days of events that were committed: those of a whole lot of them get partitions."""
        for day, events in Counter(days).items():
            if events >= MANY and day not in self.days:
                self._wanted.add(day)

    def ready(self, now: int) -> None:
        """Make what partitions there should be and are not; does nothing where it would have to wait."""
        today = now // DAY
        with self._lock:
            wanted = {*range(today - BEFORE, today + AHEAD + 1)}
            wanted |= {day for day in self._wanted.copy() if today - FARTHEST <= day <= today}
            self._wanted.clear()
            for day in sorted(wanted - self.days):
                with suppress(StoreBusy):
                    self._make(day)
                    self.days.add(day)

    def forget(self, app: str, before: int) -> int:
        """Drop the partitions that end before a time where they hold nothing, or only this app's; return how many."""
        gone = 0
        self._learn()
        for day in sorted(self.days):  # in one step: another thread makes more meanwhile
            if (day + 1) * DAY <= before:
                with suppress(StoreBusy):
                    gone += self._drop(day, app)
        return gone

    def _learn(self) -> None:
        with self._control.read() as connection:
            names = connection.exec_driver_sql(_CHILDREN).scalars().all()
        self.days = {_day(name) for name in names if name != "events_rest"}

    def _make(self, day: int) -> None:
        with self._alone() as connection:
            for table in _TABLES:
                new, rest = _name(table, day), f"{table.name}_rest"
                if connection.exec_driver_sql("SELECT to_regclass(%s)", (new,)).scalar() is not None:
                    continue
                first, last = day * table.day, (day + 1) * table.day
                there = f"{table.column} >= {first} AND {table.column} < {last}"
                for statement in (
                    f"LOCK TABLE ONLY {table.name} IN SHARE UPDATE EXCLUSIVE MODE",
                    f"LOCK TABLE {rest} IN ACCESS EXCLUSIVE MODE",
                    f"CREATE TABLE {new} (LIKE {table.name} INCLUDING DEFAULTS)",
                    f"WITH gone AS (DELETE FROM {rest} WHERE {there} RETURNING *) INSERT INTO {new} SELECT * FROM gone",  # noqa: S608
                    f"ALTER TABLE {table.name} ATTACH PARTITION {new} FOR VALUES FROM ({first}) TO ({last})",
                ):
                    connection.exec_driver_sql(statement)

    def _drop(self, day: int, app: str) -> int:
        """Drop the partitions of a day, unless other apps have something in them; return how many events it were."""
        events = _name(_EVENTS, day)
        with self._control.read(WRITING) as connection:
            if not _only(connection, events, app):
                return 0
            count: int = connection.exec_driver_sql(f"SELECT count(*) FROM {events}").scalar_one()  # noqa: S608
        with self._alone() as connection:
            connection.exec_driver_sql("LOCK TABLE ONLY event_id, ONLY events IN ACCESS EXCLUSIVE MODE")
            if not _only(connection, events, app):
                return 0
            for table in _TABLES:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_name(table, day)}")
        self.days.discard(day)
        return count

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """Give a connection whose transaction is the only one to change partitions, and waits for no lock long."""
        with self._control.beside() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT}")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self._control.key("partitions"),))
            yield connection


def _only(connection: Connection, table: str, app: str) -> bool:
    """Say whether a partition holds nothing but one app's events, if any."""
    apps = connection.exec_driver_sql(f"SELECT min(app), max(app) FROM {table}").one()  # noqa: S608
    return set(apps) <= {app, None}


def _name(table: _Table, day: int) -> str:
    return f"{table.name}_{_EPOCH + timedelta(days=day):%Y%m%d}"


def _day(name: str) -> int:
    return (datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC) - _EPOCH).days
