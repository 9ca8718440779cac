"""Sentinel around an ASGI application, of any framework and server, on asyncio or trio.

Place it inside CORS, metrics and catch-all middleware and outside whatever identifies users. Here requests are
described, answers replaced and WebSockets closed; the verdict comes from the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sentinel import sdk
from sentinel.core.decision import Verdict
from sentinel.core.proxies import client_address
from sentinel.sdk.client import Client
from sentinel.sdk.context import Holder, current, leave
from sentinel.sdk.events import KEPT_BODY, keeps_body, parameters, without_query
from sentinel.sdk.respond import Refusal, answering, ends, refusal
from sentinel.sdk.signals import signal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ROUTED = ("sentinel.route", "route", "path_template", "fastapi", "root_path", "app_root_path")
_TOLD = ("method", "path", "query_string", "headers", *_ROUTED)  # also once the request is over
_REFUSED: dict[str, Any] = {"code": 1008, "reason": "refused"}
_RESERVED: dict[str, Any] = {"code": 3003}  # a server may reserve 1008 to itself


class SentinelMiddleware:
    """Enforces on the address as a request starts and on the user at `identify`; answers who is refused.

    `challenge` and `refuse` are ASGI applications that answer in place of the built-in ones; they find the
    verdict in `scope["sentinel.verdict"]`.
    """

    def __init__(self, app: App, *, challenge: App | None = None, refuse: App | None = None) -> None:
        self.app = app
        self._own = {"challenge": challenge, "block": refuse}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, _Lifespan(send, sdk.current()).send)
        elif kind not in ("http", "websocket") or "sentinel.request" in scope:
            await self.app(scope, receive, send)  # an inner Sentinel leaves the request to the outer one
        else:
            client = sdk.current()
            try:
                holder, heard = self._begin(client, scope, receive)
            except Exception as error:  # noqa: BLE001  what we cannot judge goes on
                client.failed("the request", error)
                await self.app(scope, receive, send)
                return
            token = current.set(holder)
            try:
                if kind == "http":
                    await self._http(client, holder, scope, heard, send)
                else:
                    await _Socket(client, holder, receive, send).serve(self.app, scope)
            finally:
                leave(token)
                client.finished(holder)

    def _begin(self, client: Client, scope: Scope, receive: Receive) -> tuple[Holder, Receive]:
        client.ensure_running()
        about = _About(scope)
        holder = Holder(_address(scope, client), scope.get("path", ""), about, answers=scope["type"] == "http")
        scope["sentinel.request"] = holder
        client.judge_address(holder)
        return holder, about.listen(receive)

    async def _http(self, client: Client, holder: Holder, scope: Scope, receive: Receive, send: Send) -> None:
        if holder.verdict is None:
            try:
                await self.app(scope, receive, _Responder(client, holder, send).send)
            except BaseException as error:
                if not ends(holder, error):
                    raise
        if holder.verdict is not None:
            with contextlib.suppress(OSError):  # whoever asked is gone
                await self._answer(client, holder, holder.verdict, scope, receive, send)

    async def _answer(
        self, client: Client, holder: Holder, verdict: Verdict, scope: Scope, receive: Receive, send: Send
    ) -> None:
        own = self._own.get(verdict.kind)
        watched = _Watched(holder, send)
        if own is not None:
            scope["sentinel.verdict"] = verdict
            with answering(client, holder):
                await own(scope, receive, watched.send)
        if not watched.status:
            verdict, watched = holder.verdict or verdict, _Watched(holder, send)
            await _send(refusal(verdict, holder.about.header("accept"), client.options), scope, watched.send)
        holder.complete(watched.status)
        client.enforced(holder, verdict, watched.status)


class _Responder:
    """Lets the application's answer through unless a verdict takes its place."""

    __slots__ = ("_client", "_holder", "_send")

    def __init__(self, client: Client, holder: Holder, send: Send) -> None:
        self._client = client
        self._holder = holder
        self._send = send

    async def send(self, message: Message) -> None:
        starts = message["type"] == "http.response.start"
        verdict = self._holder.start() if starts else self._holder.verdict
        if verdict is not None:
            raise signal(verdict)  # ours follows, and need not wait for the end of a stream that may have none
        if starts:
            self._holder.complete(message["status"])
            self._client.finished(self._holder)
        await self._send(message)


class _Watched:
    """Notes the status of an answer of ours that was really sent."""

    __slots__ = ("_holder", "_send", "_verdict", "status")

    def __init__(self, holder: Holder, send: Send) -> None:
        self._holder = holder
        self._send = send
        self._verdict = holder.verdict
        self.status = 0

    async def send(self, message: Message) -> None:
        if self._holder.verdict is not self._verdict:
            return  # swallowed, to its end: the answer to the stricter one follows
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._holder.started = True


