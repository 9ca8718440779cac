"""CrowdSec bouncers: the part of CrowdSec's Local API that they use, so that they enforce our bans.

`GET /v1/decisions/stream` and `GET|HEAD /v1/decisions` with `X-Api-Key`; `POST /v1/usage-metrics` is accepted and
ignored. Agents and machines are not served. Which bans there are is in `service.bans`; this is only their format.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from itertools import chain, islice
from typing import Any, NamedTuple

from sentinel.compat.adapter import READERS, Adapter, Answer, Call, Route, Shared, in_header
from sentinel.core.decision import STRICTNESS, Place, place
from sentinel.core.duration import DAY, SECOND
from sentinel.core.errors import DecisionError, StoreBusy
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForm, KeySetting, yes_or_no
from sentinel.edge.wire import json_list
from sentinel.service.bans import Ban, Change, Table, Target

ORIGIN = "sentinel"
LONGEST = 365 * DAY  # what a ban without an end is told as: every later start of a bouncer tells it anew
MOST_POLLERS = 1_000
MOST_WORDS = 100  # of a parameter: every ban is looked at by each of them
UNSURE = 4  # answers one after another that may get lost without harm
_SMALL = 8  # bits: a network of at most 256 addresses is told one by one where a key asks for it
_TYPES = {"block": "ban", "challenge": "captcha"}
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}
_LIMIT = 10_000
# Who deletes before it adds, and keeps an element's end otherwise. Others, as the Local API tells no such pair, may
# delete last: HAProxy's, Traefik's and PHP's would let go of whoever is banned for longer.
_DELETE_FIRST = ("crowdsec-firewall-bouncer",)

Named = tuple[str, str]  # a scope and a value, in the words of the Local API


class Poller(NamedTuple):
    """Who polls: two bouncers of one machine are told apart by what they call themselves and ask for."""

    key: str
    ip: str | None
    agent: str
    asked: tuple[tuple[str, str], ...]


class Cursor(NamedTuple):
    """The table's numbers at a poller's last answers, newest first, and the connection by which the newest went.

    The connection is None where a proxy may stand between.
    """

    told: tuple[int, ...]
    connection: object


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions are asked for, by the words of the query; an empty tuple asks for any."""

    scopes: tuple[str, ...]
    types: tuple[str, ...]
    origins: tuple[str, ...]
    containing: tuple[str, ...]
    without: tuple[str, ...]

    def takes(self, target: Target, ban: Ban) -> bool:
        """Say whether a ban is one of them."""
        scenario = _scenario(ban)
        return (
            _scope(target).lower() in self.scopes
            and (not self.types or _TYPES[ban.kind] in self.types)
            and (not self.origins or ORIGIN in self.origins)
            and (not self.containing or any(word in scenario for word in self.containing))
            and not any(word in scenario for word in self.without)
        )


@dataclass(slots=True)
class CrowdSec:
    """The bouncers of all apps, and how far each was told."""

    shared: Shared
    _cursors: OrderedDict[Poller, Cursor] = field(default_factory=OrderedDict)

    async def stream(self, call: Call) -> Answer:
        """Answer what changed since the last answer to this bouncer; with `startup` everything."""
        query, settings = call.request.query, call.caller.settings
        wanted = _wanted(query)
        startup = _flag(query, "startup")
        poller = self._poller(call, query)
        now = self.shared.door.clock()
        try:
            table = await self._table(call.caller.app)
        except StoreBusy:  # a bouncer whose first question fails gives up: the next answer has everything
            self._cursors.pop(poller, None)
            return Answer(200, {"new": None, "deleted": None})
        connection = self.shared.door.connection(call.request.scope, call.request.headers)
        since = () if startup else self._since(poller, connection)
        pairs = poller.agent.startswith(_DELETE_FIRST)
        number, answer = await asyncio.to_thread(_stream, table, since, wanted, settings, now, pairs)
        return Answer(200, answer, after=partial(self._went_out, poller, since, number, connection))

    async def decisions(self, call: Call) -> Answer:
        """Answer the bans in force, with `ip`, `range` or `value` those on that target; `null` where there are none."""
        query, settings = call.request.query, call.caller.settings
        wanted, now = _wanted(query), self.shared.door.clock()
        table = await self._table(call.caller.app)
        known = {"ip", "range", "value"} & {name for name, value in query.items() if value}
        start = _number(query, "offset", 0)
        part = slice(start, start + _number(query, "limit", _LIMIT))
        if known:
            return Answer(200, _shown(_asked(table, query), part, wanted, settings, now))
        return Answer(200, await asyncio.to_thread(_shown, table.bans.copy().items(), part, wanted, settings, now))

    async def metrics(self, call: Call) -> Answer:
        """Accept what a bouncer counted and keep none of it."""
        await call.body(1024 * 1024)
        return Answer(201, {"message": "not kept"})

    async def _table(self, app: str) -> Table:
        fresh = self.shared.bans.fresh(app)
        return await asyncio.to_thread(self.shared.bans.table, app) if fresh is None else fresh

    def _poller(self, call: Call, query: Mapping[str, str]) -> Poller:
        asked = tuple(sorted((name, value[:200]) for name, value in query.items() if name != "startup"))
        agent = (call.request.headers.get(b"user-agent") or "")[:100]
        return Poller(call.caller.key, call.ip, agent, asked[:20])

    def _since(self, poller: Poller, connection: object) -> tuple[int, ...]:
        """Return the table's numbers that the next answer must go back to, newest first, none for everything.

        An answer may have got lost, so the last few count; only a further request on the same connection shows that the
        newest arrived, and then it alone counts.
        """
        cursor = self._cursors.get(poller)
        if cursor is None:
            return ()
        came = connection is not None and connection == cursor.connection
        return cursor.told[:1] if came else cursor.told

    def _went_out(self, poller: Poller, since: tuple[int, ...], number: int, connection: object) -> None:
        """Note the table's number of an answer that was sent; whether it arrived is not known yet."""
        self._cursors[poller] = Cursor((number, *(since or (number,)))[:UNSURE], connection)
        self._cursors.move_to_end(poller)
        if len(self._cursors) > MOST_POLLERS:
            self._cursors.popitem(last=False)


