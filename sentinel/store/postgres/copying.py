"""An event as a row to be copied in, and back; and the copying itself. What each column holds is defined in `rows`.

Properties are kept as jsonb, so that they can be searched. What jsonb would change is also in `more`, as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from sentinel.core.record import KeptEvent
from sentinel.store import rows
from sentinel.store.postgres.text import escaped, escaped_json, unescaped_json

_NOT_HERE = {"device_h", "ip4", "ip6", "conflicts", *rows.SLOTS}
_KINDS = {
    "BIGINT": "int8",
    "UBIGINT": "int8",
    "VARCHAR": "text",
    "BOOLEAN": "bool",
    "UTINYINT": "int2",
    "DOUBLE": "float8",
}
_PLACES = [place for place, name in enumerate(rows.COLUMNS) if name not in _NOT_HERE]
COLUMNS = tuple(name for name in rows.COLUMNS if name not in _NOT_HERE)
TYPES = ["jsonb" if name == "props" else _KINDS[rows.COLUMNS[name]] for name in COLUMNS]
READ = ", ".join('props::text AS "props"' if name == "props" else f'"{name}"' for name in rows.READ)

_pick = itemgetter(*_PLACES)
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_COPY = f"COPY events ({_NAMES}) FROM STDIN (FORMAT BINARY)"
_HASHES = tuple(COLUMNS.index(name) for name in ("user_h", "ip_h"))
_TEXTS = tuple(COLUMNS.index(name) for name in ("identifiers", "user_labels", "ip_labels", "params", "more"))
_MORE, _PROPS = COLUMNS.index("more"), COLUMNS.index("props")
_READ_MORE = rows.READ.index("more")
_READ_TEXTS = tuple(rows.READ.index(COLUMNS[place]) for place in (*_TEXTS, _PROPS))
_POWER = re.compile(r"[0-9][eE]")  # jsonb writes such a number out, and a large one comes back as an integer


def copy(connection: psycopg.Connection[Any], kept: Iterable[tuple[str, KeptEvent]]) -> None:
    """Copy the events of apps in, within the transaction under way."""
    with connection.cursor().copy(_COPY) as target:
        target.set_types(TYPES)
        for app, one in kept:
            target.write_row(row(app, one))


def row(app: str, kept: KeptEvent) -> Sequence[Any]:
    """Return an event as a row in the order of `COLUMNS`."""
    found: list[Any] = [escaped(value) if value.__class__ is str else value for value in _pick(_write(app, kept))]
    for place in _HASHES:
        found[place] = signed(found[place])
    for place in _TEXTS:
        if found[place] is not None:
            found[place] = escaped_json(found[place])
    props = found[_PROPS]
    if props is not None:
        if _POWER.search(props):
            more = found[_MORE]
            found[_MORE] = f'{"{" if more is None else more[:-1] + ","}"props":{escaped_json(props)}}}'
        found[_PROPS] = Jsonb(escaped_json(props), dumps=str.encode)
    return found


def signed(hash: int | None) -> int | None:
    """Return 64 bits as PostgreSQL counts them."""
    return hash - (1 << 64) if hash is not None and hash >= 1 << 63 else hash


def read(row: Sequence[Any]) -> KeptEvent:
    """Return the event of a row whose columns are `READ`."""
    row = [*row]
    for place in _READ_TEXTS:
        if row[place] is not None and "\\u001a" in row[place]:
            row[place] = unescaped_json(row[place])
    kept, more = rows.read(row), row[_READ_MORE]
    if more is not None and '"props":' in more and (exact := msgspec.json.decode(more).get("props")) is not None:
        kept.event.properties = exact
    return kept


def _write(app: str, kept: KeptEvent) -> tuple[Any, ...]:
    return rows.write(app, kept, (), rows.EMPTY_SLOTS)
