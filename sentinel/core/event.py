"""One event: what came in, checked and normalised once, then read by everything.

What enrichment adds (geo, network, agent, labels) has its attributes here; how it is found does not.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol

from sentinel.core import address, identity, moment
from sentinel.core.device import fingerprint
from sentinel.core.errors import EventError

NAME_LENGTH = 128
ID_LENGTH = 64
DEVICE_LENGTH = 256
PROPERTIES_DEPTH = 16
CLOCK_SLACK = 60_000_000
RESERVED = ("sentinel.", "sq.")
ENFORCED = "sentinel.enforced"  # what an SDK, or a foreign client, tells of what it refused

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Event:
    """Who did what, when, from where. Written by `read` and by enrichment, never afterwards.

    A value that is absent is None (or an empty mapping or tuple); times are microseconds since 1970.
    `sent` is the timestamp as sent, before any clamping, None where none was: its UTC day and the id tell a repeat
    from another event.
    """

    id: str
    name: str
    at: int
    sent: int | None = None
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
    ipv6: int = 64  # the prefix by which the app groups IPv6 addresses

    def __repr__(self) -> str:
        return f"<Event {self.id} {self.name} {moment.to_text(self.at)} {self.user} {self.ip}>"

    @property
    def network_ip(self) -> str | None:
        """The address this event is grouped by: IPv4 itself, IPv6 its network."""
        ip = self.ip
        return ip if ip is None or ":" not in ip else address.network_of(ip, self.ipv6)

    @property
    def ip_site(self) -> str | None:
        """The network of neighbours this event's address is in: the /24 of IPv4, the /48 of IPv6."""
        return None if self.ip is None else address.site(self.ip)

    def of_request(self, field: str) -> Any:
        """Return a field of the request, None where it is absent."""
        return self.request.get(field)

    @property
    def blocked(self) -> bool:
        """Whether the SDK says that what it reports was refused: a right guess that was not let in proves nothing."""
        return self.properties.get("blocked") is True

    @property
    def proven(self) -> bool:
        """Whether it proves its user: a login that succeeded and was let in, told by a server."""
        return self.success is True and self.name == "auth" and self.trust != "browser" and not self.blocked


def stored(event: Event) -> dict[str, Any]:
    """Return an event as JSON values from which `read(…, enriched=True, reserved=True)` makes its like again.

    The person it was found to be about is not among them: `user` says only what the sender said.
    """
    plain: dict[str, Any] = {"id": event.id, "event": event.name, "timestamp": moment.to_text(event.at)}
    values = {"user": event.identifiers, **{name: getattr(event, name) for name in (*_OWN, *_ADDED)}}
    for name, value in values.items():
        if value is not None and value != () and value != {}:
            plain[name] = list(value) if isinstance(value, tuple) else value
    return plain


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
    get = raw.get
    event.name = _name(get("event"), reserved)
    event.id = _id(get("id"), new_id)
    _time(event, get("timestamp"), received)
    if (value := get("success")) is not None:
        event.success = _success(event, value)
    if (value := get("user")) is not None:
        event.identifiers = found = identity.identifiers(value)
        event.user = identity.user_key(found, order)
    if (value := get("ip")) is not None:
        event.ip = _ip(value)
    if (value := get("device")) is not None:
        event.device = _device(value)
    if (value := get("request")) is not None:
        event.request = request = _request(value)
        if "accept_language" in request:
            event.request = _without_language(event, request)
    if (value := get("properties")) is not None:
        event.properties = _properties(value)
    if not _FIELDS.issuperset(raw):
        _others(event, raw, _ADDED if enriched else {})
    return event


class RequestFields(Protocol):
    """What is known of a request, the kinds checked by whoever decoded it; what is absent is false."""

    params: Any
    user_agent: Any
    accept_language: Any

    def plain(self) -> dict[str, Any]:
        """Return it as decoded JSON."""


