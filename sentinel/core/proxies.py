"""The client address of a request: the peer's, unless the application declares proxies that it trusts.

Forwarding headers are read from the right, as far as the hops are trusted: anybody can write what stands further left.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Protocol

from sentinel.core import address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Of a Forwarded header (RFC 7239). Elements are cut out of the reversed text: what trusted proxies wrote stands on the
# right, and a quote that a stranger left open further left must not take it in.
_ELEMENT = re.compile(r'(?:[^,"]++|"(?:[^"]++|"(?=\\))*+"?)++')
_PAIR = r'(?:[^;"]++|"(?:[^"\\]++|\\.)*+"?)*+;'
_FOR = re.compile(rf'(?:{_PAIR})*?\s*for\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]+)', re.IGNORECASE)
_MOST = 64  # no honest chain is longer


class Declared(Protocol):
    """The proxies in front of an application: their networks or number, and the header they write (None: either)."""

    @property
    def trusted_proxies(self) -> tuple[Network, ...]: ...
    @property
    def proxy_hops(self) -> int: ...
    @property
    def forwarded_header(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Proxies:
    """The settings of `Declared` as a value."""

    trusted_proxies: tuple[Network, ...] = ()
    proxy_hops: int = 0
    forwarded_header: str | None = None


def client_address(
    peer: str | None, forwarded: Sequence[str], x_forwarded_for: Sequence[str], declared: Declared
) -> str | None:
    """Return the canonical address of whoever sent a request, or None where no trusted proxy tells it.

    `forwarded` and `x_forwarded_for` are the values of all header lines of that name, in order.
    """
    near = address.normalise(peer) if peer else None
    if not declared.proxy_hops and not declared.trusted_proxies:
        return near
    chain = _chain(forwarded, x_forwarded_for, declared.forwarded_header)
    if declared.proxy_hops:
        found = chain[-declared.proxy_hops] if len(chain) >= declared.proxy_hops else None
        return found or near
    return _rightmost_untrusted(near, chain, declared.trusted_proxies)


def _rightmost_untrusted(near: str | None, chain: list[str | None], trusted: tuple[Network, ...]) -> str | None:
    if near is not None and not is_trusted(near, trusted):
        return near
    last = near
    for hop in reversed(chain):
        if hop is None:
            return near
        last = hop
        if not is_trusted(hop, trusted):
            break
    return last


def _chain(forwarded: Sequence[str], x_forwarded_for: Sequence[str], header: str | None) -> list[str | None]:
    nodes = ",".join(x_forwarded_for)
    if header == "forwarded" or (header is None and not nodes.strip(", \t")):  # empty lines hide nothing
        found = islice(_ELEMENT.finditer(",".join(forwarded)[::-1]), _MOST)
        return [_node(part[0][::-1]) for part in found][::-1]
    return [_address(part) for part in nodes.split(",")[-_MOST:]]


def _node(part: str) -> str | None:
    found = _FOR.match(part)
    return _address(found[1].strip('"')) if found else None


def _address(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return address.normalise(text) if text else None


@lru_cache(maxsize=4096)
def is_trusted(ip: str, trusted: tuple[Network, ...]) -> bool:
    """Say whether an address is a proxy's whose word is taken."""
    found = ipaddress.ip_address(ip)
    return any(found.version == network.version and found in network for network in trusted)
