"""How many users do one thing after another, and how long it takes them.

A step is a table of the users who came so far, each with one time: so no user's many events meet each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sentinel.core.explore import Funnel, FunnelWanted, Scalar, Step, Way, period
from sentinel.store.explorer.machine import NO_KEY, Key, Machine
from sentinel.store.explorer.ranks import Ranks
from sentinel.store.sql import Sql, sql

_MEDIAN = "percentile_cont(0.5) WITHIN GROUP (ORDER BY {})"


def funnel(machine: Machine, app: str, wanted: FunnelWanted) -> Funnel:
    """Answer a question."""
    period(wanted.filter)
    key = NO_KEY if wanted.group_by is None else machine.key(app, wanted.group_by)
    where = machine.where(app, wanted.filter)
    tables = _tables(machine, wanted, where, key)
    count = len(wanted.steps)
    ways = [Way(None, True, _steps(machine.rows(_sums(tables, count, Sql("0"))), count).get(0, _nobody(count)))]
    if wanted.group_by is not None:
        found = _first_values(machine, tables, key, wanted.top)
        rows = machine.rows(_sums(tables, count, found.place()))
        by_place = _steps(rows, count)
        ways += [Way(value, False, by_place.get(place, _nobody(count))) for place, value in enumerate(found.shown)]
    return Funnel(tuple(ways), machine.behind())


def _tables(machine: Machine, wanted: FunnelWanted, where: Sql, key: Key) -> Sql:
    """Return a table for each step: whose, the key, the time of the step, of the first one and of the one before."""
    made = machine.made(where, key)
    first = "NULL" if wanted.group_by is None else machine.words.earliest.format("k", "ts", "seq")
    shown = "NULL" if key.shown is None else machine.words.earliest.format("shown", "ts", "seq")
    begun = (
        f"SELECT user_h AS who, {first} AS k, {shown} AS shown, min(ts) AS reached, min(ts) AS began, min(ts) AS past"
    )
    tables = [sql(f"step1 AS MATERIALIZED ({begun} FROM {{}} WHERE name = {{}} AND user_h IS NOT NULL GROUP BY 1)",
                  made, Sql("?", (wanted.steps[0],)))]  # fmt: skip
    for number, name in enumerate(wanted.steps[1:], 2):
        later = ">" if name in wanted.steps[: number - 1] else ">="
        last = f"step{number - 1}"
        form = (
            f"step{number} AS MATERIALIZED (SELECT who, min({last}.k) AS k, min({last}.shown) AS shown,"
            f" min(ts) AS reached, min({last}.began) AS began, min({last}.reached) AS past"
            f" FROM {{}} JOIN {last} ON user_h = who"
            f" WHERE name = {{}} AND ts {later} {last}.reached AND ts <= {last}.began + {wanted.window:d} GROUP BY 1)"
        )
        tables.append(sql(form, _plain(where), Sql("?", (name,))))
    return sql("WITH " + ", ".join("{}" for _ in tables), *tables)


def _plain(where: Sql) -> Sql:
    return sql("(SELECT ts, name, user_h FROM events WHERE {}) AS made", where)


def _sums(tables: Sql, count: int, place: Sql) -> Sql:
    """Return the query of each step's users and medians by place."""
    asked = [
        sql(
            f"SELECT {number} AS step, {{}} AS place, count(*), {_MEDIAN.format('reached - began')},"
            f" {_MEDIAN.format('reached - past')} FROM step{number} GROUP BY 2",
            place,
        )
        for number in range(1, count + 1)
    ]
    return sql("{} " + " UNION ALL ".join("{}" for _ in asked), tables, *asked)


def _first_values(machine: Machine, tables: Sql, key: Key, most: int) -> Ranks:
    """Return the values most users begin with."""
    query = sql("{} SELECT k, count(*), min(shown) FROM step1 GROUP BY 1", tables)
    rows = machine.rows(sql(f"{{}} ORDER BY 2 DESC, 1 NULLS LAST LIMIT {most + 1}", query))
    kept = rows[:most]
    values: tuple[Scalar, ...] = tuple(key.read(one[0]) if key.shown is None else one[2] for one in kept)
    return Ranks(tuple(one[0] for one in kept), values, len(rows) > most)


def _steps(rows: Sequence[tuple[Any, ...]], count: int) -> dict[int, tuple[Step, ...]]:
    """Return the steps by place."""
    found: dict[int, list[Step]] = {}
    for number, place, users, since_start, since_last in rows:
        steps = found.setdefault(int(place), list(_nobody(count)))
        times = (None, None) if number == 1 else (float(since_start), float(since_last))
        steps[number - 1] = Step(users, *times)
    return {place: tuple(steps) for place, steps in found.items()}


def _nobody(count: int) -> tuple[Step, ...]:
    return (Step(0),) * count
