"""Sqreen: its agents' custom events and signals become events, and agents learn whom we block.

What agents did by rules of their vendor is not served: attacks, performance, and log-ins and sign-ups, which agents
count by such a rule. An agent's session is its key and a number, so that any process of a server knows it.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import msgspec

from sentinel.compat.adapter import READERS, SENDERS, Adapter, Answer, Call, Request, Route, Shared, first_of, in_header
from sentinel.compat.naming import text, unreserved
from sentinel.compat.raw import element, part
from sentinel.compat.raw import time as sent_at
from sentinel.compat.sparing import shallow
from sentinel.core import address, identity
from sentinel.core.decision import FOREVER, Place
from sentinel.core.duration import DAY, SECOND
from sentinel.core.errors import EventError, SentinelError, StoreBusy
from sentinel.core.event import ENFORCED
from sentinel.core.scrub import Scrubber
from sentinel.core.scrub import text as scrubbed
from sentinel.edge.decoding import decode
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForm, KeySetting, yes_or_no
from sentinel.edge.wire import json_list
from sentinel.service.bans import Ban, Table, Target

MOST_SESSIONS = 10_000
MOST_TOLD = 10_000  # users and addresses each; who is refused longest is told
MOST_IDENTIFIERS = 32
LONGEST = 14 * DAY  # of an action: an agent's timers end at once past 24 days; each week all are told anew
LARGEST_BODY = 1024 * 1024  # of what agents say of themselves, which is not kept
_WEEK = 7 * DAY
_AGENT = {
    "batch_size": 20, "max_staleness": 1, "heartbeat_delay": 2, "use_signals": False,
    "call_counts_metrics_period": 60, "whitelisted_metric": True,
}  # fmt: skip
_LOGIN, _BEAT = "/sqreen/v1/app-login", "/sqreen/v1/app-beat"
_UNKEPT = (
    "agent_message", "app_agent_message", "app_sqreen_exception", "attack", "bundle", "commands", "data_point",
    "metrics", "request_record", "sqreen_exception",
)  # fmt: skip
_SIGNALS = ("/batches", "/signals", "/traces")
_V0 = ("app-logout", "actionspack", "batch", *_UNKEPT)
_ROOT = (_LOGIN, _BEAT, *(f"/sqreen/v0/{path}" for path in _V0), *_SIGNALS)
_DONE: Mapping[str, Any] = {"status": True}
_REPORTS = {"block_user": "user", "block_ip": "ip"}
_SAID = {"method": ("verb", 32), "host": ("host", 256), "path": ("path", 1024), "route": ("endpoint", 512)}
_scrub = Scrubber()
T = TypeVar("T", str, Place)


class Pack(NamedTuple):
    """Whom agents refuse: the bans that last longest, a tag that changes with them, and the ids of their decisions.

    It was made of the table of bans with that `number`, in that `week`: every week all are told anew (see LONGEST).
    """

    number: int
    week: int
    users: tuple[tuple[str, Ban], ...] = ()
    places: tuple[tuple[Place, Ban], ...] = ()
    tag: str = ""
    decisions: frozenset[str] = frozenset()


class Sqreen:
    """The agents of all apps, and what each was told."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._packs: dict[str, Pack] = {}
        self._sessions: OrderedDict[str, str] = OrderedDict()

    async def ping(self, call: Call) -> Answer:
        """Say that somebody is there."""
        return Answer(200, _DONE)

    async def login(self, call: Call) -> Answer:
        """Give an agent a session, tell it how to report, and whom to refuse."""
        await call.body(LARGEST_BODY)
        session = f"{_secret(call.request)}.{secrets.token_hex(8)}"
        command = {"uuid": secrets.token_hex(16), "name": "instrumentation_enable", "params": []}
        found = {**_DONE, "session_id": session, "commands": [command], "features": _AGENT, "rules": [], "pack_id": "0"}
        return Answer(200, found)

    async def beat(self, call: Call) -> Answer:
        """Tell an agent to fetch its actions again if they changed since it last did."""
        await call.body(LARGEST_BODY)
        try:
            tag = (await self._pack(call.caller.app)).tag
        except StoreBusy:
            return Answer(200, {**_DONE, "commands": []})
        if self._sessions.get(_session(call)) == tag:
            return Answer(200, {**_DONE, "commands": []})
        command = {"uuid": secrets.token_hex(16), "name": "actions_reload", "params": []}
        return Answer(200, {**_DONE, "commands": [command]})

    async def actions(self, call: Call) -> Answer:
        """Tell an agent whom to refuse."""
        pack, now = await self._pack(call.caller.app), self._shared.door.clock()
        found = await asyncio.to_thread(_actions, pack, bool(call.caller.settings.get("addresses")), now)
        return Answer(200, found, after=partial(self._told, _session(call), pack.tag))

    async def batch(self, call: Call) -> Answer:
        """Take what happened in requests to an agent's application."""
        try:
            decisions = (await self._pack(call.caller.app)).decisions
        except StoreBusy:
            decisions = frozenset()
        await call.take(partial(record, decisions), _batch)
        return Answer(200, _DONE)

    async def signals(self, call: Call) -> Answer:
        """Take a batch of signals; one that cannot be read costs no other."""
        await call.take(reader())
        return Answer(202, _DONE)

    async def one(self, call: Call) -> Answer:
        """Take one signal or trace; what cannot be read is told."""
        taken = await call.take(reader())
        if taken.rejected:
            return Answer(422, {"message": taken.rejected[0]["error"]})
        return Answer(202, _DONE)

    async def thanks(self, call: Call) -> Answer:
        """Accept what is not kept."""
        await call.body(LARGEST_BODY)
        return Answer(200, _DONE)

    async def over(self, call: Call) -> Answer:
        """Forget a session."""
        self._sessions.pop(_session(call), None)
        return Answer(200, _DONE)

    async def _pack(self, app: str) -> Pack:
        fresh, week = self._shared.bans.fresh(app), self._shared.door.clock() // _WEEK
        kept = self._packs.get(app)
        if kept is not None and fresh is not None and (kept.number, kept.week) == (fresh.number, week):
            return kept
        table = await asyncio.to_thread(self._shared.bans.table, app) if fresh is None else fresh
        found = self._packs[app] = await asyncio.to_thread(_packed, table, week)
        return found

    def _told(self, session: str, tag: str) -> None:
        self._sessions[session] = tag
        self._sessions.move_to_end(session)
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)


