"""LogTrace: events, sessions and audit logs as its clients send them, and the lists its API gives of them.

Three generations of payloads are taken, flat or with `request_details`, in snake or camel case. Tokens of sessions are
never kept, nor are cookies and credentials among the headers of requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

from sentinel.compat.adapter import (
    SENDERS,
    Adapter,
    Answer,
    Call,
    Handle,
    Route,
    Shared,
    first_of,
    in_authorization,
    in_header,
)
from sentinel.compat.asking import equal, every, moment, newest, number, past, quoted
from sentinel.compat.naming import first, folded, text, unreserved
from sentinel.compat.raw import element
from sentinel.compat.sparing import sparing
from sentinel.core import address
from sentinel.core.duration import DAY
from sentinel.core.errors import EventError
from sentinel.core.explore import TopWanted
from sentinel.core.identity import LONGEST
from sentinel.core.moment import parse
from sentinel.core.record import Filter, KeyScope
from sentinel.edge.errors import ApiError, not_found
from sentinel.edge.protocols import KeyForm

READ: tuple[KeyScope, ...] = ("read",)
DEEPEST = 10_000  # how far lists are paged through
_DETAILS = ("operatingsystem", "requestduration", "requestid", "geoiplocation")
_OWN: Mapping[str, str] = {"event": "events", "session": "sessions", "audit-log": "audit_logs"}
Shown = Callable[[Mapping[str, Any]], dict[str, Any]]


class LogTrace:
    """What is kept of all apps, as LogTrace tells it."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def take(self, translate: Callable[[Any], Iterator[Any]], call: Call) -> Answer:
        """Take one thing that happened."""
        taken = await call.take(translate)
        if taken.rejected:
            return Answer(400, {"message": taken.rejected[0]["error"]})
        return Answer(202, {"message": "Event accepted for processing"})

    async def page(self, kind: str, call: Call) -> Answer:
        """Answer one page of events, sessions or audit logs, newest first."""
        query = call.request.query
        page, per_page = number(query, "page", 1, DEEPEST), number(query, "per_page", 20, 100)
        if page * per_page > DEEPEST:
            raise ApiError("malformed", f"`page`: lists are {DEEPEST} long", "ask for a shorter time")
        work = partial(self._page, call.caller.app, partial(_filter, kind, query), (page - 1) * per_page, per_page)
        total, found = await asyncio.to_thread(work)
        paging = {"total": total, "per_page": per_page, "page": page}
        items = [_SHOWN[kind](one) for one in found]
        message = f"{_OWN[kind].replace('_', ' ')} have been fetched successfully".capitalize()
        return Answer(200, {_OWN[kind]: items, "meta": {"paging": paging}, "message": message})

    async def one(self, kind: str, call: Call) -> Answer:
        """Answer the event, session or line of an audit log with an id."""
        id, app = call.request.named["id"], call.caller.app
        wanted = Filter(q=every([equal("properties.logtrace", kind), equal("id", id)]))
        found = await asyncio.to_thread(newest, self._shared.store, app, wanted, 0, 1)
        if not found:
            raise not_found(kind, id)
        name = kind.replace("-", "_")
        return Answer(200, {name: _SHOWN[kind](found[0]), "message": f"{name} has been fetched successfully"})

    async def events_metrics(self, call: Call) -> Answer:
        """Answer how many events there were in the last 24 hours, and who had most."""
        total, actors = await asyncio.to_thread(self._actors, call.caller.app)
        found = {"count": total, "events_last_24h": total, "top_actors": actors}
        return Answer(200, {**found, "message": "Events metrics fetched successfully"})

    async def top_actors(self, call: Call) -> Answer:
        """Answer who had most events in the last 24 hours."""
        _, actors = await asyncio.to_thread(self._actors, call.caller.app)
        return Answer(200, {"actors": actors, "message": "Top actor metrics fetched successfully"})

    async def sessions_metrics(self, call: Call) -> Answer:
        """Answer how many sessions there were in the last 24 hours, and how many of them name nobody."""
        app = call.caller.app
        count = await asyncio.to_thread(self._last_day, app, "session")
        suspicious = await asyncio.to_thread(self._last_day, app, "session", _NOBODYS)
        message = "Sessions metrics have been fetched successfully"
        return Answer(200, {"count": count, "suspicious_count": suspicious, "message": message})

    async def audit_metrics(self, call: Call) -> Answer:
        """Answer how many lines audit logs got in the last 24 hours."""
        count = await asyncio.to_thread(self._last_day, call.caller.app, "audit-log")
        return Answer(200, {"count": count, "message": "Audit log metrics fetched successfully"})

    def _last_day(self, app: str, kind: str, *more: str) -> int:
        return self._shared.store.events.count(app, self._day(kind, *more))

    def _actors(self, app: str) -> tuple[int, list[dict[str, Any]]]:
        top = self._shared.store.explorer.top(app, TopWanted(self._day("event"), "user", previous=False))
        return top.total.events, [
            {"name": item.value, "events": item.now.events} for item in top.items if item.value is not None
        ]

    def _day(self, kind: str, *more: str) -> Filter:
        now = self._shared.door.clock()
        return Filter(since=now - DAY, until=now + 1, q=every([equal("properties.logtrace", kind), *more]))

    def _page(
        self, app: str, wanted: Callable[[], Filter], skip: int, most: int
    ) -> tuple[int, list[dict[str, Any]]]:  # fmt: skip
        filter, store = wanted(), self._shared.store
        return store.events.count(app, filter), newest(store, app, filter, skip, most)


