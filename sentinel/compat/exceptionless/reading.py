"""What Exceptionless' API tells of stored events: lists, single events, sessions, and stacks by their users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sentinel.compat.asking import equal, every, moment, newest, number, past
from sentinel.compat.exceptionless.filtering import conditions
from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.explore import By, Metric, Ranked, SeriesWanted, TopWanted
from sentinel.core.moment import parse, to_text
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
_RANKED: Mapping[str, By] = {"stack_users": "users", "stack_frequent": "events"}
_SHOWN = ("source", "message", "geo", "value", "count", "tags")


class Told(NamedTuple):
    """Items of a list, and how many there are in all, None where that is not known."""

    items: list[dict[str, Any]]
    total: int | None


class Reading:
    """Answers questions about one app's events, in a thread; `now` is when they are asked."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def told(self, app: str, query: Mapping[str, str], more: Iterable[str] = ()) -> Told:
        """Return a page of events, or of stacks where `mode` asks for these."""
        mode = query.get("mode", "")
        wanted = self.wanted(query, more)
        if mode.startswith("stack_"):
            return self._stacks(app, query, mode, wanted)
        if mode not in ("", "summary"):
            raise ApiError("malformed", f"`mode`: `{mode[:20]}` is not known", f"summary, {', '.join(_RANKED)}")
        if query.get("sort", "-date") != "-date":
            raise ApiError("malformed", "`sort`: only `-date` is known here")
        page, limit = number(query, "page", 1, DEEPEST), number(query, "limit", 10, MOST)
        if page * limit > DEEPEST:
            raise ApiError("malformed", f"`page`: lists are {DEEPEST} long", "ask for a shorter time")
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
                item["data"]["@user_description"] = _description(note["properties"])
        return Told(items, len(items))

    def sessions(self, app: str, query: Mapping[str, str]) -> Told:
        """Return the beginnings of sessions, each with the seconds it lasted so far, and its end if it is over."""
        told = self.told(app, query, ['event == "session.start"'])
        for item in told.items:
            if item.get("reference_id"):
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
        asked = conditions(query.get("filter", ""))
        return Filter(since=since, until=until, q=every([_EVENTS, _NO_NOTE, *more, *asked]))

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

    def _stacks(self, app: str, query: Mapping[str, str], mode: str, wanted: Filter) -> Told:
        """Return the stacks with most users, or most events, each with its share of all users of that time."""
        if mode not in _RANKED or "sort" in query:
            raise ApiError("malformed", f"`mode`: one of {', '.join(_RANKED)}, each with an order of its own")
        page, limit = number(query, "page", 1, MOST), number(query, "limit", 10, MOST_STACKS)
        if page * limit > MOST:
            raise ApiError("malformed", f"`page`: {MOST} stacks are told at most", "ask with a `filter`")
        stacked = replace(wanted, q=every([f"({wanted.q.source})" if wanted.q else "True", "properties.stack != None"]))
        asked = TopWanted(stacked, "properties.stack", by=_RANKED[mode], limit=page * limit, exact=True)
        top = self._store.explorer.top(app, asked)
        everyone = self._store.explorer.sums(app, Filter(since=wanted.since, until=wanted.until), True).users
        ranked = top.items[(page - 1) * limit :]
        rows = (self._row(app, stacked, one, everyone) for one in ranked if type(one.value) is str)
        return Told([row for row in rows if row], None)

    def _row(self, app: str, stacked: Filter, ranked: Ranked, everyone: int) -> dict[str, Any]:
        id, source = str(ranked.value), stacked.q.source if stacked.q else "True"
        mine = replace(stacked, q=every([source, equal("properties.stack", id)]))
        newer, seen = newest(self._store, app, mine, 0, 1), self._store.explorer.names(app, mine).items
        if not newer or not seen:  # deleted meanwhile
            return {}
        last = newer[0]
        first, until = min(one.first for one in seen), max(one.last for one in seen) + 1
        counted = SeriesWanted(replace(mine, since=first, until=until), "month", Metric("sum", "properties.count"))
        total = sum(line.total or 0 for line in self._store.explorer.series(app, counted).lines)
        users = ranked.now.users
        if users is None:
            users = self._store.explorer.sums(app, mine, True).users
        own = last["properties"]
        return {
            "id": id, "title": own.get("title", ""), "status": "open",
            "first_occurrence": to_text(first), "last_occurrence": last["timestamp"],
            "total": int(total), "users": users, "total_users": everyone,
            "share": round(users / everyone, 4) if everyone else 0.0, "project_id": app, "project_name": app,
            "tags": own.get("tags", []), **summary(last, "stack"),
        }  # fmt: skip


def shown(one: Mapping[str, Any], app: str) -> dict[str, Any]:
    """Return a stored event as Exceptionless writes it."""
    own, request = one["properties"], one.get("request", {})
    data: dict[str, Any] = dict(_part(own, "data"))
    described = _description(own) if own.get("description") else None
    told = {
        "@user": _user(one), "@error": own.get("error"), "@environment": own.get("environment"),
        "@request": _request(one, request) if request else None, "@version": own.get("version"),
        "@level": own.get("level"), "@user_description": described,
        **{f"@ref:{name}": id for name, id in _part(own, "refs").items()}, "@ref:session": own.get("session"),
    }  # fmt: skip
    data |= {name: value for name, value in told.items() if value}
    found = {name: own[name] for name in _SHOWN if name in own}
    return {
        "id": one["id"], "organization_id": app, "project_id": app, "stack_id": own.get("stack", ""),
        "type": own["exceptionless"], "date": one["timestamp"], "reference_id": own.get("reference"),
        **found, "data": data,
    }  # fmt: skip


def summary(one: Mapping[str, Any], what: str = "event") -> dict[str, Any]:
    """Return a stored event, or the stack that it is of, in short; a stack's own fields stand beside it."""
    own = one["properties"]
    error, kind = _part(own, "error"), own["exceptionless"]
    said = {"Message": own.get("message"), "Source": own.get("source"), "Type": error.get("type")}
    said |= {
        "Identity": one.get("user", {}).get("id") or one.get("user", {}).get("email"),
        "Name": own.get("user_name"),
    }
    data = {name: value for name, value in said.items() if value}
    short = {"template_key": f"{what}-{'error' if error else kind}-summary", "data": data}
    return short if what == "stack" else {"id": one["id"], **short, "date": one["timestamp"]}


def _part(own: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object among properties, which any of the app's senders may have written."""
    found = own.get(name)
    return found if isinstance(found, Mapping) else {}


def _user(one: Mapping[str, Any]) -> dict[str, Any]:
    user, own = one.get("user", {}), one["properties"]
    identity = user.get("id") or user.get("email") or user.get("username")
    found = {"identity": identity, "name": own.get("user_name") or user.get("username"), "email": user.get("email")}
    return {name: value for name, value in found.items() if value}


def _request(one: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "http_method": request.get("method"), "path": request.get("path"), "host": request.get("host"),
        "user_agent": request.get("user_agent"), "client_ip_address": one.get("ip"),
        "query_string": request.get("params"), "headers": one["properties"].get("headers"),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _description(own: Mapping[str, Any]) -> dict[str, Any]:
    said = _part(own, "description")
    return {"email_address": said.get("email", ""), "description": said.get("text", "")}
