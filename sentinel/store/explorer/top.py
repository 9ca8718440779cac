"""What there is most of: the values of a field, and the names of events, by how many events or users have them."""

from __future__ import annotations

from dataclasses import replace

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
from sentinel.store.explorer.machine import Key, Machine
from sentinel.store.explorer.ranks import Ranks, ranks
from sentinel.store.sql import Sql, sql


def top(machine: Machine, app: str, wanted: TopWanted) -> Top:
    """Answer a question."""
    since, until = period(wanted.filter)
    roughly = estimates(since, until, wanted.exact)
    users = machine.distinct("user_h", roughly)
    key = machine.key(app, wanted.field, "field")
    where = machine.where(app, replace(wanted.filter, since=max(2 * since - until, 0)))
    now = machine.made(sql(f"{{}} AND ts >= {since}", where), key)
    found = ranks(machine, now, key, users if wanted.by == "users" else "count(*)", wanted.limit)
    amounts = _amounts(machine, where, key, found, since, users)
    total = _total(machine, where, since, users)
    items = tuple(
        Ranked(value, amounts.get((place, 1), Amount()), amounts.get((place, 0), Amount()))
        for place, value in enumerate(found.shown)
    )
    by_rank = sorted(items, key=lambda one: -_rank(one.now, wanted.by)) if roughly else items
    estimated = roughly and machine.words.roughly is not None
    return Top(tuple(by_rank), total.get(1, Amount()), total.get(0, Amount()), estimated, machine.behind())


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


def _amounts(
    machine: Machine, where: Sql, key: Key, found: Ranks, since: int, users: str
) -> dict[tuple[int, int], Amount]:
    """Return the amounts by place and period, 1 for this one and 0 for the one before."""
    if not found.keys:
        return {}
    made = machine.made(where, key)
    now = f"CASE WHEN ts >= {since} THEN 1 ELSE 0 END"
    query = f"SELECT {{}}, {now}, count(*), {users} FROM {{}} WHERE {{}} GROUP BY 1, 2"
    rows = machine.rows(sql(query, found.place(), made, found.among()))
    return {(place, period): Amount(events, who) for place, period, events, who in rows}


def _total(machine: Machine, where: Sql, since: int, users: str) -> dict[int, Amount]:
    now = f"CASE WHEN ts >= {since} THEN 1 ELSE 0 END"
    rows = machine.rows(sql(f"SELECT {now}, count(*), {users} FROM events WHERE {{}} GROUP BY 1", where))
    return {period: Amount(events, who) for period, events, who in rows}


def _rank(amount: Amount, by: By) -> int:
    return amount.users if by == "users" else amount.events
