"""Who was there: user keys in the order of their last event, and what a user or an address did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sentinel.core.explore import Activity, Happened, Share, UserSeen, UsersWanted, period
from sentinel.core.record import Filter, Page
from sentinel.store.explorer.machine import Machine
from sentinel.store.paging import bounded, cursor, place
from sentinel.store.rows import hash_of
from sentinel.store.sql import Sql, sql

SHARES = 20  # values shown of each kind
NEWEST = 50
_OF_USER = {
    "events": "name",
    "ips": "ip",
    "devices": "device",
    "countries": "country",
    "browsers": "browser",
    "os": "os",
}
_OF_IP = {
    "events": "name",
    "users": "user_key",
    **{kind: _OF_USER[kind] for kind in ("devices", "countries", "browsers", "os")},
}
_SORTS = {"last": "last", "events": "events"}


def users(machine: Machine, app: str, wanted: UsersWanted) -> Page[UserSeen]:
    """Return one page of user keys."""
    period(wanted.filter)
    where = sql("{} AND user_h IS NOT NULL", machine.where(app, wanted.filter))
    if wanted.begins:
        where = sql("{} AND starts_with(user_key, {})", where, Sql("?", (wanted.begins,)))
    sort = _SORTS[wanted.sort]
    seen = sql(
        "SELECT user_h AS who, count(*) AS events, min(ts) AS first, max(ts) AS last FROM events WHERE {} GROUP BY 1",
        where,
    )
    after = Sql("TRUE")
    if wanted.cursor is not None:
        value, who = place(wanted.cursor, int, str)
        after = Sql(f"({sort} < ? OR ({sort} = ? AND who < ?))", (value, value, _hash(who)))
    query = f"SELECT who, events, first, last FROM ({{}}) AS seen WHERE {{}} ORDER BY {sort} DESC, who DESC"
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
    """Return what the person of some keys did."""
    hashes, texts = ([Sql("?", (one,)) for one in values] for values in ([hash_of(key) for key in keys], keys))
    listed = ", ".join("{}" for _ in keys)
    mine = sql(f"user_h IN ({listed}) AND user_key IN ({listed})", *hashes, *texts)
    return _activity(machine, sql("{} AND {}", machine.where(app, filter), mine), _OF_USER)


def of_ip(machine: Machine, app: str, filter: Filter) -> Activity:
    """Return what came from the filter's address or network."""
    return _activity(machine, machine.where(app, filter), _OF_IP)


def _keys(machine: Machine, where: Sql, rows: Sequence[tuple[Any, ...]]) -> dict[int, str]:
    """Return the keys of hashes; each has an event at its last time."""
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
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 24 else 0


def _activity(machine: Machine, where: Sql, kinds: dict[str, str]) -> Activity:
    """Return everything in one reading of the events, as rows of one form."""
    columns = ", ".join(("ts", "id", "seq", "success", "ip", "name", "user_key", "device", "country", "browser", "os"))
    parts = [f"SELECT 'all', NULL, count(*), min(ts), max(ts), {_NOTHING} FROM mine"]
    parts += [
        f"SELECT * FROM (SELECT '{kind}', {column}, count(*) AS n, min(ts), max(ts), {_NOTHING} FROM mine"
        f" WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY n DESC, {column} LIMIT {SHARES}) AS {kind}"
        for kind, column in kinds.items()
    ]
    parts.append(
        f"SELECT * FROM (SELECT 'newest', id, seq, ts, ts, name, success, user_key, ip, country FROM mine"
        f" ORDER BY ts DESC, id DESC, seq DESC LIMIT {NEWEST}) AS newest"
    )
    form = f"WITH mine AS MATERIALIZED (SELECT {columns} FROM events WHERE {{}}) " + " UNION ALL ".join(parts)
    return _read(machine.rows(sql(form, where)), kinds, machine.behind())


_NOTHING = (
    "CAST(NULL AS VARCHAR), CAST(NULL AS BOOLEAN), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR)"
)


def _read(rows: Sequence[tuple[Any, ...]], kinds: dict[str, str], behind: int) -> Activity:
    shares: dict[str, list[Share]] = {kind: [] for kind in kinds}
    newest: list[tuple[int, str, int, Happened]] = []
    events, first, last = 0, None, None
    for kind, value, count, begin, end, *rest in rows:
        if kind == "all":
            events, first, last = count, begin, end
        elif kind == "newest":
            name, success, user, ip, country = rest
            newest.append((begin, value, count, Happened(value, begin, name, success, user, ip, country)))
        else:
            shares[kind].append(Share(value, count, begin, end))
    ordered = {kind: tuple(sorted(some, key=lambda one: (-one.events, one.value))) for kind, some in shares.items()}
    timeline = tuple(one[3] for one in sorted(newest, key=lambda one: one[:3], reverse=True))
    return Activity(events, first, last, ordered, timeline, behind)