def routes(shared: Shared) -> list[Route]:
    """Return the routes, over one memory of what agents were told."""
    here = Sqreen(shared)
    return [
        Route("GET", "/ping", here.ping, events=False, open=True, cost=1),
        Route("POST", _LOGIN, here.login, READERS, events=False),
        Route("POST", _BEAT, here.beat, READERS, events=False),
        Route("GET", "/sqreen/v0/app-logout", here.over, READERS, events=False),
        Route("GET", "/sqreen/v0/actionspack", here.actions, READERS, events=False),
        Route("POST", "/sqreen/v0/batch", here.batch, READERS),
        *(Route("POST", f"/sqreen/v0/{path}", here.thanks, READERS, events=False) for path in _UNKEPT),
        Route("POST", "/batches", here.signals, SENDERS),
        Route("POST", "/signals", here.one, SENDERS),
        Route("POST", "/traces", here.one, SENDERS),
    ]


def _secret(request: Request) -> str:
    """Return the key of a request, which a session begins with."""
    return first_of(in_header("X-Api-Key"), in_header("X-Session-Key"))(request).partition(".")[0]


ADAPTER = Adapter(
    KeyForm(SENDERS, {"addresses": KeySetting(yes_or_no, "tell refused addresses too, as the agent sees them")}),
    routes, _secret, told_by=(b"x-api-key", b"x-session-key"),
    at_root=frozenset(_ROOT),  # of the address they are given some clients keep no more than the host
)  # fmt: skip


