"""How many users do one thing after another, and how long it takes them.

A step is a table of the users who came so far, each with one time: so no user's many events meet each other.
"""

from __future__ import annotations

from typing import Any

from sentinel.core.explore import Funnel, FunnelWanted, Step, Way, period
from sentinel.store.explorer.machine import NO_KEY, Key, Machine
from sentinel.store.explorer.ranks import shown
from sentinel.store.sql import Sql, sql

_MEDIAN = "percentile_cont(0.5) WITHIN GROUP (ORDER BY {})"


def funnel(machine: Machine, app: str, wanted: FunnelWanted) -> Funnel:
    """Answer a question."""
    period(wanted.filter)
    where = machine.where(app, wanted.filter)
    key = NO_KEY if wanted.group_by is None else machine.key(app, wanted.group_by, where)
    rows = machine.rows(_query(machine, wanted, where, key))
    found: dict[int | None, list[Step]] = {}
    values: dict[int, tuple[Any, int]] = {}
    for number, place, users, since_start, since_last, k, seq in rows:
        steps = found.setdefault(None if place is None else int(place), [Step(0)] * len(wanted.steps))
        steps[number - 1] = Step(users) if number == 1 else Step(users, float(since_start), float(since_last))
        if number == 1 and place is not None:
            values[int(place)] = (k, seq)
    begun = [values[place] for place in sorted(values)]
    texts = shown(machine, app, key, [k for k, _ in begun], [seq for _, seq in begun])
    everybody = found.get(None, [Step(0)] * len(wanted.steps))
    ways = [Way(value, False, tuple(found[place])) for place, value in zip(sorted(values), texts, strict=True)]
    return Funnel((Way(None, True, tuple(everybody)), *ways), machine.behind())


def _query(machine: Machine, wanted: FunnelWanted, where: Sql, key: Key) -> Sql:
    """Return a query of each step's users and medians, of all (place NULL) and by the place of their value."""
    by_value = wanted.group_by is not None
    ranked = (
        "ranked AS (SELECT k, max(seq) AS seq, row_number() OVER (ORDER BY count(*) DESC, k NULLS LAST) - 1 AS place"
        f" FROM step1 GROUP BY k ORDER BY count(*) DESC, k NULLS LAST LIMIT {wanted.top:d})"
    )
    which = ["ranked.", ""] if by_value else [""]  # the first says of what type the values are
    asked = [_sums(number, of) for of in which for number in range(1, len(wanted.steps) + 1)]
    tables = [*_tables(machine, wanted, where, key), *([Sql(ranked)] if by_value else [])]
    listed = sql(", ".join("{}" for _ in tables), *tables)
    return sql("WITH {} " + " UNION ALL ".join(asked), listed)


def _sums(number: int, of: str) -> str:
    times = ", ".join(_MEDIAN.format(f"step{number}.reached - step{number}.{since}") for since in ("began", "past"))
    if not of:
        return (
            f"SELECT {number} AS step, CAST(NULL AS BIGINT) AS place, count(*), {times}, NULL AS k,"
            f" CAST(NULL AS BIGINT) AS seq FROM step{number} HAVING count(*) > 0"
        )
    return (
        f"SELECT {number}, ranked.place, count(*), {times}, ranked.k, ranked.seq FROM step{number}"
        f" JOIN ranked ON step{number}.k IS NOT DISTINCT FROM ranked.k GROUP BY ranked.place, ranked.k, ranked.seq"
    )


def _tables(machine: Machine, wanted: FunnelWanted, where: Sql, key: Key) -> list[Sql]:
    """Return a table a step: who, the value and event they began with, when they reached it, began, and were before."""
    begun = "user_h AS who, min(ts) AS reached, min(ts) AS began, min(ts) AS past"
    more = ("k", "seq") if wanted.group_by is not None else ()
    first = "".join(f", {machine.words.earliest.format(one, 'ts', 'seq')} AS {one}" for one in more)
    form = f"step1 AS MATERIALIZED (SELECT {begun}{first} FROM {{}} WHERE user_h IS NOT NULL GROUP BY 1)"
    tables = [sql(form, machine.made(_named(where, wanted.steps[0]), key))]
    for number, name in enumerate(wanted.steps[1:], 2):
        later = ">" if name in wanted.steps[: number - 1] else ">="
        last = f"step{number - 1}"
        kept = "".join(f", {last}.{one}" for one in more)
        form = (
            f"step{number} AS MATERIALIZED (SELECT who, min(ts) AS reached, min({last}.began) AS began,"
            f" min({last}.reached) AS past{kept} FROM (SELECT ts, user_h FROM events WHERE {{}}) AS made"
            f" JOIN {last} ON user_h = who"
            f" WHERE ts {later} {last}.reached AND ts <= {last}.began + {wanted.window:d} GROUP BY 1{kept})"
        )
        tables.append(sql(form, _named(where, name)))
    return tables


def _named(where: Sql, name: str) -> Sql:
    return sql("{} AND name = {}", where, Sql("?", (name,)))
