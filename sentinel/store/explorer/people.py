"""Users in the order of their last event, and what a user or an address did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sentinel.core import address
from sentinel.core.explore import Activity, Happened, Share, UserSeen, UsersWanted, period
from sentinel.core.record import Filter, Page
from sentinel.store.explorer.machine import Machine
from sentinel.store.paging import bounded, cursor, place
from sentinel.store.rows import hash_of
from sentinel.store.sql import Sql, sql

SHARES = 20  # values shown of each kind
NEWEST = 50


class Kind(NamedTuple):
    """What is counted: a column, and the column with its text, which differs where the first is a hash."""

    column: str
    text: str


_KINDS = {"events": "name", "devices": "device", "countries": "country", "browsers": "browser", "os": "os"}
_NOTHING: Mapping[str, Sql] = {}
_TOLD = ("id", "ts", "name", "success", "user_key", "ip", "country")
_SORTS = {"last": "last", "events": "events"}


def users(machine: Machine, app: str, wanted: UsersWanted) -> Page[UserSeen]:
    """Return one page of user keys."""
    period(wanted.filter)
    where = sql("{} AND user_h IS NOT NULL", machine.where(app, wanted.filter))
    if wanted.begins:
        where = sql("{} AND starts_with(user_key, {})", where, Sql("?", (wanted.begins,)))
    sort, order = _SORTS[wanted.sort], machine.words.unsigned.format
    seen = sql(
        "SELECT user_h AS who, count(*) AS events, min(ts) AS first, max(ts) AS last FROM events WHERE {} GROUP BY 1",
        where,
    )
    after = Sql("TRUE")
    if wanted.cursor is not None:
        value, who = place(wanted.cursor, int, str)
        after = Sql(f"({sort} < ? OR ({sort} = ? AND {order('who')} < {order('?')}))", (value, value, _hash(who)))
    query = f"SELECT who, events, first, last FROM ({{}}) AS seen WHERE {{}} ORDER BY {sort} DESC, {order('who')} DESC"
    rows = machine.rows(sql(f"{query} LIMIT {bounded(wanted.limit) + 1}", seen, after))
    kept = rows[: wanted.limit]
    keys = _keys(machine, where, kept)
    items = tuple(UserSeen(keys[who], events, first, last) for who, events, first, last in kept)
    more = None
    if len(rows) > wanted.limit:
        last = kept[-1]
        more = cursor([last[3] if sort == "last" else last[1], str(last[0])])
    return Page(items, more, machine.behind())


def of_user(machine: Machine, app: str, keys: Sequence[str], filter: Filter) -> Activity:
    """Return what the person with these user keys did.

    Events are found by the hashes of the keys: reading the texts would cost ten times as much.
    """
    mine = sql(f"user_h IN ({', '.join('{}' for _ in keys)})", *(Sql("?", (hash_of(key),)) for key in keys))
    names = [Sql("WHEN ? THEN CAST(? AS VARCHAR)", (hash_of(key), key)) for key in keys]
    shown = {"user_key": sql(f"CASE user_h {' '.join('{}' for _ in names)} END", *names)}
    return _activity(machine, sql("{} AND {}", machine.where(app, filter), mine), {"ips": "ip", **_KINDS}, shown)


def of_ip(machine: Machine, app: str, filter: Filter) -> Activity:
    """Return what came from the filter's address or network."""
    exact = address.normalise(filter.ip or "")
    if exact is None:
        return _activity(machine, machine.where(app, filter), {"users": "user_key", **_KINDS})
    where = sql("{} AND {}", machine.where(app, replace(filter, ip=None)), Sql("ip_h = ?", (hash_of(exact),)))
    shown = {"ip": Sql("CAST(? AS VARCHAR)", (exact,))}
    return _activity(machine, where, {"users": "user_key", **_KINDS}, shown)


def _keys(machine: Machine, where: Sql, rows: Sequence[tuple[Any, ...]]) -> dict[int, str]:
    """Return the user keys of the hashes in `rows`, read from the events since the oldest of their last times."""
    if not rows:
        return {}
    hashes = [Sql("?", (row[0],)) for row in rows]
    oldest = min(row[3] for row in rows)
    listed = ", ".join("{}" for _ in rows)
    query = (
        f"SELECT user_h, min(user_key) FROM events WHERE {{}} AND ts >= {oldest} AND user_h IN ({listed}) GROUP BY 1"
    )
    return dict(machine.rows(sql(query, where, *hashes)))


def _hash(text: str) -> int:
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 24 else 0


