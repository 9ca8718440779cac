"""A decision on a target, the subject of a request, and the verdict on it.

Values only. A set of decisions is in `decisions`, their JSON in `wire`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from sentinel.core import address
from sentinel.core.errors import DecisionError

Kind = Literal["block", "redirect", "challenge", "allow"]
Single = Literal["user", "ip", "network"]
Scope = Literal[Single, "user+ip", "user+device"]

# The larger number is the stricter answer.
STRICTNESS: dict[str, int] = {"block": 3, "redirect": 2, "challenge": 1, "allow": 0}
SCOPES: tuple[Scope, ...] = get_args(Scope)
PAIRS = ("user+ip", "user+device")
FOREVER = 2**63 - 1  # stands for "no end" where ends are compared or stored
WIDTHS = {4: 32, 6: 128}  # bits of an address, by version
WIDEST = {4: 8, 6: 19}  # a network wider than this is a mistake, not an attacker
_LONGEST_VALUE = 4096  # a pair of two long texts, every character escaped
_LONGEST_ID = 128
_URL = re.compile(r"https?://[!-~]+|/(?![/\\])[!-~]*", re.ASCII | re.IGNORECASE)


class Place(NamedTuple):
    """A network as numbers: its version, its prefix length, and the bits of that prefix."""

    version: int
    length: int
    bits: int

    @property
    def first(self) -> int:
        """The first address of the network, as a number."""
        return self.bits << (WIDTHS[self.version] - self.length)

    @property
    def alone(self) -> bool:
        """Whether it is one address."""
        return self.length == WIDTHS[self.version]

    def wider(self, length: int) -> Place:
        """Return the network of a shorter prefix, in bits, that it lies in."""
        return Place(self.version, length, self.bits >> (self.length - length))

    def within(self, other: Place) -> bool:
        """Say whether it lies within another, or is the same."""
        if self.version != other.version or self.length < other.length:
            return False
        return self.bits >> (self.length - other.length) == other.bits

    def meets(self, other: Place) -> bool:
        """Say whether there is an address that lies in both."""
        return self.within(other) if self.length >= other.length else other.within(self)

    def __str__(self) -> str:
        kind = ipaddress.IPv4Address if self.version == 4 else ipaddress.IPv6Address
        return f"{kind(self.first)}/{self.length}"


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer for one target until one moment; times are microseconds since 1970.

    `value` is a user key (`id:42`), an address, a network, or `pair(user, address or device)`.
    `until` is None for ever, exclusive otherwise. `to` is where a redirect leads. A decision without
    a `playbook` is a person's (`by` says whose). One with `logins_only` leaves open sessions alone.
    Raises DecisionError for a field with an impossible value.
    """

    id: str
    kind: Kind
    scope: Scope
    value: str
    to: str | None = None
    made: int = 0
    until: int | None = None
    reason: str = ""
    playbook: str | None = None
    version: str | None = None
    finding: str | None = None
    by: str | None = None
    logins_only: bool = False

    def __post_init__(self) -> None:
        _check_id(self.id)
        if self.kind not in STRICTNESS:
            raise DecisionError("kind", f"`{str(self.kind)[:32]}` is none of {', '.join(STRICTNESS)}")
        if self.scope not in SCOPES:
            raise DecisionError("scope", f"`{str(self.scope)[:32]}` is none of {', '.join(SCOPES)}")
        _check_value(self.scope, self.value)
        check_to(self.kind, self.to)
        if self.until is not None and not 0 <= self.until < FOREVER:
            raise DecisionError("until", f"`{self.until}` is no moment in microseconds since 1970")

    @property
    def manual(self) -> bool:
        """Whether a person made it, and not a playbook."""
        return self.playbook is None

    def in_force(self, now: int) -> bool:
        """Say whether it has not ended at `now`."""
        return self.until is None or now < self.until


class Subject(NamedTuple):
    """Whom a request is about: the user's keys (linked identifiers), its address and its device.

    `login` is true while an attempt to log in or to sign up is judged. `passed` are the challenges already met, by id.
    """

    users: tuple[str, ...] = ()
    ip: str | None = None
    device: str | None = None
    login: bool = False
    passed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request is told, and by which decision; `until` in microseconds since 1970, None for ever."""

    kind: Kind = "allow"
    decision: str | None = None
    to: str | None = None
    until: int | None = None
    reason: str = ""
    playbook: str | None = None
    scope: Scope | None = None

    @property
    def allowed(self) -> bool:
        """Whether the request goes on."""
        return self.kind == "allow"

    @property
    def reference(self) -> str:
        """What a refused person may quote to support: the decision's id."""
        return self.decision or ""


ALLOW = Verdict()


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in the decision list up to `revision`; with `reset` the list starts from nothing."""

    revision: int
    added: tuple[Decision, ...] = ()
    removed: tuple[str, ...] = ()
    reset: bool = False


def pair(user: str, other: str) -> str:
    """Return the one text of a user key and an address or device; different pairs have different texts."""
    return json.dumps([user, other], ensure_ascii=False, separators=(",", ":"))


def unpair(value: str) -> tuple[str, str]:
    """Return the two parts of a text made by `pair`; raises DecisionError for any other text."""
    try:
        parts = json.loads(value)
    except (ValueError, RecursionError):
        parts = None
    if isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) and part for part in parts):
        user, other = parts
        if pair(user, other) == value:
            return user, other
    raise DecisionError("value", f"`{value[:64]}` is not a pair", 'write `["id:42","203.0.113.9"]`')


def place(value: str) -> Place:
    """Return an address or network as numbers, what stands for IPv4 as IPv4; raises DecisionError."""
    try:
        network = address.network(value)
    except ValueError:
        raise DecisionError("value", f"`{value[:64]}` is neither an address nor a network") from None
    version, length, first = network.version, network.prefixlen, int(network.network_address)
    if length < WIDEST[version]:
        raise DecisionError("value", f"`{value[:64]}` is wider than /{WIDEST[version]}", "several smaller ones will do")
    return Place(version, length, first >> (WIDTHS[version] - length))


def _check_id(value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID or not value.isprintable():
        raise DecisionError("id", f"not a text of 1 to {_LONGEST_ID} printable characters")


def _check_value(scope: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_VALUE:
        raise DecisionError("value", f"not a text of 1 to {_LONGEST_VALUE} characters")
    if scope in PAIRS:
        unpair(value)
    elif scope != "user":
        place(value)


def check_to(kind: str, to: object) -> None:
    """Raise DecisionError unless `to` may be the target of a decision of that kind: it ends up in an HTTP header."""
    if to is None:
        if kind == "redirect":
            raise DecisionError("to", "missing", "a redirect leads to a URL")
    elif not isinstance(to, str) or len(to) > 2048 or not _is_url(to):
        raise DecisionError("to", f"`{str(to)[:64]}` is no URL", "write `https://…` or a path such as `/help`")


def _is_url(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:  # brackets that are no address
        return False
    return _URL.fullmatch(text) is not None
