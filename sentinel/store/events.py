"""The stored events as they are asked for: search, count, get, in order. How they got there is `projector`'s.

What is asked is answered as of the call: the journal is made searchable first. Queries are read to their end, a
hundred rows at a time: an unread answer would hold up checkpoints, a long one the interpreter.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import duckdb

from sentinel.core import address
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.event import Event
from sentinel.core.record import Filter, KeptEvent, Page
from sentinel.store.duck import Duck
from sentinel.store.journal import BITS, END, Journal
from sentinel.store.paging import bounded, cursor, place
from sentinel.store.projector import Projector
from sentinel.store.recent import Identity, identity
from sentinel.store.rows import READ, hash_of, read

_AT_ONCE = 100
_SLICE = 5_000  # events in memory at a time
_GRAIN = 60_000_000  # a span is so many whole minutes
_BY_TIME = f"ORDER BY ts, id, seq LIMIT {_SLICE}"
_BY_SEQ = f"ORDER BY seq LIMIT {_SLICE}"
_COLUMNS = ", ".join(f'"{name}"' for name in READ)

Condition = tuple[list[str], list[Any]]


class Events:
    """The events of all apps."""

    def __init__(self, journal: Journal, duck: Duck, projector: Projector) -> None:
        self._journal = journal
        self._duck = duck
        self._projector = projector

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events by (time, id), newest first."""
        wanted, values = condition(app, filter)
        if cursor is not None:
            at, id, seq = place(cursor, int, str, int)
            wanted = ["ts <= ?", *wanted, "(ts, id, seq) < (?, ?, ?)"]
            values = [at, *values, at, id, seq]
        behind = self._projector.catch_up()
        query = _query(_COLUMNS, wanted, f"ORDER BY ts DESC, id DESC, seq DESC LIMIT {bounded(limit) + 1}")
        found = [read(row) for row in self._rows(query, values)]
        return Page(tuple(found[:limit]), _place(found[limit - 1]) if len(found) > limit else None, behind)

    def count(self, app: str, filter: Filter) -> int:
        """Return how many there are."""
        wanted, values = condition(app, filter)
        self._projector.catch_up()
        return int(self._rows(_query("count(*)", wanted), values)[0][0])

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id: the newest, or the one of that time."""
        wanted, values = ["app = ?", "id = ?"], list[Any]([app, id])
        if at is not None:
            wanted, values = [*wanted, "ts = ?"], [*values, at]
        self._projector.catch_up()
        found = self._rows(_query(_COLUMNS, wanted, "ORDER BY seq DESC LIMIT 1"), values)
        return read(found[0]) if found else None

    def position(self) -> int:
        """Return the journal's position; from memory."""
        return self._journal.position

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events later than a journal position in their order of arrival."""
        while (found := self._later(app, position)) is not None:
            yield from (kept for kept in found[1] if kept.position > position)
            position = found[0]

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events since a time in (time, id) order; with `names` only those so named."""
        last = self._journal.position
        self._reach(last >> BITS)
        wanted, values = ["app = ?", "seq <= ?"], [app, last]
        if names is not None:
            wanted, values = [*wanted, "name IN (SELECT unnest(?::VARCHAR[]))"], [*values, list(names)]
        query = _query(_COLUMNS, [*wanted, "ts >= ?", "ts < ?", "(ts, id, seq) > (?, ?, ?)"], _BY_TIME)
        for start, end in self._spans(wanted, values, since):
            after: tuple[int, str, int] = (start, "", -1)
            while found := self._rows(query, [*values, start, end, *after]):
                some = [read(row) for row in found]
                yield from (kept.event for kept in some)
                after = (some[-1].event.at, some[-1].event.id, some[-1].position)

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events before a time; return how many."""
        with self._duck.cursor() as own:
            return int(own.execute("DELETE FROM events WHERE app = ? AND ts < ?", [app, before]).fetchall()[0][0])

    def _later(self, app: str, position: int) -> tuple[int, list[KeptEvent]] | None:
        """Return some events later than a position, and the position after them; None where there are no more."""
        if self._journal.reaches(position):
            rows = self._journal.rows(max(position >> BITS, 1) - 1, _SLICE, app)
            if self._journal.reaches(position):  # nothing was dropped meanwhile
                later = [row for row in rows if row.id << BITS | END > position]
                return (later[-1].id << BITS | END, [one for row in later for one in row.unpacked()]) if later else None
        self._reach(self._journal.last)
        found = [read(row) for row in self._rows(_query(_COLUMNS, ["app = ?", "seq > ?"], _BY_SEQ), [app, position])]
        return (found[-1].position, found) if found else None

    def _spans(self, wanted: Sequence[str], values: Sequence[Any], since: int) -> Iterator[tuple[int, int]]:
        """Cut the time since a moment into spans of minutes that hold few events, each cheap to sort."""
        query = _query(f"ts // {_GRAIN}, count(*)", [*wanted, "ts >= ?"], "GROUP BY 1 ORDER BY 1")
        start, size, end = since, 0, since
        for minute, count in self._rows(query, [*values, since]):
            if size and size + count > _SLICE:
                yield start, minute * _GRAIN
                start, size = minute * _GRAIN, 0
            size += count
            end = (minute + 1) * _GRAIN
        if size:
            yield start, end

    def _reach(self, row: int) -> None:
        """Make everything up to a journal row searchable, however long it takes."""
        while self._projector.through < row:
            before = self._projector.through
            self._projector.catch_up()
            if self._projector.through == before:
                raise StoreBusy("events cannot be read in order now", "try again in a moment", retry_after=5)

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._duck.cursor() as own:
            return drained(own.execute(query, list(values)))


def drained(answer: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Return all rows of an answer, fetched a few at a time."""
    found: list[tuple[Any, ...]] = []
    while some := answer.fetchmany(_AT_ONCE):
        found += some
    return found


