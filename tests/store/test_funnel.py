"""What a funnel tells of a long period: eight times as many as of one in eight users, where these are enough."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.duration import DAY, HOUR
from sentinel.core.explore import FunnelWanted
from sentinel.core.record import Filter
from sentinel.store.embedded.words import DUCKDB_WORDS
from sentinel.store.explorer import funnel
from sentinel.store.explorer.machine import Machine
from sentinel.store.explorer.words import SHARE
from sentinel.store.rows import hash_of
from sentinel.store.sql import Sql

NAMES = ("signup", "search", "pay", "export")
USERS, EVENTS, DAYS = 4_000, 30_000, 20
QUESTIONS = st.builds(
    lambda since, steps, window, plan: FunnelWanted(
        Filter(since=since, until=DAYS * DAY), tuple(steps), window, "properties.plan" if plan else None
    ),
    st.integers(0, 8 * DAY), st.lists(st.sampled_from(NAMES), min_size=2, max_size=4),
    st.sampled_from([HOUR, DAY, 7 * DAY]), st.booleans(),
)  # fmt: skip
# Users are of one of two plans, but in one of fifty events of a third.
ROWS = f"""
CREATE TABLE events AS
WITH numbers AS (
  SELECT range AS n, CAST(hash(range) >> 1 AS BIGINT) AS h, CAST(hash(range + 777) >> 1 AS BIGINT) AS g
  FROM range({EVENTS})
)
SELECT 'shop' AS app, h % {DAYS * DAY} AS ts, n AS seq, user_h, NULL::UBIGINT AS ip_h,
  (['signup', 'search', 'pay', 'export'])[1 + (h >> 40) % 4] AS name,
  CASE WHEN g % 50 = 0 THEN '{{"plan":"rare"}}' ELSE '{{"plan":"p' || i % 2 || '"}}' END AS props
FROM numbers JOIN people ON i = g % {USERS}
"""


@pytest.fixture(scope="module")
def machine():
    """A machine over the events of some thousands of users."""
    with duckdb.connect(config={"threads": 2}) as connection:
        hashes = [hash_of(f"id:{i}") for i in range(USERS)]
        people = "CREATE TABLE people AS SELECT unnest(range(?)) AS i, unnest(CAST(? AS UBIGINT[])) AS user_h"
        connection.execute(people, [USERS, hashes]).fetchall()
        connection.execute(ROWS).fetchall()

        def ask(query, values):
            return connection.execute(query, list(values)).fetchall()

        def where(app, filter):
            return Sql("ts >= ? AND ts < ?", (filter.since, filter.until))

        yield Machine(ask, where, lambda: 0, lambda app: {}, DUCKDB_WORDS)


def enough(monkeypatch, users):
    monkeypatch.setattr(funnel, "ENOUGH", users)


@given(QUESTIONS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_estimate_is_near_the_truth_never_rises_and_is_the_same_each_time(machine, monkeypatch, asked):
    """Within five standard errors of what is counted, in every step of everybody and of each value."""
    enough(monkeypatch, 1)
    found, truth = funnel.funnel(machine, "shop", asked), funnel.funnel(machine, "shop", replace(asked, exact=True))
    assert (truth.approximate, found) == (False, funnel.funnel(machine, "shop", asked))
    counted = {(way.value, way.all): [step.users for step in way.steps] for way in truth.ways}
    for way in found.ways:
        users = [step.users for step in way.steps]
        assert users == sorted(users, reverse=True)
        for some, all_of_them in zip(users, counted[way.value, way.all], strict=True):
            error = sqrt((SHARE - 1) * all_of_them) if found.approximate else 0
            assert abs(some - all_of_them) <= 5 * error


@given(QUESTIONS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_estimate_is_what_the_users_of_the_lowest_hashes_did(machine, monkeypatch, asked):
    """So many times as many, with their medians; if only one step told has too few of them, it is counted."""

    def where(app, filter):
        return Sql(f"ts >= ? AND ts < ? AND user_h < {2**64 // SHARE}", (filter.since, filter.until))

    few = funnel.funnel(replace(machine, where=where), "shop", replace(asked, exact=True))
    least = min(step.users for way in few.ways for step in way.steps)
    enough(monkeypatch, least)
    scaled = [[(step.users * SHARE, *step[1:]) for step in way.steps] for way in few.ways]
    found = funnel.funnel(machine, "shop", asked)
    assert found.approximate
    assert [[tuple(step) for step in way.steps] for way in found.ways] == scaled
    enough(monkeypatch, least + 1)
    assert not funnel.funnel(machine, "shop", asked).approximate


def test_a_thousand_users_are_enough_for_three_per_cent(machine):
    assert sqrt((1 - 1 / SHARE) / funnel.ENOUGH) < 0.03
    asked = FunnelWanted(Filter(since=0, until=DAYS * DAY), NAMES[:2], DAY)
    assert not funnel.funnel(machine, "shop", asked).approximate


@pytest.mark.parametrize(("days", "exact", "approximate"), [(7, False, False), (8, False, True), (8, True, False)])
def test_up_to_a_week_and_where_it_is_asked_for_users_are_counted(machine, monkeypatch, days, exact, approximate):
    enough(monkeypatch, 1)
    asked = FunnelWanted(Filter(since=0, until=days * DAY), NAMES[:2], DAY, exact=exact)
    assert funnel.funnel(machine, "shop", asked).approximate is approximate


def test_no_sample_is_asked_where_a_step_has_fewer_events_than_it_takes_users(machine):
    asked = FunnelWanted(Filter(since=0, until=DAYS * DAY), ("signup", "never"), DAY)
    queries = []

    def ask(query, values):
        queries.append(query)
        return machine.ask(query, values)

    found = funnel.funnel(replace(machine, ask=ask), "shop", asked)
    assert (found.approximate, found.ways[0].steps[1].users) == (False, 0)
    assert not any(DUCKDB_WORDS.sample in query for query in queries)


def test_a_database_without_a_sample_counts(machine, monkeypatch):
    enough(monkeypatch, 1)
    asked = FunnelWanted(Filter(since=0, until=DAYS * DAY), NAMES[:2], DAY)
    counts = replace(machine, words=replace(DUCKDB_WORDS, sample=None))
    assert funnel.funnel(counts, "shop", asked) == funnel.funnel(machine, "shop", replace(asked, exact=True))