def routes(shared: Shared) -> list[Route]:
    """Return the routes, over one memory of who was told what."""
    bouncers = CrowdSec(shared)
    return [
        Route("GET", "/v1/decisions/stream", bouncers.stream, READERS, events=False),
        Route("GET", "/v1/decisions", bouncers.decisions, READERS, events=False),
        Route("POST", "/v1/usage-metrics", bouncers.metrics, READERS, events=False),
    ]


def refuse(error: ApiError) -> Answer:
    """Refuse as the Local API does: any key that is not good is forbidden."""
    status = 403 if error.status == 401 else error.status
    return Answer(status, {"message": "access forbidden" if status == 403 else error.message})


ADAPTER = Adapter(
    KeyForm(
        READERS,
        {
            "expand": KeySetting(yes_or_no, "tell IPv4 networks of /24 and smaller address by address"),
            "captcha": KeySetting(yes_or_no, "tell challenges too, as decisions of type captcha"),
        },
    ),
    routes, in_header("X-Api-Key"), refuse=refuse, told_by=(b"x-api-key",),
    at_root=frozenset({"/v1/decisions", "/v1/decisions/stream", "/v1/usage-metrics"}),
)  # fmt: skip


def _stream(
    table: Table, since: tuple[int, ...], wanted: Wanted, settings: Mapping[str, Any], now: int, pairs: bool
) -> tuple[int, bytes]:
    """Return the table's number and the answer; a ban that changed is in both lists only with `pairs`."""
    number, told = _told(table, since)
    new, deleted = _lists(told, table, wanted, settings)
    if not pairs:  # bouncers know a decision that they hold by its type, scope and value
        deleted = {named: ban for named, ban in deleted.items() if named not in new or new[named].kind != ban.kind}
    return number, b'{"new":%b,"deleted":%b}' % (_written(new.items(), now), _written(deleted.items(), now))


def _shown(
    pairs: Iterable[tuple[Target, Ban]], part: slice, wanted: Wanted, settings: Mapping[str, Any], now: int
) -> bytes:
    taken = (_names(target, ban, settings) for target, ban in pairs if wanted.takes(target, ban))
    found = _written(islice(chain.from_iterable(taken), part.start, part.stop), now)
    return b"null" if found == b"[]" else found


def _told(table: Table, since: tuple[int, ...]) -> tuple[int, list[Change]]:
    """Return the table's number, and the changes that are right for a bouncer that stopped at any of these numbers."""
    number, changes = table.changes(since[0] if since else None)
    told = {change.target: change for change in changes}
    for before in since[1:]:
        for change in table.changes(before)[1]:
            if change.target not in told or told[change.target].was is None:
                told[change.target] = change
    return number, list(told.values())


def _lists(
    told: Iterable[Change], table: Table, wanted: Wanted, settings: Mapping[str, Any]
) -> tuple[dict[Named, Ban], dict[Named, Ban]]:
    """Return what is new and what is deleted; a ban that changed is in both."""
    new: dict[Named, Ban] = {}
    deleted: dict[Named, Ban] = {}
    for change in told:
        for ban, items in ((change.was, deleted), (change.now, new)):
            if ban is not None and wanted.takes(change.target, ban):
                items.update(_names(change.target, ban, settings))
    if settings.get("expand"):
        _mend(new, deleted, table, wanted, settings)
    return new, deleted


