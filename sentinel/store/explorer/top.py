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


class _Row(NamedTuple):
    """A row of the ranking: a value's place, key, last journal position, events and users, and what all values have.

    Of all values these are the events, the distinct keys, and a list of users: of each place, where `users` is None
    because it was not known yet, and last of all events.
    """

    place: int
    key: Any
    last: int
    events: int
    users: int | None
    all_events: int
    all_keys: int
    listed: Sequence[int] | None


def top(machine: Machine, app: str, wanted: TopWanted) -> Top:
    """Return the values of a field that most events or users have, with their amounts in the period and before it."""
    since, until = period(wanted.filter)
    roughly = estimates(since, until, wanted.exact) and machine.words.roughly is not None
    earliest = max(2 * since - until, 0) if wanted.previous else since
    where = machine.where(app, replace(wanted.filter, since=earliest))
    key = machine.key(app, wanted.field, where, "field")
    is_user = key.raw.text == "user_h AS own"  # each value is one user
    query = _now(machine, wanted, key, sql(f"{{}} AND ts >= {since}", where), is_user, roughly)
    rows = [_Row(*row) for row in machine.rows(query)]
    keys = tuple(row.key for row in rows)
    values = shown(machine, app, key, keys, [row.last for row in rows])
    past = Past({}, Amount(0, 0))
    if wanted.previous:
        earlier = sql(f"{{}} AND ts < {since}", where)
        past = _past(machine, wanted, earlier, key, Ranks(keys, values, True), roughly)
    counts = wanted.users or wanted.by == "users"
    items = tuple(
        Ranked(value, Amount(int(row.events), _users(row, is_user) if counts else None), past.of(row.place, wanted.by))
        for value, row in zip(values, rows, strict=True)
    )
    total = Amount(int(rows[0].all_events), _all_users(rows[0], is_user)) if rows else Amount(0, 0)
    total = total if counts else total._replace(users=None)
    return Top(items, total, past.of(None, wanted.by), roughly, machine.behind())


class Past(NamedTuple):
    """The period before: the amount of each place that had events in it, and of all events."""

    places: dict[int, Amount]
    all: Amount

    def of(self, place: int | None, by: By) -> Amount:
        """Return the amount of a place, or with None of all; it has users only where the ranking is by users."""
        found = self.all if place is None else self.places.get(place, Amount(0, 0))
        return found if by == "users" else found._replace(users=None)


def _users(row: _Row, is_user: bool) -> int:
    """Return the number of users of a value."""
    if is_user:
        return int(row.key is not None)
    return int((row.listed or ())[row.place] if row.users is None else row.users)


def _all_users(row: _Row, is_user: bool) -> int:
    """Return the number of users of all values together."""
    return int(row.all_keys if is_user else row.listed[-1] if row.listed else 0)


def _now(machine: Machine, wanted: TopWanted, key: Key, where: Sql, is_user: bool, roughly: bool) -> Sql:
    """Return the query of the values first in rank in the period, in their order; its rows are those of `_Row`."""
    by_users = wanted.by == "users"
    counted = by_users or (wanted.users and roughly and not is_user)
    folded = key.costly and not counted
    rank = f"{'u DESC, n' if by_users else 'n'} DESC, {key.order} NULLS LAST"
    if is_user or not (by_users or wanted.users):
        people = "SELECT NULL AS users"
    elif counted:
        people = f"SELECT ARRAY[{machine.distinct('user_h', roughly)}] AS users FROM made"
    else:
        people = _present(wanted.limit)
    seq = "0" if key.shown is None else "seq"
    again = key.costly and people != "SELECT NULL AS users"
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
    """Return SQL of the table `counted`, one row a key, without its end (order and limit)."""
    users = "CAST(NULL AS BIGINT)" if users is None else users
    return (
        f"counted AS (SELECT k, max(seq) AS last, count(*) AS n, {users} AS u, sum(count(*)) OVER () AS total,"
        " count(k) OVER () AS keys FROM made GROUP BY k"
    )


