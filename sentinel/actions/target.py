"""Which URLs and addresses may be contacted: the rules against server-side request forgery.

Nothing is resolved or connected to here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from sentinel.core.errors import InputError, SentinelError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST = 2048
PORTS = {"http": 80, "https": 443}
_EXAMPLE = "write `https://hooks.example/path`"

_SHAPE = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:[/?][!-~]*)?)",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


class TargetError(SentinelError):
    """A URL that is refused before anything is connected to."""


class Target(NamedTuple):
    """Where a URL leads. `literal` is its host where that is an address; `path` begins with `/`."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None

    @property
    def authority(self) -> str:
        """The host, and the port where it is not the scheme's own, as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: object) -> Target:
    """Return where a URL leads; raises TargetError for what is no plain http(s) URL.

    Credentials, fragments, and addresses in any but their one usual spelling are refused. Messages never hold
    the path, which may be a secret.
    """
    if not isinstance(url, str) or not 0 < len(url) <= LONGEST:
        raise TargetError(f"not a URL of 1 to {LONGEST} characters", _EXAMPLE)
    if not url.isascii() or not url.isprintable() or " " in url:
        raise TargetError("the URL has characters that belong in none", "write international names as `xn--…`")
    found = _SHAPE.fullmatch(url)
    if found is None or "#" in url or "\\" in url:
        raise TargetError(*_why(url))
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port < 65_536:
        raise TargetError(f"`{port}` is no port")
    literal = _literal(host)
    path = found["path"] if found["path"].startswith("/") else f"/{found['path']}"
    return Target(scheme, str(literal) if literal else host, port, path, literal)


def _why(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?#\\]", rest)[0]
    if not separator or scheme.lower() not in PORTS:
        return "the URL does not begin with `http://` or `https://`", _EXAMPLE
    if "@" in authority:
        return "the URL holds credentials", "webhooks are signed instead"
    if "#" in url:
        return "the URL has a fragment", "leave out `#` and what follows"
    return "the URL has no proper host", _EXAMPLE


def _literal(host: str) -> Address | None:
    """Return the address that a host is, None where it is a name; raises TargetError for what is neither."""
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise TargetError(f"`{host[:64]}` is no IPv6 address") from None
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return ipaddress.IPv4Address(host)
        except ValueError:
            raise TargetError(f"`{host[:64]}` is an unusual spelling of an address", "write `203.0.113.9`") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise TargetError(f"`{host[:64]}` is no host name", _EXAMPLE)
    return None


def _networks(texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts.split())


# What the settings may allow at once. Link-local addresses are not among them: cloud platforms hand out secrets there.
PRIVATE = (
    "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7",
)  # fmt: skip
# Where cloud platforms tell a machine about itself, its credentials included: never asked, whatever is allowed.
_METADATA = _networks("169.254.169.254/32 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32 fd00:ec2::254/128")

# What is not out there for everybody. Of IPv6 only 2000::/3 is; what is refused within it stands here.
_REFUSED: Mapping[str, tuple[Network, ...]] = {
    "loopback": _networks("127.0.0.0/8 ::1/128"),
    "unspecified": _networks("0.0.0.0/8 ::/128"),
    "private": _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7 fec0::/10"),
    "link-local": _networks("169.254.0.0/16 fe80::/10"),
    "multicast": _networks("224.0.0.0/4 ff00::/8"),
    "documentation": _networks("192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20"),
    "reserved": _networks("192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4 2001::/23"),
}
_PUBLIC_SIX = ipaddress.IPv6Network("2000::/3")

# IPv6 addresses that stand for an IPv4 one, and how many bits lie behind it.
_FORMS: Mapping[str, tuple[ipaddress.IPv6Network, int]] = {
    "IPv4-mapped": (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    "IPv4-translated": (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),
    "NAT64": (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    "local NAT64": (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),
    "6to4": (ipaddress.IPv6Network("2002::/16"), 80),
    "IPv4-compatible": (ipaddress.IPv6Network("::/96"), 0),
}


class Reach:
    """Which addresses may be connected to: public ones, and those the operator allows.

    `allow` are networks such as `10.1.0.0/16`; raises InputError for one that is none. A form of IPv6 that stands
    for an IPv4 address needs that form allowed and the IPv4 address besides.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed = tuple(map(_allowed, allow))

    def refusal(self, address: Address) -> str | None:
        """Return why an address is not connected to, None where it is."""
        allowed = _in(address, self._allowed)
        if isinstance(address, ipaddress.IPv6Address) and (form := _form(address)):
            name, inner = form
            return self.refusal(inner) if allowed else f"{name} form of {inner}"
        if _in(address, _METADATA):
            return "a cloud platform's own"
        return None if allowed else _kind(address)


def _allowed(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise InputError(f"`{str(text)[:64]}` is not a network", "write `10.1.0.0/16` or `127.0.0.1/32`") from None


def _form(address: ipaddress.IPv6Address) -> tuple[str, ipaddress.IPv4Address] | None:
    if int(address) <= 1:  # unspecified and loopback have names of their own
        return None
    for name, (network, behind) in _FORMS.items():
        if address in network:
            return name, ipaddress.IPv4Address(int(address) >> behind & 0xFFFFFFFF)
    return None


def _in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _kind(address: Address) -> str | None:
    for kind, networks in _REFUSED.items():
        if _in(address, networks):
            return kind
    return "reserved" if address.version == 6 and address not in _PUBLIC_SIX else None