def _mend(
    new: dict[Named, Ban], deleted: dict[Named, Ban], table: Table, wanted: Wanted, settings: Mapping[str, Any]
) -> None:
    """Make an address that lies in several expanded networks last as long as the longest ban of these."""
    for named in {**new, **deleted}:
        if named[0] != "Ip":
            continue
        held = [one for one in table.covering(place(named[1])) if _listed(one[0]) and wanted.takes(*one)]
        if held:
            _, ban = max(held, key=lambda one: one[1].until)
            if _is_told(ban, settings):
                new[named] = ban
                if len(held) > 1:
                    deleted[named] = ban


def _is_told(ban: Ban, settings: Mapping[str, Any]) -> bool:
    return ban.kind == "block" or bool(settings.get("captcha"))


def _names(target: Target, ban: Ban, settings: Mapping[str, Any]) -> Iterator[tuple[Named, Ban]]:
    """Give each (scope, value) that a ban is told under, with the ban; none for a kind that is not told."""
    if _is_told(ban, settings):
        for value in _values(target, bool(settings.get("expand"))):
            yield ("User" if isinstance(target, str) else "Range" if "/" in value else "Ip", value), ban


def _written(told: Iterable[tuple[Named, Ban]], now: int) -> bytes:
    """Return bans as the Local API writes decisions; every field of it is needed by some bouncer."""
    return json_list(
        {
            "id": _id(ban.decision, value),
            "origin": ORIGIN,
            "type": _TYPES[ban.kind],
            "scope": scope,
            "value": value,
            "duration": _duration(min(ban.until - now, LONGEST)),
            "scenario": _scenario(ban),
        }
        for (scope, value), ban in told
    )


def _values(target: Target, expand: bool) -> Iterator[str]:
    if isinstance(target, str):
        yield target
        return
    if target.alone:
        yield str(target).partition("/")[0]
    elif expand and _listed(target):
        yield from map(str, ipaddress.IPv4Network(str(target)))
    else:
        yield str(target)


def _listed(target: Place) -> bool:
    """Say whether a network is small enough to be told address by address."""
    return target.length >= 32 - _SMALL if target.version == 4 else target.length == 128


def _scope(target: Target) -> str:
    if isinstance(target, str):
        return "User"
    return "Ip" if target.alone else "Range"


def _scenario(ban: Ban) -> str:
    return f"{ORIGIN}/{ban.playbook or 'manual'}"


def _duration(micros: int) -> str:
    """Return a duration as Go writes it, of at least a second: bouncers take zero for ever."""
    seconds = max(1, math.ceil(micros / SECOND))
    return f"{seconds // 3600}h{seconds // 60 % 60}m{seconds % 60}s"


def _id(decision: str, value: str) -> int:
    """Return a number for the id of a decision on a value: the same at every call."""
    return int.from_bytes(blake2b(f"{decision} {value}".encode(), digest_size=6).digest(), "big")


def _asked(table: Table, query: Mapping[str, str]) -> list[tuple[Target, Ban]]:
    """Return the bans of the one address, network or value that is asked for."""
    text = query.get("ip") or query.get("range") or query["value"]
    try:
        wanted = place(text)
    except DecisionError:
        if query.get("ip") or query.get("range"):
            raise ApiError("malformed", f"`{text[:64]}` is no address or network") from None
        ban = table.bans.get(text)
        return [] if ban is None else [(text, ban)]
    if query.get("value"):
        return [(one, ban) for one, ban in table.covering(wanted) if one == wanted]
    if _flag(query, "contains", True):  # some that ask go by the first alone
        return sorted(table.covering(wanted), key=lambda one: (STRICTNESS[one[1].kind], one[1].until), reverse=True)
    return [(one, ban) for one, ban in list(table.bans.items()) if isinstance(one, Place) and one.within(wanted)]


def _wanted(query: Mapping[str, str]) -> Wanted:
    scopes = _words(query, "scopes") + _words(query, "scope")
    return Wanted(
        tuple(word.lower() for word in scopes) or ("ip", "range"), _words(query, "type"), _words(query, "origins"),
        _words(query, "scenarios_containing"), _words(query, "scenarios_not_containing"),
    )  # fmt: skip


def _words(query: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the words of a parameter; raises the refusal of more of them than anybody means."""
    found = tuple(word for word in (part.strip() for part in query.get(name, "").split(",")) if word)
    if len(found) > MOST_WORDS:
        raise ApiError("malformed", f"`{name}`: more than {MOST_WORDS} words")
    return found


def _flag(query: Mapping[str, str], name: str, default: bool = False) -> bool:
    found = _FLAGS.get(query.get(name, str(default)).lower())
    if found is None:
        raise ApiError("malformed", f"`{name}`: neither true nor false")
    return found


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ApiError("malformed", f"`{name}`: not a number")
    return int(text)
