"""Translate the detection of a Sigma rule into a condition of our language.

Sigma has two truth values, we have three: under `not`, a missing field makes the whole true in Sigma, and so it does
here. Texts are compared case-insensitively unless Sigma says `cased`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
)
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from sentinel.core import address, identity
from sentinel.core.errors import SentinelError
from sentinel.engine.fields import field_kind
from sentinel.engine.kinds import Kind
from sentinel.engine.problems import ExpressionError

# What other products call fields of ours, as the Sigma taxonomy and the Elastic schema have them.
NAMES: Mapping[str, str] = {
    "c-ip": "ip", "src_ip": "ip", "SourceIp": "ip", "source.ip": "ip", "client.ip": "ip",
    "cs-method": "request.method", "http.request.method": "request.method",
    "cs-uri-stem": "request.path", "url.path": "request.path",
    "sc-status": "request.status", "http.response.status_code": "request.status",
    "cs-user-agent": "request.user_agent", "c-useragent": "request.user_agent",
    "user_agent.original": "request.user_agent", "cs-referer": "request.referer", "cs-host": "request.host",
    "url.domain": "request.host", "cs-username": "user.username", "event.action": "event",
    "source.geo.country_iso_code": "geo.country", "source.as.number": "geo.asn",
}  # fmt: skip
SHOWN = 8  # fields that one message names
_COMPARISONS = {
    CompareOperators.LT: "<", CompareOperators.LTE: "<=", CompareOperators.GT: ">", CompareOperators.GTE: ">=",
    CompareOperators.NEQ: "!=",
}  # fmt: skip
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}
_TRUTHS = {"true": True, "false": False}
# Fields that are always written in one way, and that way.
_WRITTEN: Mapping[str, Callable[[str], str]] = {
    "ip": lambda text: address.normalise(text) or text, "user.email": str.lower, "geo.country": str.upper,
}  # fmt: skip


class Inexpressible(SentinelError):
    """Something in a Sigma rule that has no like here."""


class UnknownFields(Inexpressible):
    """Fields of a Sigma rule that nobody said what they are here; `names` are theirs."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        shown = ", ".join(f"`{name[:60]}`" for name in names[:SHOWN])
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        which = f"the field {shown} is" if len(names) == 1 else f"the fields {shown}{more} are"
        what = "it is" if len(names) == 1 else "each is"
        super().__init__(f"{which} not known", f"say what {what}: `--field {names[0][:60]}=…`")


class Fields:
    """The names of fields: ours as they are, others by the table and by what the user says."""

    def __init__(self, more: Mapping[str, str]) -> None:
        self._more = more

    def __call__(self, name: str) -> str:
        """Return the path that a Sigma field means; raises Inexpressible."""
        path = self._more.get(name) or name
        try:
            field_kind(path)
        except ExpressionError:
            path = NAMES.get(path, "")
        if not path:
            raise UnknownFields([name])
        field_kind(path)
        return path

    def known(self, names: Iterable[str]) -> None:
        """Raise UnknownFields for all names that mean nothing here, together."""
        unknown = []
        for name in dict.fromkeys(names):
            try:
                self(name)
            except UnknownFields:
                unknown.append(name)
        if unknown:
            raise UnknownFields(unknown)


def where(rule: SigmaRule, fields: Fields) -> str:
    """Return the condition of a rule; raises Inexpressible with its unknown fields, or else the first such thing."""
    parsed = [condition.parsed for condition in rule.detection.parsed_condition]
    if not parsed or any(one is None for one in parsed):
        raise Inexpressible("it has no condition")
    fields.known(name for one in parsed for name in _named(one))
    return _joined(" or ", [_tree(one, fields) for one in parsed])


def _named(node: Any) -> Iterator[str]:
    """Give the fields that a condition asks for, as Sigma names them."""
    if isinstance(node, ConditionItem):
        for one in node.args:
            yield from _named(one)
    elif isinstance(node, ConditionFieldEqualsValueExpression):
        yield node.field
        if isinstance(node.value, SigmaFieldReference):
            yield node.value.field


def _tree(node: Any, fields: Fields) -> str:
    if isinstance(node, ConditionNOT):
        return f"not coalesce({_tree(node.args[0], fields)}, False)"
    if isinstance(node, ConditionAND | ConditionOR):
        word = " and " if isinstance(node, ConditionAND) else " or "
        return _joined(word, [_tree(one, fields) for one in node.args])
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _value(fields(node.field), node.value, fields)
    if isinstance(node, ConditionItem):
        raise Inexpressible(f"`{type(node).__name__}` in its condition")
    raise Inexpressible("keywords, which search every field", "name the field")


