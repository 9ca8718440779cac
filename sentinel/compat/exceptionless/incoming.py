"""Translate what Exceptionless' clients send into our events. An unexpected type costs a field, not the event.

Left out are cookies, bodies and credentials of requests, lists of loaded modules, and what makes an event too large.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from sentinel.compat.exceptionless.stacks import extra, innermost, stack
from sentinel.compat.naming import first, fold, folded, text, unreserved
from sentinel.compat.raw import element
from sentinel.compat.sparing import shallow, size, sparing, unsaid
from sentinel.core import address, event
from sentinel.core.errors import EventError
from sentinel.core.identity import LONGEST
from sentinel.core.moment import parse
from sentinel.edge.batch import LARGEST_PROPERTIES
from sentinel.edge.decoding import decode
from sentinel.edge.errors import ApiError

NAMES = {"session": "session.start", "sessionend": "session.end", "heartbeat": "session.heartbeat"}
MOST_TAGS = 50
FRAMES = 30
_ROOT = {"type", "source", "date", "tags", "message", "geo", "value", "count", "data", "referenceid"}
_SERVERS = {"id", "organizationid", "projectid", "stackid", "isfirstoccurrence", "createdutc", "idx"}
_LONG = 3000  # characters of a message
_MIDDLE = 1000  # of a path
_SHORT = 500  # of a source, a reference, a tag
_MOST = LARGEST_PROPERTIES - 2048
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_LETS_GO = ("environment", "headers", "trace", "frames", "error", "data", "tags", "refs", "location", "description")


def elements(data: bytes) -> tuple[Iterable[Any], bool]:
    """Return the objects of a body; one that holds none is text, each line of it a log."""
    try:
        decoded, lenient = decode(data)
    except ApiError as error:
        if error.code != "malformed":
            raise
        decoded, lenient = None, True
    listed = decoded if type(decoded) is list else [decoded]
    found = [one for one in listed if type(one) is dict]
    if found or decoded == []:
        return found, lenient
    lines = _LINE.finditer(data.decode("utf-8-sig", "replace"))  # one after another: eight megabytes may be as many
    return ({"type": "log", "message": said} for line in lines if (said := line[0].strip())), True


def reader(form: Callable[[Any], Any] = lambda raw: raw) -> Callable[[Any], Iterator[dict[str, Any]]]:
    """Return how the elements of one body are read; `form` puts each into today's form.

    A batch that is sent again means the same events: ids are made of what each holds, and which of its like it is.
    """
    seen: dict[str, int] = {}

    def read(raw: Any) -> Iterator[dict[str, Any]]:
        made = translate(form(raw))
        if "id" not in made and "timestamp" in made:
            held = blake2b(msgspec.json.encode(raw), digest_size=14, person=b"exceptionless").hexdigest()
            seen[held] = seen.get(held, 0) + 1
            made["id"] = f"ex-{held}-{seen[held]}"
        yield made

    return read


def translate(raw: Any) -> dict[str, Any]:
    """Return an event as we take it."""
    given, data, own = _parted(raw)
    kind = _short(given.get("type")) or ("error" if {"@error", "@simpleerror"} & data.keys() else "log")
    source, message = _short(given.get("source")), _message(given, data)
    request = folded(data.get("@request"))
    properties = {
        "exceptionless": kind, "source": source, "message": message, **_grouped(kind, source, message, data),
        **_said(given, data), **_told(data, request), "data": shallow(own),
    }  # fmt: skip
    found = {
        "event": _name(kind, source), "id": _id(given), "timestamp": _time(given.get("date")),
        "user": user(data.get("@user")) or _python_user(data, own), "ip": _ip(request, own),
        "request": _request(request), "properties": _fitting(_filled(properties)),
    }  # fmt: skip
    if found["event"] == "auth" and type(own.get("success")) is bool:
        found["success"] = own["success"]
    return {name: value for name, value in found.items() if value is False or value}


def user(raw: Any) -> dict[str, str]:
    """Return who a user is: by identity, else by an id, an e-mail, and where nothing else is known by name.

    An identity that is an e-mail address is one, so that what is decided meets the user of other clients.
    """
    given = folded(raw) if isinstance(raw, Mapping) else {"identity": raw}
    ids = [_fit(text(given.get(name))) for name in ("identity", "userid", "id")]
    mails = [_fit(text(given.get(name))) for name in ("email", "emailaddress")]
    found = {
        "id": next((one for one in ids if one and not is_mail(one)), ""),
        "email": next((one for one in (*mails, *filter(is_mail, ids)) if one), ""),
    }
    if not any(found.values()):
        found["username"] = _fit(first(given, "name", "username"))
    return {name: value for name, value in found.items() if value}


def is_mail(said: str) -> bool:
    """Say whether a text looks like an e-mail address."""
    name, at, host = said.partition("@")
    return bool(name and at and "." in host and not set(" @/\\") & set(name + host))


def _parted(raw: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the fields of an event, the known ones of its data by folded name, and the data of its sender's own."""
    given = folded(element(raw))
    strange = {name: one for name, one in raw.items() if fold(name) not in _ROOT | _SERVERS}
    sent = given.get("data")
    everything = strange | (sent if type(sent) is dict else {} if sent is None else {"data": sent})
    known = folded({name: one for name, one in everything.items() if name.startswith("@")})
    return given, known, {name: one for name, one in everything.items() if not name.startswith("@")}


