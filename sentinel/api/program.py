"""The API put together: the plain ASGI routes in front, FastAPI behind them, and one form of refusal for both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sentinel import __version__
from sentinel.api import (
    accounts,
    activity,
    decisions,
    drafting,
    events,
    explain,
    findings,
    health,
    keys,
    labels,
    lists,
    operations,
    paths,
    people,
    refusals,
    reports,
    schema,
    sdks,
    searches,
    sums,
)
from sentinel.api.context import Context
from sentinel.api.feed import POLL, STREAM, Feed
from sentinel.api.ingest import PATHS, Ingest
from sentinel.api.refusals import OPENAPI
from sentinel.core.errors import SentinelError
from sentinel.edge import wire
from sentinel.edge.decoding import countable
from sentinel.edge.errors import ApiError, NotTaken, answering, let_go, refusal
from sentinel.edge.requests import named
from sentinel.edge.wire import Asgi, Gone, Headers, Message, Receive, Room, Scope, Send

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
ALLOWED = {
    "/v1/events": ("GET", "POST", "OPTIONS"),
    "/v1/import": ("POST", "OPTIONS"),
    POLL: ("GET",),
    STREAM: ("GET",),
}
STREAMED = frozenset({STREAM, "/v1/events/tail", "/v1/events/export", "/v1/findings/export"})  # for as long as it takes
ROUTERS = (
    decisions,
    lists,
    labels,
    findings,
    sums,
    reports,
    activity,
    events,
    explain,
    people,
    keys,
    operations,
    drafting,
    sdks,
    searches,
    schema,
    accounts,
)
# The first words of the paths at which nothing answers with a page.
WORDS = frozenset({"v1", "healthz", "readyz", "metrics", "compat"})
STRANGERS = 64 * 1024  # bytes of a body that are read of whoever has no key that could send more
SECURITY_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


def build(context: Context, fault: Callable[[BaseException], None], lifespan: Lifespan | None = None) -> FastAPI:
    """Return the FastAPI application of everything but the plain paths; `fault` hears of faults of ours."""
    app = FastAPI(
        title="Sentinel", version=__version__, description=paths.ABOUT, docs_url=None, redoc_url=None, openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # a client would follow, key and all, to wherever `Host` says
    )  # fmt: skip
    app.state.context = context
    app.router.routes += _together().routes
    app.state.routes = [*app.routes, *(route for module in (*ROUTERS, health) for route in module.router.routes)]
    app.add_exception_handler(SentinelError, answering(refusals.refused))
    app.add_exception_handler(RequestValidationError, answering(refusals.invalid))
    app.add_exception_handler(HTTPException, answering(refusals.http))
    app.add_exception_handler(Exception, lambda request, error: _fault(error, fault))
    described = app.openapi
    app.openapi = lambda: paths.complete(described())  # type: ignore[method-assign]
    app.add_route(OPENAPI, _description(app), include_in_schema=False)
    return app


@cache
def _together() -> APIRouter:
    """Return the routers as one. FastAPI works out what their routes take when one is first asked: once a process."""
    router = APIRouter(generate_unique_id_function=lambda route: route.name)  # generated clients name functions so
    for module in ROUTERS:
        router.include_router(module.router, responses=refusals.REFUSALS)
    router.include_router(health.router)
    return router


def _description(app: FastAPI) -> Callable[[Request], Response]:
    """Return what answers with the API's description: made once, beside the loop, for it takes seconds and no key."""
    made: list[bytes] = []
    lock = threading.Lock()

    def describe(request: Request) -> Response:
        with lock:
            if not made:
                made.append(msgspec.json.encode(app.openapi()))
        return Response(made[0], media_type="application/json")

    return describe


class Foreign(Protocol):
    """Paths that are not the API's: those of other protocols' clients, or of the console."""

    def answers(self, scope: Scope) -> bool:
        """Say whether a request is for one of them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Pages(Foreign, Protocol):
    """Paths whose refusals are read by people."""

    async def longest(self, scope: Scope) -> tuple[int, str | None]:
        """Return how many bytes of a request's body are read, and the id of the account that is signed in, if any."""

    async def refused(self, scope: Scope, receive: Receive, send: Send, error: ApiError) -> None:
        """Answer a request whose body was refused."""


