"""The functions and the arithmetic of the rules' language in SQL.

Each says where it can be trusted: text that is not plain ASCII is not lowercased here, nor a number calculated with
that a double cannot hold. Where SQL may differ, the event itself is evaluated in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timezone
from ipaddress import ip_network
from typing import NamedTuple

from sentinel.core import address
from sentinel.engine.kinds import Kind
from sentinel.engine.lists import ListValues, Networks, networks
from sentinel.engine.nodes import Literal, Node, Prepared
from sentinel.store.rows import hash_of, json
from sentinel.store.sql import FALSE, TRUE, Dialect, Sql, every, some, sql
from sentinel.store.values import KINDS, UNKNOWABLE, Value, written

_FIRST, _LAST = -62_135_424_000, 253_402_128_000  # seconds: as engine.calls has them
_FOLDS = ("(?i", "(?-", "\\p", "\\P", "(?s", "(?m", "(?U")  # flags, and letters by their properties
_MAIL = "^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*$"
_SPELLED = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)$"
_DIGIT = "[0-9]"
_SPELT = {"is": '{name}":"{text}"', "starts": '{name}":"{text}', "ends": '{text}"', "contains": "{text}"}


class Test(NamedTuple):
    """The SQL that holds where a function's answer is true and where it is false, and doubts: where neither is sure."""

    holds: Sql
    fails: Sql
    doubts: tuple[Sql, ...] = ()


UNSAID = Test(FALSE, FALSE, (TRUE,))


def prepared(node: Node) -> bool:
    """Say whether an argument was prepared by the compiler (a list, networks, a pattern) and is taken as it is."""
    return isinstance(node, Prepared)


def by_hash(dialect: Dialect, value: Value, text: str) -> Sql | None:
    """Return a condition on the hash of a text, which is quicker to look up; None for a field without a hash."""
    column = dialect.hashed.get(value.parts[Kind.TEXT].text)
    return None if column is None else Sql(f"{column} = ?", (hash_of(text),))


def by_site(dialect: Dialect, value: Value, text: str) -> Sql | None:
    """Return a condition on addresses that finds those of a network of neighbours; None for any other comparison."""
    if value.path != "ip.network" or address.site(text.partition("/")[0]) != text:
        return None
    wide = ip_network(text)
    ends = (Sql("?", (str(end),)) for end in (wide.network_address, wide.broadcast_address))
    return dialect.says("inside", *ends) or _in_networks(networks([wide]))


def by_spelling(dialect: Dialect, value: Value, text: str, word: str = "is") -> Sql | None:
    """Return a quick condition on the text of a document, None where there is none.

    It holds wherever the value is, starts with, ends with or contains a text (as `word` says), and maybe elsewhere.
    """
    if value.document is None:
        return None
    document, name = value.document
    spelt = (json(text) or '""')[1:-1]
    sought = _SPELT[word].format(name=name, text=spelt)
    return written(dialect, document, sought) if sought else None


def _tested(holds: Sql | None, doubts: Sequence[Sql]) -> Test:
    return UNSAID if holds is None else Test(holds, sql("NOT ({})", holds), tuple(doubts))


def _of_texts(word: str) -> Callable[[Dialect, Value, Value], Test]:
    def test(dialect: Dialect, text: Value, other: Value) -> Test:
        holds = dialect.says(word, text.part(Kind.TEXT), other.part(Kind.TEXT))
        found = _tested(holds, (*text.doubts, *other.doubts))
        quick = by_spelling(dialect, text, other.literal, word) if isinstance(other.literal, str) else None
        return found if quick is None else found._replace(holds=every((quick, found.holds)))

    return test


def _matches(dialect: Dialect, text: Value, pattern: Prepared) -> Test:
    """RE2 in both places; letters beyond ASCII are folded and grouped as each one's tables have them."""
    assert isinstance(pattern.literal, Literal)
    source, part = str(pattern.literal.value), text.part(Kind.TEXT)
    holds = dialect.says("matches", part, dialect.constant(Kind.TEXT, source))
    odd = [_not_plain(dialect, part)] if any(sign in source for sign in _FOLDS) else []
    return _tested(holds, (*text.doubts, *odd))


def _cidr(dialect: Dialect, ip: Value, networks: Prepared) -> Test:
    found = networks.value
    assert isinstance(found, Networks)
    holds = _in_networks(found) if ip.path == "ip" else None
    return UNSAID if holds is None else Test(every((ip.known(), holds)), _neither(ip, holds))


def _neither(value: Value, *tests: Sql) -> Sql:
    return every((value.known(), sql("({}) IS NOT TRUE", some(tests))))


def _in_networks(networks: Networks) -> Sql | None:
    """Return the condition that an event's address is in a network; None for many, or for IPv6 narrower than /64."""
    known = [(version, shift, number) for version, shift, numbers in networks.prefixes for number in numbers]
    if len(known) > 200 or any(version == 6 and shift < 64 for version, shift, _ in known):
        return None
    return some(_range(*one) for one in sorted(known))


