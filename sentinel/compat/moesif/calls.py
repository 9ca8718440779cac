"""Translate the bodies of Moesif's clients into events: API calls, actions, users, companies and subscriptions.

Calls that a client refused on our behalf come back as `sentinel.enforced`. Of session tokens only hashes are kept;
headers and bodies of calls are dropped unless a key asks for them, and then kept without what their names call secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from sentinel.compat.adapter import json_elements
from sentinel.compat.moesif.names import Aside, Types, fitted, renamed
from sentinel.compat.raw import element, part
from sentinel.compat.raw import time as sent_at
from sentinel.core import address, identity, moment
from sentinel.core.errors import EventError, IdentityError
from sentinel.core.event import ENFORCED, ID_LENGTH, NAME_LENGTH
from sentinel.core.record import KeyScope
from sentinel.core.scrub import Scrubber, text

CALL = "api.call"
IDENTIFY = "identify"
COMPANY = "company"  # the identifier a company goes by: `group_by: user.company`
ANONYMOUS = "anonymous_id"
LONGEST_PATH = 2048
LONGEST_TEXT = 512
LONGEST_QUERY = 16 * 1024
MOST_PARAMS = 64
LARGEST = 24 * 1024  # bytes of what an event carries; its parts go until it fits
_PARTS = (
    "response.body", "request.body", "response.headers", "request.headers", "conflicts", "tags", "campaign", "metadata"
)  # fmt: skip
_URI = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?")  # whatever it is, it matches
_scrub = Scrubber()
_pack = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Reading:
    """How the elements of one request are read. `identifier` is what a Moesif user id is here, `bodies` keeps contents.

    `refused` returns the scope and decision behind a call that a rule of ours refused: a client names the rule alone.
    `aside` counts the values that did not fit.
    """

    types: Types
    scope: KeyScope
    identifier: str = "id"
    bodies: bool = False
    refused: Callable[[str, Mapping[str, Any], str | None], tuple[str, str | None] | None] = lambda rule, user, ip: None
    aside: int = 0
    _place: int = 0

    def call(self, raw: Any) -> Iterable[dict[str, Any]]:
        """Give the event of one API call."""
        call = element(raw)
        request, response = part(call, "request"), part(call, "response")
        aside = Aside()
        user, ip = self._user(call, aside), _ip(request)
        status = _whole(response.get("status"))
        properties = self._properties(call, aside) | _kept(call, "direction", "weight", "blocked_by", "tags")
        properties |= _kept(request, "api_version")
        took = _took(request, response)
        if took is not None:
            properties["duration_ms"] = took
        if self.bodies:
            self._contents(properties, request, response)
        name = CALL
        refused = self.refused(str(call.get("blocked_by") or ""), user, ip) if self.scope == "sdk" else None
        if refused is not None:
            name = ENFORCED
            properties |= {"kind": "block", "scope": refused[0], "decision": refused[1], "status": status}
        event = {"event": name, "user": user, "ip": ip, "request": _request(request, status), "properties": properties}
        yield self._finished(event, raw, request.get("time"), call.get("transaction_id"))

    def action(self, raw: Any) -> Iterable[dict[str, Any]]:
        """Give the event of one action, which has its name."""
        action = element(raw)
        request = part(action, "request")
        name, aside = action.get("action_name"), Aside()
        if type(name) is not str or not name:
            raise EventError("action_name", "missing" if name is None else "not a text")
        event = {
            "event": "".join(one if one.isprintable() else " " for one in name[:NAME_LENGTH]),
            "user": self._user(action, aside), "ip": _ip(request), "request": _request(request, None),
            "properties": self._properties(action, aside) | _kept(action, "tags"),
        }  # fmt: skip
        yield self._finished(event, raw, request.get("time"), action.get("transaction_id"))

    def user(self, raw: Any) -> Iterable[dict[str, Any]]:
        """Give the event of what is said of a user."""
        said, aside = element(raw), Aside()
        user = self._user(said, aside)
        if not user.keys() & {self.identifier, ANONYMOUS}:
            raise EventError("user_id", "missing")
        event = {
            "event": IDENTIFY, "user": user, "ip": _ip(said), "request": _request(said, None),
            "properties": self._properties(said, aside),
        }  # fmt: skip
        yield self._finished(event, raw, said.get("modified_time"))

    def company(self, raw: Any) -> Iterable[dict[str, Any]]:
        """Give the event of what is said of a company."""
        yield self._group(raw, "company.updated", "company_id", "company_domain")

    def subscription(self, raw: Any) -> Iterable[dict[str, Any]]:
        """Give the event of what is said of a company's subscription."""
        yield self._group(raw, "subscription.updated", "subscription_id", "subscription_id", "status")

    def _group(self, raw: Any, name: str, wanted: str, *kept: str) -> dict[str, Any]:
        said, aside = element(raw), Aside()
        user = {one: value for one, value in self._user(said, aside).items() if one == COMPANY}
        if said.get(wanted) in (None, "") or (wanted == "company_id" and not user):
            raise EventError(wanted, "missing")
        event = {
            "event": name, "user": user, "ip": _ip(said), "request": _request(said, None),
            "properties": self._properties(said, aside) | _kept(said, *kept),
        }  # fmt: skip
        return self._finished(event, raw, said.get("modified_time"))

    def _user(self, said: Mapping[str, Any], aside: Aside) -> dict[str, str]:
        """Return by what a user and a company are named; what names nobody goes aside: no caller escapes by it."""
        found: dict[str, str] = {}
        for name, theirs in ((self.identifier, "user_id"), (ANONYMOUS, ANONYMOUS), (COMPANY, "company_id")):
            try:
                value = identity.normalise(name, said.get(theirs))
            except IdentityError:
                aside.put(theirs, "a text or an integer", renamed(said[theirs]))
            else:
                found |= {name: value} if value else {}
        return found

    def _properties(self, said: Mapping[str, Any], aside: Aside) -> dict[str, Any]:
        """Return what every kind of element may carry."""
        found = _kept(said, "campaign")
        token = said.get("session_token")
        if type(token) is str and token:
            found["session"] = blake2b(token.encode("utf-8", "replace"), digest_size=12).hexdigest()
        metadata = said.get("metadata")
        if type(metadata) is dict and metadata:
            found["metadata"] = fitted(metadata, self.types, self.scope != "browser", aside)
        elif metadata not in (None, {}):
            aside.put("metadata", "object", renamed(metadata))
        if aside.count:
            self.aside += aside.count
            found["conflicts"] = aside.values
        return found

    def _contents(self, properties: dict[str, Any], request: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        for side, said in (("request", request), ("response", response)):
            kept = {name: said[name] for name in ("headers", "body") if said.get(name)}
            if kept:
                properties[side] = _scrub.properties(kept)[0]

    def _finished(self, event: dict[str, Any], raw: Any, time: Any, id: Any = None) -> dict[str, Any]:
        """Complete an event: its time and id as far as they were sent, and nothing larger than is kept."""
        at = sent_at(time)
        if at is not None:
            event["timestamp"] = at
        self._place += 1
        if type(id) is str and 0 < len(id) <= ID_LENGTH and id.isprintable():
            event["id"] = id
        elif at is not None:  # a batch that is sent again has the same elements at the same places
            event["id"] = blake2b(_pack([self._place, msgspec.json.encode(raw)]), digest_size=16).hexdigest()
        _cut(event)
        return {name: value for name, value in event.items() if value not in (None, {})}


def _kept(raw: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: renamed(raw[name]) for name in names if raw.get(name) not in (None, "", {}, [])}


def _ip(said: Mapping[str, Any]) -> str | None:
    given = said.get("ip_address")
    return address.normalise(given) if type(given) is str else None


def _whole(value: Any) -> int | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 3:
        return int(value)
    return value if type(value) is int and 0 <= value < 1000 else None


def _took(request: Mapping[str, Any], response: Mapping[str, Any]) -> float | None:
    """Return how long a call took, in milliseconds."""
    begun, done = sent_at(request.get("time")), sent_at(response.get("time"))
    if begun is None or done is None:
        return None
    return max(0, moment.parse(done) - moment.parse(begun)) / 1000


def _request(said: Mapping[str, Any], status: int | None) -> dict[str, Any]:
    """Return a request's fields from its URI and headers."""
    headers = {name.lower(): value for name, value in part(said, "headers").items() if type(value) is str}
    uri, agent, verb = (said.get(name) for name in ("uri", "user_agent_string", "verb"))
    parts = _URI.match(uri) if type(uri) is str else None
    host, path, query = parts.groups("") if parts is not None else ("", "", "")
    texts = {
        "method": verb if type(verb) is str else None,
        "path": (path or "/") if parts is not None else None,
        "host": host.rpartition("@")[2],
        "user_agent": agent if type(agent) is str else headers.get("user-agent"),
        "accept_language": headers.get("accept-language"),
        "referer": headers.get("referer"),
    }
    found: dict[str, Any] = {
        name: text(value, LONGEST_PATH if name == "path" else LONGEST_TEXT) for name, value in texts.items() if value
    }
    if query:
        few = "&".join(query[:LONGEST_QUERY].split("&")[:MOST_PARAMS])
        found["params"] = _scrub.mapping(dict(parse_qsl(few, keep_blank_values=True)))
    return found if status is None else found | {"status": status}


def elements(data: bytes) -> tuple[Iterable[Any], bool]:
    """Return the elements of a body; what stands for a number and is none, for which Python writes `NaN`, is a text.

    Bodies of calls are in it: whoever calls may choose what they hold, and is not to be lost by it.
    """
    found, lenient = json_elements(data)
    return [_texts(one) for one in found] if lenient else found, lenient


def _texts(value: Any) -> Any:
    if type(value) is dict:
        return {name: _texts(one) for name, one in value.items()}
    if type(value) is list:
        return [_texts(one) for one in value]
    return str.__str__(value) if isinstance(value, str) and type(value) is not str else value


def _cut(event: dict[str, Any]) -> None:
    """Leave parts out until what is left can be kept, and say which."""
    properties, cut = event["properties"], list[str]()
    if len(_pack(event["request"])) > LARGEST:
        event["request"].pop("params", None)
        cut.append("request.params")
    for place in _PARTS:
        if len(_pack(properties)) <= LARGEST:
            break
        side, dot, name = place.partition(".")
        holder = properties.get(side) if dot else properties
        if holder and holder.pop(name if dot else side, None) is not None:
            cut.append(place)
    if cut:
        properties["cut"] = cut
