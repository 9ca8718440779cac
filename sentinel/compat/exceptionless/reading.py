"""The reading part of Exceptionless' API: lists of events, single events, sessions, and stacks with their users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sentinel.compat.asking import LONGEST, equal, every, moment, newest, number, past
from sentinel.compat.exceptionless.filtering import conditions
from sentinel.compat.exceptionless.ranking import MOST as MOST_RANKED
from sentinel.compat.exceptionless.ranking import ORDERS, Ranking
from sentinel.compat.exceptionless.telling import description, shown, summary
from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.moment import parse
from sentinel.core.record import Filter
from sentinel.edge.errors import ApiError, not_found
from sentinel.service.ports import Store

DEEPEST = 10_000  # how far lists are paged through
MOST = 100  # events in one answer
MOST_STACKS = 50
USUAL = 7 * DAY  # what is looked at where no time is asked for
_EVENTS = "properties.exceptionless != None"
_NO_NOTE = 'properties.exceptionless != "user_description"'
_LAST = re.compile(r"last ([0-9]{1,4}) (minute|hour|day|week)s?", re.IGNORECASE)
_BETWEEN = re.compile(r"\[?([0-9T:.Z+-]{10,35}) TO ([0-9T:.Z+-]{10,35})\]?", re.IGNORECASE)
_UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}


class Told(NamedTuple):
    """One page of a list, and how many items there are on all pages, None where that was not counted."""

    items: list[dict[str, Any]]
    total: int | None


class Reading:
    """Answers questions about one app's events, in a thread; `now` is when they are asked."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def told(self, app: str, query: Mapping[str, str], more: Iterable[str] = ()) -> Told:
        """Return a page of events, or of stacks if `mode` asks for these; `more` are conditions beside the query's."""
        mode = query.get("mode", "")
        if mode.startswith("stack_"):
            return self._stacks(app, query, mode, more)
        if mode not in ("", "summary"):
            raise ApiError("malformed", f"`mode`: `{mode[:20]}` is not known", f"summary, {', '.join(ORDERS)}")
        if query.get("sort", "-date") != "-date":
            raise ApiError("malformed", "`sort`: only `-date` is known here")
        page, limit = number(query, "page", 1, DEEPEST), number(query, "limit", 10, MOST)
        if page * limit > DEEPEST:
            raise ApiError("malformed", f"`page`: lists are {DEEPEST} long", "ask for a shorter time")
        wanted = self.wanted(query, more)
        found = newest(self._store, app, wanted, (page - 1) * limit, limit)
        total = self._store.events.count(app, wanted) if query.get("include") == "total" else None
        return Told([summary(one) if mode else shown(one, app) for one in found], total)

    def count(self, app: str, query: Mapping[str, str]) -> int:
        """Return how many events there are."""
        return self._store.events.count(app, self.wanted(query))

    def one(self, app: str, id: str) -> dict[str, Any]:
        """Return one event; raises the refusal where there is none."""
        found = newest(self._store, app, Filter(q=every([_EVENTS, equal("id", id)])), 0, 1)
        if not found:
            raise not_found("event", id)
        return shown(found[0], app)

    def referred(self, app: str, reference: str) -> Told:
        """Return the events of a reference, with what a user said of them."""
        named = equal("properties.reference", reference)
        found = newest(self._store, app, Filter(q=every([_EVENTS, _NO_NOTE, named])), 0, MOST)
        noted = newest(self._store, app, Filter(q=every([f"not ({_NO_NOTE})", named])), 0, 1)
        items = [shown(one, app) for one in found]
        for note in noted:
            for item in items:
                item["data"]["@user_description"] = description(note["properties"])
        return Told(items, len(items))

    def sessions(self, app: str, query: Mapping[str, str]) -> Told:
        """Return the beginnings of sessions, each with the seconds it lasted so far, and its end if it is over."""
        told = self.told(app, query, ['event == "session.start"'])
        for item in told.items:
            reference = item.get("reference_id")
            if isinstance(reference, str) and 0 < len(reference) <= LONGEST:  # no question asks for any other
                self._lasted(app, item)
        return told

    def session(self, app: str, id: str, query: Mapping[str, str]) -> Told:
        """Return the events of a session."""
        whose = (
            f"{equal('properties.session', id)} or ({equal('properties.reference', id)} and event == 'session.start')"
        )
        return self.told(app, query, [whose])

    def wanted(self, query: Mapping[str, str], more: Iterable[str] = ()) -> Filter:
        """Return which events a question is about."""
        since, until = self._period(query)
        return Filter(since=since, until=until, q=every(self._conditions(query, more)))

    def _conditions(self, query: Mapping[str, str], more: Iterable[str]) -> tuple[str, ...]:
        return (_EVENTS, _NO_NOTE, *more, *conditions(query.get("filter", "")))

    def _period(self, query: Mapping[str, str]) -> tuple[int, int]:
        now = self._clock()
        text = query.get("time", "").strip()
        if not text or text.lower() == "all":
            return (0 if text else now - USUAL), now + MINUTE
        if last := _LAST.fullmatch(text):
            return now - int(last[1]) * _UNITS[last[2].lower()], now + MINUTE
        if between := _BETWEEN.fullmatch(text):
            ends = {"time": between[1]}, {"time": between[2]}
            since, until = moment(ends[0], "time") or 0, past(ends[1], "time") or 0
            if since < until:
                return since, until
        hint = "write `last 24 hours`, `all`, or `2026-11-20 TO 2026-11-21`"
        raise ApiError("malformed", f"`time`: `{text[:40]}` is not understood here", hint)

    def _lasted(self, app: str, item: dict[str, Any]) -> None:
        named = every([equal("properties.session", item["reference_id"])])
        last = newest(self._store, app, Filter(q=named), 0, 1)
        if last:
            item["value"] = max(0, (parse(last[0]["timestamp"]) - parse(item["date"])) // 1_000_000)
            if last[0]["event"] == "session.end":
                item["data"]["sessionend"] = last[0]["timestamp"]

    def _stacks(self, app: str, query: Mapping[str, str], mode: str, more: Iterable[str]) -> Told:
        """Return the stacks with most users, or most events, each with its share of all users of that time."""
        if mode not in ORDERS or "sort" in query:
            raise ApiError("malformed", f"`mode`: one of {', '.join(ORDERS)}, each with an order of its own")
        page, limit = number(query, "page", 1, MOST), number(query, "limit", 10, MOST_STACKS)
        if page * limit > MOST_RANKED:
            raise ApiError("malformed", f"`page`: {MOST_RANKED} stacks are told at most", "ask with a `filter`")
        since, until = self._period(query)
        ranking = Ranking(self._store, app, self._conditions(query, more), since, until)
        return Told(ranking.rows(ORDERS[mode], (page - 1) * limit, limit), None)
