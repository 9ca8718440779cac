"""Addresses as text: one spelling for each, and which of them nobody may act on."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

LONGEST = 64
KNOWN = 1 << 16  # texts whose address is remembered
PREFIXES = (128, 64, 56, 48, 32)  # of IPv6 networks that are looked up by name: few, for each costs every request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_known: dict[str, str] = {}
_MAPPED, _NAT64 = 0xFFFF, 0x64FF9B << 64  # the first 96 bits of ::ffff:0:0/96, and of 64:ff9b::/96 (RFC 6052)

# Nothing outside can own these: a block there hits the app's own machines (playbooks.md, Acting).
# Documentation ranges are left out on purpose: they are ordinary addresses to us.
_UNTOUCHABLE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8",
        "64:ff9b::/96",  # as far as it is not read as IPv4
    )
)  # fmt: skip


def normalise(text: str) -> str | None:
    """Return the canonical text of one address (no zone, what is `unwrapped` as IPv4), or None if it is none."""
    return _known.get(text) or _normalise(text)


def _normalise(text: str) -> str | None:
    if len(text) > LONGEST:  # senders choose what is remembered
        return None
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if len(_known) >= KNOWN:
        _known.clear()
    meant = address if address.version == 4 else unwrapped(ipaddress.ip_network(address)).network_address
    found = _known[text] = str(meant)
    return found


def network(text: str) -> Network:
    """Return an address or network, `unwrapped`; raises ValueError for other text."""
    return unwrapped(ipaddress.ip_network(text.strip(), strict=False))


def unwrapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for, IPv4-mapped or translated by NAT64; any other as it is.

    What nobody outside can own stays as it is behind NAT64's prefix, where it must not be (RFC 6052, section 3.1): who
    writes a proxy's own address so is not taken for that proxy.
    """
    if network.version == 4 or network.prefixlen < 96 or int(network.network_address) >> 32 not in (_MAPPED, _NAT64):
        return network
    first = int(network.network_address)
    inner = ipaddress.IPv4Network((first & 0xFFFFFFFF, network.prefixlen - 96))
    odd = first >> 32 == _NAT64 and any(other.version == 4 and inner.subnet_of(other) for other in _UNTOUCHABLE)
    return network if odd else inner


@lru_cache(maxsize=1 << 16)
def network_of(ip: str, prefix: int = 64) -> str:
    """Return what an address is grouped and blocked by: IPv4 itself, IPv6 its network of `prefix` bits.

    `ip` is a canonical address or already such a network.
    """
    if ":" not in ip or "/" in ip:
        return ip
    return str(ipaddress.ip_network(f"{ip}/{prefix}", strict=False))


@lru_cache(maxsize=1 << 16)
def site(ip: str) -> str | None:
    """Return the network of neighbours of an address: its /24 for IPv4, its /48 for IPv6; None for no address."""
    try:
        return str(ipaddress.ip_network((ip, 48 if ":" in ip else 24), strict=False))
    except ValueError:
        return None


@lru_cache(maxsize=1 << 16)
def is_untouchable(text: str) -> bool:
    """Say whether an address or network is private, loopback, link-local or otherwise nobody's to block."""
    network = ipaddress.ip_network(text, strict=False)
    return any(network.version == other.version and network.overlaps(other) for other in _UNTOUCHABLE)


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def group(ip: str) -> str:
    """Return `network_of` with the default prefix."""
    return network_of(ip) if ":" in ip else ip


def looked_up(place: str) -> str:
    """Return an address as it is, an IPv6 network as the smallest one that holds it with a length of `PREFIXES`."""
    if "/" not in place:
        return place
    network = ipaddress.ip_network(place)
    prefix = next((one for one in PREFIXES if one <= network.prefixlen), network.prefixlen)
    return str(network.supernet(new_prefix=prefix))


@lru_cache(maxsize=1 << 14)
def around(ip: str) -> tuple[str, ...]:
    """Return an address and, for IPv6, its networks of the lengths in `PREFIXES`; other text comes back alone."""
    if ":" not in ip or "/" in ip:
        return (ip,)
    try:
        return ip, *(network_of(ip, prefix) for prefix in PREFIXES)
    except ValueError:
        return (ip,)