def routes(shared: Shared) -> list[Route]:
    """Return the routes."""
    here = LogTrace(shared)
    metrics: tuple[tuple[Handle, tuple[str, ...]], ...] = (
        (here.events_metrics, ("metrics/events", "events/metrics")),
        (here.top_actors, ("metrics/events/top-actors",)),
        (here.sessions_metrics, ("metrics/sessions", "sessions/metrics")),
        (here.audit_metrics, ("metrics/auditlogs", "audit-logs/metrics")),
    )
    found = [
        Route("GET", f"/v1/{path}", handle, READ, events=False) for handle, paths in metrics for path in paths
    ]  # fmt: skip
    for kind, (path, translate) in _SENT.items():
        take = partial(here.take, translate)
        found += [Route("POST", f"{base}/{path}", take, SENDERS) for base in ("/v1/developers", "/v1")]
        found.append(Route("GET", f"/v1/{path}", partial(here.page, kind), READ, events=False))
        found.append(Route("GET", f"/v1/{path}/{{id}}", partial(here.one, kind), READ, events=False))
    return found


ADAPTER = Adapter(KeyForm((*SENDERS, *READ)), routes, first_of(in_header("X-API-Key"), in_authorization("bearer")))


def event(raw: Any) -> Iterator[dict[str, Any]]:
    """Give an event of any generation; details of the request go before flat fields, which then are empty."""
    given = folded(element(raw))
    name = first(given, "name", "actionname")
    if not name:
        raise EventError("name", "missing", "every event has a `name`, or an `action_name`")
    yield _made("event", name, given, {"type": text(given.get("type"))})


def session(raw: Any) -> Iterator[dict[str, Any]]:
    """Give a session: when it is said to begin it happened at its log-in, else now."""
    given = folded(element(raw))
    status = text(given.get("status")).upper()
    if status not in ("ACTIVE", "INACTIVE"):
        raise EventError("status", "neither `ACTIVE` nor `INACTIVE`")
    token = text(given.get("token"))
    known = blake2b(token.encode(), digest_size=8, person=b"lt-session").hexdigest() if token else ""
    told = {"status": status, "login_at": text(given.get("loginat")), "session": known}
    told |= {"device": text(given.get("deviceinfo")), "location": text(given.get("location"))}
    yield _made("session", "session", given, told, given.get("loginat") if status == "ACTIVE" else None)


