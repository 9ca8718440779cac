"""The part of Exceptionless' search language that is supported, translated into conditions of our language.

All terms must hold: `field:value`, quoted or with `*` at its end, `>`, `>=`, `<`, `<=` before a number, `_exists_:`
and `_missing_:`, free text; each may be negated with `-`, `!` or `NOT`. Anything else is refused, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.compat.asking import quoted
from sentinel.edge.errors import ApiError

MOST = 20  # terms
_TERM = re.compile(
    r"""\s*(?P<negated>-|!|NOT\s+)?(?:(?P<field>[A-Za-z_][\w.@-]*):)?(?P<value>"(?:[^"\\]|\\.)*"|[^\s()"\[\]{}]+)(?=\s|$)"""
)
_NUMBER = re.compile(r"(>=|<=|>|<)?(-?[0-9]{1,15}(?:\.[0-9]{1,6})?)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FIELDS = {
    "id": "id", "type": "properties.exceptionless", "source": "properties.source", "message": "properties.message",
    "level": "properties.level", "version": "properties.version", "reference": "properties.reference",
    "stack": "properties.stack", "ref.session": "properties.session", "session": "properties.session", "ip": "ip",
    "path": "request.path", "useragent": "request.user_agent", "error.type": "properties.error.type",
    "error.message": "properties.error.message", "error.code": "properties.error.code", "value": "properties.value",
    "count": "properties.count", "user": "user", "user.email": "user.email", "user.name": "properties.user_name",
    "tag": "properties.tags", "country": "geo.country", "browser": "agent.browser", "os": "agent.os",
}  # fmt: skip
_FREE = ("properties.message", "properties.source", "properties.title")
_NUMERIC = ("properties.value", "properties.count", "properties.data.")
_USER = ("user.id", "user.email", "user.username")


def conditions(filter: str) -> Iterator[str]:
    """Give the conditions that must hold; raises the refusal of what is not understood."""
    rest, count = filter.strip(), 0
    while rest:
        if (rest_without := re.sub(r"^AND\s+", "", rest)) != rest and count:
            rest = rest_without
        found = _TERM.match(rest)
        count += 1
        if found is None or found["value"] in ("OR", "||", "&&", "AND") or count > MOST:
            hint = "write terms such as `type:error`, all of which must hold, without brackets, ranges and `OR`"
            raise ApiError("malformed", f"`filter`: `{rest[:40]}` is not understood here", hint)
        yield _condition(found["field"], _plain(found["value"]), found["value"][0] == '"', bool(found["negated"]))
        rest = rest[found.end() :].strip()


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value


def _condition(field: str | None, value: str, exact: bool, negated: bool) -> str:
    if field in ("_exists_", "_missing_"):
        there = (field == "_exists_") is not negated
        return f"{_path(value)} {'!=' if there else '=='} None"
    told = list(_told(field, value, exact))
    if negated:  # what is not there is not what was meant either
        return " and ".join(f"({path} == None or not ({one}))" for path, one in told)
    return " or ".join(one for _, one in told)


def _told(field: str | None, value: str, exact: bool) -> Iterator[tuple[str, str]]:
    """Give the fields that a term is about, each with the condition on it; one that holds is enough."""
    if field is None:
        yield from ((path, f"contains(lower({path}), {quoted(value.lower())})") for path in _FREE)
        return
    path = _path(field)
    number = None if exact else _NUMBER.fullmatch(value)
    if path == "user":
        yield from ((one, _text(one, value, exact)) for one in _USER)
    elif path == "properties.tags":
        yield path, f"{quoted(value)} in {path}"
    elif number and path.startswith(_NUMERIC):
        yield path, f"{path} {number[1] or '=='} {number[2]}"
        if not number[1] and path.startswith("properties.data."):
            yield path, _text(path, value, exact)
    else:
        yield path, _text(path, value, exact)


def _text(path: str, value: str, exact: bool) -> str:
    if value.endswith("*") and not exact:
        return f"startswith({path}, {quoted(value[:-1])})"
    return f"{path} == {quoted(value)}"


def _path(field: str) -> str:
    if field.lower() in _FIELDS:
        return _FIELDS[field.lower()]
    head, _, name = field.partition(".")
    if head in ("data", "ref") and _NAME.fullmatch(name):
        return f"properties.{'refs' if head == 'ref' else 'data'}.{name}"
    raise ApiError("malformed", f"`filter`: `{field[:40]}` is no field here", f"one of {', '.join(sorted(_FIELDS))}")
