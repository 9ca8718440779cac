"""The stored events as they are asked for: search, count, get, in order. How they got there is `unit`'s.

What is committed is seen at once. Long answers are read a lot at a time, each by the place of the last row before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sentinel.core import address
from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.record import Filter, KeptEvent, Page
from sentinel.store.paging import bounded, cursor, place
from sentinel.store.postgres.control import Control, driver
from sentinel.store.postgres.copying import READ, read
from sentinel.store.postgres.partitions import Partitions
from sentinel.store.postgres.place import Place

_SLICE = 5_000  # events in memory at a time
_LOT = 20_000  # rows deleted at a time, so that nobody waits long
_BY_TIME = f"ORDER BY ts, id, seq LIMIT {_SLICE}"
_BY_SEQ = f"ORDER BY seq LIMIT {_SLICE}"
_KNOWN = "SELECT at FROM event_id WHERE app = %s AND id = %s"

Condition = tuple[list[str], list[Any]]


class Events:
    """The events of all apps."""

    def __init__(self, control: Control, where: Place, partitions: Partitions) -> None:
        self._control = control
        self._place = where
        self._partitions = partitions

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events by (time, id), newest first."""
        wanted, values = condition(app, filter)
        if cursor is not None:
            at, id, seq = place(cursor, int, str, int)
            wanted = [*wanted, "ts <= %s", "(ts, id, seq) < (%s, %s, %s)"]
            values = [*values, at, at, id, seq]
        query = _query(READ, wanted, f"ORDER BY ts DESC, id DESC, seq DESC LIMIT {bounded(limit) + 1}")
        found = [read(row) for row in self._rows(query, values)]
        return Page(tuple(found[:limit]), _place(found[limit - 1]) if len(found) > limit else None)

    def count(self, app: str, filter: Filter) -> int:
        """Return how many there are."""
        wanted, values = condition(app, filter)
        return int(self._rows(_query("count(*)", wanted), values)[0][0])

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id: the newest, or the one of that time."""
        times = [at] if at is not None else [row[0] for row in self._rows(_KNOWN, [app, id])]
        if not times:
            return None
        query = _query(READ, ["app = %s", "ts = ANY(%s)", "id = %s"], "ORDER BY seq DESC LIMIT 1")
        found = self._rows(query, [app, times, id])
        return read(found[0]) if found else None

    def position(self) -> int:
        """Return the position behind the newest event this process knows of; from memory."""
        return self._place.position

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events later than a position in their order of arrival, as far as that is decided."""
        with self._control.read() as connection:
            last = self._place.decided(connection)
        query = _query(READ, ["app = %s", "seq > %s", "seq <= %s"], _BY_SEQ)
        while found := self._rows(query, [app, position, last]):
            some = [read(row) for row in found]
            yield from some
            position = some[-1].position

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events since a time in (time, id) order; with `names` only those so named."""
        wanted, values = ["app = %s", "seq <= %s"], list[Any]([app, self._place.position])
        if names is not None:
            wanted, values = [*wanted, "name = ANY(%s)"], [*values, list(names)]
        query = _query(READ, [*wanted, "ts >= %s", "(ts, id, seq) > (%s, %s, %s)"], _BY_TIME)
        after: tuple[int, str, int] = (since, "", -1)
        while found := self._rows(query, [*values, after[0], *after]):
            some = [read(row) for row in found]
            yield from (kept.event for kept in some)
            after = (some[-1].event.at, some[-1].event.id, some[-1].position)

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events before a time, and the days that are empty then; return how many events."""
        gone = self._partitions.forget(app, before)
        for table, column in (("events", "ts"), ("event_id", "at")):
            some = f"SELECT tableoid, ctid FROM {table} WHERE app = %s AND {column} < %s LIMIT {_LOT}"  # noqa: S608
            query = f"DELETE FROM {table} WHERE (tableoid, ctid) IN ({some}) AND {column} < %s"  # noqa: S608
            while lot := self._deleted(query, (app, before, before)):
                gone += lot if table == "events" else 0
        self._partitions.forget(app, before)
        return gone

    def _deleted(self, query: str, values: Sequence[Any]) -> int:
        control = self._control
        with control.translated(), control.engine.connect() as connection:
            lot = driver(connection).execute(query.encode(), values).rowcount
            connection.commit()
            return lot

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._control.read() as connection:
            return driver(connection).execute(query.encode(), values).fetchall()


def condition(app: str, filter: Filter) -> Condition:
    """Return what a filter asks as SQL conditions with their values."""
    wanted, values = ["app = %s"], list[Any]([app])
    parts: dict[str, Any] = {
        "name = %s": filter.name, "ts >= %s": filter.since, "ts < %s": filter.until, "user_key = %s": filter.user,
    }  # fmt: skip
    if filter.ip is not None:
        parts |= _of_address(filter.ip)
    for part, value in parts.items():
        if value is not None:
            wanted.append(part)
            values.append(value)
    return wanted, values


def _of_address(text: str) -> dict[str, Any]:
    exact = address.normalise(text)
    if exact is not None:
        return {"ip::inet = %s::inet": exact}
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SentinelError(f"`ip`: `{text[:64]}` is neither an address nor a network") from None
    if network.version == 6 and network.prefixlen > 64:
        raise SentinelError(f"`ip`: `{text[:64]}` is narrower than /64", "of IPv6, name one address or a wider network")
    first, last = str(network.network_address), str(network.broadcast_address)
    return {"ip::inet >= %s::inet": first, "ip::inet <= %s::inet": last}


def _query(what: str, wanted: Sequence[str], rest: str = "") -> str:
    return " ".join(("SELECT", what, "FROM events WHERE", " AND ".join(wanted), rest))


def _place(kept: KeptEvent) -> str:
    return cursor([kept.event.at, kept.event.id, kept.position])
