"""The fields of an event that expressions, groups and metrics can name, and how each is read.

Each has a path, a kind and a place in the event; what it means is in `sentinel.core.event`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple

from sentinel.engine.kinds import Kind
from sentinel.engine.problems import ExpressionError, Problems, quote

if TYPE_CHECKING:
    from sentinel.core.event import Event

SEGMENTS = 16
SHOWN = 60
MICROS = 1_000_000
_SEGMENT = re.compile(r"[\w-]{1,128}")


class FieldSpec(NamedTuple):
    """Where a field lies: an attribute of the event, then keys of nested objects.

    `of` is the attribute that a list is about. Where the event lacks that, an empty list is missing, not empty: the
    labels of nobody are unknown.
    """

    kind: Kind
    attribute: str
    keys: tuple[str, ...] = ()
    of: str | None = None


class Fault(NamedTuple):
    """Why a path names no field."""

    message: str
    hint: str


# `timestamp` is the one field that is not stored as it is read: seconds, from the event's microseconds.
FIELDS: Mapping[str, FieldSpec] = {
    "event": FieldSpec(Kind.TEXT, "name"),
    "id": FieldSpec(Kind.TEXT, "id"),
    "timestamp": FieldSpec(Kind.NUMBER, "at"),
    "success": FieldSpec(Kind.BOOL, "success"),
    "trust": FieldSpec(Kind.TEXT, "trust"),
    "user": FieldSpec(Kind.TEXT, "user"),
    "user.labels": FieldSpec(Kind.LIST, "user_labels", of="user"),
    "ip": FieldSpec(Kind.TEXT, "ip"),
    "ip.labels": FieldSpec(Kind.LIST, "ip_labels", of="ip"),
    "ip.network": FieldSpec(Kind.TEXT, "ip_site"),
    "device": FieldSpec(Kind.TEXT, "device"),
    "request.method": FieldSpec(Kind.TEXT, "request", ("method",)),
    "request.path": FieldSpec(Kind.TEXT, "request", ("path",)),
    "request.route": FieldSpec(Kind.TEXT, "request", ("route",)),
    "request.host": FieldSpec(Kind.TEXT, "request", ("host",)),
    "request.status": FieldSpec(Kind.NUMBER, "request", ("status",)),
    "request.user_agent": FieldSpec(Kind.TEXT, "request", ("user_agent",)),
    "request.referer": FieldSpec(Kind.TEXT, "request", ("referer",)),
    "geo.country": FieldSpec(Kind.TEXT, "geo", ("country",)),
    "geo.city": FieldSpec(Kind.TEXT, "geo", ("city",)),
    "geo.lat": FieldSpec(Kind.NUMBER, "geo", ("lat",)),
    "geo.lon": FieldSpec(Kind.NUMBER, "geo", ("lon",)),
    "geo.accuracy": FieldSpec(Kind.NUMBER, "geo", ("accuracy",)),
    "geo.asn": FieldSpec(Kind.NUMBER, "geo", ("asn",)),
    "geo.org": FieldSpec(Kind.TEXT, "geo", ("org",)),
    "network.private": FieldSpec(Kind.BOOL, "network", ("private",)),
    "network.kind": FieldSpec(Kind.TEXT, "network", ("kind",)),
    "network.hosting": FieldSpec(Kind.BOOL, "network", ("hosting",)),
    "network.anonymous": FieldSpec(Kind.BOOL, "network", ("anonymous",)),
    "agent.browser": FieldSpec(Kind.TEXT, "agent", ("browser",)),
    "agent.os": FieldSpec(Kind.TEXT, "agent", ("os",)),
    "agent.device": FieldSpec(Kind.TEXT, "agent", ("device",)),
    "agent.bot": FieldSpec(Kind.BOOL, "agent", ("bot",)),
}

# Below these any name will do: the app's own identifiers, properties and parameters.
OPEN: Mapping[str, FieldSpec] = {
    "user": FieldSpec(Kind.TEXT, "identifiers"),
    "properties": FieldSpec(Kind.ANY, "properties"),
    "request.params": FieldSpec(Kind.ANY, "request", ("params",)),
}

_EXAMPLES = {"properties": "properties.amount", "request.params": "request.params.next"}


def compile_field(path: str) -> Callable[[Event], Any]:
    """Return the reader of a dotted path, None where the event lacks it; raises ExpressionError for no field."""
    return _reader(_known(path))


def field_kind(path: str) -> Kind:
    """Return what a field may be; raises ExpressionError if the path names none."""
    return _known(path).kind


def _known(path: str) -> FieldSpec:
    spec = find_field(tuple(path.split(".")))
    if isinstance(spec, FieldSpec):
        return spec
    problems = Problems(path)
    problems.add(0, len(path), spec.message, spec.hint)
    raise ExpressionError(path, problems.sorted())


def seconds(at: int | None) -> float | None:
    """Return a time as the field `timestamp` gives it; it is None only in events of which little is known."""
    return None if at is None else at / MICROS


def find_field(segments: tuple[str, ...]) -> FieldSpec | Fault:
    """Return where the field of a path lies, or why there is none."""
    path = ".".join(segments)
    if len(segments) > SEGMENTS:
        return Fault(f"{quote(path)} is nested too deeply", f"at most {SEGMENTS} names")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return Fault(f"{quote(path)} is not a field", "names joined by dots, such as `geo.country`")
    if path in FIELDS:
        return FIELDS[path]
    for namespace, spec in OPEN.items():
        outer = tuple(namespace.split("."))
        if segments[: len(outer)] == outer and len(segments) > len(outer):
            return _open_field(path, spec, segments[len(outer) :])
    return _unknown(segments, path)


def _open_field(path: str, spec: FieldSpec, keys: tuple[str, ...]) -> FieldSpec | Fault:
    if spec.attribute == "identifiers" and len(keys) > 1:
        return Fault(f"{quote(path)} is not a field", "identifiers of a user have one name, such as `user.email`")
    return spec._replace(keys=spec.keys + keys)


def _unknown(segments: tuple[str, ...], path: str) -> Fault:
    inside = sorted(known for known in FIELDS if known.startswith(f"{path}."))
    if path in _EXAMPLES:
        return Fault(f"{quote(path)} is an object", f"name one of its values, such as `{_EXAMPLES[path]}`")
    if inside:
        return Fault(f"{quote(path)} is a group of fields", "one of " + ", ".join(f"`{known}`" for known in inside))
    if path in _LITERALS:
        return Fault(f"{quote(path)} is not a word of the language", _LITERALS[path])
    return Fault(f"{quote(path)} is not a field", _hint(segments, path))


_LITERALS = {
    "true": "write `True`", "TRUE": "write `True`", "false": "write `False`", "FALSE": "write `False`",
    "null": "write `None`, as in `user == None`", "none": "write `None`, as in `user == None`",
    "NULL": "write `None`, as in `user == None`", "nil": "write `None`, as in `user == None`",
    "undefined": "write `None`, as in `user == None`",
}  # fmt: skip


_OF_OTHERS = {  # words by which other tools and logs call a field
    "ip": ("ip_address", "ipaddress", "client_ip", "source_ip", "src_ip", "remote_addr", "remote_ip", "address"),
    "user": ("user_id", "userid", "uid", "account", "account_id", "who"),
    "ip.network": ("subnet", "netblock", "ip_network", "ip_range", "ip_prefix", "ip.subnet", "ip.prefix", "ip.range"),
    "user.email": ("mail", "e_mail", "user_email"),
    "request.user_agent": ("useragent", "ua"), "request.path": ("url", "uri"),
    "timestamp": ("time", "ts", "at", "date"), "event": ("event_name", "event_type", "type", "action"),
    "success": ("outcome", "result", "succeeded"),
}  # fmt: skip
_SYNONYMS = {word: field for field, words in _OF_OTHERS.items() for word in words}


def _hint(segments: tuple[str, ...], path: str) -> str:
    top, last = segments[0].lower(), segments[-1].lower()
    inside = {name.rpartition(".")[2]: name for name in FIELDS if name.startswith(f"{top}.")}
    if inside and len(segments) > 1:
        close = difflib.get_close_matches(last[:SHOWN], inside, n=1)
        known = ", ".join(f"`{name}`" for name in sorted(inside.values()))
        return f"did you mean `{inside[close[0]]}`?" if close else f"known are {known}"
    names = [*FIELDS, *OPEN]
    namesakes = [name for name in names if name.rpartition(".")[2] == last]
    namesakes += [_SYNONYMS[path.lower()]] if path.lower() in _SYNONYMS else []
    close = namesakes or difflib.get_close_matches(path[:SHOWN].lower(), names, n=1, cutoff=0.65)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"a text needs quotes, a property of your own is `properties.{path[:SHOWN]}`"


def _reader(spec: FieldSpec) -> Callable[[Event], Any]:
    outer = attrgetter(spec.attribute)
    if spec.attribute == "at":
        return lambda event: seconds(event.at)
    if spec.of is not None:
        owner = attrgetter(spec.of)
        return lambda event: found if (found := outer(event)) or owner(event) is not None else None
    if not spec.keys:
        return outer
    if len(spec.keys) == 1:
        key = spec.keys[0]
        if spec.attribute == "request":
            return methodcaller("of_request", key)
        return lambda event: outer(event).get(key)

    def nested(event: Event) -> Any:
        value = outer(event).get(spec.keys[0])
        for key in spec.keys[1:]:
            value = value.get(key) if value.__class__ is dict else None
        return value

    return nested
