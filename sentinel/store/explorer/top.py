"""What there is most of: the values of a field, and the names of events, by how many events or users have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sentinel.core.explore import (
    Amount,
    By,
    Names,
    NameSeen,
    Ranked,
    Sums,
    Top,
    TopWanted,
    estimates,
    period,
)
from sentinel.core.record import Filter
from sentinel.store.explorer.machine import Machine
from sentinel.store.explorer.ranks import shown
from sentinel.store.sql import Sql, sql

_PLACES = 31  # values whose presence in two periods fits the bits of one number
_EVER = sum(1 << 2 * place for place in range(_PLACES))


def top(machine: Machine, app: str, wanted: TopWanted) -> Top:
    """Answer a question."""
    since, until = period(wanted.filter)
    roughly = estimates(since, until, wanted.exact) and machine.words.roughly is not None
    where = machine.where(app, replace(wanted.filter, since=max(2 * since - until, 0)))
    key = machine.key(app, wanted.field, where, "field")
    place = "0" if key.shown is None else "seq"
    tables = f"made AS {'' if key.dear else 'NOT '}MATERIALIZED (SELECT user_h, {place} AS seq, k, ts FROM {{}})"
    alone = key.raw.text == "user_h AS own"  # each value is one user
    form = _estimated(machine, wanted) if roughly else _exact(machine, wanted, alone)
    rows = machine.rows(sql(f"WITH {tables}, {form}", machine.made(where, key)))
    both = wanted.by == "users"
    ranked = sorted((row for row in rows if row[0] is not None), key=lambda row: int(row[0]))
    values = shown(machine, app, key, [row[1] for row in ranked], [row[2] for row in ranked])
    items = [
        Ranked(value, Amount(int(row[3]), users[0]), Amount(int(row[4]), users[1] if both else None))
        for place, (value, row) in enumerate(zip(values, ranked, strict=True))
        for users in [_users(row, place, alone, roughly)]
    ]
    now, before = _total(machine, where, since, machine.distinct("user_h", True) if roughly else "0")
    if not roughly:
        now, before = now._replace(users=rows[0][5][-2]), before._replace(users=rows[0][5][-1])
    return Top(tuple(items), now, before if both else before._replace(users=None), roughly, machine.behind())


def _ranked(wanted: TopWanted, users: str) -> str:
    """Return tables of the values first in rank: their places, last events, and events in both periods."""
    within = f"FILTER (WHERE ts >= {wanted.filter.since})"
    now, rank = f"count(*) {within}", f"{users if wanted.by == 'users' else 'count(*)'} {within}"
    return (
        f"counted AS (SELECT k, max(seq) AS last, {now} AS n, count(*) - {now} AS b, {rank} AS r FROM made"
        f" GROUP BY k HAVING {now} > 0 ORDER BY r DESC, k NULLS LAST LIMIT {wanted.limit:d}),"
        " ranked AS (SELECT k, last, n, b, row_number() OVER (ORDER BY r DESC, k NULLS LAST) - 1 AS place FROM counted)"
    )


def _users(row: Sequence[Any], place: int, alone: bool, roughly: bool) -> tuple[int, int]:
    """Return the users of a value in both periods."""
    if alone:
        return (0, 0) if row[1] is None else (1, min(int(row[4]), 1))
    now, before = row[5] if roughly else row[5][2 * place : 2 * place + 2]
    return now, before


def _exact(machine: Machine, wanted: TopWanted, alone: bool) -> str:
    """Return a query that makes each user one row, whose bits say at which values it was, and in which period."""
    asked = "" if wanted.by == "users" else f" AND ts >= {wanted.filter.since}"
    here, lots = (
        f"{wanted.limit:d}" if alone else f"coalesce(place, {wanted.limit:d})",
        range(wanted.limit // _PLACES + 1),
    )
    before = f"CASE WHEN ts >= {wanted.filter.since} THEN 0 ELSE 1 END"
    bit = f"CAST(1 AS BIGINT) << CAST({here} % {_PLACES} * 2 + {before} AS INTEGER)"
    bits = (
        f"bit_or(CASE WHEN {machine.divided(here, _PLACES)} = {lot} THEN {bit} ELSE 0 END) AS bits{lot}" for lot in lots
    )
    tests = [
        f"((bits{place // _PLACES} >> {place % _PLACES * 2 + before}) & 1) = 1"
        for place in range(wanted.limit)
        for before in (0, 1)
    ]
    tests += [" OR ".join(f"(bits{lot} & {_EVER << before}) <> 0" for lot in lots) for before in (0, 1)]
    users = ", ".join(f"count(*) FILTER (WHERE {test})" for test in tests)
    return (
        f"{_ranked(wanted, 'count(DISTINCT user_h)')}, present AS (SELECT {', '.join(bits)}"
        f" FROM made{'' if alone else ' LEFT JOIN ranked ON made.k IS NOT DISTINCT FROM ranked.k'}"
        f" WHERE user_h IS NOT NULL{asked} GROUP BY user_h)"
        f" SELECT place, k, last, n, b, users FROM (SELECT ARRAY[{users}] AS users FROM present) AS found"
        " LEFT JOIN ranked ON TRUE"
    )


def _estimated(machine: Machine, wanted: TopWanted) -> str:
    """Return a query that estimates the users of each value in both periods."""
    users = machine.distinct("user_h", roughly=True)
    now = f"{users} FILTER (WHERE ts >= {wanted.filter.since})"
    before = f"{users} FILTER (WHERE ts < {wanted.filter.since})" if wanted.by == "users" else "0"
    return (
        f"{_ranked(wanted, users)}, guessed AS (SELECT place, ARRAY[{now}, {before}] AS users"
        " FROM made JOIN ranked ON made.k IS NOT DISTINCT FROM ranked.k GROUP BY place)"
        " SELECT place, k, last, n, b, users FROM ranked JOIN guessed USING (place)"
    )


def names(machine: Machine, app: str, filter: Filter, by: By, limit: int, exact: bool) -> Names:
    """Return the event names first in rank, each with its users."""
    since, until = period(filter)
    roughly = estimates(since, until, exact)
    users, where = machine.distinct("user_h", roughly), machine.where(app, filter)
    order = 3 if by == "users" else 2
    query = f"SELECT name, count(*), {users}, min(ts), max(ts) FROM events WHERE {{}} GROUP BY 1"
    rows = machine.rows(sql(f"{query} ORDER BY {order} DESC, 2 DESC, 1 LIMIT {limit:d}", where))
    (total,) = machine.rows(sql(f"SELECT count(*), {users} FROM events WHERE {{}}", where))
    items = tuple(NameSeen(name, Amount(count, who), first, last) for name, count, who, first, last in rows)
    return Names(items, Amount(*total), roughly and machine.words.roughly is not None, machine.behind())


def sums(machine: Machine, app: str, filter: Filter, exact: bool) -> Sums:
    """Return some events in sum."""
    since, until = period(filter)
    roughly = estimates(since, until, exact)
    users, ips = machine.distinct("user_h", roughly), machine.distinct("ip_h", roughly)
    where = machine.where(app, filter)
    ((events, who, addresses),) = machine.rows(sql(f"SELECT count(*), {users}, {ips} FROM events WHERE {{}}", where))
    return Sums(events, who, addresses, roughly and machine.words.roughly is not None)


def _total(machine: Machine, where: Sql, since: int, users: str) -> tuple[Amount, Amount]:
    """Return all events of this period and of the one before."""
    before = f"CASE WHEN ts >= {since} THEN 0 ELSE 1 END"
    rows = machine.rows(sql(f"SELECT {before}, count(*), {users} FROM events WHERE {{}} GROUP BY 1", where))
    found = {period: Amount(events, who) for period, events, who in rows}
    return found.get(0, Amount()), found.get(1, Amount())
