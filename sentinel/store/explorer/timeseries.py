"""A metric over time, in whole buckets, beside as many before them; with a line for each of a field's top values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sentinel.core.buckets import Buckets, buckets
from sentinel.core.explore import MOST_POINTS, Line, Scalar, Series, SeriesWanted, estimates, period, total
from sentinel.store.explorer.buckets import number_of
from sentinel.store.explorer.machine import NO_KEY, Key, Machine, Measure
from sentinel.store.explorer.ranks import Ranks, ranks
from sentinel.store.sql import Sql, sql

_ZERO = ("count", "users", "ips")  # what there is none of where there are no events
_FOLDED = ("count", "sum", "min", "max")  # what the buckets of a period tell of the whole
_RANKED = ("count", "users", "ips", "sum")
# Of sorted numbers between two: the one whose rank among all numbers is that of the 95th percentile.
_BETWEEN = (
    "(array_agg(x ORDER BY x) FILTER (WHERE x BETWEEN {0} AND {1}))"
    "[CAST(ceil(count(x) * CAST(0.95 AS FLOAT8)) AS INTEGER) - CAST(count(*) FILTER (WHERE x < {0}) AS INTEGER)]"
    " FROM {2}"
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with its buckets, and its condition, key and metric in SQL; without `lines` all events are one."""

    wanted: SeriesWanted
    over: Buckets
    where: Sql
    key: Key
    measure: Measure
    lines: Ranks | None

    @property
    def begin(self) -> int:
        """When the period begins, and the one before it ends."""
        return self.over.start(self.over.first)

    @property
    def earliest(self) -> int:
        """When the first bucket that is looked at begins."""
        return _earliest(self.wanted, self.over)


def series(machine: Machine, app: str, wanted: SeriesWanted) -> Series:
    """Return a metric in buckets of time, as a line for all events or for each of a field's top values and the rest."""
    since, until = period(wanted.filter)
    over = buckets(wanted.interval, wanted.zone, since, until, MOST_POINTS)
    end = over.end()
    roughly = estimates(since, until, wanted.exact)
    measure = machine.measure(app, wanted.metric, roughly)
    where = machine.where(app, replace(wanted.filter, since=_earliest(wanted, over), until=end))
    key = NO_KEY if wanted.group_by is None else machine.key(app, wanted.group_by, where)
    if key.costly and wanted.metric.kind in _FOLDED:
        return _folded(machine, wanted, over, where, key, measure)
    asked = _Asked(wanted, over, where, key, measure, None)
    if wanted.group_by is not None:
        asked = replace(asked, lines=_lines(machine, app, asked))
    found = _points(machine, asked)
    distinct = wanted.metric.kind in ("users", "ips")
    return Series(
        over.starts(), _starts_before(wanted, over), end, tuple(_drawn(machine, asked, found)),
        distinct and roughly and machine.words.roughly is not None, machine.behind(),
    )  # fmt: skip


def _earliest(wanted: SeriesWanted, over: Buckets) -> int:
    return max(over.start(over.first - over.count if wanted.previous else over.first), 0)


def _starts_before(wanted: SeriesWanted, over: Buckets) -> tuple[int, ...]:
    return over.starts(over.count) if wanted.previous else ()


def _folded(machine: Machine, wanted: SeriesWanted, over: Buckets, where: Sql, key: Key, measure: Measure) -> Series:
    """Answer for a costly key: events are grouped by what the key is made of first, and by the key after that."""
    bucket = number_of(over, _earliest(wanted, over), machine.divided)
    made = machine.made(where, replace(key, form="j"), measure)
    rows = machine.rows(sql(_folding(wanted, over, bucket, measure, key.form), made))
    keys = {int(place): k for place, _, _, k, _ in rows if place < wanted.top}
    more = any(last is not None and last >= wanted.top for *_, last in rows)
    kept = tuple(keys[place] for place in sorted(keys))
    lines = Ranks(kept, tuple(key.read(one) for one in kept), more)
    found = {(min(int(place), len(kept)), int(number)): value for place, number, value, _, _ in rows}
    asked = _Asked(wanted, over, where, key, measure, lines)
    before, lines_drawn = _starts_before(wanted, over), tuple(_drawn(machine, asked, found))
    return Series(over.starts(), before, over.end(), lines_drawn, False, machine.behind())


def _folding(wanted: SeriesWanted, over: Buckets, bucket: str, measure: Measure, form: str) -> str:
    """Return a query whose rows are (place, bucket, metric, key, last place); the rest has the place after the top.

    `form` makes the key of `j`, by which is grouped first: there are far fewer of these than events.
    """
    kind, top, inside = wanted.metric.kind, wanted.top, f"FILTER (WHERE bucket >= {over.first})"
    fold = "sum(m)" if kind == "count" else f"{kind}(m)"
    rank = fold if kind in _RANKED else "sum(c)"
    return (
        f"WITH raw AS MATERIALIZED (SELECT k AS j, {bucket} AS bucket, {measure.sum} AS m, count(*) AS c FROM {{}}"
        f" GROUP BY 1, 2), held AS (SELECT {form} AS k, bucket, m, c FROM raw),"
        f" counted AS (SELECT k, {rank} {inside} AS r FROM held GROUP BY k HAVING sum(c) {inside} > 0"
        f" ORDER BY r DESC NULLS LAST, k NULLS LAST LIMIT {top + 1}),"
        " ranked AS (SELECT k, row_number() OVER (ORDER BY r DESC NULLS LAST, k NULLS LAST) - 1 AS place FROM counted)"
        f" SELECT CASE WHEN place < {top} THEN place ELSE {top} END, bucket, {fold},"
        f" min(CASE WHEN place < {top} THEN held.k END), max(place) FROM held"
        " LEFT JOIN ranked ON held.k IS NOT DISTINCT FROM ranked.k GROUP BY 1, 2"
    )


