"""The stored events as they are asked for: search, count, get, in order. How they got there is in `unit`.

What is committed is seen at once. Long answers are read in lots, each from the place of the last row before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from sentinel.core.candidates import Candidates, Selection
from sentinel.core.event import Event
from sentinel.core.record import Filter, KeptEvent, Page
from sentinel.store.database import interrupted
from sentinel.store.paging import bounded
from sentinel.store.postgres import parquet
from sentinel.store.postgres.candidates import places, wanted_of
from sentinel.store.postgres.control import Control, driver
from sentinel.store.postgres.copying import READ, read
from sentinel.store.postgres.partitions import Partitions
from sentinel.store.postgres.patient import WRITING
from sentinel.store.postgres.place import Place
from sentinel.store.postgres.where import Condition, ask
from sentinel.store.postgres.words import POSTGRES
from sentinel.store.sifting import LOT, SETTLED, Spot, cursor_of, matching, sifted, spot_at, spot_of, too_many
from sentinel.store.sql import Sql

_SLICE = 5_000  # events in memory at a time
_DELETED = 20_000  # rows deleted at a time, so that nobody waits long
_JOINING = b"SET LOCAL enable_nestloop = off"  # how many groups there will be is guessed far too low
_BY_TIME = f"ORDER BY ts, id, seq LIMIT {_SLICE}"
_BY_SEQ = f"ORDER BY seq LIMIT {_SLICE}"
_KNOWN = "SELECT DISTINCT at FROM event_id WHERE app = %s AND id = ANY(%s)"


class Events:
    """The events of all apps."""

    def __init__(self, control: Control, where: Place, partitions: Partitions) -> None:
        self._control = control
        self._place = where
        self._partitions = partitions

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events by (time, id), newest first."""
        after = spot_at(cursor)
        most, asked = bounded(limit) + 1, ask(app, filter)
        if asked.q is not None:
            return sifted(partial(self._newest, asked.may), asked.q, limit, after)
        found = self._newest(asked.may, after, most)
        return Page(tuple(found[:limit]), cursor_of(found[limit - 1]) if len(found) == most else None)

    def count(self, app: str, filter: Filter) -> int:
        """Return how many events the filter finds."""
        asked = ask(app, filter)
        if asked.q is None:
            wanted, values = asked.may
            return int(self._rows(_query("count(*)", wanted), values)[0][0])
        self._bounded(asked.may)
        return sum(1 for _ in self.matching(app, filter))

    def where(self, app: str, filter: Filter) -> Condition:
        """Return what a filter asks as SQL conditions with their values, exactly.

        Raises SentinelError where too many events would have to be looked at one by one.
        """
        asked = ask(app, filter)
        wanted, values = asked.may
        if asked.q is None:
            return wanted, values
        self._bounded(asked.may)
        found = [kept.position for kept in self.matching(app, filter)]
        return [*wanted, "seq = ANY(%s)"], [*values, tuple(found)]

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id, None where there is none: the newest, or with `at` the one of that time."""
        times = [at] if at is not None else [row[0] for row in self._rows(_KNOWN, [app, [id]])]
        if not times:
            return None
        query = _query(READ, ["app = %s", "ts = ANY(%s)", "id = %s"], "ORDER BY seq DESC LIMIT 1")
        found = self._rows(query, [app, times, id])
        return read(found[0]) if found else None

    def some(self, app: str, ids: Sequence[str]) -> Sequence[KeptEvent]:
        """Return the newest event of each id, in the order of the ids; ids without an event are left out."""
        times = [row[0] for row in self._rows(_KNOWN, [app, list(ids)])]
        query = _query(READ, ["app = %s", "ts = ANY(%s)", "id = ANY(%s)"], "ORDER BY seq")
        found = {kept.event.id: kept for kept in map(read, self._rows(query, [app, times, list(ids)]))}
        return [found[id] for id in ids if id in found]

    def position(self) -> int:
        """Return the position behind the newest event this process knows of; from memory."""
        return self._place.position

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events later than a position in their order of arrival, as far as that is decided."""
        last = self.decided()
        query = _query(READ, ["app = %s", "seq > %s", "seq <= %s"], _BY_SEQ)
        while found := self._rows(query, [app, position, last]):
            some = [read(row) for row in found]
            yield from some
            position = some[-1].position

    def decided(self) -> int:
        """Return the last position before which nothing will come in any more, whichever process writes."""
        with self._control.read() as connection:
            return self._place.decided(connection)

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events from a time on, ordered by (time, id); with `names` only events of these names."""
        wanted, values = ["app = %s"], list[Any]([app])
        if names is not None:
            wanted, values = [*wanted, "name = ANY(%s)"], [*values, list(names)]
        yield from (kept.event for kept in self._oldest_first((wanted, values), since))

    def matching(self, app: str, filter: Filter) -> Iterator[KeptEvent]:
        """Give the events that the filter finds, ordered by (time, id), oldest first."""
        asked = ask(app, filter)
        found = self._oldest_first(asked.may, filter.since or 0)
        return found if asked.q is None else matching(asked.q, found)

    def candidates(self, app: str, wanted: Candidates, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give the events that a replay may need (perhaps more), oldest first; end early once `gone()` is true."""
        named = "SELECT DISTINCT name FROM events WHERE app = %s AND ts >= %s AND ts < %s"
        names = [name for (name,) in self._rows(named, [app, wanted.since, wanted.until])]
        last = self._place.position
        where = wanted_of(app, wanted, names, last)
        if where is None:
            return
        if wanted.fewest.nothing:
            found = self._oldest_first(([POSTGRES.finished(where)], POSTGRES.given(where)), wanted.since)
        else:
            found = self._placed(places(wanted, names, where), gone)
        for number, kept in enumerate(found):
            if number % LOT == 0 and gone():
                return
            if any(one.named(kept.event.name) and _meets(one, kept) for one in wanted.selections):
                yield kept

    def _placed(self, query: Sql, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give the events of the places that a query finds."""
        with self._control.read(longest=None) as connection:
            own = driver(connection)
            own.execute(_JOINING)
            with interrupted(own.interrupt, gone):
                found = own.execute(POSTGRES.finished(query).encode(), POSTGRES.given(query)).fetchall()
        read_them = _query(READ, ["ts BETWEEN %s AND %s", "seq = ANY(%s)"], "ORDER BY ts, id, seq")
        for first in range(0, len(found), _SLICE):
            if gone():
                return
            lot = found[first : first + _SLICE]
            yield from map(read, self._rows(read_them, [lot[0][0], lot[-1][0], [seq for _, _, seq in lot]]))

    def parquet(self, app: str, filter: Filter, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Give the pieces of a Parquet file of the events found, in no order; end early once `gone()` is true."""
        return parquet.written(app, self.matching(app, filter), gone)

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events before a time, and the days that are empty then; return how many events."""
        gone = self._partitions.forget(app, before)
        for table, column in (("events", "ts"), ("event_id", "at")):
            some = f"SELECT tableoid, ctid FROM {table} WHERE app = %s AND {column} < %s LIMIT {_DELETED}"  # noqa: S608
            query = f"DELETE FROM {table} WHERE (tableoid, ctid) IN ({some}) AND {column} < %s"  # noqa: S608
            while lot := self._deleted(query, (app, before, before)):
                gone += lot if table == "events" else 0
        self._partitions.forget(app, before)
        return gone

    def _bounded(self, where: Condition) -> None:
        wanted, values = where
        some = f"SELECT count(*) FROM ({_query('1', wanted, f'LIMIT {SETTLED + 1}')}) AS few"  # noqa: S608
        if self._rows(some, values)[0][0] > SETTLED:
            raise too_many("ask for a shorter time or one event name")

    def _newest(self, where: Condition, after: Spot | None, most: int) -> list[KeptEvent]:
        """Return events newest first, those behind a place."""
        wanted, values = where
        if after is not None:
            wanted, values = [*wanted, "ts <= %s", "(ts, id, seq) < (%s, %s, %s)"], [*values, after[0], *after]
        query = _query(READ, wanted, f"ORDER BY ts DESC, id DESC, seq DESC LIMIT {most:d}")
        return [read(row) for row in self._rows(query, values)]

    def _oldest_first(self, where: Condition, since: int) -> Iterator[KeptEvent]:
        wanted, values = where
        last = self._place.position
        query = _query(READ, [*wanted, "seq <= %s", "ts >= %s", "(ts, id, seq) > (%s, %s, %s)"], _BY_TIME)
        after: Spot = (since, "", -1)
        while found := self._rows(query, [*values, last, after[0], *after]):
            some = [read(row) for row in found]
            yield from some
            after = spot_of(some[-1])

    def _deleted(self, query: str, values: Sequence[Any]) -> int:
        with self._control.beside() as connection:
            return connection.exec_driver_sql(query, tuple(values)).rowcount

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._control.read(WRITING) as connection:
            return driver(connection).execute(query.encode(), values).fetchall()


def _meets(selection: Selection, kept: KeptEvent) -> bool:
    return all(where.matches(kept.event) for where in selection.wheres)


def _query(what: str, wanted: Sequence[str], rest: str = "") -> str:
    return " ".join(("SELECT", what, "FROM events WHERE", " AND ".join(wanted), rest))
