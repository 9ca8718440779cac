"""Retention: users by the bucket of their first event, and how many of them were there in each later one.

The buckets in which a user was there are the bits of one number, so that each user is one row.
"""

from __future__ import annotations

from sentinel.core.buckets import Buckets, buckets
from sentinel.core.explore import MOST_COHORTS, Cohort, Retention, RetentionWanted, period
from sentinel.store.explorer.buckets import number_of
from sentinel.store.explorer.machine import Machine
from sentinel.store.sql import Sql, sql


def retention(machine: Machine, app: str, wanted: RetentionWanted) -> Retention:
    """Return the users who began in each bucket, and how many of them were there in each later one."""
    since, until = period(wanted.filter)
    over = buckets(wanted.interval, wanted.zone, since, until, MOST_COHORTS)
    where = machine.where(app, wanted.filter)
    bit = f"CAST(1 AS BIGINT) << CAST({number_of(over, since, machine.divided)} - {over.first} AS INTEGER)"
    begun, back = _bits(bit, wanted.start), _bits(bit, wanted.back)
    users = sql(
        "SELECT {} AS begun, {} AS back FROM events WHERE {} AND user_h IS NOT NULL GROUP BY user_h", begun, back, where
    )
    first = "begun & (-begun)"
    sums = ", ".join(f"sum((back >> {number}) & 1)" for number in range(over.count))
    query = f"SELECT {first}, count(*), {sums} FROM ({{}}) AS users WHERE begun IS NOT NULL GROUP BY 1"
    found = {int(row[0]).bit_length() - 1: row[1:] for row in machine.rows(sql(query, users))}
    starts = over.starts()
    cohorts = tuple(_cohort(over, number, starts[number], found.get(number)) for number in range(over.count))
    return Retention(cohorts, over.end(), machine.behind())


def _bits(bit: str, name: str | None) -> Sql:
    if name is None:
        return Sql(f"bit_or({bit})")
    return Sql(f"bit_or({bit}) FILTER (WHERE name = ?)", (name,))


def _cohort(over: Buckets, number: int, at: int, row: tuple[int, ...] | None) -> Cohort:
    if row is None:
        return Cohort(at, 0, (0,) * (over.count - number))
    return Cohort(at, row[0], tuple(int(count or 0) for count in row[1 + number :]))
