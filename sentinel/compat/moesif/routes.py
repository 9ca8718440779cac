"""The paths of Moesif's collector that clients use, and their answers. `X-Moesif-Application-Id` is the key.

Every body that is taken is answered 201: an element that cannot be kept costs no other. The answer also carries the
tags by which servers learn that somebody is refused or no longer is; browsers, and keys that only send, learn nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sentinel.compat import adapter
from sentinel.compat.adapter import ANY_SENDER, READERS, Adapter, Answer, Call, Handle, Route, Shared, in_header
from sentinel.compat.moesif.calls import ANONYMOUS, COMPANY, Reading, elements
from sentinel.compat.moesif.names import AllTypes, Types
from sentinel.compat.moesif.rules import COMPANY_RULE, USER_RULE, Rulebook, Told, decided
from sentinel.core import identity
from sentinel.core.duration import MINUTE
from sentinel.core.errors import SentinelError, StoreError
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForm, KeySetting, yes_or_no
from sentinel.service.bans import Table

CONFIG_TAG = "x-moesif-config-etag"
RULES_TAG = "x-moesif-rules-tag"
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")

Read = Callable[[Reading, Any], Iterable[dict[str, Any]]]


@dataclass(slots=True)
class Moesif:
    """The clients of all apps."""

    shared: Shared
    types: AllTypes
    rules: Rulebook
    _said: dict[tuple[str, str], int] = field(default_factory=dict)

    def taker(self, read: Read, stitches: bool = False) -> Handle:
        """Return the handler of bodies that `read` gives the events of."""
        return partial(self._take, read, stitches)

    async def _take(self, read: Read, stitches: bool, call: Call) -> Answer:
        app = call.caller.app
        types = self.types.known(app)
        if types is None:
            types = await asyncio.to_thread(self.types.load, app)
        reading = await self._reading(call, types)
        taken = await call.take(partial(read, reading), elements, stitches=stitches)
        if types.fresh:
            await self._keep(app)
        if reading.aside:
            self._say(app, "values", f"{reading.aside} values did not fit and were set aside")
        body = {"ok": True, "accepted": taken.receipt.accepted, "rejected": len(taken.rejected)}
        return Answer(201, body, await self._tags(call))

    async def config(self, call: Call) -> Answer:
        """Tell which users and companies are refused."""
        told = await self._told(call)
        if told.left_out:
            self._say(call.caller.app, "room", f"{told.left_out} of those refused are more than clients are told")
        return _unless_known(call, told.config, told.config_tag, _tags(told))

    async def rules_of(self, call: Call) -> Answer:
        """Tell what the refused are told."""
        told = await self._told(call)
        return _unless_known(call, told.rules, told.rules_tag, _tags(told))

    async def _reading(self, call: Call, types: Types) -> Reading:
        caller = call.caller
        reading = Reading(types, caller.scope, _identifier(call), bool(caller.settings.get("bodies")))
        if caller.scope == "sdk":
            reading.refused = partial(_refused, await self._table(caller.app), reading.identifier)
        return reading

    async def _table(self, app: str) -> Table:
        fresh = self.shared.bans.fresh(app)
        try:
            return await asyncio.to_thread(self.shared.bans.table, app) if fresh is None else fresh
        except StoreError:
            return Table()  # what was refused is taken without its decision

    async def _told(self, call: Call) -> Told:
        asked = call.caller.app, _identifier(call), bool(call.caller.settings.get("addresses"))
        fresh = self.rules.fresh(*asked)
        return await asyncio.to_thread(self.rules.told, *asked) if fresh is None else fresh

    async def _tags(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return the tags beside an answer to what was taken: it was taken even where they are not known."""
        if call.caller.scope != "sdk":
            return ()
        try:
            return _tags(await self._told(call))
        except StoreError:
            return ()

    async def _keep(self, app: str) -> None:
        """Keep the types that were fixed; where that fails now it is done with the next ones."""
        try:
            await asyncio.to_thread(self.types.keep, app)
        except StoreError as error:
            self.shared.trouble("compat moesif", error)

    def _say(self, app: str, topic: str, what: str) -> None:
        """Tell the log, once a minute an app and topic."""
        now = self.shared.door.clock()
        if now - self._said.get((app, topic), -MINUTE) >= MINUTE:
            self._said[app, topic] = now
            self.shared.trouble("compat moesif", SentinelError(f"app `{app}`: {what}"))


def routes(shared: Shared) -> list[Route]:
    """Return the routes, over one memory of types and of what clients are told."""

    def clock() -> int:
        return shared.door.clock()

    moesif = Moesif(shared, AllTypes(lambda: shared.store.settings, clock), Rulebook(shared.bans, clock))
    takers = {
        "events": moesif.taker(Reading.call), "actions": moesif.taker(Reading.action),
        "users": moesif.taker(Reading.user, stitches=True), "companies": moesif.taker(Reading.company),
        "subscriptions": moesif.taker(Reading.subscription),
    }  # fmt: skip
    paths = [(f"/v1/{name}{end}", take) for name, take in takers.items() for end in ("", "/batch")]
    return [
        *(Route("POST", path, take, ANY_SENDER) for path, take in paths),
        Route("GET", "/v1/config", moesif.config, READERS, events=False),
        Route("GET", "/v1/rules", moesif.rules_of, READERS, events=False),
    ]


def refuse(error: ApiError) -> Answer:
    """Refuse as most do; who sends too much with 503: a browser's client drops what is answered 429, and goes on."""
    answer = adapter.refuse(error)
    return answer._replace(status=503) if answer.status == 429 else answer


def _refused(
    table: Table, identifier: str, rule: str, user: Mapping[str, Any], ip: str | None
) -> tuple[str, str | None] | None:
    """Return the scope and decision of a refused call; see `decided`."""
    keys = {
        USER_RULE: f"{identity.key_type(identifier)}:{user.get(identifier)}",
        COMPANY_RULE: f"{COMPANY}:{user.get(COMPANY)}",
    }
    return decided(table, rule, keys, ip)


def _identifier(call: Call) -> str:
    return str(call.caller.settings.get("identifier") or "id")


def _tags(told: Told) -> tuple[tuple[str, str], ...]:
    return (CONFIG_TAG, told.config_tag), (RULES_TAG, told.rules_tag)


def _unless_known(call: Call, data: bytes, tag: str, tags: tuple[tuple[str, str], ...]) -> Answer:
    """Answer with data and its tags, or that what the client has is what there is."""
    headers = ("etag", tag), *tags
    known = (call.request.headers.get(b"if-none-match") or "").split(",")
    return Answer(304, b"", headers) if tag in (one.strip() for one in known) else Answer(200, data, headers)


def _read_identifier(value: Any) -> str:
    if type(value) is not str or not _IDENTIFIER.fullmatch(value) or value in (COMPANY, ANONYMOUS):
        raise SentinelError(f"`{str(value)[:40]}` is no identifier", "such as `id`, `email` or `username`")
    return value


ADAPTER = Adapter(
    KeyForm(
        ANY_SENDER,
        {
            "identifier": KeySetting(_read_identifier, "which identifier Moesif's user ids are, `id` if not said"),
            "bodies": KeySetting(yes_or_no, "keep headers and bodies of API calls, without what is called secret"),
            "addresses": KeySetting(yes_or_no, "tell refused addresses too; clients take them from X-Forwarded-For"),
        },
    ),
    routes, in_header("X-Moesif-Application-Id"), refuse=refuse,
    allow="content-type, content-encoding, x-moesif-application-id, x-moesif-sdk",
)  # fmt: skip
