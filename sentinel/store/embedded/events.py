"""The stored events as they are asked for: search, count, get, in order. How they got there is in `projector`.

Answers are as of the call: the journal is projected first. Queries are read to their end, a hundred rows at a time,
because an unread answer would hold up checkpoints and a long step the interpreter.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from sentinel.core.candidates import Candidates
from sentinel.core.errors import StoreBusy
from sentinel.core.event import Event
from sentinel.core.identity import key_type, names_of
from sentinel.core.record import Filter, KeptEvent, Page
from sentinel.core.repeats import Identity, identity
from sentinel.store.arrival import BITS, END
from sentinel.store.database import interrupted
from sentinel.store.embedded.candidates import places
from sentinel.store.embedded.duck import Duck
from sentinel.store.embedded.journal import Journal
from sentinel.store.embedded.projector import Projector
from sentinel.store.embedded.schema import Schema
from sentinel.store.embedded.where import Asked, Where, ask, meant, settled
from sentinel.store.paging import bounded
from sentinel.store.rows import READ, SHOWN, read
from sentinel.store.sifting import SETTLED, Spot, cursor_of, matching, sifted, spot_at, spot_of, too_many

_AT_ONCE = 100
_SLICE = 5_000  # events in memory at a time
_PIECE = 1 << 18  # bytes of a file at a time
_GRAIN = 60_000_000  # a span is so many whole minutes
_BY_TIME = f"ORDER BY ts, id, seq LIMIT {_SLICE}"
_NEWEST = "ORDER BY ts DESC, id DESC, seq DESC"
_BY_SEQ = f"ORDER BY seq LIMIT {_SLICE}"
_COLUMNS = ", ".join(f'"{name}"' for name in READ)
_PLACED = f"SELECT {_COLUMNS} FROM events WHERE rowid IN (SELECT unnest(CAST(? AS BIGINT[]))) {_NEWEST}"  # noqa: S608
_OLDEST_PLACED = f"""
    SELECT {_COLUMNS} FROM events WHERE ts BETWEEN ? AND ? AND seq IN (SELECT unnest(CAST(? AS BIGINT[])))
    ORDER BY ts, id, seq
