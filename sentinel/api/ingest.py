"""POST /v1/events and /v1/import: plain ASGI, because every event of every app comes this way.

Who sends, how much, in what encoding; then the events go to the intake, and the answer waits for the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from sentinel.core import address
from sentinel.core.errors import StoreBusy
from sentinel.edge import wire
from sentinel.edge.access import Caller, Gate
from sentinel.edge.batch import Parsed, Terms, parse
from sentinel.edge.errors import ApiError, refusal
from sentinel.edge.limits import Buckets
from sentinel.edge.wire import Budget, Gone, Headers, Receive, Scope, Send
from sentinel.sdk.ids import new_id
from sentinel.sdk.options import Options
from sentinel.sdk.proxies import client_address
from sentinel.service.intake import Busy, Intake, Receipt, Sending

PATHS = {"/v1/events": False, "/v1/import": True}
SMALL = 64 * 1024  # what is decoded on the loop itself; more goes to a thread
LARGE_AT_ONCE = 2  # bodies decoded in threads: eight megabytes of brackets become two hundred
FROM_BROWSERS = 512 * 1024  # bytes of a body
BURST = 10  # seconds' worth an app may send at once
EXPECTED = (ApiError, Busy, StoreBusy)
_CORS = "authorization, content-type, content-encoding"


class Meters(Protocol):
    """Counts what came in."""

    def ingested(self, app: str, receipt: Receipt, rejected: int, seconds: float) -> None: ...
    def refused(self, path: str, code: str) -> None: ...


@dataclass(slots=True)
class Ingest:
    """The door for events. `clock` gives microseconds since 1970, `steady` seconds that never jump.

    Patience is in seconds: how long a body may take to come, and a commit to be done. `starting` says what keeps
    the server from taking events yet.
    """

    gate: Gate
    intake: Intake
    revision: Callable[[str], int]
    meters: Meters
    clock: Callable[[], int]
    steady: Callable[[], float]
    apps: Buckets
    addresses: Buckets
    options: Options = field(default_factory=Options)
    fault: Callable[[BaseException], None] = lambda error: None
    budget: Budget = field(default_factory=Budget)
    body_patience: float = wire.PATIENCE
    commit_patience: float = 30.0
    starting: Callable[[], str | None] = lambda: None
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope["headers"])
        origin = headers.get(b"origin")
        if scope["method"] == "OPTIONS":
            await wire.answer(send, 204, b"", _preflight(origin))
            return
        cors: list[tuple[str, str]] = []
        try:
            status, data, extra = 200, await self._take(scope, headers, receive, origin, cors), []
        except Gone:
            return
        except Exception as error:  # noqa: BLE001  no input may bring the path down; the fault is reported
            if not isinstance(error, EXPECTED):
                self.fault(error)
            refused = _refusal(error)
            self.meters.refused(scope["path"], refused.code)
            status, data, extra = refused.status, refused.body(), refused.headers
            if refused.status in (408, 413):  # the rest of the body is not waited for
                extra.append(("connection", "close"))
        await wire.answer(send, status, data, [*cors, *extra])

    async def _take(
        self, scope: Scope, headers: Headers, receive: Receive, origin: str | None, cors: list[tuple[str, str]]
    ) -> bytes:
        started = self.steady()
        self._started()
        caller = self.gate.of(headers, scope["query_string"])
        caller.require("sdk", "ingest", "browser")
        historical = PATHS[scope["path"]]
        enforce = historical and _says_enforce(scope["query_string"])
        ip = self._admit(caller, scope, headers, origin, cors, historical, enforce)
        parsed = await self._parsed(caller, ip, headers, receive)
        sending = Sending(caller.app, parsed.events, self.clock(), caller.scope, caller.key, historical, enforce)
        receipt = await self._written(sending)
        self.meters.ingested(caller.app, receipt, len(parsed.rejected), self.steady() - started)
        return _accepted(receipt, parsed)

    def _started(self) -> None:
        """Refuse events while windows are still being restored: judged now, they would be judged wrong."""
        starting = self.starting()
        if starting is not None:
            raise ApiError("unavailable", starting, "try again in 2 s", 2)

    def _admit(
        self, caller: Caller, scope: Scope, headers: Headers, origin: str | None, cors: list[tuple[str, str]],
        historical: bool, enforce: bool,
    ) -> str | None:  # fmt: skip
        """Let a sender in before its body is read; return the connection's address for a browser's key."""
        ip = None
        if caller.scope == "browser":
            if origin is None or not _listed(origin, caller.settings.get("origins", ())):
                raise ApiError("forbidden", f"the origin `{(origin or 'none')[:80]}` is not the key's", "list it there")
            cors += [("access-control-allow-origin", origin), ("vary", "origin")]
            if historical:
                raise ApiError("forbidden", "a key of scope `browser` may not do this", "import from a server")
            ip = self._address(scope, headers)
        if enforce and caller.scope == "ingest":
            raise ApiError("forbidden", "a key of scope `ingest` may not enforce an import", "use one of scope `sdk`")
        self._ask(caller, ip, self.steady())
        return ip

    def _address(self, scope: Scope, headers: Headers) -> str | None:
        peer = scope.get("client")
        return client_address(
            peer[0] if peer else None, headers.all(b"forwarded"), headers.all(b"x-forwarded-for"), self.options
        )

    def _ask(self, caller: Caller, ip: str | None, now: float) -> None:
        self.apps.ask(caller.app, now)
        if caller.scope == "browser":
            self.addresses.ask(_place(caller, ip), now)

    def _spend(self, caller: Caller, ip: str | None, events: int) -> None:
        now = self.steady()
        self.apps.spend(caller.app, events, now)
        if caller.scope == "browser":
            self.addresses.spend(_place(caller, ip), events, now)

    async def _parsed(self, caller: Caller, ip: str | None, headers: Headers, receive: Receive) -> Parsed:
        """Read and decode a body; what cannot be read costs as much as one event."""
        most = FROM_BROWSERS if caller.scope == "browser" else wire.LARGEST
        data = await wire.body(receive, headers, self.budget, self.body_patience, most)
        self._ask(caller, ip, self.steady())
        cost = 1
        try:
            work = partial(self._read, data, headers.all(b"content-encoding"), caller, ip, most)
            if len(data) <= SMALL:
                parsed = work()
            else:
                async with self.large:
                    parsed = await asyncio.to_thread(work)
            cost = max(1, len(parsed.events) + len(parsed.rejected))
        finally:
            self._spend(caller, ip, cost)
        return parsed

    def _read(self, data: bytes, encodings: list[str], caller: Caller, ip: str | None, most: int) -> Parsed:
        received = self.clock()
        terms = Terms(caller.scope, caller.key, received, partial(new_id, received // 1000), ip)
        return parse(wire.expand(data, encodings, most), terms)

    async def _written(self, sending: Sending) -> Receipt:
        if not sending.events:
            return Receipt(0, 0, self.revision(sending.app))
        future = self.intake.submit(sending)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.commit_patience)
        except TimeoutError:
            raise ApiError("unavailable", "the events were not written in time", "send them again", 5) from None


def _refusal(error: Exception) -> ApiError:
    """Return what to answer. A fault of ours leaves the events with their sender, who tries again."""
    if isinstance(error, EXPECTED):
        return refusal(error)
    return ApiError("unavailable", "the events could not be written", "send them again", 5)


def _accepted(receipt: Receipt, parsed: Parsed) -> bytes:
    return msgspec.json.encode(
        {
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "rejected": parsed.rejected,
            "revision": receipt.revision,
        }
    )


def _says_enforce(query: bytes) -> bool:
    values = parse_qs(query.decode("latin-1")).get("enforce", ["false"])
    if values[-1].lower() not in ("true", "false", "1", "0"):
        raise ApiError("invalid", "`enforce`: neither true nor false")
    return values[-1].lower() in ("true", "1")


def _place(caller: Caller, ip: str | None) -> str:
    return f"{caller.app} {address.group(ip) if ip else 'unknown'}"


def _listed(origin: str, origins: Iterable[str]) -> bool:
    """Say whether an origin is one of a key's: written out, or `https://*.example.com` for any name below."""
    for one in origins:
        head, star, tail = one.partition("*")
        if origin == one or (star and origin.startswith(head) and origin.endswith(tail) and len(origin) > len(one) - 1):
            return True
    return False


def _preflight(origin: str | None) -> list[tuple[str, str]]:
    """Answer what a browser asks before it sends: it carries no key yet, so the key's origins are checked later."""
    if origin is None:
        return [("allow", "POST, OPTIONS")]
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", _CORS),
        ("access-control-max-age", "600"),
        ("vary", "origin"),
    ]
