"""Copy a data folder into an empty PostgreSQL database, and compare both afterwards.

Nothing is copied twice: events are known by their ids, rows by their keys, so an interrupted copy can be begun again. A
mark in the database says that it is not complete, and no server uses it meanwhile. States of windows are not copied:
they are folded from the events at the first start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Table, delete, func, select
from sqlmodel import SQLModel

from sentinel.core.duration import DAY
from sentinel.core.errors import StoreError
from sentinel.core.record import Filter, KeptEvent
from sentinel.store.changes import insert_new, put
from sentinel.store.embedded.backup import CONTROL
from sentinel.store.embedded.store import Embedded, open_store
from sentinel.store.postgres.store import MOVING, Postgres, open_postgres
from sentinel.store.tables import apps, settings

LUMP = 5_000  # events in one transaction
ROWS = 500
NOT_COPIED = frozenset({"journal", "snapshot", "lease", "room_version"})
_MASK = (1 << 64) - 1
Progress = Callable[[str, int], None]
Row = Mapping[str, Any]


class Sum(NamedTuple):
    """A number of rows, and the sum of their hashes, which does not depend on their order."""

    rows: int
    hash: int


class Moved(NamedTuple):
    """One table, or one app's events, by name, and the sum that both sides have."""

    what: str
    sum: Sum


def move(folder: Path, url: str, progress: Progress = lambda what, done: None) -> list[Moved]:
    """Copy a data folder into a database and compare both; return what was copied.

    Raises StoreError where a server uses either, where the database holds something else, and where they differ.
    """
    if not (folder / CONTROL).is_file():
        raise StoreError(f"`{folder}` holds no data", "name the data folder of the server in `data`")
    source = open_store(folder)
    try:
        target = open_postgres(url, alone=True, moving=True)
        try:
            return _moved(source, target, progress)
        finally:
            target.close()
    finally:
        source.close()


def _moved(source: Embedded, target: Postgres, progress: Progress) -> list[Moved]:
    with target.control.write() as connection:
        _begin(connection, source.id, source.installation() == target.installation())
    _copy_tables(source, target, progress)
    for app in source.access.apps():
        _copy_events(source, target, app.id, progress)
    found = [*_compared_tables(source, target), *_compared_events(source, target, progress)]
    with target.control.write() as connection:
        connection.execute(delete(settings).where(settings.c.name == MOVING))
    return found


def _begin(connection: Connection, source: str, same: bool) -> None:
    """Mark an empty database as being copied into from this source, or go on with one that is so marked.

    `same` says that what the database holds came from this source.
    """
    mine = connection.execute(select(settings.c.value).where(settings.c.name == MOVING)).scalar_one_or_none()
    if mine == source:
        return
    if mine is not None or connection.execute(select(func.count()).select_from(apps)).scalar_one():
        whose = "what this folder held already, and perhaps more" if same and mine is None else "another server's data"
        hint = "start servers on it, or " if same and mine is None else ""
        raise StoreError(f"the database holds {whose}", f"{hint}name an empty one in `database`")
    insert_new(connection, settings, [{"app": "", "name": MOVING, "value": source}])


def _tables() -> list[Table]:
    return [table for table in SQLModel.metadata.sorted_tables if table.name not in NOT_COPIED]


def _copy_tables(source: Embedded, target: Postgres, progress: Progress) -> None:
    for table in _tables():
        done = 0
        with source.control.read() as reading, target.control.write() as writing:
            rows = _rows(reading, table)
            while lot := list(islice(rows, ROWS)):
                _write(writing, table, lot)
                done += len(lot)
            _count_on(writing, table)
        progress(table.name, done)


def _write(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if table is not settings:
        insert_new(connection, table, rows)
        return
    for row in rows:  # the database has made the key of deleted persons' hashes: the folder's is the one that counts
        put(connection, table, row)


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """Give the rows of a table as PostgreSQL is to have them: without columns of properties, or what it computes."""
    query = select(*(column for column in table.columns if column.computed is None))
    if table is settings:
        query = query.where(settings.c.name != MOVING)
    plain = {"slot": None, "slot_from": 0} if table.name == "property" else {}
    for row in connection.execute(query).mappings():
        yield {**row, **plain}


def _count_on(connection: Connection, table: Table) -> None:
    """Set a table's sequence behind the ids that were copied."""
    (key, *more) = table.primary_key.columns
    if not more and isinstance(key.type, Integer) and key.autoincrement is not False:
        sequence = connection.exec_driver_sql("SELECT pg_get_serial_sequence(%s, %s)", (table.name, key.name)).scalar()
        newest = connection.execute(select(func.max(key))).scalar()
        if sequence is not None and newest is not None:
            connection.exec_driver_sql("SELECT setval(%s, %s)", (sequence, newest))


def _copy_events(source: Embedded, target: Postgres, app: str, progress: Progress) -> None:
    """Copy an app's events in their order of arrival, without those that are there already."""
    kept, done = source.events.after(app, 0), 0
    newest = max((one.event.at for one in source.events.search(app, Filter(), limit=1).items), default=0)
    while lump := [one.event for one in islice(kept, LUMP)]:
        target.prepare((event.at // DAY for event in lump), newest)
        with target.unit() as unit:
            fresh = [event for event, new in zip(lump, unit.claim(app, lump), strict=True) if new]
            unit.bring(app, fresh)
        done += len(lump)
        progress(f"events of {app}", done)


def _compared_tables(source: Embedded, target: Postgres) -> Iterator[Moved]:
    for table in _tables():
        with source.control.read() as here, target.control.read() as there:
            yield _same(table.name, _sum(_rows(here, table)), _sum(_rows(there, table)))


def _compared_events(source: Embedded, target: Postgres, progress: Progress) -> Iterator[Moved]:
    for app in source.access.apps():
        progress(f"comparing events of {app.id}", 0)
        here, there = (
            _sum(_plain(one) for one in store.events.matching(app.id, Filter())) for store in (source, target)
        )
        yield _same(f"events of {app.id}", here, there)


def _plain(kept: KeptEvent) -> Row:
    return vars(kept.event)


def _sum(rows: Iterable[Row]) -> Sum:
    count = total = 0
    for row in rows:
        text = json.dumps(dict(row), sort_keys=True, default=str)
        total += int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
        count += 1
    return Sum(count, total & _MASK)


def _same(what: str, here: Sum, there: Sum) -> Moved:
    if here != there:
        raise StoreError(
            f"`{what}` differs: {here.rows:,} rows with checksum {here.hash:016x} in the folder, {there.rows:,} with "
            f"{there.hash:016x} in the database",
            "drop the database, make an empty one, and begin again",
        )
    return Moved(what, here)
