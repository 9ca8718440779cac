"""A filter as conditions of DuckDB with their values: its fields, and its condition of the rules' language.

Rows that need a second look get it in `events`; how the language becomes SQL is in `condition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sentinel.core import address
from sentinel.core.event import Event
from sentinel.core.record import Filter
from sentinel.store.asked import network
from sentinel.store.condition import translate
from sentinel.store.embedded.words import DUCKDB
from sentinel.store.rows import hash_of
from sentinel.store.sql import Sql
from sentinel.store.values import Slot

_TEXTS = ("user_key = ?", "ip = ?")  # each beside its hash


class Where(NamedTuple):
    """SQL conditions that must all hold, and the values of their `?` in order."""

    wanted: list[str]
    values: list[Any]

    def also(self, test: str, *values: Any) -> Where:
        """Return these with one more."""
        return Where([*self.wanted, test], [*self.values, *values])


class Asked(NamedTuple):
    """A filter as SQL: all events that it finds meet `may`.

    Where SQL cannot decide for all of these, those that meet `sure` are found, and those that meet `doubtful` must be
    looked at one by one. Both are None where `may` is exact.
    """

    may: Where
    sure: Sql | None = None
    doubtful: Where | None = None


def ask(app: str, filter: Filter, slots: Mapping[str, Slot], by_hash: bool = False) -> Asked:
    """Return a filter as SQL; `slots` are the properties of the app that have columns.

    With `by_hash`, user and address are compared by their hashes alone, which take a third of the time to read: the
    caller then checks what is found with `meant`.
    """
    plain = _of_fields(app, filter, by_hash)
    if filter.q is None:
        return Asked(plain)
    pair = translate(filter.q.tree, DUCKDB, slots)
    may = plain.also(DUCKDB.finished(pair.may), *DUCKDB.given(pair.may))
    if pair.exact:
        return Asked(may)
    return Asked(may, pair.must, may.also(f"({DUCKDB.finished(pair.must)}) IS NOT TRUE", *DUCKDB.given(pair.must)))


def settled(asked: Asked, app: str, filter: Filter, found: list[int], last: int) -> Where:
    """Return exact conditions for the events up to place `last` in the journal, given the places of the doubtful
    events that were `found` to be meant.
    """
    assert asked.sure is not None
    test = f"(({DUCKDB.finished(asked.sure)}) OR seq IN (SELECT unnest(CAST(? AS BIGINT[]))))"
    return _of_fields(app, filter).also("seq <= ?", last).also(test, *DUCKDB.given(asked.sure), found)


def meant(filter: Filter, event: Event) -> bool:
    """Say whether an event has the filter's user and address, and not only their hashes."""
    exact = None if filter.ip is None else address.normalise(filter.ip)
    return (filter.user is None or event.user == filter.user) and (exact is None or event.ip == exact)


def _of_fields(app: str, filter: Filter, by_hash: bool = False) -> Where:
    wanted = Where(["app = ?"], [app])
    parts: dict[str, Any] = {
        "name = ?": filter.name, "ts >= ?": filter.since, "ts < ?": filter.until,
        "user_h = ?": None if filter.user is None else hash_of(filter.user), "user_key = ?": filter.user,
    }  # fmt: skip
    if filter.ip is not None:
        parts |= _of_address(filter.ip)
    for part, value in parts.items():
        if value is not None and not (by_hash and part in _TEXTS):
            wanted = wanted.also(part, value)
    return wanted


def _of_address(text: str) -> dict[str, Any]:
    exact = address.normalise(text)
    if exact is not None:
        return {"ip_h = ?": hash_of(exact), "ip = ?": exact}
    wide = network(text)
    first, last = int(wide.network_address), int(wide.broadcast_address)
    if wide.version == 4:
        return {"ip4 >= ?": first, "ip4 <= ?": last}
    return {"ip6 >= ?": first >> 64, "ip6 <= ?": last >> 64}
