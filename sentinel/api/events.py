"""/v1/events, for reading: search by fields, a single event, and a live tail. Events are taken in by `ingest`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from sentinel.api import stream
from sentinel.api.asking import Q, Since, Until, wanted
from sentinel.api.context import ASKED_IN_TURN, Here, Reader
from sentinel.api.downloads import Seated
from sentinel.api.export import TYPES, download
from sentinel.api.hub import Hub
from sentinel.api.models import EventView, Listing
from sentinel.api.parts import Cursor, Filter, Id, Limit, Time
from sentinel.api.parts import time as moment
from sentinel.api.views import event_view, listing
from sentinel.core import record
from sentinel.core.decision import place
from sentinel.core.identity import placeholders
from sentinel.core.properties import conflicting
from sentinel.core.record import EventFormat, KeptEvent
from sentinel.edge.access import credential
from sentinel.edge.errors import require
from sentinel.edge.wire import Headers
from sentinel.service.ports.events import Events

router = APIRouter(tags=["events"])
TOPIC = "events"
_LOT = 200  # events told at a time


@router.get("/v1/events", response_model=Listing[EventView], dependencies=ASKED_IN_TURN)
def search_events(
    here: Here, caller: Reader, q: Q = None, event: Filter = None, user: Filter = None, ip: Filter = None,
    since: Since = None, until: Until = None, limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return events by (time, id), newest first; `ip` may be a network.

    A page may be short and yet have a cursor, where a condition had to be looked at event by event.
    """
    filter = wanted(here, caller.app, q, event, user, ip, since, until)
    return listing(here.store.events.search(caller.app, filter, limit, cursor), event_view)


@router.get(
    "/v1/events/tail",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events as they come, one a message."}},
)
def tail_events(
    request: Request, here: Here, caller: Reader, q: Q = None, event: Filter = None, user: Filter = None,
    ip: Filter = None,
) -> Response:  # fmt: skip
    """Tell events as they come, until the client leaves; on a flood it passes over what it cannot tell in time."""
    secret = credential(Headers(request.scope["headers"]))
    return Tail(
        here.hub, here.store.events, secret, caller.by, caller.app, wanted(here, caller.app, q, event, user, ip)
    )


@router.get(
    "/v1/events/export",
    response_class=Response,
    responses={200: {"content": {type: {} for type in TYPES.values()}, "description": "The events, as a file."}},
)
def export_events(
    here: Here, caller: Reader, seat: Seated, q: Q = None, event: Filter = None, user: Filter = None,
    ip: Filter = None, since: Since = None, until: Until = None, format: EventFormat = "ndjson",
) -> Response:  # fmt: skip
    """Give events as a file: lines of JSON or CSV in the order of time, oldest first, or Parquet."""
    filter = wanted(here, caller.app, q, event, user, ip, since, until)
    return download(seat, here.store.events, caller.app, filter, format)


class OneEvent(EventView):
    """One event. `conflicts` are the paths of its properties that are of another JSON type than came there first.

    `placeholders` are the identifiers that stand for no user, such as `null`: nobody is known by them.
    """

    conflicts: list[str]
    placeholders: list[str]


@router.get("/v1/events/{id:path}", response_model=OneEvent)
def get_event(here: Here, caller: Reader, id: Id, at: Time = None) -> Any:
    """Return the newest event of an id, or the one of that time."""
    kept = require(here.store.events.get(caller.app, id, moment("at", at, here.clock())), "event", id)
    odd = conflicting(here.store.schema.properties(caller.app), kept.event.properties)
    return event_view(kept) | {"conflicts": list(odd), "placeholders": placeholders(kept.event.identifiers)}


def _shown(kept: KeptEvent) -> Any:
    return event_view(kept)


class Tail(Response):
    """An answer that goes on as long as its seat: events after where it began, each as `shown`. `by` is who listens."""

    def __init__(
        self, hub: Hub, events: Events, secret: str, by: str, app: str, wanted: record.Filter,
        shown: Callable[[KeptEvent], Any] = _shown, alive: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._hub = hub
        self._events = events
        self._secret = secret
        self._by = by
        self._app = app
        self._wanted = wanted
        self._shown = shown
        self._alive = alive
        self._position = 0  # all up to it was told, and nothing will come in before it any more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.seat(TOPIC, self._app, self._secret, self._by, self._alive) as seat:
            self._position = await asyncio.to_thread(self._events.decided)
            await stream.run(seat, self._next, receive, send)

    async def _next(self) -> bytes | None:
        if self._events.position() <= self._position:
            return None
        decided, found = await asyncio.to_thread(self._later)
        self._position = max(decided, found[-1].position if found else 0)
        told = (kept for kept in found if _fits(kept, self._wanted))
        return b"".join(stream.event("event", msgspec.json.encode(self._shown(kept))) for kept in told) or None

    def _later(self) -> tuple[int, list[KeptEvent]]:
        decided = self._events.decided()
        return decided, list(islice(self._events.after(self._app, self._position), _LOT))


def _fits(kept: KeptEvent, wanted: record.Filter) -> bool:
    """Say whether an event is one of those asked for, as a search would."""
    event = kept.event
    if wanted.name not in (None, event.name) or wanted.user not in (None, event.user):
        return False
    if wanted.q is not None and not wanted.q.matches(event):
        return False
    if wanted.ip is None or wanted.ip == event.ip:
        return True
    return event.ip is not None and "/" in wanted.ip and place(event.ip).within(place(wanted.ip))
