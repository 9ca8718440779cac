"""The parameters by which every route of the explorer says which events it is about, and how they are read."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from sentinel.api.context import Context
from sentinel.api.parts import Time, network, time, user_key
from sentinel.core import record
from sentinel.edge.errors import ApiError
from sentinel.service.search import LONGEST, QueryError

Q = Annotated[str | None, Query(max_length=LONGEST, description="A condition in the language of rules.")]

Since = Annotated[Time, Query(alias="from")]
Until = Annotated[Time, Query(alias="to")]


def wanted(
    here: Context, app: str, q: str | None = None, event: str | None = None, user: str | None = None,
    ip: str | None = None, since: str | None = None, until: str | None = None,
) -> record.Filter:  # fmt: skip
    """Return the filter that parameters ask for; raises ApiError or SentinelError for one that cannot be read."""
    who, period = user_key(here.store, app, user), span(since, until, here.clock())
    return record.Filter(event, who, network(ip), *period, condition(here, q))


def span(since: str | None, until: str | None, now: int) -> tuple[int | None, int | None]:
    """Return the beginning and the end of a period, None where not given; raises ApiError if it is empty."""
    found = time("from", since, now), time("to", until, now)
    forward(record.Filter(since=found[0], until=found[1]))
    return found


def forward(filter: record.Filter) -> record.Filter:
    """Return a filter as it is; raises ApiError if its period is empty."""
    if filter.since is not None and filter.until is not None and filter.since >= filter.until:
        raise ApiError("invalid", "`from`: it does not lie before `to`")
    return filter


def condition(here: Context, q: str | None) -> record.Query | None:
    """Return a condition compiled; raises ApiError with the place of every mistake in it."""
    try:
        return here.searches.query(q)
    except QueryError as error:
        raise ApiError(
            "invalid", error.message, error.hint, problems=[flaw._asdict() for flaw in error.flaws]
        ) from None
