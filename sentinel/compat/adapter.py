"""What an adapter consists of: its paths, the settings of its keys, how it calls the service, how it refuses.

How a request reaches an adapter is in `frame`; the list of adapters is in `adapters`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from sentinel.core.errors import SentinelError
from sentinel.core.record import KeyScope
from sentinel.edge import wire
from sentinel.edge.access import Caller, Gate
from sentinel.edge.batch import Parsed, Terms, Translate, translated
from sentinel.edge.decoding import decode
from sentinel.edge.door import EXPECTED, Door, not_written
from sentinel.edge.encodings import expand
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForm
from sentinel.edge.turns import Turns
from sentinel.edge.wire import Headers, Receive, Scope
from sentinel.service.bans import Bans
from sentinel.service.intake import Receipt, Sending
from sentinel.service.ports import Store

SENDERS: tuple[KeyScope, ...] = ("sdk", "ingest")
ANY_SENDER: tuple[KeyScope, ...] = ("sdk", "ingest", "browser")
READERS: tuple[KeyScope, ...] = ("sdk",)
SMALL_BODY = 64 * 1024  # of what carries no events
_LONGEST_SECRET = 512


class Answer(NamedTuple):
    """What is answered: JSON unless `kind` says otherwise; `data` may be any JSON value, or bytes as they are.

    `after` is called when the answer has gone out.
    """

    status: int
    data: Any = b""
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "application/json"
    after: Callable[[], None] | None = None

    def bytes(self) -> bytes:
        """Return the body."""
        return self.data if isinstance(self.data, bytes) else msgspec.json.encode(self.data)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of one request. `path` is what follows the protocol's own prefix, `named` its variable parts."""

    method: str
    path: str
    headers: Headers
    scope: Scope
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query string, the last of each name; raises the refusal of more than 100."""
        try:
            pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise ApiError("malformed", "the query string has more than 100 parts") from None
        return dict(pairs)


@dataclass(frozen=True, slots=True)
class Shared:
    """What every adapter is given by the composition root. `trouble` tells the log what an operator should know.

    `identity` returns the login an identity service knows a token by, where the settings name a service. In `kept` an
    adapter keeps, by its name, what lives as long as the server.
    """

    gate: Gate
    door: Door
    store: Store
    bans: Bans
    enforcing: Callable[[str], bool]
    trouble: Callable[[str, BaseException], None]
    identity: Callable[[str], str | None] | None = None
    turns: Turns = field(default_factory=Turns)  # of those who ask about stored events, here or by the API
    kept: dict[str, Any] = field(default_factory=dict)


class Taken(NamedTuple):
    """What became of a body of events, after the commit."""

    receipt: Receipt
    rejected: Sequence[Mapping[str, Any]]


Elements = Callable[[bytes], tuple[Iterable[Any], bool]]


def json_elements(data: bytes) -> tuple[Iterable[Any], bool]:
    """Return what a JSON body holds, one element or a list of them, and whether only a lenient reading got it."""
    decoded, lenient = decode(data)
    return decoded if type(decoded) is list else [decoded], lenient


@dataclass(slots=True)
class Call:
    """One request to a route, its caller let in. `ip` is the connection's address as far as proxies are trusted."""

    request: Request
    shared: Shared
    protocol: str
    receive: Receive
    ip: str | None
    let_in: Caller | None = None
    rejected: Sequence[Mapping[str, Any]] = ()

    @property
    def caller(self) -> Caller:
        """Who asks; a route that is `open` has nobody."""
        assert self.let_in is not None, "an open route has no caller"
        return self.let_in

    async def take(self, translate: Translate, elements: Elements = json_elements, *, stitches: bool = False) -> Taken:
        """Read the body, translate its elements to events as `POST /v1/events` takes them, and wait for the commit.

        `translate` gives an element's events as decoded JSON, or raises EventError: that costs no other element.
        With `stitches` what they say of a user ties an anonymous id to that user, whoever sends them.
        """
        door, caller = self.shared.door, self.caller
        started = door.steady()
        parse = partial(self._parse, translate, elements)
        parsed = await door.read(caller, self.ip, self.request.headers, self.receive, parse)
        return await self._written(parsed, started, stitches)

    async def send(self, raws: Iterable[Mapping[str, Any]]) -> Taken:
        """Take events that came in no body: from a query string, or from one that was read with `body`."""
        door, caller = self.shared.door, self.caller
        parsed = translated(raws, lambda raw: (raw,), door.terms(caller, self.ip), True, self._fault)
        door.spend(caller, self.ip, max(1, len(parsed.events) + len(parsed.rejected)))
        return await self._written(parsed, door.steady())

    async def body(self, most: int = SMALL_BODY) -> bytes:
        """Return a body that carries no events, expanded, at most so many bytes of it."""
        headers, door = self.request.headers, self.shared.door
        data = await wire.body(self.receive, headers, door.room(self.let_in, self.ip), door.body_patience, most)
        return expand(data, headers.all(b"content-encoding"), most)

    async def json(self) -> Any:
        """Return what a body of JSON says; raises the refusal of what is none."""
        return decode(await self.body())[0]

    def _parse(self, translate: Translate, elements: Elements, data: bytes, terms: Terms) -> Parsed:
        found, lenient = elements(data)
        return translated(found, translate, terms, lenient, self._fault)

    def _fault(self, error: BaseException) -> None:
        self.shared.trouble(self.protocol, error)

    async def _written(self, parsed: Parsed, started: float, stitches: bool = False) -> Taken:
        door, caller = self.shared.door, self.caller
        sending = Sending(caller.app, parsed.events, caller.scope, stitches=stitches)
        try:
            receipt = await door.write(sending, parsed, started, self._fault)
        except SentinelError as error:
            if not isinstance(error, EXPECTED):
                self._fault(error)
            raise not_written(error) from None
        self.rejected = parsed.rejected
        return Taken(receipt, parsed.rejected)


