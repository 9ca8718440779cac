"""Funnels: how many users do one thing after another, and how long it takes them.

A step is a table of the users who came so far, each with one time, so that a user's many events are not joined with one
another. Of a long period a share of the users is followed, as long as enough of them come as far as is reported.
"""

from __future__ import annotations

from typing import Any

from sentinel.core.explore import Funnel, FunnelWanted, Step, Way, estimates, period
from sentinel.core.record import Filter
from sentinel.store.explorer.machine import NO_KEY, Key, Machine
from sentinel.store.explorer.ranks import shown
from sentinel.store.explorer.words import SHARE
from sentinel.store.sql import Sql, sql

ENOUGH = 1000  # users of a sample in a step: the standard error of their number is then 3 % at most
_MEDIAN = "percentile_cont(0.5) WITHIN GROUP (ORDER BY {})"


def funnel(machine: Machine, app: str, wanted: FunnelWanted) -> Funnel:
    """Return how many users reach each step; of a long period from a sample, where that has enough users in each."""
    since, until = period(wanted.filter)
    where = machine.where(app, wanted.filter)
    key = NO_KEY if wanted.group_by is None else machine.key(app, wanted.group_by, where)
    sample = machine.words.sample
    if sample is not None and estimates(since, until, wanted.exact) and _frequent(machine, app, wanted):
        some = _ways(machine, app, wanted, sql("{} AND " + sample, where), key, sampled=True)
        if all(step.users >= ENOUGH for way in some for step in way.steps):
            return Funnel(tuple(map(_scaled, some)), True, machine.behind())
    return Funnel(_ways(machine, app, wanted, where, key, sampled=False), False, machine.behind())


def _frequent(machine: Machine, app: str, wanted: FunnelWanted) -> bool:
    """Say whether each step has so many events that a sample of its users may be large enough.

    This costs little, for only names are read; that the users are enough is known when the sample was counted.
    """
    enough = ENOUGH * SHARE
    where = machine.where(app, Filter(since=wanted.filter.since, until=wanted.filter.until))
    form = f"(SELECT count(*) FROM (SELECT 1 FROM events WHERE {{}} LIMIT {enough}) AS seen)"
    seen = [sql(form, _named(where, name)) for name in wanted.steps]
    ((least,),) = machine.rows(sql(f"SELECT least({', '.join('{}' for _ in seen)})", *seen))
    return bool(least >= enough)


def _scaled(way: Way) -> Way:
    """Return the steps of a sample with their users multiplied to those of all users; the times stay."""
    return way._replace(steps=tuple(step._replace(users=step.users * SHARE) for step in way.steps))


def _ways(machine: Machine, app: str, wanted: FunnelWanted, where: Sql, key: Key, *, sampled: bool) -> tuple[Way, ...]:
    """Return the steps of all users with events of a condition, and then of the users of each value of `key`."""
    found: dict[int | None, list[Step]] = {None: [Step(0)] * len(wanted.steps)}
    values: dict[int, tuple[Any, int]] = {}
    for number, everybody, place, users, since_start, since_last, k, seq in machine.rows(
        _query(machine, wanted, where, key, sampled=sampled)
    ):
        if number == 0:
            values[int(place)] = (k, seq)
        elif users and (everybody or place is not None):
            steps = found.setdefault(None if everybody else int(place), [Step(0)] * len(wanted.steps))
            steps[number - 1] = Step(users) if number == 1 else Step(users, float(since_start), float(since_last))
    begun = [values[place] for place in sorted(values)]
    texts = shown(machine, app, key, [k for k, _ in begun], [seq for _, seq in begun])
    ways = [Way(value, False, tuple(found[place])) for place, value in zip(sorted(values), texts, strict=True)]
    return (Way(None, True, tuple(found[None])), *ways)


def _query(machine: Machine, wanted: FunnelWanted, where: Sql, key: Key, *, sampled: bool) -> Sql:
    """Return a query whose rows are (step, everybody, place, users, two median times, key, journal position).

    Rows of step 0 say which key has which place in the ranking. All others count the users of a step who have that
    place (NULL: a value further down), or with `everybody` all of them.
    """
    by_value = wanted.group_by is not None
    asked = [_sums(number, by_value=by_value) for number in range(1, len(wanted.steps) + 1)]
    if by_value:  # they come first, for they say of what type values are
        asked.insert(0, "SELECT 0 AS step, 0 AS everybody, place, 0 AS users, 0.0, 0.0, k, seq FROM ranked")
    tables = _tables(machine, wanted, where, key, sampled=sampled)
    return sql("WITH {} " + " UNION ALL ".join(asked), sql(", ".join("{}" for _ in tables), *tables))