def _joined(word: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")"


def _value(path: str, value: Any, fields: Fields) -> str:
    """Return what one value asks of a field; the more special kinds of pySigma come before those they derive from."""
    if isinstance(value, SigmaExpansion):
        return _joined(" or ", [_value(path, one, fields) for one in value.values])
    if isinstance(value, SigmaFieldReference):
        return _reference(path, fields(value.field), value)
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(path, value)
    raise Inexpressible(f"a value of the kind `{type(value).__name__.removeprefix('Sigma')}`")


def _reference(path: str, other: str, value: SigmaFieldReference) -> str:
    if value.starts_with or value.ends_with:
        raise Inexpressible("`fieldref` with `startswith` or `endswith`")
    if Kind.TEXT in (field_kind(path), field_kind(other)):
        return f"lower({path}) == lower({other})"
    return f"{path} == {other}"


def _number(path: str, value: SigmaNumber) -> str:
    kind = field_kind(path)
    if kind is Kind.TEXT:
        return f"{path} == {str(value.number)!r}"
    if kind not in (Kind.NUMBER, Kind.ANY):
        raise Inexpressible(f"`{path}` is no number")
    return f"{path} == {value.number!r}"


def _truth(path: str, value: SigmaBool) -> str:
    if field_kind(path) not in (Kind.BOOL, Kind.ANY):
        raise Inexpressible(f"`{path}` is neither true nor false")
    return f"{path} == {value.boolean}"


def _text(path: str, value: SigmaString) -> str:
    if any(not isinstance(part, str | SpecialChars) for part in value.s):
        raise Inexpressible("a placeholder")
    kind, cased = field_kind(path), isinstance(value, SigmaCasedString)
    if kind in (Kind.NUMBER, Kind.BOOL, Kind.LIST):
        return _converted(path, kind, value)
    if path == "user":
        return _user(value, cased)
    if value.contains_special():
        return _glob(path, value, cased)
    plain = "".join(map(str, value.s))
    if cased or path in _WRITTEN:
        return f"{path} == {(plain if cased else _WRITTEN[path](plain))!r}"
    return f"lower({path}) == {plain.lower()!r}"


def _user(value: SigmaString, cased: bool) -> str:
    """Return how a text is asked of user keys: a bare one is an `id`, and none begins with a part of one."""
    begin = value.s[0] if value.s else ""
    if value.contains_special():
        if isinstance(begin, str) and ":" not in begin:
            hint = "name `user.id` or `user.email`"
            raise Inexpressible(f"`{begin[:40]}…` for `user`, which begins with the kind of identifier", hint)
        return _glob("user", value, cased)
    plain = "".join(map(str, value.s))
    key = identity.read_key(plain) if plain else ""
    return f"user == {key!r}" if cased else f"lower(user) == {key.lower()!r}"


def _converted(path: str, kind: Kind, value: SigmaString) -> str:
    """Return how a text is asked of a field that is none."""
    plain = str(value)
    if not value.contains_special():
        if kind is Kind.LIST:
            return f"{plain!r} in {path}"
        if kind is Kind.BOOL and plain.lower() in _TRUTHS:
            return f"{path} == {_TRUTHS[plain.lower()]}"
        if kind is Kind.NUMBER and re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", plain, re.ASCII):
            return f"{path} == {plain}"
    raise Inexpressible(f"the text `{plain[:40]}` for `{path}`, which is no text")


def _glob(path: str, value: SigmaString, cased: bool) -> str:
    """Return a text with wildcards: by its beginning, end or middle where that is all, else as a pattern."""
    parts, many = tuple(value.s), SpecialChars.WILDCARD_MULTI
    if parts == (many,):
        return f"{path} != None"
    place = path if cased else f"lower({path})"
    shape = tuple(part if isinstance(part, SpecialChars) else str for part in parts)
    function = {(str, many): "startswith", (many, str): "endswith", (many, str, many): "contains"}.get(shape)
    if function is not None:
        plain = next(part for part in parts if isinstance(part, str))
        return f"{function}({place}, {(plain if cased else plain.lower())!r})"
    pattern = "".join(re.escape(part) if isinstance(part, str) else _WILD[part] for part in parts)
    flags = "s" if cased else "is"
    return f"matches({path}, {f'(?{flags})^{pattern}$'!r})"


_WILD: Mapping[object, str] = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}


def _pattern(path: str, value: SigmaRegularExpression) -> str:
    flags = "".join(sorted(_FLAGS[flag.name] for flag in value.flags))
    pattern = f"(?{flags}){value.regexp.original}" if flags else value.regexp.original
    return f"matches({path}, {pattern!r})"


def _compared(path: str, value: SigmaCompareExpression) -> str:
    if field_kind(path) not in (Kind.NUMBER, Kind.ANY):
        raise Inexpressible(f"`{path}` is no number")
    return f"{path} {_COMPARISONS[value.op]} {value.number.number!r}"


def _no_like(what: str, path: str, value: Any) -> str:
    raise Inexpressible(what)


_WRITERS: Mapping[type, Callable[[str, Any], str]] = {
    SigmaTimestampPart: partial(_no_like, "a part of a time"),
    SigmaNumber: _number,
    SigmaBool: _truth,
    SigmaString: _text,
    SigmaNull: lambda path, value: f"{path} == None",
    SigmaExists: lambda path, value: f"{path} != None" if value else f"{path} == None",
    SigmaRegularExpression: _pattern,
    SigmaCIDRExpression: lambda path, value: f"cidr({path}, {str(value.cidr)!r})",
    SigmaCompareExpression: _compared,
}
