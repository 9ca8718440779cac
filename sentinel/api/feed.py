"""The decision list for SDKs: GET /v1/feed and its stream. A delta is made and encoded once, for all who ask for it.

Its fields are `revision`, `reset`, `added` and `removed`, as `sdk.deltas` reads them; the polled answer also has the
server's time as `now`. While enforcement is switched off, the list is empty and its revision is 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sentinel.api import stream
from sentinel.api.context import only_known
from sentinel.api.hub import Hub
from sentinel.core import moment
from sentinel.core.decision import Delta
from sentinel.core.errors import SentinelError
from sentinel.core.wire import write_decision
from sentinel.edge import wire
from sentinel.edge.access import Caller, Gate, credential
from sentinel.edge.errors import ApiError, refusal
from sentinel.edge.wire import Headers, Receive, Scope, Send
from sentinel.service.ports.findings import Decisions

POLL, STREAM = "/v1/feed", "/v1/feed/stream"
TOPIC = "decisions"
_KEEP = 2.0  # seconds a delta is kept for others who ask for the same
_FIRST_KEPT = 1024
_LITTLE = 100  # revisions: what changed since then takes no time worth waiting for

_Asked = tuple[str, int, int]  # an app, the revision asked from, the one this process knew of


class Change(NamedTuple):
    """A delta as JSON without its opening brace, so that a field can be put before it."""

    revision: int
    tail: bytes


@dataclass(slots=True)
class Feed:
    """What changed in each app's decision list. `enforcing` says whether an app's decisions are carried out.

    `heard` is told what an SDK says of its process.
    """

    gate: Gate
    hub: Hub
    decisions: Decisions
    clock: Callable[[], int]
    enforcing: Callable[[str], bool] = lambda app: True
    heartbeat: float = stream.HEARTBEAT
    heard: Callable[[Caller, Headers], None] = lambda caller, headers: None
    _made: dict[_Asked, asyncio.Future[Change]] = field(default_factory=dict)
    _lanes: dict[str, asyncio.Lock] = field(default_factory=dict)  # by app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: a poll or a stream."""
        headers = Headers(scope["headers"])
        try:
            secret = credential(headers, scope["query_string"])
            caller = await self.gate.admit(headers, scope["query_string"])
            caller.require("sdk", "read")
            self.heard(caller, headers)
            if scope["path"] == POLL:
                await self._poll(caller.app, _since(scope["query_string"]), send)
                return
            since = _last_seen(headers, scope["query_string"])
            with self.hub.seat(TOPIC, caller.app, secret) as seat:
                follower = _Follower(self, caller.app, since)
                await stream.run(seat, follower.next, receive, send, self.heartbeat)
        except SentinelError as error:
            refused = refusal(error)
            await wire.answer(send, refused.status, refused.body(), refused.headers)

    def current(self, app: str) -> int:
        """Return the revision of the list that is told: 0 while enforcement is off."""
        return self.decisions.revision(app) if self.enforcing(app) else 0

    async def change(self, app: str, since: int) -> Change:
        """Return what changed since a revision; all who ask the same before anything changes share one delta."""
        current = self.current(app)
        key = (app, since, current)
        made = self._made.get(key)
        if made is None or (made.done() and (made.exception() or made.result().revision < current)):
            made = asyncio.ensure_future(self._in_turn(app, since, current))
            if len(self._made) < _FIRST_KEPT:
                self._made[key] = made
                made.add_done_callback(lambda done: self._forget_later(key, done))
        return await asyncio.shield(made)

    async def _in_turn(self, app: str, since: int, current: int) -> Change:
        """Make a delta; of those that may be large one at a time in an app, or one key could hold up all others."""
        if since and 0 <= current - since <= _LITTLE:
            return await asyncio.to_thread(self._make, app, since)
        async with self._lanes.setdefault(app, asyncio.Lock()):
            made = self._done(app, since) if self.current(app) else []  # while it is switched off the list is empty
            for change in made:
                if change.revision >= max(current, 1):  # made while this one waited
                    return change
            return await asyncio.to_thread(self._make, app, since)

    def _done(self, app: str, since: int) -> list[Change]:
        of_app = [made for key, made in self._made.items() if key[:2] == (app, since) and made.done()]
        return [made.result() for made in of_app if not made.cancelled() and not made.exception()]

    def _forget_later(self, key: _Asked, done: asyncio.Future[Change]) -> None:
        if not done.cancelled():
            done.exception()  # whoever asked has heard of it
        asyncio.get_running_loop().call_later(_KEEP, self._forget, key, done)

    def _forget(self, key: _Asked, done: asyncio.Future[Change]) -> None:
        if self._made.get(key) is done:
            del self._made[key]

    def _make(self, app: str, since: int) -> Change:
        if not self.enforcing(app):
            return encode(Delta(0, reset=True))
        return encode(self.decisions.delta(app, since, self.clock()))

    async def _poll(self, app: str, since: int, send: Send) -> None:
        change = await self.change(app, since)
        data = b'{"now":"%b",%b' % (moment.to_text(self.clock()).encode(), change.tail)
        await wire.answer(send, 200, data, [("cache-control", "no-store")])


class _Follower:
    """How far one stream was told: by revisions of the store, which may be ahead of what this process has heard of."""

    __slots__ = ("_app", "_feed", "_since", "_told")

    def __init__(self, feed: Feed, app: str, since: int) -> None:
        self._feed = feed
        self._app = app
        self._since = since
        self._told = False

    async def next(self) -> bytes | None:
        current = self._feed.current(self._app)
        if current == self._since or (self._told and 0 < current < self._since):
            return None
        change = await self._feed.change(self._app, self._since)
        if self._told and change.revision == self._since:
            return None
        self._since, self._told = change.revision, True
        return stream.event("delta", b"{" + change.tail, str(change.revision))


def encode(delta: Delta) -> Change:
    """Return a delta as it is sent."""
    head = b'"revision":%d,"reset":%b,"added":' % (delta.revision, b"true" if delta.reset else b"false")
    added, removed = wire.json_list(map(write_decision, delta.added)), wire.json_list(delta.removed)
    return Change(delta.revision, b'%b%b,"removed":%b}' % (head, added, removed))


def _since(query: bytes) -> int:
    """Return the revision in a query, 0 without one; raises ApiError for anything else."""
    given = wire.parameters(query)
    only_known(given, ("since",))
    text = given.get("since", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ApiError("invalid", "`since`: not a revision", "take the last answer's `revision`, or 0")
    return int(text)


def _last_seen(headers: Headers, query: bytes) -> int:
    """Return the revision a stream goes on from, 0 for a `Last-Event-ID` that cannot be read."""
    since, text = _since(query), headers.get(b"last-event-id")
    if text is None:
        return since
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
