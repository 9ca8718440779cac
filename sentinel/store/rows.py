"""An event as a row of the searched table, and back. Nothing is lost on the way.

What has a column of its own is in `COLUMNS`; what does not fit its column goes to `more` as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import product
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct
from typing import Any

import msgspec

from sentinel.core.event import Event
from sentinel.core.record import KeptEvent
from sentinel.core.text import whole

TEXTS = tuple(f"s{number:02d}" for number in range(1, 17))
NUMBERS = tuple(f"n{number:02d}" for number in range(1, 9))
SLOTS = TEXTS + NUMBERS

# The parts of an event that are objects with known keys: for each key its column and the Python type it takes.
PARTS: dict[str, dict[str, tuple[str, type]]] = {
    "request": {
        "method": ("method", str), "path": ("path", str), "route": ("route", str), "host": ("host", str),
        "status": ("status", int), "user_agent": ("user_agent", str), "referer": ("referer", str),
        "params": ("params", dict),
    },
    "geo": {
        "country": ("country", str), "city": ("city", str), "lat": ("lat", float), "lon": ("lon", float),
        "asn": ("asn", int), "org": ("org", str),
    },
    "network": {
        "private": ("private", bool), "kind": ("network", str), "hosting": ("hosting", bool),
        "anonymous": ("anonymous", bool),
    },
    "agent": {
        "browser": ("browser", str), "os": ("os", str), "device": ("agent_device", str), "bot": ("bot", bool),
    },
}  # fmt: skip
COLUMN_OF = {(part, key): found for part, keys in PARTS.items() for key, found in keys.items()}
_SQL = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", dict: "VARCHAR"}
_FLAT = tuple((part, tuple(keys.items())) for part, keys in PARTS.items())
_NONE = {part: (None,) * len(keys) for part, keys in PARTS.items()}
INT64 = range(-(1 << 63), 1 << 63)
_WHOLE = {"request": list(PARTS["request"]).index("status"), "geo": list(PARTS["geo"]).index("asn")}

# `ts` and `user_key`, since AT and USER are words of SQL. Times are microseconds since 1970. `ahead` is the timestamp
# as sent less the one that counts: 0 but for clamped ones, NULL where none was sent. `ip4` and `ip6` are the address as
# a number, of version 6 its upper half: a network is a range. `ipv6` is the prefix where it is not the usual one.
COLUMNS: dict[str, str] = {
    "seq": "BIGINT", "app": "VARCHAR", "ts": "BIGINT", "ahead": "BIGINT", "received": "BIGINT", "name": "VARCHAR",
    "id": "VARCHAR", "success": "BOOLEAN", "user_key": "VARCHAR", "user_h": "UBIGINT", "identifiers": "VARCHAR",
    "ip": "VARCHAR", "ip_h": "UBIGINT", "ip4": "UINTEGER", "ip6": "UBIGINT", "ipv6": "UTINYINT",
    "device": "VARCHAR", "device_h": "UBIGINT", "trust": "VARCHAR",
    "clamped": "BOOLEAN", "historical": "BOOLEAN", "user_labels": "VARCHAR", "ip_labels": "VARCHAR",
    **{column: _SQL[kind] for keys in PARTS.values() for column, kind in keys.values()},
    "more": "VARCHAR", "conflicts": "VARCHAR", "props": "VARCHAR",
    **dict.fromkeys(TEXTS, "VARCHAR"), **dict.fromkeys(NUMBERS, "DOUBLE"),
}  # fmt: skip
MANY = frozenset({"user_key", "identifiers", "ip", "device"})  # texts of which there are as many as users or addresses
HASHES = {"user_h": "user_key", "ip_h": "ip", "device_h": "device"}  # of which texts: these take long to read
READ = tuple(name for name in COLUMNS if name not in {"app", *HASHES, "ip4", "ip6", "conflicts", *SLOTS})
SHOWN = ", ".join(
    (
        "make_timestamp(ts) AS timestamp", "name AS event", "id", 'user_key AS "user"', "identifiers", "ip", "success",
        "device", *(f'"{column}" AS "{part}.{key}"' for (part, key), (column, _) in COLUMN_OF.items()),
        'user_labels AS "user.labels"', 'ip_labels AS "ip.labels"', "props AS properties", "more", "trust",
        "coalesce(historical, FALSE) AS historical", "make_timestamp(received) AS received",
    )
)  # fmt: skip
NO_NUMBERS = (None, None)
EMPTY_SLOTS: tuple[str | float | None, ...] = (None,) * len(SLOTS)

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_state = blake2b(digest_size=8)
_hash, _four, _six = Struct(">Q"), Struct(">I"), Struct(">Q8x")  # an int from bytes, in half of int.from_bytes' time
_decode = msgspec.json.decode


def write(app: str, kept: KeptEvent, conflicts: Sequence[str], slots: Sequence[str | float | None]) -> tuple[Any, ...]:
    """Return an event as a row in the order of `COLUMNS`."""
    event, seq = kept
    more: dict[str, dict[str, Any]] = {}
    ip, user, sent = event.ip, event.user, event.sent
    return (
        seq, app, event.at, None if sent is None else sent - event.at, event.received, event.name,
        event.id, event.success, user, hash_of(user) if user else None, json(event.identifiers),
        ip, hash_of(ip) if ip else None, *(numbers_of(ip) if ip else NO_NUMBERS), unusual(event.ipv6), event.device,
        None if event.device is None else hash_of(event.device), event.trust,
        event.clamped, event.historical, json(event.user_labels), json(event.ip_labels),
        *_flat(event.request, "request", more), *_flat(event.geo, "geo", more),
        *_flat(event.network, "network", more), *_flat(event.agent, "agent", more),
        json(more), json(conflicts), json(event.properties), *slots,
    )  # fmt: skip


def read(row: Sequence[Any]) -> KeptEvent:
    """Return the event of a row whose columns are `READ`."""
    found = dict(zip(READ, row, strict=True))
    event = Event()
    event.id, event.name, event.at = found["id"], found["name"], found["ts"]
    if found["ahead"] is not None:
        event.sent = event.at + found["ahead"]
    for name in ("received", "success", "ip", "ipv6", "device"):
        if found[name] is not None:
            setattr(event, name, found[name])
    if found["user_key"] is not None:
        event.user = found["user_key"]
    if found["trust"] != Event.trust:
        event.trust = found["trust"]
    event.clamped, event.historical = found["clamped"] or False, found["historical"] or False
    if found["identifiers"] is not None:
        event.identifiers = _decode(found["identifiers"])
    if found["props"] is not None:
        event.properties = _decode(found["props"])
    for name in ("user_labels", "ip_labels"):
        if found[name] is not None:
            setattr(event, name, tuple(_decode(found[name])))
    _unflat(event, found)
    return KeptEvent(event, found["seq"])


def json(value: Any) -> str | None:
    """Return a value as JSON text, None for an empty one."""
    if not value:
        return None
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return _encode(_whole(value)).decode()


def jsons(values: Sequence[Any]) -> list[str | None]:
    """Return what `json` does of each value, in half of the time."""
    some = [value for value in values if value]
    if not some:
        return [None] * len(values)
    try:
        texts = iter(_encode_lines(some).decode().split("\n"))  # within a text a new line is written `\\n`
    except UnicodeEncodeError:
        return [json(value) for value in values]
    return [next(texts) if value else None for value in values]


def hash_of(text: str) -> int:
    """Return a hash of a text, 64 bits as an integer: the same in every process and version, for it is stored."""
    state = _state.copy()  # in two thirds of the time that a new one takes
    state.update(text.encode("utf-8", "surrogatepass"))
    number: int = _hash.unpack(state.digest())[0]
    return number


def numbers_of(ip: str) -> tuple[int | None, int | None]:
    """Return an IPv4 address as a number and None, an IPv6 address as None and its upper 64 bits."""
    if ":" in ip:
        return None, _six.unpack(inet_pton(AF_INET6, ip.partition("%")[0]))[0]
    return _four.unpack(inet_pton(AF_INET, ip))[0], None


def unusual(prefix: int) -> int | None:
    """Return the prefix length by which IPv6 addresses are grouped, None for the usual one."""
    return None if prefix == Event.ipv6 else prefix


def _flat(part: Mapping[str, Any], name: str, more: dict[str, dict[str, Any]]) -> Sequence[Any]:
    """Return the values of a part's columns; what fits none goes to `more`."""
    if not part:
        return _NONE[name]
    values = list(map(part.get, PARTS[name]))
    known = _PLAIN[name].get(tuple(map(type, values)))
    if known == len(part) and (name not in _WHOLE or (values[_WHOLE[name]] or 0) in INT64):
        return values
    return _flat_slowly(part, name, more)


