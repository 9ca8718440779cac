"""From the arguments of a call to an event fit to be sent: checked, scrubbed, bounded, with its id and its time.

Arguments that no program should pass raise TypeError here, before anything else. Whatever else is wrong costs the
event and never the application.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from sentinel.core import identity, ids, moment, scrub
from sentinel.core.errors import IdentityError
from sentinel.core.event import NAME_LENGTH, RESERVED
from sentinel.sdk.buffer import Request
from sentinel.sdk.context import Holder
from sentinel.sdk.options import Options

Identifier = str | int | UUID
User = Mapping[str, Any] | Identifier  # a bare one is the `id`

FORM = "application/x-www-form-urlencoded"
KEPT_BODY = 16 * 1024  # bytes of a body, as far as the application reads it
_SIZE = 600  # characters of an event beside its properties, roughly
_LONGEST = {"path": 1024, "host": 256, "user_agent": 512, "referer": 1024, "method": 32}
_QUERY = 8192
_MOST_IDENTIFIERS = 32
_MOST_LOOKED_AT = 256  # a stranger may send a million


class Events:
    """Makes events the way the options say."""

    def __init__(self, options: Options) -> None:
        self._order = options.identifiers
        self._pseudonym_key = options.pseudonym_key
        self._scrubber = scrub.Scrubber(options.redact)

    def identifiers(self, user: object) -> dict[str, str]:
        """Return a user's identifiers as they may leave the process; raises IdentityError."""
        if user is None:
            return {}
        if isinstance(user, Mapping) and len(user) > _MOST_IDENTIFIERS:
            user = dict(self._by_weight(user))
        try:
            found = identity.identifiers(user)
        except IdentityError:
            found = identity.identifiers(_plain(user))
        if len(found) > _MOST_IDENTIFIERS:
            found = dict(self._by_weight(found)[:_MOST_IDENTIFIERS])
        if self._pseudonym_key is not None:
            return {scrub.key(name): _pseudonym(self._pseudonym_key, name, value) for name, value in found.items()}
        return {scrub.key(name): self._plain(name, value) for name, value in found.items()}

    def readable(self, user: Mapping[Any, Any]) -> dict[str, str]:
        """Return those identifiers that can be read: nobody may hide the others behind one that cannot."""
        found: dict[str, str] = {}
        for name, value in self._by_weight(user):
            with contextlib.suppress(IdentityError):
                found |= self.identifiers({name: value})
            if len(found) >= _MOST_IDENTIFIERS:
                break
        return found

    def _by_weight(self, user: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
        """Return identifiers, those by which users are blocked first: no number of others must push them out."""
        others = (pair for pair in user.items() if pair[0] not in self._order)
        return [*((name, user[name]) for name in self._order if name in user), *islice(others, _MOST_LOOKED_AT)]

    def _plain(self, name: str, value: str) -> str:
        """Return an identifier as it may leave: a secret is no identifier unless the settings say so."""
        if name not in self._order and self._scrubber.is_secret(scrub.name_of(name)):
            return scrub.REDACTED
        if not value.isascii():
            value = value.encode("utf-8", "replace").decode()
        return scrub.REDACTED if len(value) >= 13 and scrub.has_card(value) else value

    def traits(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a user's traits, scrubbed, as they may leave the process."""
        found: dict[str, Any] = self._scrubber.properties({"traits": dict(given)})[0]["traits"]
        return found

    def keys(self, found: Mapping[str, str]) -> tuple[str, ...]:
        """Return the user keys that decisions are looked up by; what was redacted names nobody."""
        return identity.keys({name: value for name, value in found.items() if value != scrub.REDACTED}, self._order)

    def make(
        self,
        name: str,
        at: int,
        holder: Holder | None,
        user: Mapping[str, str],
        properties: Mapping[str, Any],
        collect_body: bool = False,
        **more: Any,
    ) -> tuple[dict[str, Any], int, list[str]]:
        """Return an event, its size in characters, and the names of properties that found no room."""
        if collect_body and holder is not None:
            properties = {**properties, "body": _body(holder)}
        kept, size, left_out = self._scrubber.properties(properties)
        id = ids.new_id(at // 1000, os.urandom(ids.CHANCE))
        event: dict[str, Any] = {"id": id, "event": name, "timestamp": moment.to_text(at), **more}
        if user:
            event["user"] = dict(user)
            size += sum(map(len, user)) + sum(map(len, user.values()))
        if holder is not None:
            event["ip"] = holder.ip
            event["device"] = holder.device
            event["request"] = self._request(holder)
            size += holder.size
        if kept:
            event["properties"] = kept
        return event, size + _SIZE, left_out

    def _request(self, holder: Holder) -> Request:
        """Return what all events of a request say of it: one object, so that its status reaches all of them."""
        if holder.request is None:
            about = holder.about.describe()
            found = {
                name: scrub.text(value, _LONGEST[name]) for name, value in about.items() if name in _LONGEST and value
            }
            params = self._scrubber.mapping(about.get("params") or {})
            holder.size = sum(map(len, found.values())) + _size(params)
            route = holder.route()
            said: dict[str, Any] = {**found, "status": holder.status, **({"params": params} if params else {})}
            if route is not None or not holder.over:  # it may be known later: some identify before it is
                said["route"] = route
            holder.request = Request(said, holder.over)
        return holder.request


def check_call(name: object, timestamp: object) -> None:
    """Raise TypeError where a name is no string or a timestamp no datetime."""
    if not isinstance(name, str):
        raise TypeError(f"an event's name is a string, not {type(name).__name__}")
    if timestamp is not None and not isinstance(timestamp, datetime):
        raise TypeError(f"`timestamp` is a datetime, not {type(timestamp).__name__}")


def refusal(name: str) -> str | None:
    """Return why no event may have a name: `reserved`, `invalid`, or None where it may."""
    if name.startswith(RESERVED):
        return "reserved"
    return None if 0 < len(name) <= NAME_LENGTH and name.isprintable() else "invalid"


def keeps_body(method: object, content_type: str) -> bool:
    """Say whether the start of a request's body is kept: of forms and JSON alone."""
    kept = content_type.lower().startswith((FORM, "application/json"))
    return kept and method in ("POST", "PUT", "PATCH")


def parameters(query: str, form: bytes | None, content_type: str) -> dict[str, Any]:
    """Return query and form parameters; a name that comes twice has a list."""
    pairs = parse_qsl(query[:_QUERY], keep_blank_values=True)
    if form and content_type.lower().startswith(FORM):
        pairs += parse_qsl(form[:_QUERY].decode("utf-8", "replace"), keep_blank_values=True)
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _plain(user: object) -> object:
    """Return a user whose identifiers are plain: frameworks mark texts as safe, and name users by UUIDs and enums."""
    if isinstance(user, Mapping):
        return {name: _plain(value) if not isinstance(value, Mapping) else value for name, value in user.items()}
    if isinstance(user, str):
        return str.__str__(user)
    if isinstance(user, int) and not isinstance(user, bool):
        return int.__index__(user)
    return str(user) if isinstance(user, UUID) else user


def _size(params: Mapping[str, Any]) -> int:
    return sum(len(name) + len(value if isinstance(value, str) else str(value)) + 8 for name, value in params.items())


def without_query(url: str | None) -> str | None:
    """Return a URL without its query and fragment, where secrets travel."""
    return url.partition("?")[0].partition("#")[0] if url else url


def _body(holder: Holder) -> Any:
    raw = holder.about.body()
    if raw is None:
        return None
    kind = holder.about.header("content-type") or ""
    if kind.lower().startswith(FORM):
        return parameters("", raw, kind)
    if not raw:
        return None
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):  # too long to be whole, or no JSON: nobody can tell what in it is a secret
        return scrub.CUT


def _pseudonym(key: bytes, name: str, value: str) -> str:
    typed = f"{identity.key_type(name)}:{value}"  # `id` and `user_id` are one type
    if identity.is_placeholder(typed):  # nobody's name, which the server must know as such
        return value
    return hmac.digest(key, typed.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]
