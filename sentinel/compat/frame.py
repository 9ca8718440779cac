"""How a request reaches an adapter: routing by path, then key, limits and origin; and how it is refused.

What a protocol means is up to its adapter. A request that is for no adapter pays nothing for this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

from sentinel.compat.adapter import Adapter, Answer, Call, Request, Route, Shared
from sentinel.core.duration import MINUTE
from sentinel.core.errors import SentinelError
from sentinel.core.record import KeyScope
from sentinel.edge import wire
from sentinel.edge.access import Caller
from sentinel.edge.door import EXPECTED, not_written, preflight
from sentinel.edge.errors import ApiError, NotTaken, refusal
from sentinel.edge.wire import Gone, Headers, Receive, Scope, Send

PREFIX = "/compat/"
SECURITY = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"))


@dataclass(slots=True)
class Compat:
    """Every adapter behind one ASGI application. `shared` is what each of them is given."""

    adapters: Mapping[str, Adapter]
    shared: Shared
    _routes: dict[str, Routes] = field(default_factory=dict)
    _root: dict[str, list[tuple[frozenset[bytes], str]]] = field(default_factory=dict)
    _told: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, adapter in self.adapters.items():
            self._routes[name] = Routes(adapter.routes(self.shared))
            for path in adapter.at_root:
                self._root.setdefault(path, []).append((frozenset(adapter.told_by), name))

    def answers(self, scope: Scope) -> bool:
        """Say whether a request is for an adapter."""
        return self._place(scope) is not None

    def _place(self, scope: Scope) -> tuple[str, str] | None:
        """Return a request's protocol, and its path below that one's prefix."""
        path = scope["path"]
        if path.startswith(PREFIX):
            name, slash, rest = path[len(PREFIX) :].partition("/")
            return name, slash + rest.lstrip("/")  # clients put their paths behind an address that may end with `/`
        if path in self._root:
            given = {key for key, _ in scope["headers"]}
            for headers, name in self._root[path]:
                if headers & given and b"authorization" not in given:
                    return name, path
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        place = self._place(scope)
        assert place is not None
        name, path = place
        adapter = self.adapters.get(name)
        if adapter is None:
            error = ApiError("not_found", f"there is no protocol `{name[:40]}`", f"one of {', '.join(self.adapters)}")
            await wire.answer(send, error.status, error.body(), SECURITY)
            return
        head: list[tuple[str, str]] = []
        try:
            request = Request(scope["method"], path, Headers(scope["headers"]), scope)
            answer = await self._answer(name, adapter, request, receive, head)
        except Gone:
            return
        except Exception as error:  # noqa: BLE001  no input may bring the path down; the fault is reported
            answer = self._refused(name, adapter, scope, error)
        given = {key for key, _ in answer.headers}
        head += [pair for pair in SECURITY if pair[0] not in given]
        await wire.answer(send, answer.status, answer.bytes(), [*head, *answer.headers], answer.kind)
        if answer.after is not None and scope["method"] != "HEAD":
            answer.after()

    def _refused(self, name: str, adapter: Adapter, scope: Scope, error: Exception) -> Answer:
        if not isinstance(error, (*EXPECTED, SentinelError)):
            self.shared.trouble(f"compat {name}", error)
        refused = refusal(error) if isinstance(error, SentinelError) else not_written(error)
        self.shared.door.meters.refused(refused.code)
        answer = adapter.refuse(refused)
        more = [pair for pair in refused.headers if pair[0] != "www-authenticate"]
        if refused.status in (408, 413):  # the rest of the body is not waited for
            more.append(("connection", "close"))
        return answer._replace(headers=(*answer.headers, *more))

    async def _answer(
        self, name: str, adapter: Adapter, request: Request, receive: Receive, head: list[tuple[str, str]]
    ) -> Answer:
        routes = self._routes[name]
        if request.method == "OPTIONS":
            browsers = routes.methods(request.path, "browser")
            origin = request.headers.get(b"origin") if browsers else None
            methods = browsers if origin is not None else routes.methods(request.path)
            return Answer(204, b"", tuple(preflight(origin, ", ".join(methods), adapter.allow)))
        route, named = routes.find(request.method, request.path)
        request = Request(request.method, request.path, request.headers, request.scope, named)
        door = self.shared.door
        call = Call(request, self.shared, name, receive, door.address(request.scope, request.headers))
        if route.events:
            door.started()
        if route.open:
            door.ask_open(call.ip, route.cost)
        else:
            secret = adapter.secret(request) if adapter.caller is None else None
            let_in = partial(self._let_in, name, adapter, request, route, head)
            call.let_in = await self.shared.gate.asked(secret, let_in)
            if route.events:
                door.ask(call.let_in, call.ip)
        async with self._turn(route, call):
            answer = await route.handle(call)
        self._tell(name, call)
        return answer

    def _turn(self, route: Route, call: Call) -> AbstractAsyncContextManager[None]:
        """Return what a question about stored events waits for."""
        return self.shared.turns.of(call.caller) if "read" in route.scopes else nullcontext()

    def _let_in(
        self, name: str, adapter: Adapter, request: Request, route: Route, head: list[tuple[str, str]]
    ) -> Caller:
        """Return the caller, of this protocol and of a scope of the route; a browser's only from its origins."""
        if adapter.caller is not None:
            caller = adapter.caller(request, self.shared)
        else:
            caller = self.shared.gate.caller(adapter.secret(request), protocol=name)
        if caller.scope not in route.scopes:
            hint = "use one of scope " + " or ".join(f"`{scope}`" for scope in route.scopes)
            raise ApiError("forbidden", f"a key of scope `{caller.scope}` may not do this", hint)
        if caller.scope == "browser":
            head += self.shared.door.admit_browser(caller, request.scope, request.headers)[1]
            if adapter.expose:
                head.append(("access-control-expose-headers", adapter.expose))
        return caller

    def _tell(self, name: str, call: Call) -> None:
        """Say what was refused of a body that was taken: once a minute an app, for its sender does not hear of it."""
        if not call.rejected:
            return
        app, now = call.caller.app, self.shared.door.clock()
        if now - self._told.get((name, app), -MINUTE) >= MINUTE:
            self._told[name, app] = now
            count, first = len(call.rejected), call.rejected[0]["error"]
            self.shared.trouble(f"compat {name}", SentinelError(f"app `{app}`: {count} events refused: {first}"))


