"""Named lists and sets of networks, as `in_list` and `cidr` use them.

Only their values are here; where a list comes from is known to the loader.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from sentinel.core import address, identity

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_COMMENT = re.compile(r"(?:^|\s)#")
_LONGEST = 64  # no address is longer, and what is longer must not fill the cache
_LARGEST = 1 << 64  # ids that programs count up are no larger, and text of an integer would grow without bound
_EXACT = 10**18  # beyond, a float no longer tells neighbours apart


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks by (version, shift): one look-up per prefix length in use, however many networks there are."""

    prefixes: tuple[tuple[int, int, frozenset[int]], ...]

    def holds(self, ip: str) -> bool | None:
        """Say whether an address lies in one of the networks; None if the text is no address."""
        found = _number(ip) if len(ip) <= _LONGEST else None
        if found is None:
            return None
        version, number = found
        return any(number >> shift in known for of, shift, known in self.prefixes if of == version)


def networks(found: Iterable[Network]) -> Networks:
    """Gather networks of any versions and lengths; IPv6 ones that stand for IPv4 are taken as that."""
    by_length: dict[tuple[int, int], set[int]] = {}
    for network in map(address.unwrapped, found):
        shift = network.max_prefixlen - network.prefixlen
        by_length.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
    return Networks(tuple((version, shift, frozenset(known)) for (version, shift), known in sorted(by_length.items())))


@lru_cache(maxsize=1 << 14)
def _number(ip: str) -> tuple[int, int] | None:
    canonical = address.normalise(ip)
    if canonical is None:
        return None
    parsed = ipaddress.ip_address(canonical)
    return parsed.version, int(parsed)


@dataclass(frozen=True, slots=True)
class ListValues:
    """One named list: exact values, and the networks and addresses among them."""

    exact: frozenset[str]
    networks: Networks = Networks(())

    def holds(self, value: Any) -> bool | None:
        """Say whether a text or a whole number is on the list; None for anything else."""
        text = value if isinstance(value, str) else _whole(value)
        if text is None:
            return None
        return text in self.exact or bool(self.networks.prefixes and self.networks.holds(text))

    def of_users(self) -> ListValues:
        """Return the list read as users: `u1` is short for `id:u1`."""
        return ListValues(frozenset(identity.read_key(value) for value in self.exact if len(value) <= identity.LONGEST))


def parse_list(text: str) -> ListValues:
    """Read one value a line; `#` starts a comment at the start of a line or after a blank."""
    values = set()
    for line in text.splitlines():
        value = _COMMENT.split(line, maxsplit=1)[0].strip()
        if value:
            values.add(value)
    return ListValues(frozenset(values), networks(filter(None, map(_as_network, values))))


def _as_network(value: str) -> Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def _whole(value: Any) -> str | None:
    if value.__class__ is int:
        return str(value) if -_LARGEST < value < _LARGEST else None
    if value.__class__ is float and value.is_integer():
        return str(int(value)) if -_EXACT < value < _EXACT else None
    return None