Handle = Callable[[Call], Coroutine[Any, Any, Answer]]


class Route(NamedTuple):
    """What is answered where. `path` is below the prefix, its `{parts}` variable; HEAD is answered as GET.

    Keys of `scopes` are let in. With `open` there is no key (a log-in); each try then costs its address `cost` events.
    With `events` the app's rate holds, and nothing is taken while windows are being restored.
    """

    method: str
    path: str
    handle: Handle
    scopes: tuple[KeyScope, ...] = SENDERS
    events: bool = True
    open: bool = False
    cost: int = 20


def refuse(error: ApiError) -> Answer:
    """Refuse as most protocols do: the status, and a message."""
    text = error.message if error.hint is None else f"{error.message} ({error.hint})"
    return Answer(error.status, {"message": text})


@dataclass(frozen=True, slots=True)
class Adapter:
    """One foreign protocol, answered below `/compat/<name>`.

    `routes` makes its routes once for each server, with whatever state they need. `secret` finds the key in a request
    (ApiError `unauthorized` where there is none); `caller` does so where a credential is no key of ours. With a
    header of `told_by`, and no `Authorization`, a request is answered at the paths of `at_root` too. `allow` and
    `expose` are what CORS says of headers.
    """

    keys: KeyForm
    routes: Callable[[Shared], Sequence[Route]]
    secret: Callable[[Request], str] = lambda request: no_key()
    caller: Callable[[Request, Shared], Caller] | None = None
    refuse: Callable[[ApiError], Answer] = refuse
    told_by: tuple[bytes, ...] = ()
    at_root: frozenset[str] = frozenset()
    allow: str = "authorization, content-type, content-encoding"
    expose: str = ""


def no_key() -> str:
    """Refuse a request that carries no key."""
    raise ApiError("unauthorized", "the request carries no key")


def in_header(name: str) -> Callable[[Request], str]:
    """Return how a key is found in a header of its own, which may stand there once."""
    key = name.lower().encode()

    def find(request: Request) -> str:
        return checked(request.headers.all(key), f"send it as `{name}`")

    return find


def in_authorization(*schemes: str) -> Callable[[Request], str]:
    """Return how a key is found behind `Authorization: <scheme>`, the scheme in any case."""

    def find(request: Request) -> str:
        lines = [line.partition(" ") for line in request.headers.all(b"authorization")]
        found = [secret for scheme, _, secret in lines if scheme.lower() in schemes]
        return checked(found if len(found) == len(lines) else [], f"send `Authorization: {schemes[0].title()} <key>`")

    return find


def in_query(*names: str, sending: Callable[[Request], bool]) -> Callable[[Request], str]:
    """Return how a key is found in the query string, of requests that send only: what reads is asked for a header."""

    def find(request: Request) -> str:
        query = request.query if sending(request) else {}
        return checked([query[name] for name in names if name in query], "send it in a header")

    return find


def first_of(*finders: Callable[[Request], str]) -> Callable[[Request], str]:
    """Return how a key is found in the one of several places where it stands; raises the refusal of two places."""

    def find(request: Request) -> str:
        found: list[str] = []
        missing: ApiError | None = None
        for finder in finders:
            try:
                found.append(finder(request))
            except ApiError as error:
                if error.code != "unauthorized":
                    raise
                missing = missing or error
        if missing is not None and not found:
            raise missing
        return checked(found, "")

    return find


def checked(found: Sequence[str], hint: str) -> str:
    """Return the one secret that was found; raises the refusal of none, of several, and of what can be no key."""
    if len(found) > 1:
        raise ApiError("two_credentials", "the request carries more than one key", "send exactly one")
    secret = found[0].strip() if found else ""
    if not 0 < len(secret) <= _LONGEST_SECRET or not secret.isascii():
        raise ApiError("unauthorized", "the request carries no key", hint)
    return secret