def _lines(machine: Machine, app: str, asked: _Asked) -> Ranks:
    """Return the values that get a line: those first in rank in the period itself."""
    made = machine.made(sql(f"{{}} AND ts >= {asked.begin}", asked.where), asked.key, asked.measure)
    rank = asked.measure.sum if asked.wanted.metric.kind in _RANKED else "count(*)"
    return ranks(machine, app, made, asked.key, rank, asked.wanted.top)


Found = dict[tuple[int, int], float | None]


def _points(machine: Machine, asked: _Asked) -> Found:
    """Return the metric by line and bucket."""
    number = number_of(asked.over, asked.earliest, machine.divided)
    query = f"SELECT {{}} AS line, {number} AS bucket, {asked.measure.sum} FROM {{}} GROUP BY 1, 2"
    queries = [sql(query, *_by_line(machine, replace(asked, where=where))) for where in _parts(asked)]
    return {(int(row[0]), int(row[1])): row[2] for row in machine.rows(_together(queries))}


def _parts(asked: _Asked) -> list[Sql]:
    """Return the conditions of the queries to make: one, or for percentiles one for each half of the buckets.

    DuckDB sorts the groups of one query one after another, but those of two queries side by side.
    """
    if asked.lines is not None or asked.wanted.metric.kind != "p95":
        return [asked.where]
    middle = asked.begin if asked.wanted.previous else asked.over.start(asked.over.first + asked.over.count // 2)
    return [sql(f"{{}} AND ts {sign} {middle}", asked.where) for sign in ("<", ">=")]


def _together(queries: Sequence[Sql]) -> Sql:
    return sql(" UNION ALL ".join("{}" for _ in queries), *queries)


def _totals(machine: Machine, asked: _Asked, found: Found) -> Found:
    """Return the metric by line and period: 1 is the period asked for, 0 the one before."""
    if asked.lines is None and asked.wanted.metric.kind == "p95":
        return _between(machine, asked, found)
    line, made = _by_line(machine, asked)
    number = f"CASE WHEN ts >= {asked.begin} THEN 1 ELSE 0 END"
    query = f"SELECT {{}} AS line, {number} AS period, {asked.measure.sum} FROM {{}} GROUP BY 1, 2"
    return {(int(row[0]), int(row[1])): row[2] for row in machine.rows(sql(query, line, made))}


def _between(machine: Machine, asked: _Asked, found: Found) -> Found:
    """Return the 95th percentile of each period.

    It lies between the least and the greatest of the period's buckets, so that only numbers between these are sorted.
    """
    totals: Found = {}
    within = []
    for number, sign in ((1, ">="), (0, "<")):
        inside = [value for (_, bucket), value in found.items() if (bucket >= asked.over.first) is (number == 1)]
        values = [value for value in inside if value is not None]
        if values and min(values) == max(values):
            totals[0, number] = values[0]
        elif values:
            where = sql(f"{{}} AND ts {sign} {asked.begin}", asked.where)
            bounds = [Sql("CAST(? AS FLOAT8)", (float(one),)) for one in (min(values), max(values))]
            made = machine.made(where, asked.key, asked.measure)
            within.append(sql(f"SELECT {number}, {_BETWEEN}", *bounds, made))
    if within:
        totals |= {(0, number): value for number, value in machine.rows(_together(within))}
    return totals


def _by_line(machine: Machine, asked: _Asked) -> tuple[Sql, Sql]:
    made = machine.made(asked.where, asked.key, asked.measure)
    return (Sql("0") if asked.lines is None else asked.lines.place()), made


def _drawn(machine: Machine, asked: _Asked, found: Found) -> list[Line]:
    values: Sequence[tuple[Scalar, bool]] = [(None, False)] if asked.lines is None else asked.lines.values()
    totals = {} if asked.wanted.metric.kind in _FOLDED else _totals(machine, asked, found)
    return [_line(asked, number, value, rest, found, totals) for number, (value, rest) in enumerate(values)]


def _line(asked: _Asked, number: int, value: Scalar, rest: bool, found: Found, totals: Found) -> Line:
    kind, over = asked.wanted.metric.kind, asked.over
    none = 0 if kind in _ZERO else None

    def points(first: int) -> tuple[Any, ...]:
        return tuple(found.get((number, bucket), none) for bucket in range(first, first + over.count))

    now, before = points(over.first), points(over.first - over.count) if asked.wanted.previous else ()
    if kind in _FOLDED:
        return Line(value, rest, now, before, total(now, kind), total(before, kind) if before else None)
    return Line(
        value, rest, now, before, totals.get((number, 1), none), totals.get((number, 0), none if before else None)
    )