@dataclass(slots=True)
class Front:
    """What uvicorn calls: events and the feed go their own short way, the rest to FastAPI with its body read."""

    ingest: Ingest
    feed: Feed
    rest: Asgi
    foreign: Foreign
    console: Pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, also one that is not done when a stop has waited long enough for it."""
        if scope["type"] != "http":
            await self.rest(scope, receive, send)
            return
        send, begun = named(scope, send), False

        async def answering(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._answer(scope, receive, answering)
        except asyncio.CancelledError:
            if begun:
                raise
            await wire.answer(send, _LEAVING.status, _LEAVING.body(), _LEAVING.headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method == "HEAD" and path not in STREAMED and not self.foreign.answers(scope):
            scope, method = {**scope, "method": "GET"}, "GET"  # uvicorn sends the head alone
        if path in PATHS and method in ("POST", "OPTIONS"):
            await self.ingest(scope, receive, send)
        elif path in (POLL, STREAM) and method == "GET":
            await self.feed(scope, receive, send)
        elif self.foreign.answers(scope):
            await self.foreign(scope, receive, send)
        elif path.endswith("/") and (meant := path[:-1]) in ALLOWED:
            await wire.answer(send, 404, refusals.slashed(path, meant).body())
        elif path in ALLOWED and method not in ALLOWED[path]:
            error = NotTaken(method, ALLOWED[path])
            await wire.answer(send, error.status, error.body(), error.headers)
        else:
            rest: Asgi = self.console if self.console.answers(scope) or _astray(scope) else self.rest
            await self._with_body(rest, scope, receive, _guarded(send))

    async def _with_body(self, rest: Asgi, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            data = await self._body(rest, scope, receive)
        except Gone:
            return
        except ApiError as error:
            if rest is self.console:
                await self.console.refused(scope, receive, send, error)
            else:
                await wire.answer(send, error.status, error.body(), [*error.headers, ("connection", "close")])
            let_go(error)
            return
        parts = [data]
        del data  # each part is held by whoever takes it alone

        async def replay() -> Message:
            return {"type": "http.request", "body": parts.pop(), "more_body": False} if parts else await receive()

        await rest(scope, replay, send)

    async def _body(self, rest: Asgi, scope: Scope, receive: Receive) -> bytes:
        """Return a request's body: little of a stranger's, for it is parsed before anybody asks who sends it.

        What comes with a GET means nothing, and is not read.
        """
        if scope["method"] in ("GET", "HEAD"):
            return b""
        headers, door = Headers(scope["headers"]), self.ingest.door
        strangers = door.room(None, door.address(scope, headers))
        if rest is self.console:
            most, account = await self.console.longest(scope)
            room = strangers if account is None else door.budget.of(f"account {account}")
            return await wire.body(receive, headers, room, most=most)
        try:
            caller = await self.ingest.gate.admit(headers, scope["query_string"])
            caller.require("read", "sdk")
        except SentinelError as error:
            return await _little(receive, headers, strangers, refusal(error))
        data = await wire.body(receive, headers, door.room(caller, None))
        countable(data)
        return data


async def _little(receive: Receive, headers: Headers, room: Room, refused: ApiError) -> bytes:
    """Return the body of whoever may send nothing large; raises why they may not where it is."""
    try:
        return await wire.body(receive, headers, room, most=STRANGERS)
    except ApiError as error:
        raise refused if error.code == "too_large" else error from None


def _astray(scope: Scope) -> bool:
    """Say whether a person's browser asks for what is at no address of the API, and should be told by a page."""
    if scope["method"] not in ("GET", "HEAD") or scope["path"].split("/")[1] in WORDS:
        return False
    return "text/html" in ",".join(Headers(scope["headers"]).all(b"accept")).lower()


def _guarded(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in SECURITY_HEADERS if pair[0] not in known)]
        await send(message)

    return guarded


_FAULT = ApiError("internal", "a fault of ours, which was logged", "try again, and tell us if it stays")
_LEAVING = ApiError("unavailable", "the server is stopping", "send it again", 5)


def _fault(error: Exception, report: Callable[[BaseException], None]) -> Response:
    report(error)
    return refusals.answer(_FAULT)
