"""From the body of a request to events: decoded once, each event judged by itself, so that a bad one costs no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from sentinel.core import event
from sentinel.core.errors import EventError
from sentinel.core.event import ENFORCED, ID_LENGTH, Event
from sentinel.core.record import KeyScope
from sentinel.core.text import whole
from sentinel.edge.decoding import FORM, decode, mended
from sentinel.edge.errors import ApiError

MOST = 5_000
LARGEST_PROPERTIES = 32 * 1024
LARGEST_USER = 16 * 1024
FROM_SDK = (ENFORCED, "sentinel.identify", "sentinel.dropped")
NOT_FROM_BROWSERS = ("auth", "signup")
Translate = Callable[[Any], Iterable[Any]]
_NO_ORDER = ()  # whose an event is, the pipeline finds by its app's own
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms events are taken: the sender's scope, and for browsers the address they came from.

    `received` is the time of receipt in microseconds. `key` tells the ids of one browser key from another's; `new_id`
    makes an id where the sender gave none.
    """

    scope: KeyScope
    key: str
    received: int
    new_id: Callable[[], str]
    ip: str | None = None


@dataclass(slots=True)
class Parsed:
    """The events of a request, each with its index there, and those refused: index, id and reason of each."""

    events: list[Event] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def take(self, index: int, event: Event) -> None:
        """Add an event."""
        self.events.append(event)
        self.indices.append(index)

    def left_out(self, places: Iterable[int], request: str) -> None:
        """Add events, by their places, to those refused: a fault kept them from being stored.

        `request` is the name under which the log tells of it.
        """
        why = f"a fault of the server kept it from being stored: see `{request}` in its log"
        self.rejected += [{"index": self.indices[at], "id": self.events[at].id, "error": why} for at in places]


def parse(data: bytes, terms: Terms) -> Parsed:
    """Return the events of a body: one event, an array, or `{"events": […]}`."""
    parsed = Parsed()
    decoded, lenient = decode(data)
    read = _browser if terms.scope == "browser" else _server
    for index, raw in enumerate(_listed(decoded)):
        try:
            if lenient:
                raw = mended(raw)
            _bounded(raw)
            parsed.take(index, read(raw, terms))
        except EventError as error:
            parsed.rejected.append({"index": index, "id": _id(raw), "error": str(error)})
    return parsed


def translated(
    elements: Iterable[Any], translate: Translate, terms: Terms, lenient: bool, fault: Callable[[BaseException], None]
) -> Parsed:
    """Return the events that each element of a foreign body means, each judged by itself as our own are.

    `translate` raises EventError for an element that means nothing; what else it raises is a fault of ours.
    """
    parsed = Parsed()
    read = _browser if terms.scope == "browser" else _server
    if isinstance(elements, list):
        _few(len(elements))
    for index, element in enumerate(elements):
        try:
            for raw in translate(mended(element) if lenient else element):
                _bounded(raw)
                parsed.take(index, read(raw, terms))
        except EventError as error:
            parsed.rejected.append({"index": index, "id": None, "error": str(error)})
        except Exception as error:  # noqa: BLE001  one odd element costs no other; the fault is reported
            fault(error)
            parsed.rejected.append({"index": index, "id": None, "error": "it could not be read"})
        _few(max(index + 1, len(parsed.events)))
    return parsed


def _few(events: int) -> None:
    if events > MOST:
        raise ApiError("too_large", f"more than {MOST} events in one request", "send fewer at a time")


def _id(raw: Any) -> str | None:
    id = raw.get("id") if type(raw) is dict else None
    if type(id) is int and abs(id) < 10**60:
        return str(id)
    return whole(id)[:64] if isinstance(id, str) else None


def _listed(decoded: Any) -> list[Any]:
    if type(decoded) is dict and "events" in decoded and "event" not in decoded:
        decoded = decoded["events"]
        if type(decoded) is not list:
            raise ApiError("malformed", "`events`: not a list", FORM)
    if type(decoded) is dict:
        return [decoded]
    if type(decoded) is not list:
        raise ApiError("malformed", "the body is neither an event nor a list of them", FORM)
    if len(decoded) > MOST:
        raise ApiError("too_large", f"{len(decoded)} events in one request, at most {MOST}", "send fewer at a time")
    return decoded


def _bounded(raw: Any) -> None:
    """Refuse what is too large to keep, and numbers that no store can write."""
    try:
        if len(_pack(raw)) <= LARGEST_PROPERTIES:
            return
    except OverflowError:
        pass  # in an identifier it is fine: that becomes a text
    except RecursionError:
        raise EventError("event", "nested too deep") from None
    if type(raw) is not dict:
        return
    for name, most in (("properties", LARGEST_PROPERTIES), ("request", LARGEST_PROPERTIES), ("user", LARGEST_USER)):
        value = raw.get(name)
        if name == "user" and type(value) is dict:
            value = {key: str(one) if type(one) is int else one for key, one in value.items()}
        try:
            size = len(_pack(value))
        except OverflowError:
            if name != "user":
                raise EventError(name, "holds an integer of more than 64 bits", "send it as a text") from None
            continue  # alone it is an identifier, within a list it is none: whoever reads the event says so
        if size > most:
            raise EventError(name, f"larger than {most // 1024} KiB")


def _server(raw: Any, terms: Terms) -> Event:
    """Return an event that a server sent; of the reserved names an SDK may send those it makes itself.

    One that a browser told, and a server passes on, may say so: it is believed no more than if the browser had sent it.
    """
    told = type(raw) is dict and raw.get("trust") is not None
    if told and raw["trust"] != "browser":
        raise EventError("trust", "only `browser` can be said of an event", "leave it out")
    ours = terms.scope in ("sdk", "admin") and type(raw) is dict and raw.get("event") in FROM_SDK
    plain = {name: value for name, value in raw.items() if name != "trust"} if told else raw
    found = event.read(plain, received=terms.received, new_id=terms.new_id, reserved=ours, order=_NO_ORDER)
    return _claimed(found) if told else found


def _browser(raw: Any, terms: Terms) -> Event:
    """Return an event that a browser sent: what it says of itself is only claimed."""
    found = _claimed(event.read(raw, received=terms.received, new_id=terms.new_id, order=_NO_ORDER))
    found.id = _own_id(terms.key, found.id)
    found.ip = terms.ip
    return found


def _own_id(key: str, id: str) -> str:
    """Return an id that is a key's own, and no longer than any."""
    if len(key) + len(id) < ID_LENGTH:
        return f"{key}:{id}"
    return f"{key}:{blake2b(id.encode(), digest_size=16).hexdigest()}"


def _claimed(found: Event) -> Event:
    if found.name in NOT_FROM_BROWSERS:
        raise EventError("event", f"`{found.name}` is not taken from a browser", "send it from your server")
    found.trust = "browser"
    return found
