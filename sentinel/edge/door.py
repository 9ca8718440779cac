"""Take in events, whoever sends them and in whatever form: limits, metering, decompression, the wait for the commit.

Which route they come by, who may send and what the bytes of a body mean are not known here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sentinel.core import address
from sentinel.core.errors import StoreBusy
from sentinel.core.ids import CHANCE, new_id
from sentinel.core.proxies import Proxies, client_address, is_trusted
from sentinel.edge import requests, wire
from sentinel.edge.access import Caller
from sentinel.edge.batch import Parsed, Terms
from sentinel.edge.encodings import expand
from sentinel.edge.errors import ApiError, refusal
from sentinel.edge.limits import Buckets
from sentinel.edge.wire import Budget, Headers, Receive, Room, Scope
from sentinel.service.intake import Busy, Intake, Receipt, Sending

SMALL = 64 * 1024  # what is expanded on the loop itself; more goes to a thread
AT_ONCE = 1024 * 1024  # bytes it may expand to there
UNREAD = 1024  # bytes of a body that cannot be read which cost as much as an event
LARGE_AT_ONCE = 2  # bodies decoded in threads: eight megabytes of brackets become two hundred
FROM_BROWSERS = 512 * 1024  # bytes of a body
OF_STRANGERS = 32 * 1024 * 1024  # bytes of unfinished bodies
PARTS = 16  # that one of them leaves to others
BURST = 10  # seconds' worth an app may send at once
EXPECTED = (ApiError, Busy, StoreBusy)
_OF_PROXIES = (b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip")


class Meters(Protocol):
    """Counts what came in."""

    def ingested(self, app: str, receipt: Receipt, rejected: int, seconds: float) -> None: ...
    def refused(self, code: str) -> None: ...


@dataclass(slots=True)
class Door:
    """Takes events in. `clock` gives microseconds since 1970, `steady` seconds that never jump.

    Patience is in seconds: how long a body may take to come, and a commit to be done. `not_yet` says what keeps
    the server from taking events yet. `budget` is for bodies of apps and of who is signed in, `strangers` for others'.
    """

    intake: Intake
    revision: Callable[[str], int]
    meters: Meters
    clock: Callable[[], int]
    steady: Callable[[], float]
    apps: Buckets
    addresses: Buckets
    proxies: Proxies = field(default_factory=Proxies)
    budget: Budget = field(default_factory=Budget)
    strangers: Budget = field(default_factory=lambda: Budget(OF_STRANGERS, PARTS))
    body_patience: float = wire.PATIENCE
    commit_patience: float = 30.0
    not_yet: Callable[[], str | None] = lambda: None
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE))

    def started(self) -> None:
        """Raise ApiError while the server cannot take events yet: judged before windows are restored, they go wrong."""
        starting = self.not_yet()
        if starting is not None:
            raise ApiError("unavailable", starting, "try again in 2 s", 2)

    def admit_browser(self, caller: Caller, scope: Scope, headers: Headers) -> tuple[str | None, list[tuple[str, str]]]:
        """Return the address of a browser's request and the headers of CORS for its answer.

        Raises ApiError unless its origin is one of the key's.
        """
        origin = headers.get(b"origin")
        if origin is None or not _listed(origin, caller.settings.get("origins", ())):
            raise ApiError("forbidden", f"the origin `{(origin or 'none')[:80]}` is not the key's", "list it there")
        return self.address(scope, headers), [("access-control-allow-origin", origin), ("vary", "origin")]

    def address(self, scope: Scope, headers: Headers) -> str | None:
        """Return whose address a request comes from, as far as trusted proxies say."""
        peer = scope.get("client")
        return client_address(
            peer[0] if peer else None, headers.all(b"forwarded"), headers.all(b"x-forwarded-for"), self.proxies
        )

    def connection(self, scope: Scope, headers: Headers) -> object:
        """Return what tells the client's own connection from others; None where a proxy may stand between.

        A proxy's connection outlives its client's, and carries several clients' requests.
        """
        peer = scope.get("client")
        near = address.normalise(peer[0]) if peer else None
        if peer is None or near is None or is_trusted(near, self.proxies.trusted_proxies):
            return None
        return None if any(headers.get(name) is not None for name in _OF_PROXIES) else (near, peer[1])

    def ask(self, caller: Caller, ip: str | None) -> None:
        """Raise the refusal where the app, or a browser's address, has sent too much."""
        now = self.steady()
        self.apps.ask(caller.app, now)
        if caller.scope == "browser":
            self.addresses.ask(_place(caller, ip), now)

    def ask_open(self, ip: str | None, cost: int) -> None:
        """Raise the refusal where an address has tried too often without a key; each try costs so many events."""
        now, place = self.steady(), _nobodys(ip)
        self.addresses.ask(place, now)
        self.addresses.spend(place, cost, now)

    def spend(self, caller: Caller, ip: str | None, events: int) -> None:
        """Take what a request cost."""
        now = self.steady()
        self.apps.spend(caller.app, events, now)
        if caller.scope == "browser":
            self.addresses.spend(_place(caller, ip), events, now)

    async def read(
        self, caller: Caller, ip: str | None, headers: Headers, receive: Receive,
        parse: Callable[[bytes, Terms], Parsed],
    ) -> Parsed:  # fmt: skip
        """Return the events of a body, read and decoded; raises ApiError.

        Each event costs the sender; a body that cannot be read costs by its size, for looking at it took as long.
        """
        most = FROM_BROWSERS if caller.scope == "browser" else wire.LARGEST
        room = self.room(caller, ip)
        packed = await wire.body(receive, headers, room, self.body_patience, most)
        self.ask(caller, ip)
        encodings = headers.all(b"content-encoding")
        work = _Work(packed, encodings, most, lambda data: parse(data, self.terms(caller, ip)))
        try:
            parsed = work.at_once() if len(packed) <= SMALL else None
            if parsed is None:
                with room.held(len(packed)):  # as many of them wait as are sent
                    async with self.large:
                        parsed = await asyncio.to_thread(work.whole)
        finally:
            self.spend(caller, ip, work.cost)
        return parsed

    def room(self, caller: Caller | None, ip: str | None) -> Room:
        """Return the room that a sender's bodies count against; browsers are strangers, for their keys are public."""
        if caller is None:
            return self.strangers.of(_nobodys(ip))
        return self.strangers.of(_place(caller, ip)) if caller.scope == "browser" else self.budget.of(caller.app)

    def terms(self, caller: Caller, ip: str | None) -> Terms:
        """Return on what terms a caller's events are taken now."""
        received = self.clock()
        return Terms(caller.scope, caller.key, received, lambda: new_id(received // 1000, os.urandom(CHANCE)), ip)

    async def write(
        self, sending: Sending, parsed: Parsed, started: float, fault: Callable[[BaseException], None]
    ) -> Receipt:  # fmt: skip
        """Return what became of the events of a body once they are on disk; raises ApiError where that takes too long.

        Events that a fault kept out are added to those that `parsed` refuses; `fault` is called once for each reason.
        """
        receipt = await self._written(sending)
        self.meters.ingested(sending.app, receipt, len(parsed.rejected), self.steady() - started)
        for error in {str(error): error for error in receipt.faults.values()}.values():
            fault(error)
        parsed.left_out(receipt.faults, requests.current())
        return receipt

    async def _written(self, sending: Sending) -> Receipt:
        if not sending.events:
            return Receipt(0, 0, self.revision(sending.app))
        future = self.intake.submit(sending)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.commit_patience)
        except TimeoutError:
            raise ApiError("unavailable", "the events were not written in time", "send them again", 5) from None


@dataclass(slots=True)
class _Work:
    """A body to be read, of at most `most` bytes when expanded; `cost` is what it counts for so far, in events."""

    packed: bytes
    encodings: list[str]
    most: int
    parse: Callable[[bytes], Parsed]
    cost: int = 1

    def at_once(self) -> Parsed | None:
        """Return the events of the body, None where it expands to more than may be read on the event loop."""
        bound = min(self.most, AT_ONCE)
        try:
            data = expand(self.packed, self.encodings, bound)
        except ApiError as error:
            if error.code == "too_large" and bound < self.most:
                return None
            raise
        return self._read(data)

    def whole(self) -> Parsed:
        """Return the events of the body, whatever it expands to."""
        return self._read(expand(self.packed, self.encodings, self.most))

    def _read(self, data: bytes) -> Parsed:
        self.cost = max(1, len(data) // UNREAD)
        parsed = self.parse(data)
        self.cost = max(1, len(parsed.events) + len(parsed.rejected))
        return parsed


def not_written(error: Exception) -> ApiError:
    """Return what to answer. A fault of ours leaves the events with their sender, who tries again."""
    if isinstance(error, EXPECTED):
        return refusal(error)
    return ApiError("unavailable", "the events could not be written", "send them again", 5)


def preflight(origin: str | None, methods: str, allowed: str) -> list[tuple[str, str]]:
    """Answer what a browser asks before it sends: it carries no key yet, so the key's origins are checked later."""
    if origin is None:
        return [("allow", f"{methods}, OPTIONS")]
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-methods", methods),
        ("access-control-allow-headers", allowed),
        ("access-control-max-age", "600"),
        ("vary", "origin"),
    ]


def _place(caller: Caller, ip: str | None) -> str:
    return f"{caller.app} {address.group(ip) if ip else 'unknown'}"


def _nobodys(ip: str | None) -> str:
    return f"open {address.group(ip) if ip else 'unknown'}"


def _listed(origin: str, origins: Iterable[str]) -> bool:
    """Say whether an origin is one of a key's: written out, or `https://*.example.com` for any name below."""
    for one in origins:
        head, star, tail = one.partition("*")
        if origin == one or (star and origin.startswith(head) and origin.endswith(tail) and len(origin) > len(one) - 1):
            return True
    return False