def _folded(key: Key) -> str:
    """Return the like of `_plain` for a costly key: grouped first by `j`, what the key is made of, and then by key."""
    return (
        "raw AS MATERIALIZED (SELECT k AS j, max(seq) AS last, count(*) AS n FROM made GROUP BY 1),"
        f" held AS MATERIALIZED (SELECT {key.form} AS k, j, last, n FROM raw),"
        " counted AS (SELECT k, max(last) AS last, sum(n) AS n, CAST(NULL AS BIGINT) AS u,"
        " sum(sum(n)) OVER () AS total, count(k) OVER () AS keys FROM held GROUP BY k"
    )


def _lots(limit: int) -> range:
    return range(0, limit, _BITS)


def _bit(lot: int) -> str:
    """Return SQL of the column `bit…` of a lot: the bit that stands for a place, NULL for places of other lots."""
    inside = f"place BETWEEN {lot} AND {lot + _BITS - 1}"
    return f"CASE WHEN {inside} THEN CAST(1 AS BIGINT) << CAST(place - {lot} AS INTEGER) END AS bit{lot}"


def _present(limit: int) -> str:
    """Return a query of one list: the users of each place, then of all. Bits of a row a user say at which it was."""
    bits = ", ".join(f"bit_or(bit{lot}) AS bits{lot}" for lot in _lots(limit))
    counts = [
        f"count(*) FILTER (WHERE (bits{place // _BITS * _BITS} >> {place % _BITS}) & 1 = 1)" for place in range(limit)
    ]
    return (
        f"SELECT ARRAY[{', '.join([*counts, 'count(*)'])}] AS users FROM (SELECT {bits}"
        " FROM made LEFT JOIN known ON made.k IS NOT DISTINCT FROM known.k"
        " WHERE user_h IS NOT NULL GROUP BY user_h) AS present"
    )


def _past(machine: Machine, wanted: TopWanted, where: Sql, key: Key, ranks: Ranks, roughly: bool) -> Past:
    """Return the amounts in the period before, of the values first in rank in the period itself.

    A costly key is made after events were counted by what it is made of: there is less of that than of events.
    """
    if wanted.by == "users":
        held = sql("(SELECT {} AS place, user_h FROM {}) AS held", ranks.place(), machine.made(where, key))
        sums = f"count(*), {machine.distinct('user_h', roughly)}"
    elif key.shown is not None:
        held = sql("(SELECT {} AS place FROM {}) AS held", ranks.place(), machine.made(where, key))
        sums = "count(*), 0"
    else:
        raw, form = (replace(key, form="j"), key.form) if key.costly else (key, "j")
        counted = sql("(SELECT k AS j, count(*) AS n FROM {} GROUP BY 1) AS counted", machine.made(where, raw))
        made = sql(f"(SELECT {braced(form)} AS k, n FROM {{}}) AS made", counted)
        held, sums = sql("(SELECT {} AS place, n FROM {}) AS held", ranks.place(), made), "sum(n), 0"
    found = machine.rows(sql(f"SELECT place, {sums} FROM {{}} GROUP BY GROUPING SETS ((place), ())", held))
    amounts = {row[0]: Amount(int(row[1] or 0), row[2]) for row in found}
    total = amounts.pop(None, Amount(0, 0))
    return Past({int(place): amount for place, amount in amounts.items()}, total)


def names(machine: Machine, app: str, filter: Filter, by: By, limit: int, exact: bool) -> Names:
    """Return the event names with the most events or users, each with both."""
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
    """Return the rows that `_NAMES` would, faster, or none where names are too many for that.

    Events are grouped by user, and the bits of a number say which names each was seen with: there are far fewer users
    than pairs of users and names.
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
    """Return the number of events, and of their distinct users and addresses."""
    since, until = period(filter)
    roughly = estimates(since, until, exact)
    users, ips = machine.distinct("user_h", roughly), machine.distinct("ip_h", roughly)
    where = machine.where(app, filter)
    ((events, who, addresses),) = machine.rows(sql(f"SELECT count(*), {users}, {ips} FROM events WHERE {{}}", where))
    return Sums(events, who, addresses, roughly and machine.words.roughly is not None)