def _range(version: int, shift: int, number: int) -> Sql:
    column, shift = ("ip4", shift) if version == 4 else ("ip6", shift - 64)
    first = number << shift
    return Sql(f"({column} >= ? AND {column} <= ?)", (first, first + (1 << shift) - 1))


def _in_list(dialect: Dialect, value: Value, name: Prepared) -> Test:
    found = name.value
    assert isinstance(found, ListValues)
    values, doubts, tests, known = Sql("?", (tuple(sorted(found.exact)),)), list(value.doubts), [], []
    if Kind.TEXT in value.parts:
        text = value.parts[Kind.TEXT]
        tests.append(dialect.says("among", text, values))
        known.append(value.of(Kind.TEXT))
        if found.networks.prefixes:
            ranges = _in_networks(found.networks) if value.path == "ip" else None
            tests.append(ranges or FALSE)
            doubts += [] if ranges is not None else [_may_be_address(dialect, text)]
    if Kind.NUMBER in value.parts:
        number = value.parts[Kind.NUMBER]
        whole = sql("CASE WHEN abs({}) < 1000000000000000000 AND floor({}) = {} THEN {} END", *(number,) * 4)
        text = dialect.says("whole", whole) or Sql("NULL")
        tests.append(dialect.says("among", text, values))
        known.append(sql("{} IS NOT NULL", whole))
        doubts += value.inexact()
    if None in tests:
        return UNSAID
    holds = some(test for test in tests if test is not None)
    return Test(every((some(known), holds)), every((some(known), sql("({}) IS NOT TRUE", holds))), tuple(doubts))


def _may_be_address(dialect: Dialect, text: Sql) -> Sql:
    """Return the condition that a text may be an address: it has a dot or a colon."""
    signs = (dialect.says("contains", text, dialect.constant(Kind.TEXT, sign)) for sign in ".:")
    return some(sign or TRUE for sign in signs)


def _not_plain(dialect: Dialect, text: Sql) -> Sql:
    plain = dialect.says("plain", text)
    return TRUE if plain is None else sql("NOT ({})", plain)


def _cased(word: str) -> Callable[[Dialect, Value], Value]:
    def call(dialect: Dialect, text: Value) -> Value:
        part = text.part(Kind.TEXT)
        found = dialect.says(word, part)
        return UNKNOWABLE if found is None else Value({Kind.TEXT: found}, (*text.doubts, _not_plain(dialect, part)))

    return call


def _length(dialect: Dialect, value: Value) -> Value:
    counted = ((Kind.TEXT, "characters"), (Kind.LIST, "items"))
    found = [dialect.says(word, value.parts[kind]) for kind, word in counted if kind in value.parts]
    if None in found:
        return UNKNOWABLE
    return Value({Kind.NUMBER: _first([one for one in found if one is not None])}, value.doubts, exact=True)


def _first(parts: Sequence[Sql]) -> Sql:
    if len(parts) < 2:
        return parts[0] if parts else Sql("NULL")
    return sql("coalesce(" + ", ".join("{}" for _ in parts) + ")", *parts)


def _domain(dialect: Dialect, text: Value) -> Value:
    """Of what looks like an e-mail address, the part behind the @; of anything else, ask the event."""
    part = text.part(Kind.TEXT)
    simple = dialect.says("matches", part, dialect.constant(Kind.TEXT, _MAIL))
    behind = dialect.says("behind_at", part)
    if simple is None or behind is None:
        return UNKNOWABLE
    short = every((simple, sql("length({}) <= 253", part)))
    return Value({Kind.TEXT: behind}, (*text.doubts, sql("NOT ({})", short)))


def _clock(length: int, count: int, offset: int) -> Callable[..., Value]:
    def call(dialect: Dialect, timestamp: Value, zone: Prepared | None = None) -> Value:
        """In UTC or so far from it; what a place's clocks showed when is not known here."""
        ahead = _ahead(zone)
        number = timestamp.part(Kind.NUMBER)
        if ahead is None:
            return UNKNOWABLE
        units = sql(f"floor((floor({{}}) + {ahead:d}) / {length})", number)
        local = sql(f"({{}} + {offset}) - {count} * floor(({{}} + {offset}) / {count})", units, units)
        form = f"CASE WHEN {{}} >= {_FIRST} AND {{}} < {_LAST} THEN {{}} END"
        return Value({Kind.NUMBER: sql(form, number, number, local)}, timestamp.doubts, exact=True)

    return call


def _ahead(zone: Prepared | None) -> int | None:
    """Return the seconds by which a zone is ahead of UTC, None for a zone whose offset changes."""
    if zone is None:
        return 0
    offset = zone.value.utcoffset(None) if isinstance(zone.value, timezone) else None
    return None if offset is None else int(offset.total_seconds())


