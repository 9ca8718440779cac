"""One event: what came in, checked and normalised once, then read by everything.

What enrichment adds (geo, network, agent, labels) has its attributes here; how it is found does not.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sentinel.core import address, identity, moment
from sentinel.core.errors import EventError

NAME_LENGTH = 128
ID_LENGTH = 64
PROPERTIES_DEPTH = 16
CLOCK_SLACK = 60_000_000
RESERVED = ("sentinel.", "sq.")

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Event:
    """Who did what, when, from where. Written by `read` and by enrichment, never afterwards.

    A value that is absent is None (or an empty mapping or tuple); times are microseconds since 1970.
    """

    id: str
    name: str
    at: int
    received: int | None = None
    success: bool | None = None
    user: str | None = None
    identifiers: Mapping[str, str] = _NOTHING
    ip: str | None = None
    device: str | None = None
    request: Mapping[str, Any] = _NOTHING
    properties: Mapping[str, Any] = _NOTHING
    geo: Mapping[str, Any] = _NOTHING
    network: Mapping[str, Any] = _NOTHING
    agent: Mapping[str, Any] = _NOTHING
    user_labels: tuple[str, ...] = ()
    ip_labels: tuple[str, ...] = ()
    trust: str = "server"
    clamped: bool = False
    historical: bool = False

    def __repr__(self) -> str:
        return f"<Event {self.id} {self.name} {moment.to_text(self.at)} {self.user} {self.ip}>"

    @property
    def network_ip(self) -> str | None:
        """The address this event is grouped by: IPv4 itself, IPv6 its /64."""
        return address.group(self.ip) if self.ip else None

    @property
    def claimed(self) -> bool:
        """Whether its user is only claimed: a login that did not succeed proves nothing of its owner."""
        return self.name == "auth" and self.success is not True


def read(
    raw: object,
    *,
    received: int | None = None,
    new_id: Callable[[], str] | None = None,
    enriched: bool = False,
    reserved: bool = False,
    order: tuple[str, ...] = identity.DEFAULT_ORDER,
) -> Event:
    """Return the Event of one decoded JSON object, or raise EventError naming the field that is wrong.

    `received` is when the server got it: the default time, and the bound no time may pass by over a minute.
    `new_id` makes an id where the sender gave none. `enriched` also reads what the server itself adds
    (stored events, in-file tests); `reserved` lets names of `sentinel.` and `sq.` in.
    """
    if type(raw) is not dict:
        raise EventError("event", "an event is a JSON object", 'such as {"event": "invoice.created"}')
    event = Event()
    event.name = _name(raw.get("event"), reserved)
    event.id = _id(raw.get("id"), new_id)
    _time(event, raw.get("timestamp"), received)
    readers = _STORED if enriched else _READERS
    for field, value in raw.items():
        if value is not None:
            reader = readers.get(field)
            if reader is None:
                _unknown(field, readers)
            elif reader is not _done:
                reader(event, value)
    if event.identifiers:
        event.user = identity.user_key(event.identifiers, order)
    return event


def _name(value: object, reserved: bool) -> str:
    if type(value) is not str:
        raise EventError("event", "missing" if value is None else "not a text", "every event has a name")
    if not 0 < len(value) <= NAME_LENGTH or not value.isprintable():
        raise EventError("event", f"not 1 to {NAME_LENGTH} printable characters")
    if not reserved and value.startswith(RESERVED):
        raise EventError("event", f"`{value}` is reserved", "names that start with `sentinel.` or `sq.` are ours")
    return value


def _id(value: object, new_id: Callable[[], str] | None) -> str:
    if type(value) is str and 0 < len(value) <= ID_LENGTH and value.isprintable():
        return value
    if value is None:
        if new_id is None:
            raise EventError("id", "missing")
        return new_id()
    if type(value) is int and abs(value) < 10**60:
        return str(value)
    raise EventError("id", f"not a text of 1 to {ID_LENGTH} printable characters")


def _time(event: Event, value: object, received: int | None) -> None:
    event.received = received
    if value is None:
        if received is None:
            raise EventError("timestamp", "missing", "write `2026-11-20T21:30:00Z` or seconds since 1970")
        event.at = received
        return
    event.at = at = moment.parse(value)
    if received is not None and at > received + CLOCK_SLACK:
        event.at = received
        event.clamped = True


def _done(event: Event, value: object) -> None:
    """Fields read before the others."""


def _success(event: Event, value: object) -> None:
    if type(value) is not bool:
        raise EventError("success", "neither true nor false")
    if event.name != "auth":
        raise EventError("success", "only events named `auth` have it", "use `properties` for your own outcome")
    event.success = value


def _user(event: Event, value: object) -> None:
    event.identifiers = identity.identifiers(value)


def _ip(event: Event, value: object) -> None:
    found = address.normalise(value) if type(value) is str else None
    if found is None and value != "":
        raise EventError("ip", f"`{str(value)[:64]}` is not an address", "write `203.0.113.9` or `2001:db8::1`")
    event.ip = found


def _device(event: Event, value: object) -> None:
    event.device = _short(value, "device", 256)


def _short(value: object, field: str, longest: int) -> str:
    if type(value) is not str or len(value) > longest:
        raise EventError(field, f"not a text of at most {longest} characters")
    return value


def _request(event: Event, value: object) -> None:
    if type(value) is not dict:
        raise EventError("request", "not an object")
    for field, what in value.items():
        kind = _REQUEST.get(field)
        if kind is None:
            _unknown(field, _REQUEST, "request.")
        elif what is not None and type(what) is not kind:
            raise EventError(f"request.{field}", f"not {_KINDS[kind]}")
    if "params" in value:
        _bounded(value["params"], "request.params", PROPERTIES_DEPTH)
    event.request = value


def _properties(event: Event, value: object) -> None:
    if type(value) is not dict:
        raise EventError("properties", "not an object")
    _bounded(value, "properties", PROPERTIES_DEPTH)
    event.properties = value


def _bounded(value: object, field: str, depth: int) -> None:
    """Refuse nesting that would exhaust the stack of whoever walks it later."""
    children: Any = value.values() if type(value) is dict else value if type(value) is list else ()
    for child in children:
        if type(child) is dict or type(child) is list:
            if depth <= 1:
                raise EventError(field, f"nested more than {PROPERTIES_DEPTH} levels deep")
            _bounded(child, field, depth - 1)


def _attribute(field: str, kind: type) -> Callable[[Event, object], None]:
    def reader(event: Event, value: object) -> None:
        if type(value) is not kind:
            raise EventError(field, f"not {_KINDS[kind]}")
        setattr(event, field, value)

    return reader


def _labels(field: str) -> Callable[[Event, object], None]:
    def reader(event: Event, value: object) -> None:
        if type(value) is not list or not all(type(label) is str for label in value):
            raise EventError(field, "not a list of texts")
        setattr(event, field, tuple(value))

    return reader


def _unknown(field: object, known: Mapping[str, object], prefix: str = "") -> None:
    close = difflib.get_close_matches(str(field)[:64], known, n=1)
    hint = f"did you mean `{prefix}{close[0]}`?" if close else "own values belong in `properties`"
    raise EventError(f"{prefix}{str(field)[:64]}", "not a field of an event", hint)


_KINDS = {str: "a text", int: "an integer", dict: "an object", bool: "a boolean"}
_REQUEST = {
    "method": str, "path": str, "route": str, "host": str, "status": int,
    "user_agent": str, "referer": str, "params": dict,
}  # fmt: skip
_READERS: dict[str, Callable[[Event, Any], None]] = {
    "event": _done, "id": _done, "timestamp": _done, "success": _success, "user": _user, "ip": _ip,
    "device": _device, "request": _request, "properties": _properties,
}  # fmt: skip
_STORED = _READERS | {
    "geo": _attribute("geo", dict), "network": _attribute("network", dict), "agent": _attribute("agent", dict),
    "user_labels": _labels("user_labels"), "ip_labels": _labels("ip_labels"),
    "trust": _attribute("trust", str), "historical": _attribute("historical", bool),
    "clamped": _attribute("clamped", bool),
}  # fmt: skip
