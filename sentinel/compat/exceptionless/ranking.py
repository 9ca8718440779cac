"""Stacks ranked by distinct users or by events: which come first, how many each has, and its share of all users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentinel.compat.asking import LONGEST, equal, every, newest, quoted
from sentinel.compat.exceptionless.telling import summary
from sentinel.core.explore import MOST_SERIES, By, Metric, SeriesWanted, TopWanted
from sentinel.core.moment import to_text
from sentinel.core.record import Filter
from sentinel.service.ports import Store

MOST = 100  # stacks that have a place
ORDERS: Mapping[str, By] = {"stack_users": "users", "stack_frequent": "events"}
_STACK = "properties.stack"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The stacks of an app's events of some time; `conditions` and the time say which events."""

    store: Store
    app: str
    conditions: tuple[str, ...]
    since: int
    until: int

    def rows(self, by: By, skip: int, most: int) -> list[dict[str, Any]]:
        """Return the stacks first in rank without the first `skip`, as Exceptionless writes them."""
        wanted = self._filter(f"{_STACK} != None")
        top = self.store.explorer.top(self.app, TopWanted(wanted, _STACK, by=by, limit=skip + most, exact=True))
        ids = [one.value for one in top.items[skip:] if type(one.value) is str and len(one.value) <= LONGEST]
        if not ids:
            return []
        everyone = self.store.explorer.sums(self.app, Filter(since=self.since, until=self.until), True).users
        users = {one.value: one.now.users or 0 for one in top.items} if by == "users" else self._users(ids)
        totals, firsts = (
            self._figures(ids, Metric("sum", "properties.count")),
            self._figures(ids, Metric("min", "timestamp")),
        )
        rows = []
        for id in ids:
            last = newest(self.store, self.app, self._filter(equal(_STACK, id)), 0, 1)
            if last and id in firsts:  # else deleted meanwhile
                first = round(firsts[id] * 1_000_000)
                rows.append(_row(self.app, id, last[0], first, int(totals.get(id, 0)), users.get(id, 0), everyone))
        return rows

    def _users(self, ids: Sequence[str]) -> dict[Any, int]:
        asked = TopWanted(self._among(ids), _STACK, by="users", limit=len(ids), exact=True)
        return {one.value: one.now.users or 0 for one in self.store.explorer.top(self.app, asked).items}

    def _figures(self, ids: Sequence[str], metric: Metric) -> dict[Any, float]:
        """Return a figure of each stack. A series is of whole months, so the time is a condition as well."""
        found: dict[Any, float] = {}
        within = f"timestamp >= {self.since / 1e6:.6f} and timestamp < {self.until / 1e6:.6f}"
        for start in range(0, len(ids), MOST_SERIES):
            wanted = self._among(ids[start : start + MOST_SERIES], within)
            asked = SeriesWanted(wanted, "month", metric, _STACK, MOST_SERIES, previous=False)
            lines = self.store.explorer.series(self.app, asked).lines
            found |= {line.value: line.total for line in lines if line.total is not None and not line.rest}
        return found

    def _among(self, ids: Sequence[str], *more: str) -> Filter:
        return self._filter(f"{_STACK} in [{', '.join(map(quoted, ids))}]", *more)

    def _filter(self, *more: str) -> Filter:
        return Filter(since=self.since, until=self.until, q=every((*self.conditions, *more)))


def _row(
    app: str, id: str, last: Mapping[str, Any], first: int, total: int, users: int, everyone: int
) -> dict[str, Any]:  # fmt: skip
    own = last["properties"]
    return {
        "id": id, "title": own.get("title", ""), "status": "open", "first_occurrence": to_text(first),
        "last_occurrence": last["timestamp"], "total": total, "users": users, "total_users": everyone,
        "share": round(users / everyone, 4) if everyone else 0.0, "project_id": app, "project_name": app,
        "tags": own.get("tags", []), **summary(last, "stack"),
    }  # fmt: skip