def _coalesce(dialect: Dialect, *values: Value) -> Value:
    kinds = [kind for kind in KINDS if any(kind in value.parts for value in values)]
    arms = [(value.known(), value) for value in values]
    form = "CASE " + " ".join("WHEN {} THEN {}" for _ in arms) + " END"
    parts = {
        kind: sql(form, *(piece for known, value in arms for piece in (known, value.part(kind)))) for kind in kinds
    }
    doubts = tuple(doubt for value in values for doubt in value.doubts)
    return Value(parts, doubts, exact=all(value.exact for value in values if Kind.NUMBER in value.parts))


def _number(dialect: Dialect, value: Value) -> Value:
    """A number as it is, or as it is spelled; a text with blanks or signs beside its digits is the event's to read."""
    found, doubts = [], list(value.doubts)
    if Kind.NUMBER in value.parts:
        found.append(dialect.says("finite", value.parts[Kind.NUMBER]))
    if Kind.TEXT in value.parts:
        text = value.parts[Kind.TEXT]
        spelled, digit = (
            dialect.says("matches", text, dialect.constant(Kind.TEXT, form)) for form in (_SPELLED, _DIGIT)
        )
        read = dialect.says("number", text)
        if spelled is None or digit is None or read is None:
            return UNKNOWABLE
        found.append(sql("CASE WHEN {} AND length({}) <= 32 THEN {} END", spelled, text, read))
        doubts.append(every((digit, sql("NOT ({})", spelled), sql("length({}) <= 32", text))))
    if None in found:
        return UNKNOWABLE
    return Value({Kind.NUMBER: _first([one for one in found if one is not None])}, tuple(doubts))


def _of_number(word: str) -> Callable[[Dialect, Value], Value]:
    def call(dialect: Dialect, value: Value) -> Value:
        found = dialect.says(word, value.part(Kind.NUMBER))
        if found is None:
            return UNKNOWABLE
        return Value({Kind.NUMBER: found}, value.doubts, exact=value.exact)

    return call


def _whole(word: str) -> Callable[[Dialect, Value], Value]:
    """The infinite has no nearest whole number."""

    def call(dialect: Dialect, value: Value) -> Value:
        finite = dialect.says("finite", value.part(Kind.NUMBER))
        return UNKNOWABLE if finite is None else _of_number(word)(dialect, Value({Kind.NUMBER: finite}, value.doubts))

    return call


def _extreme(word: str) -> Callable[..., Value]:
    def call(dialect: Dialect, *values: Value) -> Value:
        numbers = [value.part(Kind.NUMBER) for value in values]
        known = every(sql("{} IS NOT NULL", number) for number in numbers)
        best = sql(f"{word}(" + ", ".join("{}" for _ in numbers) + ")", *numbers)
        doubts = tuple(doubt for value in values for doubt in value.inexact())
        return Value({Kind.NUMBER: sql("CASE WHEN {} THEN {} END", known, best)}, doubts)

    return call


def negative(value: Value) -> Value:
    """Return a number with the other sign."""
    return Value({Kind.NUMBER: sql("(-{})", value.part(Kind.NUMBER))}, value.doubts, exact=value.exact)


def arithmetic(dialect: Dialect, operator: str, left: Value, right: Value) -> Value:
    """Return what is calculated of two numbers, right where each, and the result, is one a double can tell."""
    one, two = left.part(Kind.NUMBER), right.part(Kind.NUMBER)
    doubts = (*left.inexact(), *right.inexact())
    if operator == "%":
        found = _remainder(dialect, one, two)
    else:
        found = sql("({} / nullif({}, 0))" if operator == "/" else f"({{}} {operator} {{}})", one, two)
        found = dialect.says("finite", found) if operator == "/" else found
    return UNKNOWABLE if found is None else Value({Kind.NUMBER: found}, doubts)


def _remainder(dialect: Dialect, one: Sql, two: Sql) -> Sql | None:
    """The remainder has the sign of the divisor, as in Python."""
    rest = dialect.says("remainder", one, sql("nullif({}, 0)", two))
    if rest is None:
        return None
    form = "CASE WHEN {} <> 0 AND ({} < 0) <> ({} < 0) THEN {} + {} ELSE {} END"
    return sql(form, rest, rest, two, rest, two, rest)


TESTS: Mapping[str, Callable[..., Test]] = {
    "startswith": _of_texts("starts"), "endswith": _of_texts("ends"), "matches": _matches, "cidr": _cidr,
    "in_list": _in_list,
}  # fmt: skip
VALUES: Mapping[str, Callable[..., Value]] = {
    "lower": _cased("lower"), "upper": _cased("upper"), "len": _length, "domain": _domain,
    "hour": _clock(3600, 24, 0), "weekday": _clock(86400, 7, 3), "coalesce": _coalesce, "number": _number,
    "abs": _of_number("absolute"), "min": _extreme("least"), "max": _extreme("greatest"),
    "round": _whole("even"), "floor": _whole("floor"),
}  # fmt: skip