class Routes:
    """The routes of one adapter, found by method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, list[Route]] = {}
        self._shaped: dict[tuple[str, ...], list[Route]] = {}
        for route in routes:
            if "{" in route.path:
                self._shaped.setdefault(tuple(route.path.split("/")), []).append(route)
            else:
                self._exact.setdefault(route.path, []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and its variable parts; raises the refusal where there is none."""
        found, named = self._at(path)
        for route in found:
            if route.method == method or (method == "HEAD" and route.method == "GET"):
                return route, named
        raise NotTaken(method, self.methods(path))

    def methods(self, path: str, scope: KeyScope | None = None) -> list[str]:
        """Return the methods taken at a path, or those that keys of a scope may use there."""
        return [route.method for route in self._at(path)[0] if scope is None or scope in route.scopes]

    def _at(self, path: str) -> tuple[list[Route], dict[str, str]]:
        path = path.rstrip("/") or "/"
        if path in self._exact:
            return self._exact[path], {}
        parts = path.split("/")
        for shape, routes in self._shaped.items():
            if len(shape) == len(parts) and (named := _fits(shape, parts)) is not None:
                return routes, named
        raise ApiError("not_found", "there is nothing at this address")


def _fits(shape: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    named = {}
    for wanted, part in zip(shape, parts, strict=True):
        if wanted.startswith("{") and part:
            named[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return named