def record(decisions: frozenset[str], raw: Any) -> Iterator[dict[str, Any]]:
    """Give the events of one request: what the application said in it."""
    if element(raw).get("event_type") != "request_record":
        return
    request, said = part(raw, "request"), part(raw, "observed").get("sdk")
    answered = _request(request, part(raw, "response").get("status"))
    common = {"ip": address.normalise(text(raw.get("client_ip"))), "request": answered}
    for place, one in enumerate(said if type(said) is list else []):
        made = _said(one, part(raw, "identity"))
        if made is None:
            continue
        made |= common
        if (rid := text(request.get("rid"))) and "timestamp" in made:
            made["id"] = f"{rid[:40]}-{place}"
        own = made["properties"]
        if made["event"] in _REPORTS and own.get("action_id") in decisions:
            scope = _REPORTS[made["event"]]
            refused = {"kind": "block", "scope": scope, "decision": own["action_id"], "status": answered.get("status")}
            made |= {"event": ENFORCED, "properties": refused}
        yield {name: value for name, value in made.items() if value}


def reader() -> Callable[[Any], Iterator[dict[str, Any]]]:
    """Return how the signals of one body are read.

    One that is sent again means the same events: ids are made of what each holds, and which of its like it is.
    """
    seen: dict[str, int] = {}

    def read(raw: Any) -> Iterator[dict[str, Any]]:
        held = blake2b(msgspec.json.encode(raw), digest_size=14, person=b"sqreen").hexdigest()
        like = seen[held] = seen.get(held, 0) + 1
        for place, made in enumerate(signal(raw)):
            yield made | {"id": f"sq-{held}-{like}-{place}"} if "timestamp" in made else made

    return read


def signal(raw: Any) -> Iterator[dict[str, Any]]:
    """Give the events of a signal: one of a point, one of each point of a trace, none of measurements."""
    inner = element(raw).get("data")
    shared = {name: raw[name] for name in ("actor", "context", "source") if raw.get(name)}
    for one in inner if type(inner) is list else [raw]:
        point = shared | {name: value for name, value in element(one).items() if value is not None}
        if point.get("type") != "metric":
            yield _point(point)


def _point(raw: Mapping[str, Any]) -> dict[str, Any]:
    name = raw.get("signal_name")
    if type(name) is not str or not name:
        raise EventError("signal_name", "missing")
    actor, context = part(raw, "actor"), part(raw, "context")
    ips = actor.get("ip_addresses")
    ip = next((one for one in map(text, ips if type(ips) is list else [actor.get("ip_address")]) if one), "")
    payload = raw.get("payload")
    properties = {"source": text(raw.get("source"))[:256], **_shown({"payload": payload} if payload else None)}
    found = {
        "event": unreserved(name), "timestamp": sent_at(raw.get("time")), "user": _user(actor.get("user_identifiers")),
        "ip": address.normalise(ip), "properties": {key: value for key, value in properties.items() if value},
        "request": _request(part(context, "request"), part(context, "response").get("status")),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value}