def _flat_slowly(part: Mapping[str, Any], name: str, more: dict[str, dict[str, Any]]) -> Sequence[Any]:
    kinds = {key: kind for key, (_, kind) in PARTS[name].items()}
    odd = [key for key, value in part.items() if value is not None and not _fits(value, kinds.get(key, object))]
    if odd:
        more[name] = {key: part[key] for key in odd}
    values = [None if key in odd else part.get(key) for key in kinds]
    return [json(value) if kind is dict else value for value, kind in zip(values, kinds.values(), strict=True)]


def _fits(value: Any, kind: type) -> bool:
    return type(value) is kind and (kind is not int or value in INT64)


def _plain(kinds: Sequence[type]) -> dict[tuple[type, ...], int]:
    """Return, for every choice of values that need no care, their types and how many are there."""
    choices = product(*((kind, type(None)) if kind is not dict else (type(None),) for kind in kinds))
    return {types: len(types) - types.count(type(None)) for types in choices}


def _unflat(event: Event, found: Mapping[str, Any]) -> None:
    more = _decode(found["more"]) if found["more"] is not None else {}
    for name, keys in _FLAT:
        part = {
            key: _decode(value) if kind is dict else value
            for key, (column, kind) in keys
            if (value := found[column]) is not None
        }
        part |= more.get(name, {})
        if part:
            setattr(event, name, part)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


_PLAIN = {part: _plain([kind for _, kind in keys.values()]) for part, keys in PARTS.items()}