def condition(app: str, filter: Filter) -> Condition:
    """Return what a filter asks as SQL conditions with their values."""
    wanted, values = ["app = ?"], list[Any]([app])
    parts: dict[str, Any] = {
        "name = ?": filter.name, "ts >= ?": filter.since, "ts < ?": filter.until,
        "user_h = ?": None if filter.user is None else hash_of(filter.user), "user_key = ?": filter.user,
    }  # fmt: skip
    if filter.ip is not None:
        parts |= _of_address(filter.ip)
    for part, value in parts.items():
        if value is not None:
            wanted.append(part)
            values.append(value)
    return wanted, values


def stored(own: duckdb.DuckDBPyConnection, app: str, sent: Sequence[tuple[int, str]]) -> set[Identity]:
    """Return the identities of these timestamps, as sent, and ids that are stored; looks at their own time range."""
    if not sent:
        return set()
    first, last = min(at for at, _ in sent), max(at for at, _ in sent)
    same = ["app = ?", "id IN (SELECT unnest(?::VARCHAR[]))"]
    values = [app, list({id for _, id in sent}), first, last]
    plain = _query("ts, id", [*same, "ts BETWEEN ? AND ?", "ahead = 0"])
    clamped = _query("ts + ahead, id", [*same, "ts + ahead BETWEEN ? AND ?", "ahead > 0"])
    found = drained(own.execute(plain, values)) + drained(own.execute(clamped, values))
    return {identity(at, id) for at, id in found}


def _of_address(text: str) -> dict[str, Any]:
    exact = address.normalise(text)
    if exact is not None:
        return {"ip_h = ?": hash_of(exact), "ip = ?": exact}
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SentinelError(f"`ip`: `{text[:64]}` is neither an address nor a network") from None
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        return {"ip4 >= ?": first, "ip4 <= ?": last}
    if network.prefixlen > 64:
        raise SentinelError(f"`ip`: `{text[:64]}` is narrower than /64", "of IPv6, name one address or a wider network")
    return {"ip6 >= ?": first >> 64, "ip6 <= ?": last >> 64}


def _query(what: str, wanted: Sequence[str], rest: str = "") -> str:
    return " ".join(("SELECT", what, "FROM events WHERE", " AND ".join(wanted), rest))


def _place(kept: KeptEvent) -> str:
    return cursor([kept.event.at, kept.event.id, kept.position])