def _activity(machine: Machine, where: Sql, texts: Mapping[str, str], known: Mapping[str, Sql] = _NOTHING) -> Activity:
    """Return the counts and the newest events of a condition.

    Everything is counted in one pass over narrow columns; then the texts to be shown are read for a few events.
    `texts` are the columns to count, by the name of the share; `known` replaces columns whose text need not be read.
    """
    hashed = machine.words.dialect.hashed

    def order(kind: Kind) -> str:
        return kind.column if kind.column == kind.text else machine.words.unsigned.format(kind.column)

    kinds = {name: Kind(hashed.get(text, text), text) for name, text in texts.items()}
    columns = ", ".join(dict.fromkeys(("ts", "seq", *(kind.column for kind in kinds.values()))))
    parts = ["SELECT 'all' AS kind, NULL AS value, count(*) AS n, min(ts), max(ts), NULL AS last FROM mine"]
    parts += [
        f"SELECT * FROM (SELECT '{name}', CAST({kind.column} AS VARCHAR) AS value, count(*) AS n, min(ts), max(ts),"
        f" max(seq) FROM mine WHERE {kind.column} IS NOT NULL GROUP BY {kind.column}"
        f" ORDER BY n DESC, {order(kind)} LIMIT {SHARES}) AS {name}"
        for name, kind in kinds.items()
    ]
    parts.append(
        f"SELECT * FROM (SELECT 'newest', CAST(NULL AS VARCHAR), 0, ts, ts, seq FROM mine WHERE ts >= (SELECT min(ts)"
        f" FROM (SELECT ts FROM mine ORDER BY ts DESC LIMIT {NEWEST}) AS n) LIMIT {2 * NEWEST + 1}) AS newest"
    )
    form = f"WITH mine AS MATERIALIZED (SELECT {columns} FROM events WHERE {{}}) " + " UNION ALL ".join(parts)
    rows = machine.rows(sql(form, where))
    found: dict[str, list[tuple[Any, ...]]] = {}
    for kind, *rest in rows:
        found.setdefault(kind, []).append(tuple(rest))
    ((_, events, first, last, _),) = found["all"]
    if not events:
        return Activity(shares=dict.fromkeys(kinds, ()), behind=machine.behind())
    newest = found["newest"]
    few = len(newest) <= 2 * NEWEST
    shown = _shown(machine, where, kinds, known, [*_places(kinds, found), *(row[4] for row in newest if few)])
    shares = {name: _shares(kind, found.get(name, []), shown) for name, kind in kinds.items()}
    timeline = _timeline(newest, shown) if few else _newest(machine, where, known, newest[0][2])
    return Activity(events, first, last, shares, timeline, machine.behind())


def _places(kinds: Mapping[str, Kind], found: Mapping[str, Sequence[tuple[Any, ...]]]) -> Iterator[int]:
    """Give the journal position of one event for each value that is a hash."""
    for name, kind in kinds.items():
        if kind.text != kind.column:
            yield from (row[4] for row in found.get(name, []))


def _shown(
    machine: Machine, where: Sql, kinds: Mapping[str, Kind], known: Mapping[str, Sql], places: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Return the shown columns of the events at some journal positions, by position; without those deleted meanwhile.

    All are read by one query, because texts are slow to read.
    """
    if not places:
        return {}
    texts = {kind.text: Sql(kind.text) for kind in kinds.values() if kind.text != kind.column}
    columns = {name: Sql(name) for name in _TOLD} | texts | dict(known)
    listed = ", ".join(f"{place:d}" for place in sorted(set(places)))
    there = sql(machine.words.few, sql(f"{{}} AND seq IN ({listed})", where))
    rows = machine.rows(
        sql(f"SELECT seq, {', '.join('{}' for _ in columns)} FROM events WHERE {{}}", *columns.values(), there)
    )
    return {seq: dict(zip(columns, row, strict=True)) for seq, *row in rows}


def _shares(kind: Kind, rows: Sequence[tuple[Any, ...]], shown: Mapping[int, Mapping[str, Any]]) -> tuple[Share, ...]:
    told = kind.text == kind.column
    there = [row for row in rows if told or row[4] in shown]
    shares = [Share(row[0] if told else shown[row[4]][kind.text], *row[1:4]) for row in there]
    return tuple(sorted(shares, key=lambda one: (-one.events, one.value)))


def _timeline(newest: Sequence[tuple[Any, ...]], shown: Mapping[int, Mapping[str, Any]]) -> tuple[Happened, ...]:
    """Return the newest events, of the rows that may be among them."""
    some = sorted(((row[2], shown[row[4]]["id"], row[4]) for row in newest if row[4] in shown), reverse=True)
    return tuple(Happened(*(shown[place][name] for name in _TOLD)) for _, _, place in some[:NEWEST])


def _newest(machine: Machine, where: Sql, known: Mapping[str, Sql], since: int) -> tuple[Happened, ...]:
    """Return the newest events, none older than `since`: for the case that very many events have that time."""
    user, ip = (known.get(text, Sql(text)) for text in ("user_key", "ip"))
    query = f"SELECT id, ts, name, success, {{}}, {{}}, country FROM events WHERE {{}} AND ts >= {since}"
    rows = machine.rows(sql(f"{query} ORDER BY ts DESC, id DESC, seq DESC LIMIT {NEWEST}", user, ip, where))
    return tuple(Happened(*row) for row in rows)