def _name(kind: str, source: str) -> str:
    """Return an event's name: a feature that was used is named by itself, all else by its type."""
    fits = 0 < len(source) <= event.NAME_LENGTH and source.isprintable()
    if kind == "usage" and fits and not source.startswith(event.RESERVED) and source not in ("auth", "signup"):
        return source
    printable = "".join(one if one.isprintable() else " " for one in kind)
    return NAMES.get(kind, unreserved(printable[: event.NAME_LENGTH]))


def _message(given: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return what an event says; of what was thrown and is no error, that."""
    error = folded(data.get("@error")) or folded(data.get("@simpleerror"))
    cause = innermost(error)
    return (first(given, "message") or first(error, "message") or first(cause, "message") or extra(cause))[:_LONG]


def _grouped(kind: str, source: str, message: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if kind in NAMES:
        return {}
    found = stack(kind, source, message, data)
    return {"stack": found.id, "title": found.title}


def _said(given: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain fields."""
    tags, value, count = given.get("tags"), given.get("value"), given.get("count")
    refs = {name[5:105]: _short(one) for name, one in data.items() if name.startswith("@ref:")}
    return {
        "reference": _short(given.get("referenceid")), "session": refs.pop("session", ""), "refs": refs,
        "tags": [_short(tag) for tag in tags if _short(tag)][:MOST_TAGS] if type(tags) is list else [],
        "value": value if type(value) in (int, float) else None, "geo": _short(given.get("geo")),
        "count": count if type(count) is int and 0 < count <= 10**9 else 1,
        "level": _short(data.get("@level")).lower(), "version": _short(data.get("@version")),
    }  # fmt: skip


def _told(data: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what clients tell beside the event."""
    description = folded(data.get("@userdescription"))
    said = {"email": first(description, "emailaddress")[:_SHORT], "text": first(description, "description")[:_LONG]}
    trace, own, headers = data.get("@trace"), folded(data.get("@user")), sparing(request.get("headers"))
    return {
        "error": _error(data), "environment": shallow(data.get("@environment")), "headers": headers,
        "trace": shallow(trace[:FRAMES]) if type(trace) is list else None, "location": shallow(data.get("@location")),
        "user_name": first(own, "name")[:_SHORT], "description": {name: one for name, one in said.items() if one},
    }  # fmt: skip


def _error(data: Mapping[str, Any]) -> dict[str, Any]:
    simple = folded(data.get("@simpleerror"))
    trace = first(simple, "stacktrace") or text(data.get("@stack"))
    if simple or trace:
        return _filled({"type": first(simple, "type"), "message": first(simple, "message"), "trace": trace[:8000]})
    return _kept(folded(data.get("@error")), 5)


def _kept(error: Mapping[str, Any], deep: int) -> dict[str, Any]:
    frames = error.get("stacktrace")
    return _filled({
        "type": first(error, "type")[:_SHORT], "message": first(error, "message")[:_LONG],
        "code": text(error.get("code"))[:_SHORT], "data": shallow(error.get("data"), 5),
        "frames": shallow(frames[:FRAMES], 5) if type(frames) is list else None,
        "inner": _kept(folded(error.get("inner")), deep - 1) if deep and error.get("inner") else None,
    })  # fmt: skip


def _request(request: Mapping[str, Any]) -> dict[str, Any]:
    asked = request.get("querystring")
    params = unsaid(shallow(asked, 5)) if type(asked) is dict else {}
    found = {
        "method": first(request, "httpmethod"), "path": first(request, "path"), "host": first(request, "host"),
        "user_agent": first(request, "useragent"), "referer": first(request, "referrer").partition("?")[0],
    }  # fmt: skip
    return _filled(
        {name: one[:_MIDDLE] for name, one in found.items()}
        | {"params": params if size(params) <= _MOST // 4 else None}
    )


def _ip(request: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """Return the client's address, as its request or the sender's own data say; the machine's is nobody's."""
    for said in (first(request, "clientipaddress"), text(own.get("ip"))):
        found = address.normalise(said.partition(",")[0].strip())
        if found:
            return found
    return None


def _python_user(data: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, str]:
    """Return the user where the data are one: the Python client sends them so, beside its trace as `@stack`."""
    return user(own) if type(data.get("@stack")) is str else {}


def _id(given: Mapping[str, Any]) -> str | None:
    reference = first(given, "referenceid")
    if not reference or (len(reference) <= event.ID_LENGTH and reference.isprintable()):
        return reference or None
    return "ex-" + blake2b(reference.encode(errors="replace"), digest_size=16).hexdigest()


def _time(value: Any) -> Any:
    """Return a time as it was sent, None for what is none: the event happened now."""
    try:
        parse(value)
    except EventError:
        return None
    return value


def _fit(value: str) -> str:
    return value if len(value.lower()) <= LONGEST else ""  # an address is kept in small letters


def _short(value: Any) -> str:
    return text(value)[:_SHORT]


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in values.items() if one is not None and one != "" and one != {} and one != []}


def _fitting(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties without what makes them too large; `cut` names what was let go."""
    cut: list[str] = []
    for name in _LETS_GO:
        if size(properties) <= _MOST:
            break
        if name == "frames":
            error = properties.get("error", {})
            properties["error"] = {key: one for key, one in error.items() if key not in ("frames", "data", "inner")}
            cut.append("error.frames")
        elif properties.pop(name, None) is not None:
            cut.append(name)
    return properties | {"cut": cut} if cut else properties