def audit_log(raw: Any) -> Iterator[dict[str, Any]]:
    """Give a line of an audit log, named by its action."""
    given = folded(element(raw))
    name = first(given, "action")
    if not name:
        raise EventError("action", "missing", "every line has an `action`")
    told = {"request_id": text(given.get("requestid")), "client": text(given.get("client"))}
    yield _made("audit-log", name, given, told, given.get("timestamp"))


_SENT: Mapping[str, tuple[str, Callable[[Any], Iterator[Any]]]] = {
    "event": ("events", event),
    "session": ("sessions", session),
    "audit-log": ("audit-logs", audit_log),
}


def _made(
    kind: str, name: str, given: Mapping[str, Any], told: Mapping[str, str], at: Any = None
) -> dict[str, Any]:  # fmt: skip
    """Return an event as we take it."""
    details = folded(given.get("requestdetails"))
    properties: dict[str, Any] = {"logtrace": kind, **{key: value for key, value in told.items() if value}}
    for field in _DETAILS:
        if value := text(details.get(field)) or text(given.get(field)):
            properties.setdefault(_SPELT[field], value)
    if given.get("metadata"):
        properties["metadata"] = given["metadata"]
    if headers := sparing(details.get("requestheaders")):
        properties["headers"] = headers
    found = {
        "event": unreserved(name), "user": _user(given),
        "timestamp": _time(at) or _time(details.get("timestamp")) or _time(given.get("timestamp")),
        "ip": _ip(details.get("ipaddress"), given.get("clientip"), given.get("ipaddress")),
        "request": _request(details, given), "properties": properties,
    }  # fmt: skip
    return {field: value for field, value in found.items() if value}


def _request(details: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "method": text(details.get("httpmethod")) or text(given.get("httpmethod")),
        "path": text(details.get("httpendpoint")) or text(given.get("httpendpoint")),
        "user_agent": text(details.get("clientuseragent")) or text(given.get("clientuseragent")),
        "status": _status(details.get("httpstatuscode")) or _status(given.get("httpstatus")),
    }
    return {field: value for field, value in found.items() if value}


def _status(value: Any) -> int | None:
    said = text(value)
    return int(said) if len(said) == 3 and said.isascii() and said.isdigit() else None


def _user(given: Mapping[str, Any]) -> dict[str, str]:
    found = {"id": text(given.get("userid")), "username": text(given.get("username"))}
    return {name: value for name, value in found.items() if 0 < len(value) <= LONGEST}


def _ip(*values: Any) -> str | None:
    """Return the first of these that is an address."""
    return next((found for value in values if (found := address.normalise(text(value)))), None)


def _time(value: Any) -> Any:
    """Return a time as it was sent, None for what is none: the event happened now."""
    try:
        return value if value and parse(value) else None
    except EventError:
        return None


def _filter(kind: str, query: Mapping[str, str]) -> Filter:
    """Return which of a kind a list's parameters ask for; raises the refusal of one that would choose nothing here."""
    unknown = sorted(name[:40] for name, value in query.items() if value and name not in _PARAMETERS)
    if unknown:
        raise ApiError("malformed", f"`{unknown[0]}`: no such parameter", f"one of {', '.join(sorted(_PARAMETERS))}")
    conditions = [equal("properties.logtrace", kind)]
    for name, path in _ASKED.items():
        if query.get(name):
            conditions.append(equal(path, query[name].upper() if name == "http_method" else query[name]))
    if (status := query.get("status", "").upper()) not in ("", "ALL"):
        conditions.append(equal("properties.status", status))
    for name, path in _ALIKE.items():
        if query.get(name):
            conditions.append(equal(f"lower({path})", query[name].lower()))
    if code := query.get("http_status"):
        conditions.append(_codes(code.lower()))
    if word := query.get("search"):
        conditions.append(
            " or ".join(f"contains(lower(coalesce({path}, '')), {quoted(word.lower())})" for path in _SEARCHED)
        )
    begin, end = (next((one for one in names if query.get(one)), names[0]) for names in (_START, _END))
    return Filter(since=moment(query, begin), until=past(query, end), q=every(conditions))


