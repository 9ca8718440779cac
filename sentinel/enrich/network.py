"""The kind of network an address is in: private, or on one of the operator's lists of hosters and anonymisers.

A list has an address or network on each line, and comments after `#` or `;`. How it gets onto the disk is not known
here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sentinel.core import address
from sentinel.core.decision import WIDEST
from sentinel.core.errors import InputError
from sentinel.engine.lists import Network, Networks, networks
from sentinel.engine.remembered import Remembered
from sentinel.enrich.files import Watched

REMEMBERED = 1 << 16
LARGEST = 64 << 20  # bytes of a list
LONGEST = 2_000_000  # lines of a list: each takes a hundred bytes for as long as it is used

# Which flag a list of a kind sets. Where an address is on several lists, the first kind here is its kind.
KINDS: Mapping[str, str] = {
    "tor": "anonymous",
    "vpn": "anonymous",
    "proxy": "anonymous",
    "anonymous": "anonymous",
    "hosting": "hosting",
}

_LOCAL: Mapping[str, Networks] = {
    kind: networks(map(ipaddress.ip_network, texts.split()))
    for kind, texts in {
        "loopback": "127.0.0.0/8 ::1/128",
        "link-local": "169.254.0.0/16 fe80::/10",
        "shared": "100.64.0.0/10",
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
        "multicast": "224.0.0.0/4 ff00::/8",
    }.items()
}


class NetworkLists:
    """The operator's lists, each of a kind. A flag for which there is no list is left out, so it is unknown.

    `of(ip)` returns what is known of a canonical address; it is replaced as a whole when a list changes.
    Raises InputError for a kind that is none of KINDS.
    """

    def __init__(self, lists: Mapping[str, Sequence[Path]] | None = None) -> None:
        lists = lists or {}
        for kind in lists:
            if kind not in KINDS:
                raise InputError(f"network lists: `{kind}` is not a kind", f"one of {', '.join(KINDS)}")
        self._files = [
            (kind, Watched(path, f"list of {kind} networks", read)) for kind in KINDS for path in lists.get(kind, ())
        ]
        self.of = self._fresh()

    def refresh(self) -> bool:
        """Take over lists that changed; say whether any did."""
        changed = [file.refresh() for _, file in self._files]
        if any(changed):
            self.of = self._fresh()
        return any(changed)

    def problems(self) -> list[str]:
        """Return what is wrong with the lists, one line each."""
        return [file.problem for _, file in self._files if file.problem]

    def _fresh(self) -> Callable[[str], Mapping[str, Any]]:
        loaded = tuple((kind, file.value) for kind, file in self._files if file.value is not None)
        return Remembered(partial(_describe, loaded), REMEMBERED).__getitem__


def read(path: Path) -> Networks:
    """Return the networks of a list; raises InputError naming the lines that are none."""
    if path.stat().st_size > LARGEST:
        raise InputError(f"larger than {LARGEST >> 20} MiB")
    return networks(_listed(path))


def _listed(path: Path) -> Iterator[Network]:
    """Give the networks of a list, line by line: who made it may mean to fill the memory."""
    wrong: list[str] = []
    more = 0
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if number > LONGEST:
                raise InputError(f"more than {LONGEST:,} lines")
            text = line.partition("#")[0].partition(";")[0].strip()
            if text and (network := _network(text)) is not None:
                yield network
            elif text and len(wrong) < 3:
                wrong.append(f"line {number}: `{text[:40]}`")
            elif text:
                more += 1
    if wrong:
        told = ", ".join(wrong) + (f" and {more} more" if more else "")
        raise InputError(f"{told}: no network", "one address or network a line, at most a /8")


def _network(text: str) -> Network | None:
    """Return a network, None for other text and for one so wide that it is a mistake."""
    try:
        network = address.network(text)
    except ValueError:
        return None
    return network if network.prefixlen >= WIDEST[network.version] else None


def _describe(loaded: Sequence[tuple[str, Networks]], ip: str) -> Mapping[str, Any]:
    local = _local(ip)
    kinds = [kind for kind, known in loaded if known.holds(ip)]
    flags = {KINDS[kind] for kind in kinds}
    answerable = {KINDS[kind]: KINDS[kind] in flags for kind, _ in loaded}
    return _shared(local or (kinds[0] if kinds else "public"), local is not None, tuple(sorted(answerable.items())))


@lru_cache(maxsize=256)
def _shared(kind: str, private: bool, flags: tuple[tuple[str, bool], ...]) -> Mapping[str, Any]:
    """Return one of the few descriptions there are, the same object each time; nobody writes to it."""
    return {"private": private, "kind": kind, **dict(flags)}


def _local(ip: str) -> str | None:
    """Return the kind of an address that nobody outside can have, None for all others."""
    if not address.is_untouchable(ip):
        return None
    return next((kind for kind, known in _LOCAL.items() if known.holds(ip)), "reserved")