"""  # noqa: S608


class Events:
    """The events of all apps."""

    def __init__(self, journal: Journal, duck: Duck, projector: Projector, schema: Schema) -> None:
        self._journal = journal
        self._duck = duck
        self._projector = projector
        self._schema = schema

    def search(self, app: str, filter: Filter, limit: int = 50, cursor: str | None = None) -> Page[KeptEvent]:
        """Return events by (time, id), newest first.

        A page may be short, with a cursor, where a condition had to be looked at event by event.
        """
        after = spot_at(cursor)
        behind = self._projector.catch_up()
        most = bounded(limit) + 1
        asked = self._asked(app, filter, by_hash=True)
        if asked.doubtful is not None and filter.q is not None:
            return sifted(partial(self._newest, self._asked(app, filter).may), filter.q, limit, after, behind)
        found = self._newest(asked.may, after, most)
        if not all(meant(filter, kept.event) for kept in found):  # two names have one hash
            found = self._newest(self._asked(app, filter).may, after, most)
        return Page(tuple(found[:limit]), cursor_of(found[limit - 1]) if len(found) == most else None, behind)

    def count(self, app: str, filter: Filter) -> int:
        """Return how many events the filter finds."""
        where = self.where(app, filter)
        return int(self._rows(_query("count(*)", where.wanted), where.values)[0][0])

    def where(self, app: str, filter: Filter) -> Where:
        """Return what a filter asks as SQL conditions over the table, exactly; what is in the journal is searchable.

        Raises SentinelError where too many events would have to be looked at one by one.
        """
        self._projector.catch_up()
        asked = self._asked(app, filter)
        if asked.doubtful is None:
            return asked.may
        last = self._projector.through << BITS | END
        found = [kept.position for kept in self._asked_one_by_one(asked.doubtful, filter, last)]
        return settled(asked, app, filter, found, last)

    def get(self, app: str, id: str, at: int | None = None) -> KeptEvent | None:
        """Return the event of an id, None where there is none: the newest, or with `at` the one of that time."""
        wanted, values = ["app = ?", "id = ?"], list[Any]([app, id])
        if at is not None:
            wanted, values = [*wanted, "ts = ?"], [*values, at]
        last, query = self._journal.last, _query(_COLUMNS, wanted, "ORDER BY seq DESC LIMIT 1")
        self._projector.catch_up()
        found = self._rows(query, values)
        if not found and self._projector.through < last:  # it may be among those that cannot be searched yet
            self._reach(last)
            found = self._rows(query, values)
        return read(found[0]) if found else None

    def some(self, app: str, ids: Sequence[str]) -> Sequence[KeptEvent]:
        """Return the newest event of each id, in the order of the ids; ids without an event are left out."""
        self._projector.catch_up()
        wanted = ["app = ?", "id IN (SELECT unnest(?::VARCHAR[]))"]
        rows = self._rows(_query(_COLUMNS, wanted, "ORDER BY seq"), [app, list(ids)])
        found = {kept.event.id: kept for kept in map(read, rows)}
        return [found[id] for id in ids if id in found]

    def position(self) -> int:
        """Return the journal's position; from memory."""
        return self._journal.position

    def after(self, app: str, position: int) -> Iterator[KeptEvent]:
        """Give an app's events later than a journal position in their order of arrival."""
        while (found := self._later(app, position)) is not None:
            yield from (kept for kept in found[1] if kept.position > position)
            position = found[0]

    def decided(self) -> int:
        """Return the last position before which nothing will come in: one process writes, in order."""
        return self._journal.position

    def in_order(self, app: str, since: int, names: Collection[str] | None = None) -> Iterator[Event]:
        """Give an app's events from a time on, ordered by (time, id); with `names` only events of these names."""
        last = self._journal.position
        self._reach(last >> BITS)
        where = Where(["app = ?", "seq <= ?"], [app, last])
        if names is not None:
            where = where.also("name IN (SELECT unnest(?::VARCHAR[]))", list(names))
        return (kept.event for kept in self._oldest_first(where, since))

    def matching(self, app: str, filter: Filter) -> Iterator[KeptEvent]:
        """Give the events that the filter finds, ordered by (time, id), oldest first."""
        last = self._journal.position
        self._reach(last >> BITS)
        asked = self._asked(app, filter)
        found = self._oldest_first(asked.may.also("seq <= ?", last), filter.since or 0)
        return found if asked.doubtful is None or filter.q is None else matching(filter.q, found)

    def candidates(self, app: str, wanted: Candidates, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give the events that a replay may need (perhaps more), oldest first; end early once `gone()` is true."""
        last = self._journal.position
        self._reach(last >> BITS)
        named = "SELECT DISTINCT name FROM events WHERE app = ? AND ts >= ? AND ts < ?"
        names = [name for (name,) in self._rows(named, [app, wanted.since, wanted.until])]
        query = places(app, wanted, names, self._schema.slots(app), last)
        return iter(()) if query is None else self._placed(query, gone)

    def _placed(self, query: Where, gone: Callable[[], bool]) -> Iterator[KeptEvent]:
        """Give the events that a query finds by place: the places are read first, for whole rows are wide."""
        with self._duck.cursor() as own, interrupted(own.interrupt, gone):
            found = drained(own.execute(query.wanted[0], query.values))
        for first in range(0, len(found), _SLICE):
            if gone():
                return
            lot = found[first : first + _SLICE]
            rows = self._rows(_OLDEST_PLACED, [lot[0][0], lot[-1][0], [seq for _, _, seq in lot]])
            yield from map(read, rows)

    def parquet(self, app: str, filter: Filter, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Give the pieces of a Parquet file of the events found, in no order; end early once `gone()` is true."""
        return self._parquet(self.where(app, filter), gone)

    def _parquet(self, where: Where, gone: Callable[[], bool]) -> Iterator[bytes]:
        with tempfile.TemporaryDirectory(prefix="sentinel-export-") as folder:
            file = Path(folder) / "events.parquet"
            query = f"COPY ({_query(SHOWN, where.wanted)}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)"
            with self._duck.cursor() as own, interrupted(own.interrupt, gone):
                own.execute(query, where.values).fetchall()
            with file.open("rb") as made:
                while piece := made.read(_PIECE):
                    yield piece

    def forget(self, app: str, before: int) -> int:
        """Delete an app's events before a time; return how many."""
        with self._duck.cursor() as own:
            return int(own.execute("DELETE FROM events WHERE app = ? AND ts < ?", [app, before]).fetchall()[0][0])

    def named(self, app: str, until: int) -> Iterator[str]:
        """Give the user keys that events up to a time name."""
        query = "SELECT DISTINCT user_key, identifiers FROM events WHERE app = ? AND ts <= ?"
        for user, found in self._rows(query, [app, until]):
            if user is not None:
                yield user
            for name, value in (json.loads(found) if found else {}).items():
                yield f"{key_type(name)}:{value}"

    def erase(self, app: str, keys: Sequence[str], until: int) -> int:
        """Delete the events up to a time that name one of these persons, for good, and return how many."""
        self._projector.doubtful = self._journal.last  # where what follows fails, some of these are still to be moved
        self._reach(self._journal.last)
        named = [
            (f'$."{name}"', value) for type, _, value in (key.partition(":") for key in keys) for name in names_of(type)
        ]
        paths = [(path, value) for path, value in named if path.count('"') == 2]
        tests = [
            "user_key IN (SELECT unnest(?::VARCHAR[]))",
            *("json_extract_string(identifiers, ?) = ?" for _ in paths),
        ]
        values = [app, until, list(keys), *(part for pair in paths for part in pair)]
        with self._projector.still(), self._duck.cursor() as own:
            query = f"DELETE FROM events WHERE app = ? AND ts <= ? AND ({' OR '.join(tests)})"  # noqa: S608
            gone = int(own.execute(query, values).fetchall()[0][0])
            own.execute("CHECKPOINT").fetchall()  # or a log that is damaged later would bring them back
        if not self._projector.checkpoint():
            raise StoreBusy("the deletion is not on disk yet", "do it again in a moment", retry_after=5)
        return gone

    def _oldest_first(self, where: Where, since: int) -> Iterator[KeptEvent]:
        wanted, values = where
        query = _query(_COLUMNS, [*wanted, "ts >= ?", "ts < ?", "(ts, id, seq) > (?, ?, ?)"], _BY_TIME)
        for start, end in self._spans(wanted, values, since):
            after: Spot = (start, "", -1)
            while found := self._rows(query, [*values, start, end, *after]):
                some = [read(row) for row in found]
                yield from some
                after = spot_of(some[-1])

    def _asked(self, app: str, filter: Filter, by_hash: bool = False) -> Asked:
        return ask(app, filter, {} if filter.q is None else self._schema.slots(app), by_hash=by_hash)

    def _newest(self, where: Where, after: Spot | None, most: int) -> list[KeptEvent]:
        """Return at most `most` events, newest first, from behind `after` on.

        Their places are read first, for whole rows are wide.
        """
        wanted, values = where
        if after is not None:
            wanted, values = ["ts <= ?", *wanted, "(ts, id, seq) < (?, ?, ?)"], [after[0], *values, *after]
        query = _query("rowid", wanted, f"{_NEWEST} LIMIT {most:d}")
        with self._duck.cursor() as own:
            own.execute("BEGIN TRANSACTION READ ONLY")  # both of one moment: none is deleted or moved in between
            places = [place for (place,) in drained(own.execute(query, list(values)))]
            found = drained(own.execute(_PLACED, [places])) if places else []
            own.execute("COMMIT")
        return [read(row) for row in found]

    def _asked_one_by_one(self, doubtful: Where, filter: Filter, last: int) -> Iterator[KeptEvent]:
        """Give the doubtful events that are meant."""
        assert filter.q is not None
        query = _query(_COLUMNS, [*doubtful.wanted, "seq > ?", "seq <= ?"], _BY_SEQ)
        after = -1
        for _ in range(SETTLED // _SLICE):
            some = [read(row) for row in self._rows(query, [*doubtful.values, after, last])]
            yield from matching(filter.q, some)
            if len(some) < _SLICE:
                return
            after = some[-1].position
        hint = "ask for a shorter time or one event name, or leave out functions of texts that are not plain ASCII"
        raise too_many(hint)

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


def stored(own: duckdb.DuckDBPyConnection, app: str, sent: Sequence[tuple[int, str]]) -> set[Identity]:
    """Return which of these (timestamp as sent, id) are stored, as identities; only their range of time is read."""
    if not sent:
        return set()
    first, last = min(at for at, _ in sent), max(at for at, _ in sent)
    same = ["app = ?", "id IN (SELECT unnest(?::VARCHAR[]))"]
    values = [app, list({id for _, id in sent}), first, last]
    plain = _query("ts, id", [*same, "ts BETWEEN ? AND ?", "ahead = 0"])
    clamped = _query("ts + ahead, id", [*same, "ts + ahead BETWEEN ? AND ?", "ahead > 0"])
    found = drained(own.execute(plain, values)) + drained(own.execute(clamped, values))
    return {identity(at, id) for at, id in found}


def _query(what: str, wanted: Sequence[str], rest: str = "") -> str:
    return " ".join(("SELECT", what, "FROM events WHERE", " AND ".join(wanted), rest))
