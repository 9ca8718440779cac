"""The paths of Exceptionless' API, which keys may use each, and where in a request the key is.

A client that gets an unexpected status stays silent for hours, so every batch that can be read at all is accepted.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from sentinel.compat.adapter import (
    ANY_SENDER,
    READERS,
    Adapter,
    Answer,
    Call,
    Request,
    Route,
    Shared,
    checked,
    first_of,
    in_query,
)
from sentinel.compat.exceptionless import legacy
from sentinel.compat.exceptionless.config import LONGEST_VALUE, Config, Configs
from sentinel.compat.exceptionless.incoming import elements, is_mail, reader, translate, user
from sentinel.compat.exceptionless.reading import Reading, Told
from sentinel.compat.naming import first, folded, sound
from sentinel.core.errors import EventError
from sentinel.core.record import KeyScope
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForm

VERSION = "x-exceptionless-configversion"
READ: tuple[KeyScope, ...] = ("read", "admin")
EXPOSED = "X-Exceptionless-ConfigVersion, X-RateLimit-Limit, X-RateLimit-Remaining, Link, ETag"
_HEARTBEAT = re.compile(r"(?:^|&)id=(.*?)(?:&close=([a-z]+))?$", re.IGNORECASE)
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LONGEST = 256
_SCHEMES = ("bearer", "token", "basic")


class Exceptionless:
    """The clients of all apps."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._configs = Configs(shared.store, shared.door.clock)
        self._reading = Reading(shared.store, shared.door.clock)

    async def submit(self, form: Callable[[Any], Any], call: Call) -> Answer:
        """Take events."""
        await call.take(reader(form), elements)
        return Answer(202, headers=await self._version(call))

    async def submit_query(self, call: Call) -> Answer:
        """Take an event out of the query string."""
        try:
            event = translate(legacy.query(call.request.query, call.request.named.get("type")))
        except EventError as error:
            raise ApiError("malformed", error.message, error.hint) from None
        await call.send([event])
        return Answer(200, headers=await self._version(call))

    async def heartbeat(self, call: Call) -> Answer:
        """Take that a session goes on, or ends."""
        asked = call.request.scope["query_string"].decode("latin-1")
        found = _HEARTBEAT.search(asked)
        id = unquote(found[1])[:_LONGEST] if found else ""
        if found and id:
            ends = (found[2] or "").lower() == "true"
            properties = {"exceptionless": "sessionend" if ends else "heartbeat", "session": id}
            event = {"event": "session.end" if ends else "session.heartbeat", "properties": properties}
            if is_mail(id) or not _SESSION.fullmatch(id):
                event["user"] = user(id)
            await call.send([event])
        return Answer(200, headers=await self._version(call))

    async def describe(self, call: Call) -> Answer:
        """Take what a user says of an event."""
        said = folded(await call.json())
        told = {"email": first(said, "emailaddress")[:_LONGEST], "text": first(said, "description")[:4000]}
        reference = call.request.named["reference"][:500]
        properties = {"exceptionless": "user_description", "reference": reference, "description": told}
        await call.send([{"event": "user_description", "properties": properties}])
        return Answer(202, headers=await self._version(call))

    async def config(self, call: Call) -> Answer:
        """Tell clients what to do, where that is news to them."""
        found = await self._current(call.caller.app)
        version = ((VERSION, str(found.version)),)
        if call.request.query.get("v") == str(found.version):
            return Answer(304, headers=version)
        return Answer(200, {"version": found.version, "settings": found.settings}, version)

    async def set_config(self, call: Call) -> Answer:
        """Change one thing that clients are told."""
        value = None
        if call.request.method == "POST":
            value = sound(folded(await call.json()).get("value"), LONGEST_VALUE)
            if not value:
                hint = f'send `{{"value": "…"}}`, of at most {LONGEST_VALUE} characters'
                raise ApiError("malformed", "`value`: not a text", hint)
        caller, key = call.caller, call.request.query.get("key", "")
        await asyncio.to_thread(self._configs.put, caller.app, key, value, caller.by)
        return Answer(200)

    async def list(self, ask: Callable[[Call], Told], call: Call) -> Answer:
        """Answer a list."""
        told = await asyncio.to_thread(ask, call)
        counted = () if told.total is None else (("x-result-count", str(told.total)),)
        return Answer(200, told.items, counted)

    async def one(self, call: Call) -> Answer:
        """Answer one event."""
        return Answer(200, await asyncio.to_thread(self._reading.one, call.caller.app, call.request.named["event"]))

    async def count(self, call: Call) -> Answer:
        """Answer how many events there are."""
        query = call.request.query
        if query.get("aggregations"):
            raise ApiError("malformed", "`aggregations`: none are known here", "ask `mode=stack_users`")
        total = await asyncio.to_thread(self._reading.count, call.caller.app, query)
        return Answer(200, {"total": total, "aggregations": {}})

    def events(self, call: Call) -> Told:
        """Return events or stacks, of one stack if the path names it."""
        stack = call.request.named.get("stack")
        more = [] if stack is None else [f"properties.stack == {stack[:_LONGEST]!r}"]
        return self._reading.told(call.caller.app, call.request.query, more)

    def referred(self, call: Call) -> Told:
        """Return the events of a reference."""
        return self._reading.referred(call.caller.app, call.request.named["reference"])

    def sessions(self, call: Call) -> Told:
        """Return the sessions, or the events of one."""
        id, app, query = call.request.named.get("session"), call.caller.app, call.request.query
        return self._reading.sessions(app, query) if id is None else self._reading.session(app, id, query)

    async def _version(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return the version of the settings, for who may read them: a higher one than theirs makes clients ask."""
        if call.caller.scope not in READERS:
            return ((VERSION, "0"),)
        return ((VERSION, str((await self._current(call.caller.app)).version)),)

    async def _current(self, app: str) -> Config:
        held = self._configs.fresh(app)
        return held if held is not None else await asyncio.to_thread(self._configs.read, app)


def routes(shared: Shared) -> list[Route]:
    """Return the routes."""
    here = Exceptionless(shared)
    today, first_form = partial(here.submit, lambda raw: raw), partial(here.submit, legacy.error)
    v2 = "/api/v2"
    sends: Mapping[str, Any] = {
        f"{v2}/events": today, f"{v2}/projects/{{project}}/events": today, "/api/v1/error": first_form,
        f"{v2}/events/by-ref/{{reference}}/user-description": here.describe,
        f"{v2}/projects/{{project}}/events/by-ref/{{reference}}/user-description": here.describe,
    }  # fmt: skip
    asks: Mapping[str, Any] = {
        f"{v2}/events/submit": here.submit_query, f"{v2}/events/submit/{{type}}": here.submit_query,
        f"{v2}/projects/{{project}}/events/submit": here.submit_query,
        f"{v2}/projects/{{project}}/events/submit/{{type}}": here.submit_query,
        f"{v2}/events/session/heartbeat": here.heartbeat,
    }  # fmt: skip
    return [
        *(Route("POST", path, handle, ANY_SENDER) for path, handle in sends.items()),
        *(Route("GET", path, handle, ANY_SENDER) for path, handle in asks.items()),
        *_settings(here, v2),
        *_lists(here, v2),
    ]


def _settings(here: Exceptionless, v2: str) -> list[Route]:
    config = [f"{v2}/projects/config", f"{v2}/projects/{{project}}/config", "/api/v1/project/config"]
    changed = [Route(method, config[1], here.set_config, ("admin",), events=False) for method in ("POST", "DELETE")]
    return [*(Route("GET", path, here.config, (*READERS, "admin"), events=False) for path in config), *changed]


def _lists(here: Exceptionless, v2: str) -> list[Route]:
    asked: Mapping[str, Callable[[Call], Told]] = {
        f"{v2}/events": here.events, f"{v2}/projects/{{project}}/events": here.events,
        f"{v2}/organizations/{{organization}}/events": here.events, f"{v2}/stacks/{{stack}}/events": here.events,
        f"{v2}/events/by-ref/{{reference}}": here.referred, f"{v2}/events/sessions": here.sessions,
        f"{v2}/events/sessions/{{session}}": here.sessions,
    }  # fmt: skip
    lists = [Route("GET", path, partial(here.list, ask), READ, events=False) for path, ask in asked.items()]
    single = [(f"{v2}/events/count", here.count), (f"{v2}/events/{{event}}", here.one)]
    return [*lists, *(Route("GET", path, handle, READ, events=False) for path, handle in single)]


def _in_authorization(request: Request) -> str:
    """Return the key behind `Bearer` or `Token`, or the password of `Basic`, whoever's it is said to be."""
    lines = [line.partition(" ") for line in request.headers.all(b"authorization")]
    found = [
        _basic(rest) if scheme.lower() == "basic" else rest for scheme, _, rest in lines if scheme.lower() in _SCHEMES
    ]
    return checked(found if len(found) == len(lines) else [], "send `Authorization: Bearer <key>`")


def _basic(text: str) -> str:
    try:
        return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
    except (ValueError, binascii.Error):
        return ""


def _sends(request: Request) -> bool:
    """Say whether a request brings something: who does may carry the key in the address."""
    return request.method == "POST" or "/submit" in request.path or request.path.endswith("/heartbeat")


ADAPTER = Adapter(
    KeyForm((*ANY_SENDER, *READ)),
    routes,
    first_of(_in_authorization, in_query("access_token", "api_key", "apikey", sending=_sends)),
    allow="authorization, content-type, content-encoding, user-agent, x-exceptionless-client",
    expose=EXPOSED,
)
