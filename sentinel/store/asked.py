"""What queries of both databases share: networks to search by, and the columns and keys by which events are grouped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network

from sentinel.core import address
from sentinel.core.candidates import Fewest
from sentinel.core.errors import SentinelError
from sentinel.engine.fields import FieldSpec, find_field

WIDEST = 32  # bits: no network that events are grouped by is wider, so all of its events have these in common


def network(text: str) -> IPv4Network | IPv6Network:
    """Return the network of a search; raises SentinelError for other text, and for an IPv6 one narrower than /64."""
    try:
        found = address.network(text)
    except ValueError:
        what = f"`ip`: `{text[:64]}` is neither an address nor a network"
        raise SentinelError(what, "write `203.0.113.9` or `203.0.113.0/24`") from None
    if found.version == 6 and found.prefixlen > 64:
        raise SentinelError(f"`ip`: `{text[:64]}` is narrower than /64", "of IPv6, name one address or a wider network")
    return found


def same(field: str, columns: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the columns that are equal in all events whose field has one value; none where no column is."""
    if field in columns:
        return columns[field]
    spec = find_field(tuple(field.split(".")))
    return ("name",) if isinstance(spec, FieldSpec) and spec.attribute == "name" else ()


def hit(fewest: Fewest, divided: str, keys: Iterable[str], values: Iterable[str]) -> str:
    """Return the SQL columns of an event that may count: time, id, position, piece of time, keys `k…` and values `v…`.

    A piece is as long as the window of `fewest`; `divided` is the database's operator that divides whole numbers.
    """
    piece = "0" if fewest.window is None else f"ts {divided} {max(fewest.window, 1):d}"
    return ", ".join([
        "ts", "id", "seq", f"{piece} AS piece",
        *(f"{key} AS k{n}" for n, key in enumerate(keys)), *(f"{value} AS v{n}" for n, value in enumerate(values)),
    ])  # fmt: skip
