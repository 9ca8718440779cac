"""Whose address a request comes from: the peer's, unless the application declares proxies it trusts.

Headers are a stranger's word up to the last hop one trusts: hence from the right, and never the leftmost by faith.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from sentinel.core import address
from sentinel.sdk.options import Network, Options

_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)', re.IGNORECASE)
_SPLIT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_MOST = 64  # no honest chain is longer


def client_address(
    peer: str | None, forwarded: Sequence[str], x_forwarded_for: Sequence[str], options: Options
) -> str | None:
    """Return the canonical address of whoever sent a request, or None where nobody trusted says.

    `forwarded` and `x_forwarded_for` are the values of all header lines of that name, in order.
    """
    near = address.normalise(peer) if peer else None
    if not options.proxy_hops and not options.trusted_proxies:
        return near
    chain = _chain(forwarded, x_forwarded_for, options.forwarded_header)
    if options.proxy_hops:
        found = chain[-options.proxy_hops] if len(chain) >= options.proxy_hops else None
        return found or near
    return _rightmost_untrusted(near, chain, options.trusted_proxies)


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
    if header == "forwarded" or (header is None and not x_forwarded_for):
        return [_node(part) for part in _SPLIT.findall(",".join(forwarded))[-_MOST:]]
    return [_address(part) for part in ",".join(x_forwarded_for).split(",")[-_MOST:]]


def _node(part: str) -> str | None:
    found = _FOR.search(part)
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