def _codes(code: str) -> str:
    if len(code) == 3 and code[0] in "12345" and code[1:] == "xx":
        return f"request.status >= {code[0]}00 and request.status <= {code[0]}99"
    status = _status(code)
    if status is None:
        raise ApiError("malformed", f"`http_status`: `{code[:20]}` is neither `404` nor `4xx`")
    return f"request.status == {status}"


def _event_shown(one: Mapping[str, Any]) -> dict[str, Any]:
    request, user, own = one.get("request", {}), one.get("user", {}), one["properties"]
    return {
        "id": one["id"], "type": own.get("type", ""), "username": user.get("username", ""),
        "user_id": user.get("id", ""), "http_method": request.get("method", ""),
        "http_status_code": request.get("status", 0), "http_endpoint": request.get("path", ""),
        "http_request_duration": own.get("request_duration", ""), "ip_address": one.get("ip", ""),
        "client_user_agent": request.get("user_agent", ""), "geo_ip_location": _place(one), "name": one["event"],
        "action_name": one["event"], "metadata": own.get("metadata", {}), "created_at": one["timestamp"],
        "operating_system": own.get("operating_system", "") or one.get("agent", {}).get("os", ""),
    }  # fmt: skip


def _session_shown(one: Mapping[str, Any]) -> dict[str, Any]:
    own = one["properties"]
    found = _event_shown(one)
    return {name: value for name, value in found.items() if name not in _OF_EVENTS} | {
        "status": own.get("status", ""), "login_at": own.get("login_at", ""), "device_info": own.get("device", ""),
    }  # fmt: skip


def _audit_shown(one: Mapping[str, Any]) -> dict[str, Any]:
    found, own = _event_shown(one), one["properties"]
    return {name: value for name, value in found.items() if name not in _OF_EVENTS} | {
        "action": one["event"], "timestamp": found["created_at"], "request_id": own.get("request_id", ""),
        "client": own.get("client", "") or found["client_user_agent"],
    }  # fmt: skip


def _place(one: Mapping[str, Any]) -> str:
    """Return where an event's address is as `Country, City`: as we found it, else as its sender said."""
    geo = one.get("geo", {})
    return ", ".join(str(geo[name]) for name in ("country", "city") if geo.get(name)) or str(
        one["properties"].get("geo_ip_location", "")
    )


_SHOWN: Mapping[str, Shown] = {"event": _event_shown, "session": _session_shown, "audit-log": _audit_shown}
_OF_EVENTS = ("type", "name", "action_name")
_SPELT = {
    "operatingsystem": "operating_system", "requestduration": "request_duration", "requestid": "request_id",
    "geoiplocation": "geo_ip_location",
}  # fmt: skip
_ASKED = {
    "http_method": "request.method", "username": "user.username", "user_id": "user.id", "type": "properties.type",
}  # fmt: skip
_ALIKE = {
    "client": "coalesce(properties.client, coalesce(request.user_agent, ''))",
    "operating_system": "coalesce(properties.operating_system, coalesce(agent.os, ''))",
}
_START, _END = ("start_date", "start"), ("end_date", "end")
_PARAMETERS = frozenset((*_ASKED, *_ALIKE, *_START, *_END, "status", "http_status", "search", "page", "per_page"))
_SEARCHED = (
    "event", "user.username", "user.id", "request.path", "ip", "properties.location", "properties.device",
)  # fmt: skip
_NOBODYS = "user.id == None and user.username == None and properties.session == None"