class _Socket:
    """A WebSocket: looked at as it connects, and with every message either way."""

    def __init__(self, client: Client, holder: Holder, receive: Receive, send: Send) -> None:
        self._client = client
        self._holder = holder
        self._receive = receive
        self._send = send
        self._closed = False  # by whomever: what comes then is between the application and the server
        self._refused = False

    async def serve(self, app: App, scope: Scope) -> None:
        """Run the application; close the socket once a verdict is latched."""
        try:
            if self._holder.verdict is not None:
                await self._receive()  # the connect, which comes before any answer
            else:
                await app(scope, self.receive, self.send)
        except BaseException as error:
            if not ends(self._holder, error):
                raise
        if self._holder.verdict is not None:
            await self._close(self._holder.verdict)

    async def receive(self) -> Message:
        """Receive for the application; tell it the socket is closed once the user is refused."""
        if self._refused:
            return {"type": "websocket.disconnect", "code": 1008}
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed = True
        verdict = None if self._closed else self._judge()
        if verdict is None or message["type"] == "websocket.connect":
            return message
        await self._close(verdict)
        return {"type": "websocket.disconnect", "code": 1008}

    async def send(self, message: Message) -> None:
        """Send for the application. Where the user is refused, close the socket instead; later calls raise OSError."""
        if self._refused:
            raise ConnectionAbortedError("the socket is closed: its user is refused")
        verdict = None if self._closed else self._judge()
        if verdict is not None:
            await self._close(verdict)
            return
        if message["type"] == "websocket.close":
            self._closed = True
        await self._send(message)

    def _judge(self) -> Verdict | None:
        holder = self._holder
        if holder.verdict is None:
            verdict = self._client.judge(holder, holder.users)
            if not verdict.allowed and not self._client.exempt(holder, verdict):
                holder.latch(verdict)
        return holder.verdict

    async def _close(self, verdict: Verdict) -> None:
        if self._closed:
            return
        self._closed = self._refused = True
        for closing in (_REFUSED, _RESERVED):
            try:
                await self._send({"type": "websocket.close", **closing})
            except OSError:  # whoever asked is gone
                return
            except Exception:  # noqa: BLE001  or the application has denied it, and the server closes it
                self._client.notes.count("closes refused")
                continue
            self._client.enforced(self._holder, verdict, closing["code"])
            return


class _Lifespan:
    """Starts the threads with the application and waits, bounded, for the first list; sends and saves at its end."""

    def __init__(self, send: Send, client: Client) -> None:
        self._send = send
        self._client = client
        self._began = time.monotonic()
        client.ensure_running()

    async def send(self, message: Message) -> None:
        client = sdk.current()
        if message["type"] == "lifespan.startup.complete":
            await _aside(client, client.begin, self._began + client.options.startup_wait - time.monotonic())
        elif message["type"].startswith("lifespan.shutdown."):  # a server may end the process by a signal, past atexit
            await _aside(client, client.settle, client.options.exit_wait)
        await self._send(message)


async def _aside(client: Client, wait: Callable[[float], bool], seconds: float) -> None:
    """Call `wait(seconds)` in a thread, so that tasks of the application go on; without asyncio, call it here."""
    if not client.options.connected or wait(0):
        return
    try:
        await asyncio.get_running_loop().run_in_executor(None, wait, seconds)
    except RuntimeError:  # trio's loop, or no more threads
        wait(seconds)


class _About:
    """A request described from its scope, once an event needs it."""

    __slots__ = ("_body", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._body: bytearray | None = None

    def header(self, name: str) -> str | None:
        wanted = name.encode("latin-1")
        lines = [value for found, value in self._scope["headers"] if found == wanted]
        return str(b",".join(lines), "latin-1") if lines else None  # as one, as WSGI's servers give them

    def body(self) -> bytes | None:
        return bytes(self._body) if self._body is not None else None

    def describe(self) -> dict[str, Any]:
        scope = self._scope
        query = scope.get("query_string", b"").decode("latin-1")
        return {
            "method": scope.get("method", "GET"),
            "path": scope.get("path"),
            "host": self.header("host"),
            "user_agent": self.header("user-agent"),
            "referer": without_query(self.header("referer")),
            "params": parameters(query, self.body(), self.header("content-type") or ""),
        }

    def route(self) -> object:
        return _route(self._scope)

    def let_go(self) -> None:
        self._scope = {name: self._scope[name] for name in _TOLD if name in self._scope}

    def listen(self, receive: Receive) -> Receive:
        """Return a `receive` that keeps the start of a form or JSON body as the application reads it."""
        if not keeps_body(self._scope.get("method"), self.header("content-type") or ""):
            return receive
        kept = self._body = bytearray()

        async def listening() -> Message:
            message = await receive()
            if message["type"] == "http.request" and len(kept) < KEPT_BODY:
                kept.extend(message.get("body", b"")[: KEPT_BODY - len(kept)])
            return message

        return listening


async def _send(answer: Refusal, scope: Scope, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope.get("method") == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def _route(scope: Scope) -> object:
    """Return the pattern of the path below whatever includes and mounts it, as far as frameworks tell it."""
    route = scope.get("route")
    included = scope.get("fastapi", {}).get("effective_route_context")  # by another router, whose prefix `route` lacks
    if route is not None and getattr(included, "original_route", None) is route:
        route = included
    path = getattr(route, "path", None)
    if "sentinel.route" in scope or path is None:
        return scope.get("sentinel.route") or scope.get("path_template")  # Litestar's
    here = scope.get("root_path", "")
    mounted: str = here[len(scope.get("app_root_path", here)) :]
    return mounted if hasattr(route, "routes") else mounted + path  # a mount's own path is in there


def _address(scope: Scope, client: Client) -> str | None:
    options = client.options
    peer = scope.get("client")
    forwarded: list[str] = []
    x_forwarded_for: list[str] = []
    if options.proxy_hops or options.trusted_proxies:
        for name, value in scope["headers"]:
            if name == b"forwarded":
                forwarded.append(value.decode("latin-1"))
            elif name == b"x-forwarded-for":
                x_forwarded_for.append(value.decode("latin-1"))
    return client_address(peer[0] if peer else None, forwarded, x_forwarded_for, options)
