"""Rankings: the values of a field, and the names of events, by how many events or users have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

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
from sentinel.store.explorer.machine import Key, Machine, braced
from sentinel.store.explorer.ranks import Ranks, shown
from sentinel.store.sql import Sql, sql

_BITS = 62  # values whose presence fits one number
# Names with exact users, and of all names together: grouped by user first, since to sort all events for
# `count(DISTINCT …)` takes much longer.
_NAMES = (
    "WITH seen AS MATERIALIZED (SELECT name, user_h, count(*) AS n, min(ts) AS first, max(ts) AS last FROM events"
    " WHERE {} GROUP BY 1, 2) SELECT name, CAST(sum(n) AS BIGINT), count(user_h), min(first), max(last),"
    " (SELECT CAST(sum(n) AS BIGINT) FROM seen), (SELECT count(DISTINCT user_h) FROM seen) FROM seen GROUP BY 1"
)


def top(machine: Machine, app: str, wanted: TopWanted) -> Top:
    """Answer a question."""
    since, until = period(wanted.filter)
    roughly = estimates(since, until, wanted.exact) and machine.words.roughly is not None
    earliest = max(2 * since - until, 0) if wanted.previous else since
    where = machine.where(app, replace(wanted.filter, since=earliest))
    key = machine.key(app, wanted.field, where, "field")
    alone = key.raw.text == "user_h AS own"  # each value is one user
    rows = machine.rows(_now(machine, wanted, key, sql(f"{{}} AND ts >= {since}", where), alone, roughly))
    keys = tuple(row[1] for row in rows)
    values = shown(machine, app, key, keys, [row[2] for row in rows])
    before = Past({}, Amount(0, 0))
    if wanted.previous:
        past = sql(f"{{}} AND ts < {since}", where)
        before = _before(machine, wanted, past, key, Ranks(keys, values, True), roughly)
    counts = wanted.users or wanted.by == "users"
    items = tuple(
        Ranked(value, Amount(int(row[3]), _users(row, alone) if counts else None), before.of(int(row[0]), wanted.by))
        for value, row in zip(values, rows, strict=True)
    )
    total = Amount(int(rows[0][5]), _people(rows[0], alone)) if rows else Amount(0, 0)
    total = total if counts else total._replace(users=None)
    return Top(items, total, before.of(None, wanted.by), roughly, machine.behind())


class Past(NamedTuple):
    """The period before: the amount of each place that was there, and of all."""

    places: dict[int, Amount]
    all: Amount

    def of(self, place: int | None, by: By) -> Amount:
        """Return the amount of a place or of all; users are counted where they are the rank."""
        found = self.all if place is None else self.places.get(place, Amount(0, 0))
        return found if by == "users" else found._replace(users=None)


def _users(row: Sequence[Any], alone: bool) -> int:
    """Return the users of a value: told by the key, counted beside it, or found among those of all values."""
    place, key, _, _, users, _, _, people = row
    if alone:
        return int(key is not None)
    return int(people[int(place)] if users is None else users)


def _people(row: Sequence[Any], alone: bool) -> int:
    """Return the users of all values."""
    return int(row[6] if alone else row[7][-1] if row[7] else 0)


def _now(machine: Machine, wanted: TopWanted, key: Key, where: Sql, alone: bool, roughly: bool) -> Sql:
    """Return the query of the values first in rank, in order: place, key, last event, events, users; and of all values.

    Of all these are the events, the distinct keys, and last a list of users: of each value where that is not known
    yet, and of all.
    """
    by_users = wanted.by == "users"
    counted = by_users or (wanted.users and roughly and not alone)
    folded = key.dear and not counted
    rank = f"{'u DESC, n' if by_users else 'n'} DESC, k NULLS LAST"
    if alone or not (by_users or wanted.users):
        people = "SELECT NULL AS users"
    elif counted:
        people = f"SELECT ARRAY[{machine.distinct('user_h', roughly)}] AS users FROM made"
    else:
        people = _present(wanted.limit)
    seq = "0" if key.shown is None else "seq"
    again = key.dear and people != "SELECT NULL AS users"
    tables = _folded(key) if folded else _plain(machine.distinct("user_h", roughly) if counted else None)
    bits = [f"bit{lot}" for lot in _lots(wanted.limit)]
    known = "SELECT {} AS k{} FROM ranked{}".format(
        "j" if folded else "ranked.k", "".join(f", {bit}" for bit in bits),
        " JOIN held ON held.k IS NOT DISTINCT FROM ranked.k" if folded else "",
    )  # fmt: skip
    query = (
        f"WITH made AS {'' if again else 'NOT '}MATERIALIZED (SELECT user_h, {seq} AS seq, k FROM {{}}),"
        f" {braced(tables)} ORDER BY {rank} LIMIT {wanted.limit:d}),"
        f" placed AS (SELECT *, row_number() OVER (ORDER BY {rank}) - 1 AS place FROM counted),"
        f" ranked AS (SELECT *{''.join(f', {_bit(lot)}' for lot in _lots(wanted.limit))} FROM placed),"
        f" known AS ({known}), people AS ({people})"
        " SELECT place, k, last, n, u, total, keys, users FROM ranked CROSS JOIN people ORDER BY place"
    )
    return sql(query, machine.made(where, replace(key, form="j") if folded else key))


def _plain(users: str | None) -> str:
    """Return the beginning of the table of each key."""
    users = "CAST(NULL AS BIGINT)" if users is None else users
    return (
        f"counted AS (SELECT k, max(seq) AS last, count(*) AS n, {users} AS u, sum(count(*)) OVER () AS total,"
        " count(k) OVER () AS keys FROM made GROUP BY k"
    )


def _folded(key: Key) -> str:
    """Return the beginning of the table of each key where what it is made of, `j`, is grouped first: it is less."""
    return (
        "raw AS MATERIALIZED (SELECT k AS j, max(seq) AS last, count(*) AS n FROM made GROUP BY 1),"
        f" held AS MATERIALIZED (SELECT {key.form} AS k, j, last, n FROM raw),"
        " counted AS (SELECT k, max(last) AS last, sum(n) AS n, CAST(NULL AS BIGINT) AS u,"
        " sum(sum(n)) OVER () AS total, count(k) OVER () AS keys FROM held GROUP BY k"
    )


def _lots(limit: int) -> range:
    return range(0, limit, _BITS)


def _bit(lot: int) -> str:
    """Return the column of the bit that a place has in the number of a lot."""
    inside = f"place BETWEEN {lot} AND {lot + _BITS - 1}"
    return f"CASE WHEN {inside} THEN CAST(1 AS BIGINT) << CAST(place - {lot} AS INTEGER) END AS bit{lot}"


def _present(limit: int) -> str:
    """Return a query that makes each user one row, whose bits say at which values it was, and counts these."""
    bits = ", ".join(f"bit_or(bit{lot}) AS bits{lot}" for lot in _lots(limit))
    counts = [
        f"count(*) FILTER (WHERE (bits{place // _BITS * _BITS} >> {place % _BITS}) & 1 = 1)" for place in range(limit)
    ]
    return (
        f"SELECT ARRAY[{', '.join([*counts, 'count(*)'])}] AS users FROM (SELECT {bits}"
        " FROM made LEFT JOIN known ON made.k IS NOT DISTINCT FROM known.k"
        " WHERE user_h IS NOT NULL GROUP BY user_h) AS present"
    )


def _before(machine: Machine, wanted: TopWanted, where: Sql, key: Key, ranks: Ranks, roughly: bool) -> Past:
    """Return what there was before of the values first in rank.

    Events are counted by what keys are made of, of which there is less; but hashes are as many as users.
    """
    if wanted.by == "users":
        held = sql("(SELECT {} AS place, user_h FROM {}) AS held", ranks.place(), machine.made(where, key))
        sums = f"count(*), {machine.distinct('user_h', roughly)}"
    elif key.shown is not None:
        held = sql("(SELECT {} AS place FROM {}) AS held", ranks.place(), machine.made(where, key))
        sums = "count(*), 0"
    else:
        raw, form = (replace(key, form="j"), key.form) if key.dear else (key, "j")
        counted = sql("(SELECT k AS j, count(*) AS n FROM {} GROUP BY 1) AS counted", machine.made(where, raw))
        made = sql(f"(SELECT {braced(form)} AS k, n FROM {{}}) AS made", counted)
        held, sums = sql("(SELECT {} AS place, n FROM {}) AS held", ranks.place(), made), "sum(n), 0"
    found = machine.rows(sql(f"SELECT place, {sums} FROM {{}} GROUP BY GROUPING SETS ((place), ())", held))
    amounts = {row[0]: Amount(int(row[1] or 0), row[2]) for row in found}
    total = amounts.pop(None, Amount(0, 0))
    return Past({int(place): amount for place, amount in amounts.items()}, total)


def names(machine: Machine, app: str, filter: Filter, by: By, limit: int, exact: bool) -> Names:
    """Return the event names first in rank, each with its users."""
    since, until = period(filter)
    roughly = estimates(since, until, exact) and machine.words.roughly is not None
    where, order = machine.where(app, filter), f"ORDER BY {3 if by == 'users' else 2} DESC, 2 DESC, 1 LIMIT {limit:d}"
    if roughly:
        users = machine.distinct("user_h", roughly)
        query = f"SELECT name, count(*), {users}, min(ts), max(ts) FROM events WHERE {{}} GROUP BY 1 {order}"
        (total,) = machine.rows(sql(f"SELECT count(*), {users} FROM events WHERE {{}}", where))
        rows = machine.rows(sql(query, where))
    else:
        rows = _names_exactly(machine, where, by, limit) or machine.rows(sql(f"{_NAMES} {order}", where))
        total = rows[0][5:] if rows else (0, 0)
    items = tuple(NameSeen(name, Amount(count, who), first, last) for name, count, who, first, last, *_ in rows)
    return Names(items, Amount(*total), roughly, machine.behind())


def _names_exactly(machine: Machine, where: Sql, by: By, limit: int) -> list[tuple[Any, ...]]:
    """Return what `_NAMES` does where names are few: each user is one row, whose bits say which names it was seen with.

    There are far fewer users than pairs of users and names.
    """
    if machine.words.position is None:
        return []
    known = machine.rows(sql("SELECT name, count(*), min(ts), max(ts) FROM events WHERE {} GROUP BY 1", where))
    if not 0 < len(known) <= _BITS:
        return []
    place = sql(machine.words.position, Sql("?", (tuple(row[0] for row in known),)), Sql("name"))
    bits = sql("SELECT bit_or(CAST(1 AS BIGINT) << CAST({} - 1 AS INTEGER)) AS bits FROM events"
               " WHERE {} AND user_h IS NOT NULL GROUP BY user_h", place, where)  # fmt: skip
    counts = ", ".join(f"count(*) FILTER (WHERE (bits >> {number}) & 1 = 1)" for number in range(len(known)))
    ((everybody, *users),) = machine.rows(sql(f"SELECT count(*), {counts} FROM ({{}}) AS users", bits))
    events = sum(row[1] for row in known)
    rows = [(name, n, who, *seen, events, everybody) for (name, n, *seen), who in zip(known, users, strict=True)]
    return sorted(rows, key=lambda row: (-row[2 if by == "users" else 1], -row[1], row[0]))[:limit]


def sums(machine: Machine, app: str, filter: Filter, exact: bool) -> Sums:
    """Return some events in sum."""
    since, until = period(filter)
    roughly = estimates(since, until, exact)
    users, ips = machine.distinct("user_h", roughly), machine.distinct("ip_h", roughly)
    where = machine.where(app, filter)
    ((events, who, addresses),) = machine.rows(sql(f"SELECT count(*), {users}, {ips} FROM events WHERE {{}}", where))
    return Sums(events, who, addresses, roughly and machine.words.roughly is not None)
