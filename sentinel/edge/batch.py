"""From the bytes of a request to events: decoded once, each event judged by itself, none lost for another.

A body that the strict decoder refuses is read again leniently: text that is no Unicode is mended, a number that is
none costs its own event only. What is not JSON at all is refused whole.
"""

from __future__ import annotations

import json
import re
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
from sentinel.edge.errors import ApiError

MOST = 5_000
MOST_CONTAINERS = 250_000  # eight megabytes of brackets would hold everybody up for seconds
LARGEST_PROPERTIES = 32 * 1024
LARGEST_USER = 16 * 1024
FROM_SDK = (ENFORCED, "sentinel.identify", "sentinel.dropped")
NOT_FROM_BROWSERS = ("auth", "signup")
DEEPEST = 64  # levels that are decoded: an event has 18
_LONGEST_NUMBER = 40
_PACKED = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_TO_BRACKET = re.compile(rb'(?:[^][{}"]++|"(?:[^"\\]++|\\.)*+")*+[][{}]', re.DOTALL)  # past texts, which may hold some
_FORM = 'send one event such as `{"event": "invoice.created"}`, or a list of them'
Translate = Callable[[Any], Iterable[Any]]
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms events are taken: the sender's scope, the time of receipt, and for browsers their own address.

    `key` tells the ids of one browser key from another's; `new_id` makes an id where the sender gave none.
    """

    scope: KeyScope
    key: str
    received: int
    new_id: Callable[[], str]
    ip: str | None = None


@dataclass(slots=True)
class Parsed:
    """The events of a request, and those refused: index, id and reason of each."""

    events: list[Event] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)


def parse(data: bytes, terms: Terms) -> Parsed:
    """Return the events of a body: one event, an array, or `{"events": […]}`."""
    parsed = Parsed()
    decoded, lenient = decode(data)
    read = _browser if terms.scope == "browser" else _server
    for index, raw in enumerate(_listed(decoded)):
        try:
            if lenient:
                raw = _mended(raw)
            _bounded(raw)
            parsed.events.append(read(raw, terms))
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
            for raw in translate(_mended(element) if lenient else element):
                _bounded(raw)
                parsed.events.append(read(raw, terms))
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


def decode(data: bytes) -> tuple[Any, bool]:
    """Return what a body says, and whether only a lenient reading got it; raises the refusal of what is no JSON.

    What is nested too deep to be decoded is cut, so that it costs its own event: that is too deep all the same.
    """
    countable(data)
    try:
        return _decoded(data)
    except RecursionError:
        pass
    try:
        return _decoded(_shallow(data))
    except (ApiError, RecursionError):
        raise ApiError("malformed", "the body is nested too deep", _FORM) from None


def _decoded(data: bytes) -> tuple[Any, bool]:
    try:
        return msgspec.json.decode(data), False
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:
        text = data.decode("utf-8-sig", "replace")
        return json.loads(text, parse_constant=_NoNumber, parse_float=_float, parse_int=_int), True
    except ValueError as error:
        where = str(error)[:80] if data else "it is empty"
        raise ApiError("malformed", f"the body is not JSON: {where}", _remedy(data, where)) from None


def _remedy(data: bytes, where: str) -> str:
    """Return what to do about a body that is no JSON, by what it looks like."""
    packed = next((name for name, magic in _PACKED.items() if data.startswith(magic)), None)
    if packed is not None:
        return f"it looks like {packed}: say so with `Content-Encoding: {packed}`"
    return f"lines of JSON are no list: {_FORM}" if where.startswith("Extra data: line 2") else _FORM


def _shallow(data: bytes) -> bytes:
    """Return JSON without what lies deeper than DEEPEST levels: lists and objects there are empty."""
    parts: list[bytes] = []
    depth = at = kept = 0
    while found := _TO_BRACKET.match(data, at):
        at = found.end()
        depth += 1 if data[at - 1] in b"[{" else -1
        if depth == DEEPEST and data[at - 1] in b"]}":
            kept = at - 1
        elif depth == DEEPEST + 1 and data[at - 1] in b"[{":
            parts.append(data[kept:at])
            kept = len(data)
    return b"".join([*parts, data[kept:]])


def countable(data: bytes) -> None:
    """Raise the refusal of a body with more objects and lists than memory should hold, before they are made."""
    if data.count(b"{") + data.count(b"[") > MOST_CONTAINERS:
        raise ApiError("too_large", "too many objects and lists in one request", "send fewer events at a time")


def _listed(decoded: Any) -> list[Any]:
    if type(decoded) is dict and "events" in decoded and "event" not in decoded:
        decoded = decoded["events"]
        if type(decoded) is not list:
            raise ApiError("malformed", "`events`: not a list", _FORM)
    if type(decoded) is dict:
        return [decoded]
    if type(decoded) is not list:
        raise ApiError("malformed", "the body is neither an event nor a list of them", _FORM)
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
        try:
            size = len(_pack(raw.get(name)))
        except OverflowError:
            if name != "user":
                raise EventError(name, "holds an integer of more than 64 bits", "send it as a text") from None
            continue
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
    found = event.read(plain, received=terms.received, new_id=terms.new_id, reserved=ours)
    return _claimed(found) if told else found


def _browser(raw: Any, terms: Terms) -> Event:
    """Return an event that a browser sent: what it says of itself is only claimed."""
    found = _claimed(event.read(raw, received=terms.received, new_id=terms.new_id))
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


class _NoNumber(str):
    """Stands where a number was written that is none, or none that can be kept."""

    __slots__ = ()


def _float(text: str) -> float | _NoNumber:
    value = float(text)
    return value if abs(value) != float("inf") else _NoNumber(text)


def _int(text: str) -> int | _NoNumber:
    return int(text) if len(text) <= _LONGEST_NUMBER else _NoNumber(text)


def _mended(raw: Any) -> Any:
    """Return a copy in which every text is Unicode; raises EventError for what stands for a number and is none."""
    try:
        return _mend(raw)
    except RecursionError:
        raise EventError("event", "nested too deep") from None


def _mend(value: Any) -> Any:
    if type(value) is str:
        return whole(value)
    if type(value) is _NoNumber:
        raise EventError(
            "event", f"`{value[:20]}` is not a number that can be kept", "send it as a text, or not at all"
        )
    if type(value) is dict:
        return {whole(key): _mend(one) for key, one in value.items()}
    return [_mend(one) for one in value] if type(value) is list else value