def _sums(number: int, *, by_value: bool) -> str:
    times = ", ".join(_MEDIAN.format(f"reached - {since}") for since in ("began", "past"))
    of, by = ("grouping(place), place", " GROUP BY GROUPING SETS ((place), ())") if by_value else ("1, 0", "")
    return (
        f"SELECT {number} AS step, {of}, count(*), {'NULL, NULL' if number == 1 else times}, NULL, NULL"
        f" FROM step{number}{by}"
    )


def _tables(machine: Machine, wanted: FunnelWanted, where: Sql, key: Key, *, sampled: bool) -> list[Sql]:
    """Return the tables of the query, among them one for each step, with one row a user.

    Its columns are `who`, `reached` (when), `began` (when they reached step 1), `past` (when they reached the step
    before) and `place`: the rank of the value in their first event. Of a sample the events of all later steps are few,
    and read once.
    """
    by_value = wanted.group_by is not None
    made = machine.made(_named(where, wanted.steps[0]), key)
    form = "SELECT user_h AS who, min(ts) AS reached{} FROM {} WHERE user_h IS NOT NULL GROUP BY 1"
    began = sql(form, Sql(_first(machine, key) if by_value else ""), made)
    tables = [sql("step1 AS MATERIALIZED ({})", began)]
    if by_value:
        order = f"ORDER BY count(*) DESC, {key.order} NULLS LAST"
        tables = [
            sql("begun AS MATERIALIZED ({})", began),
            Sql(f"ranked AS MATERIALIZED (SELECT k, max(seq) AS seq, row_number() OVER ({order}) - 1 AS place"
                f" FROM begun GROUP BY k {order} LIMIT {wanted.top:d})"),
            Sql("step1 AS MATERIALIZED (SELECT who, reached, place FROM begun"
                " LEFT JOIN ranked ON begun.k IS NOT DISTINCT FROM ranked.k)"),
        ]  # fmt: skip
    if sampled:
        form = "later AS MATERIALIZED (SELECT ts, user_h, name FROM events WHERE {})"
        tables.append(sql(form, _named(where, *wanted.steps[1:])))
    for number, name in enumerate(wanted.steps[1:], 2):
        made = sql("later WHERE {}", _name(name)) if sampled else sql("events WHERE {}", _named(where, name))
        tables.append(_later(wanted, number, made, by_value=by_value))
    return tables


def _first(machine: Machine, key: Key) -> str:
    """Return SQL for the key in each user's first event, and for that event's journal position where it is needed."""
    first = machine.words.earliest.format
    seq = "0" if key.shown is None else first("seq", "ts", "seq")
    return f", {first('k', 'ts', 'seq')} AS k, {seq} AS seq"


def _later(wanted: FunnelWanted, number: int, made: Sql, *, by_value: bool) -> Sql:
    name, last = wanted.steps[number - 1], f"step{number - 1}"
    began = "reached" if number == 2 else "began"
    kept = f", min({last}.place) AS place" if by_value else ""
    again = ">" if name in wanted.steps[: number - 1] else ">="
    form = (
        f"step{number} AS MATERIALIZED (SELECT who, min(ts) AS reached, min({last}.{began}) AS began,"
        f" min({last}.reached) AS past{kept} FROM (SELECT ts, user_h FROM {{}}) AS made"
        f" JOIN {last} ON user_h = who"
        f" WHERE ts {again} {last}.reached AND ts <= {last}.{began} + {wanted.window:d} GROUP BY 1)"
    )
    return sql(form, made)


def _named(where: Sql, *names: str) -> Sql:
    return sql("{} AND {}", where, _name(*names))


def _name(*names: str) -> Sql:
    """Return the condition that an event has one of some names."""
    marks = [Sql("?", (name,)) for name in dict.fromkeys(names)]
    return sql(f"name IN ({', '.join('{}' for _ in marks)})" if marks[1:] else "name = {}", *marks)