class Fields(Protocol):
    """An event's fields, their kinds and the lengths of identifiers checked by whoever decoded them, None where absent.

    Identifiers are of at most `identity.LONGEST` characters, or numbers that fit so many.
    """

    event: str
    id: str | int | None
    timestamp: str | int | float | None
    success: bool | None
    user: str | int | dict[str, str | int | None] | None
    ip: str | None
    device: str | None
    properties: dict[str, Any] | None

    @property
    def request(self) -> RequestFields | None: ...


class _Late:
    """An attribute that is made when it is first read, and is plain from then on."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self._name = make.__name__

    def __get__(self, event: Any, owner: type) -> Any:
        value = self._make(event)
        setattr(event, self._name, value)
        return value


def _late(make: Callable[[Any], Any]) -> Any:
    return _Late(make)


class TypedEvent(Event):
    """An event checked while it was decoded: what few are asked for is put into form when asked for."""

    _fields: Fields
    _order: tuple[str, ...]

    @_late
    def user(self) -> str | None:
        """Whom the sender named."""
        return None if self._fields.user is None else identity.key_of(self._fields.user, self._order)

    @_late
    def identifiers(self) -> Mapping[str, str]:
        """All the names the sender gave."""
        return _NOTHING if self._fields.user is None else identity.identifiers(self._fields.user)

    @_late
    def request(self) -> Mapping[str, Any]:
        """The request as decoded JSON."""
        if self._fields.request is None:
            return _NOTHING
        return {name: value for name, value in self._fields.request.plain().items() if name != "accept_language"}

    def of_request(self, field: str) -> Any:
        """Return a field of the request, which for most is not put into form."""
        value = getattr(self._fields.request, field, None)
        return value if value or type(value) in _KINDS else None


def read_typed(fields: Fields, order: tuple[str, ...] = identity.DEFAULT_ORDER) -> Event:
    """Return the like of what `read(…, reserved=True)` returns for the same fields, at half of its cost.

    Raises EventError for what `read` refuses, and for events without an id or a timestamp.
    """
    event = TypedEvent()
    event._fields, event._order = fields, order
    if type(user := fields.user) is dict and type(email := user.get("email")) is str and not email.isascii():
        identity.normalise("email", email)  # in small letters it may be too long
    event.name = _checked_name(fields.event)
    event.id = _id(fields.id, None)
    event.at = event.sent = moment.parse(fields.timestamp)
    if (success := fields.success) is not None:
        event.success = _success(event, success)
    if (ip := fields.ip) is not None:
        event.ip = address.normalise(ip) or _ip(ip)
    if (device := fields.device) is not None:
        event.device = _device(device)
    if (request := fields.request) is not None:
        if request.params:
            _bounded(request.params, "request.params", PROPERTIES_DEPTH)
        if request.accept_language and not event.device:
            event.device = fingerprint(request.user_agent or None, request.accept_language)
    if (properties := fields.properties) is not None:
        event.properties = _properties(properties)
    return event


def _name(value: object, reserved: bool) -> str:
    if type(value) is not str:
        raise EventError("event", "missing" if value is None else "not a text", "every event has a name")
    if not reserved and value.startswith(RESERVED):
        raise EventError("event", f"`{value[:64]}` is reserved", "names that start with `sentinel.` or `sq.` are ours")
    return _checked_name(value)


@lru_cache(maxsize=1 << 12)
def _checked_name(value: str) -> str:
    if not 0 < len(value) <= NAME_LENGTH or not value.isprintable():
        raise EventError("event", f"not 1 to {NAME_LENGTH} printable characters")
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
    if value is None:
        if received is None:
            raise EventError("timestamp", "missing", "write `2026-11-20T21:30:00Z` or seconds since 1970")
        event.at = event.received = received
        return
    event.at = event.sent = at = moment.parse(value)
    if received is not None:
        event.received = received
        if at > received + CLOCK_SLACK:
            event.at = received
            event.clamped = True


def _success(event: Event, value: object) -> bool:
    if type(value) is not bool:
        raise EventError("success", "neither true nor false")
    if event.name != "auth":
        raise EventError("success", "only events named `auth` have it", "use `properties` for your own outcome")
    return value


def _ip(value: object) -> str | None:
    found = address.normalise(value) if type(value) is str else None
    if found is None and value != "":
        raise EventError("ip", f"`{str(value)[:64]}` is not an address", "write `203.0.113.9` or `2001:db8::1`")
    return found


def _device(value: object) -> str:
    if type(value) is not str or len(value) > DEVICE_LENGTH:
        raise EventError("device", f"not a text of at most {DEVICE_LENGTH} characters")
    return value


def _request(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise EventError("request", "not an object")
    kinds = _REQUEST.get
    for field, what in value.items():
        if type(what) is not kinds(field):
            _refuse_request(field, what)
    if "params" in value:
        _bounded(value["params"], "request.params", PROPERTIES_DEPTH)
    return value


def _without_language(event: Event, request: dict[str, Any]) -> dict[str, Any]:
    """Return a request without its accept-language, which only tells devices apart and is not kept."""
    language = request["accept_language"]
    if language and not event.device:
        event.device = fingerprint(request.get("user_agent"), language)
    return {name: value for name, value in request.items() if name != "accept_language"}


def _refuse_request(field: str, value: object) -> None:
    kind = _REQUEST.get(field)
    if kind is None:
        raise _unknown(field, _REQUEST, "request.")
    if value is not None:
        raise EventError(f"request.{field}", f"not {_KINDS[kind]}")


def _properties(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise EventError("properties", "not an object")
    _bounded(value, "properties", PROPERTIES_DEPTH)
    return value


def _bounded(value: object, field: str, depth: int) -> None:
    """Refuse nesting that would exhaust the stack of whoever walks it later."""
    children: Any = value.values() if type(value) is dict else value if type(value) is list else ()
    for child in children:
        if type(child) is dict or type(child) is list:
            if depth <= 1:
                raise EventError(field, f"nested more than {PROPERTIES_DEPTH} levels deep")
            _bounded(child, field, depth - 1)


def _others(event: Event, raw: dict[str, Any], added: Mapping[str, type]) -> None:
    """Read the fields that the server adds, refuse those that nobody knows."""
    for field, value in raw.items():
        if field in _FIELDS or value is None:
            continue
        kind = added.get(field)
        if kind is None:
            raise _unknown(field, [*_FIELDS, *added])
        if type(value) is not kind or (kind is list and not _are_texts(value)):
            raise EventError(field, f"not {_KINDS[kind]}")
        setattr(event, field, tuple(value) if isinstance(value, list) else value)


def _are_texts(values: Any) -> bool:
    return all(type(value) is str for value in values)


def _unknown(field: object, known: Iterable[str], prefix: str = "") -> EventError:
    close = difflib.get_close_matches(str(field)[:64], list(known), n=1)
    hint = f"did you mean `{prefix}{close[0]}`?" if close else "own values belong in `properties`"
    return EventError(f"{prefix}{str(field)[:64]}", "not a field of an event", hint)


_KINDS = {str: "a text", int: "an integer", dict: "an object", bool: "a boolean", list: "a list of texts"}
_REQUEST: Mapping[str, type] = {
    "method": str, "path": str, "route": str, "host": str, "status": int,
    "user_agent": str, "accept_language": str, "referer": str, "params": dict,
}  # fmt: skip
_OWN = ("success", "ip", "device", "request", "properties")
_FIELDS = frozenset(("event", "id", "timestamp", "user", *_OWN))
_ADDED: Mapping[str, type] = {
    "geo": dict, "network": dict, "agent": dict, "user_labels": list, "ip_labels": list,
    "trust": str, "historical": bool, "clamped": bool,
}  # fmt: skip