def _said(one: Any, whose: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what one call of an application said, None for calls that are not served."""
    call = one if type(one) is dict else {}
    given = call.get("args")
    args = [*given, None, None][:2] if type(given) is list else [None, None]
    if call.get("name") == "identify":
        found = {"event": "identify", "user": _user(args[0]), "properties": _kept("traits", args[1])}
        return _at(found, call.get("time"))
    if call.get("name") != "track" or type(args[0]) is not str or not args[0]:
        return None
    options = args[1] if type(args[1]) is dict else {}
    user = _user(options.get("user_identifiers")) or _user(whose)
    properties = options.get("properties")
    found = {"event": unreserved(args[0]), "user": user, "properties": _shown(properties)}
    return _at(found, options.get("timestamp") or call.get("time"))


def _at(found: dict[str, Any], time: Any) -> dict[str, Any]:
    at = sent_at(time)
    return found if at is None else found | {"timestamp": at}


def _kept(name: str, value: Any) -> dict[str, Any]:
    return {name: _shown(value)} if type(value) is dict and value else {}


def _shown(value: Any) -> dict[str, Any]:
    return _scrub.properties(shallow(value))[0] if type(value) is dict else {}


def _user(given: Any) -> dict[str, Any]:
    """Return who a user is; what names nobody costs neither the others nor the event."""
    found: dict[str, Any] = {}
    for name, value in list(given.items())[:MOST_IDENTIFIERS] if type(given) is dict else ():
        try:
            found[name] = identity.normalise(name, value)
        except SentinelError:
            continue
    return {name: value for name, value in found.items() if value}


def _request(given: Mapping[str, Any], status: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: scrubbed(value, longest)
        for name, (theirs, longest) in _SAID.items()
        if type(value := given.get(theirs)) is str and value
    }
    if "path" in found:
        found["path"] = found["path"].partition("?")[0]
    agents = (value for name, value in _pairs(given.get("headers")) if name.lower() == "user-agent")
    agent = next(agents, "") or text(given.get("user_agent"))
    query = part(part(given, "parameters"), "query")
    return found | {
        **({"user_agent": scrubbed(agent, 512)} if agent else {}),
        **({"params": _scrub.mapping(query)} if query else {}),
        **({"status": status} if type(status) is int and 0 < status < 1000 else {}),
    }


def _pairs(headers: Any) -> Iterator[tuple[str, str]]:
    for pair in headers if type(headers) is list else ():
        if type(pair) is list and len(pair) == 2 and all(type(one) is str for one in pair):
            yield pair[0], pair[1]


def _batch(data: bytes) -> tuple[Iterable[Any], bool]:
    found, lenient = decode(data)
    listed = found.get("batch") if type(found) is dict else None
    if type(listed) is not list:
        raise ApiError("malformed", "there is no list `batch` in the body")
    return listed, lenient


def _session(call: Call) -> str:
    return call.request.headers.get(b"x-session-key") or ""


def _packed(table: Table, week: int) -> Pack:
    number = table.number
    bans = [(target, ban) for target, ban in table.bans.copy().items() if ban.kind == "block"]
    users = _longest((target, ban) for target, ban in bans if isinstance(target, str))
    places = _longest((target, ban) for target, ban in bans if isinstance(target, Place))
    told = msgspec.json.encode([week, [(str(one), ban.until, ban.decision) for one, ban in (*users, *places)]])
    tag = blake2b(told, digest_size=12).hexdigest()
    return Pack(number, week, users, places, tag, frozenset(ban.decision for _, ban in (*users, *places)))


def _longest(bans: Iterable[tuple[T, Ban]]) -> tuple[tuple[T, Ban], ...]:
    """Return the MOST_TOLD that last longest, without sorting all of them, which would hold up every other thread."""
    return tuple(heapq.nsmallest(MOST_TOLD, bans, key=lambda one: (-one[1].until, one[0])))


def _actions(pack: Pack, addresses: bool, now: int) -> bytes:
    """Return the answer: whom an agent is to refuse."""
    users = (_action(ban, now, "block_user", {"users": _users(key)}) for key, ban in pack.users)
    places = pack.places if addresses else ()
    told = chain(users, (_action(ban, now, "block_ip", {"ip_cidr": [str(place)]}) for place, ban in places))
    return b'{"status":true,"actions":%b}' % json_list(told)


def _action(ban: Ban, now: int, kind: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    left = LONGEST if ban.until == FOREVER else min(ban.until - now, LONGEST)
    seconds = max(1, math.ceil(left / SECOND))  # none at all would be for ever
    return {"action_id": ban.decision, "action": kind, "duration": seconds, "parameters": parameters}


def _users(key: Target) -> list[dict[str, Any]]:
    """Return a user as applications may name one: agents compare all identifiers, and numbers with numbers only."""
    type_, _, value = str(key).partition(":")
    found: list[dict[str, Any]] = [{name: value} for name in identity.names_of(type_)]
    whole = type_ == "id" and value.isascii() and value.isdigit() and str(int(value)) == value and len(value) < 16
    return found + ([{name: int(value)} for name in identity.names_of(type_)] if whole else [])
