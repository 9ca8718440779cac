"""Values that fields and functions never have though their kind allows them: a comparison with one can never hold.

Files are checked for this. Searches are not: they may ask for what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple

from sentinel.core import address
from sentinel.engine import calls
from sentinel.engine.fields import FieldSpec, find_field
from sentinel.engine.nodes import MIRRORED, Call, Comparator, Compare, Field, ListOf, Literal, Node, walk
from sentinel.engine.problems import Problems, quote, suggest

TRUSTS = ("server", "browser", "playbook")
NETWORKS = (
    "loopback", "link-local", "shared", "private", "multicast", "reserved",
    "tor", "vpn", "proxy", "anonymous", "hosting", "public",
)  # fmt: skip
_COUNTRY = re.compile(r"[A-Z][A-Z0-9]")
_PARTED = re.compile(r"[\s,;|]+")


class Fault(NamedTuple):
    """What something always is, and what to write instead."""

    what: str
    hint: str | None = None


class Range(NamedTuple):
    """The numbers a function gives."""

    least: int
    most: float
    fault: Fault


def _address(text: str) -> Fault | None:
    found = address.normalise(text)
    if found == text:
        return None
    if found is not None:
        return Fault("is written in one way", f'write "{found}"')
    return Fault("is one address", f'write `cidr(ip, "{text}")`' if "/" in text else 'such as "203.0.113.9"')


def _site(text: str) -> Fault | None:
    found = address.site(text.partition("/")[0])
    if found == text:
        return None
    what = "is the /24 of an IPv4 address or the /48 of an IPv6 address"
    asked = f'`cidr(ip, "{text}")`' if "/" in text else f'`ip == "{text}"`'
    return Fault(what, f'write "{found}", or {asked}' if found else 'such as "203.0.113.0/24"')


def _email(text: str) -> Fault | None:
    found = text.strip().lower()
    return None if found == text else Fault("is in lower case", f'write "{found}"')


def _country(text: str) -> Fault | None:
    if _COUNTRY.fullmatch(text):
        return None
    meant = text.upper() if _COUNTRY.fullmatch(text.upper()) else "DE"
    return Fault("is two capital letters", f'{"write" if meant == text.upper() else "such as"} "{meant}"')


def _one_of(known: tuple[str, ...]) -> Callable[[str], Fault | None]:
    fault = Fault(f"is one of {', '.join(map(quote, known))}")
    return lambda text: None if text in known else fault._replace(hint=suggest(text, known))


def _made(make: Callable[[str], str], what: str) -> Callable[[str], Fault | None]:
    """Return the check whether a text can be a result of `make`, which leaves its own results as they are."""
    return lambda text: None if make(text) == text else Fault(what, f'write "{make(text)}"')


def _host(text: str) -> Fault | None:
    found = calls.domain(text)
    if text == text.lower() and not any(char in text for char in "/?#\\@"):
        return None
    return Fault("is a host in lower case", f'write "{found}"' if found else None)


def _listed(path: str, text: str) -> str | None:
    """Return how to ask for addresses or networks that somebody wrote into one text."""
    parts = [f'"{part[:64]}"' for part in _PARTED.split(text) if part]
    several = f"[{parts[0]}, …]" if len(parts) > 1 else ""
    if path == "ip" and "/" in text:
        return f"write `cidr(ip, {several or parts[0]})`"
    return f"write `{path} in {several or f'[{parts[0]}]'}`" if parts else None


ADDRESSES = ("ip", "ip.network")
OF_FIELDS: Mapping[str, Callable[[str], Fault | None]] = {
    "ip": _address,
    "ip.network": _site,
    "user.email": _email,
    "geo.country": _country,
    "network.kind": _one_of(NETWORKS),
    "trust": _one_of(TRUSTS),
}
OF_CALLS: Mapping[str, Callable[[str], Fault | None]] = {
    "lower": _made(str.lower, "is in lower case"),
    "upper": _made(str.upper, "is in upper case"),
    "domain": _host,
}
RANGES: Mapping[str, Range] = {
    "hour": Range(0, 23, Fault("is a number from 0 to 23")),
    "weekday": Range(0, 6, Fault("is a number from 0 to 6", "0 is Monday, 6 is Sunday")),
    "len": Range(0, inf, Fault("is never below 0")),
}


def check(tree: Node, problems: Problems) -> None:
    """Record every comparison with what its other side never is."""
    checker = _Checker(problems)
    for node in walk(tree):
        if isinstance(node, Compare):
            for left, operator, right in node.pairs():
                checker.pair(left, operator, right)
        elif isinstance(node, Call):
            checker.call(node)


class _Checker:
    def __init__(self, problems: Problems) -> None:
        self._at, self._quoted = problems.at, problems.quoted

    def pair(self, left: Node, operator: Comparator, right: Node) -> None:
        """Check one comparison."""
        if operator in ("in", "not in"):
            for item in right.items if isinstance(right, ListOf) else ():
                self._equality(left, item)
            self._part(left, right)
        elif isinstance(left, Literal) and isinstance(right, Literal):
            self._at(left.span, "this compares nothing of the event", self._unquoted(left) or self._unquoted(right))
        elif operator in ("==", "!="):
            self._equality(left, right)
            self._equality(right, left)
        else:
            self._order(left, operator, right)
            self._order(right, MIRRORED[operator], left)

    def call(self, node: Call) -> None:
        """Check one function: `contains` as `in`; and a network is no address that could lie in one."""
        first = node.arguments[0]
        if node.function == "contains":
            self.pair(node.arguments[1], "in", first)
        if node.function == "cidr" and isinstance(first, Field) and first.path == "ip.network":
            message = f"this can never hold: {self._quoted(first.span)} is no address"
            self._at(first.span, message, "write `cidr(ip, …)`")

    def _part(self, item: Node, container: Node) -> None:
        """Check `in` with a text: a text beside an address is no list of them, and an address holds no network."""
        if isinstance(item, Field) and isinstance(container, Literal):
            if item.path in ADDRESSES and isinstance(container.value, str):
                hint = _listed(item.path, container.value)
                self._at(container.span, f"this asks whether {self._quoted(item.span)} is a part of a text", hint)
        elif isinstance(container, Field) and container.path == "ip" and isinstance(item, Literal):
            text = str(item.value)
            self._never(container, item, Fault("is no network", f'write `cidr(ip, "{text}")`') if "/" in text else None)

    def _equality(self, known: Node, literal: Node) -> None:
        if not isinstance(literal, Literal):
            return
        if isinstance(literal.value, str):
            check = OF_FIELDS.get(known.path) if isinstance(known, Field) else None
            check = OF_CALLS.get(known.function) if isinstance(known, Call) else check
            self._never(known, literal, check(literal.value) if check else None)
        elif isinstance(known, Call) and (found := RANGES.get(known.function)):
            self._never(known, literal, None if found.least <= literal.value <= found.most else found.fault)

    def _order(self, known: Node, operator: str, literal: Node) -> None:
        found = RANGES.get(known.function) if isinstance(known, Call) else None
        if found is None or not isinstance(literal, Literal) or isinstance(literal.value, str):
            return
        value = literal.value
        holds = {
            "<": value > found.least, "<=": value >= found.least, ">": value < found.most, ">=": value <= found.most
        }  # fmt: skip
        self._never(known, literal, None if holds[operator] else found.fault)

    def _never(self, known: Node, literal: Literal, fault: Fault | None) -> None:
        if fault is not None:
            self._at(literal.span, f"this can never hold: {self._quoted(known.span)} {fault.what}", fault.hint)

    @staticmethod
    def _unquoted(literal: Literal) -> str | None:
        path = literal.value if isinstance(literal.value, str) else ""
        is_field = isinstance(find_field(tuple(path.split("."))), FieldSpec)
        return f"a field has no quotes: `{path}`" if is_field else None
