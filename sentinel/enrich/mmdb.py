"""Files in MaxMind's database format, read without trust: any bytes give a value or an InputError, never a crash.

What the values mean is not known here. The format is described in the MaxMind DB File Format Specification, 2.0.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from sentinel.core import prefixes
from sentinel.core.errors import InputError

MARKER = b"\xab\xcd\xefMaxMind.com"
METADATA = 128 << 10  # the file's last bytes, among which the marker must be
SEPARATOR = 16  # zero bytes between the tree and the values
AHEAD = 16  # bits of an address that are looked up at once
DEPTH, VALUES, LETTERS = 32, 4096, 64 << 10  # bounds of one record; real ones hold a few hundred values
NAMES = 1024  # of maps' entries that are remembered


# Which keys of a map are wanted: all of the value where there is None, else the wanted part of the map it is.
Wanted: TypeAlias = Mapping[str, "Wanted | None"]


class Bytes(Protocol):
    """Bytes in memory or mapped from a file."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def rfind(self, sub: bytes, start: int = ..., /) -> int: ...


class Database:
    """One database: a tree from addresses to records. Raises InputError for bytes that are none.

    `kind` is what it calls itself, such as `GeoLite2-City`; `six` says whether it knows IPv6 addresses.
    """

    def __init__(self, data: Bytes) -> None:
        end = data.rfind(MARKER, max(0, len(data) - METADATA))
        if end < 0:
            raise InputError("not a database in MaxMind's format, or cut off", "fetch it again")
        about = _metadata(data, end + len(MARKER))
        self.kind: str = about["database_type"]
        self.six = about["ip_version"] == 6
        self._nodes: int = about["node_count"]
        tree: int = self._nodes * about["record_size"] // 4
        if tree + SEPARATOR > end:
            raise _damaged()
        self._descend = _DESCEND[about["record_size"]](data, self._nodes)
        self._values = Values(data, tree + SEPARATOR, end)
        self._shift: int = tree - self._nodes  # from a number in the tree to a place in the file
        self._four = self._index(self._descend(0, 0, 96) if self.six else 0)
        self._root = self._index(0) if self.six else self._four

    def find(self, ip: str) -> int | None:
        """Return where the record of a canonical address lies, None if there is none; raises InputError."""
        version, number = prefixes.parse(ip)
        if number < 0 or (version == 6 and not self.six):
            return None
        free = (32 if version == 4 else 128) - AHEAD
        node = self._descend((self._four if version == 4 else self._root)[number >> free], number, free)
        if node == self._nodes:
            return None
        if node < self._nodes:
            raise _damaged()
        return node + self._shift

    def record(self, place: int, wanted: Wanted | None = None) -> Any:
        """Return the value at a place that `find` gave, of a map the wanted part; raises InputError."""
        return self._values.read(place, wanted)

    def _index(self, node: int, bits: int = AHEAD) -> array[int]:
        """Return the node or leaf that each way of going on by so many bits leads to."""
        if node >= self._nodes or not bits:
            return array("L", [node]) * (1 << bits)
        return self._index(self._descend(node, 0, 1), bits - 1) + self._index(self._descend(node, 1, 1), bits - 1)


class Values:
    """The encoded values between two places of a file; pointers count from the first."""

    def __init__(self, data: Bytes, begin: int, end: int) -> None:
        self._data, self._begin, self._end = data, begin, end
        self._names: dict[bytes, str] = {}

    def read(self, at: int, wanted: Wanted | None = None) -> Any:
        """Return the value that begins at a place; raises InputError where there is none, or too large a one."""
        if not self._begin <= at < self._end:
            raise _damaged()
        try:
            return self._read(at, [VALUES, LETTERS], DEPTH, wanted)[0]
        except (LookupError, ValueError, struct.error):
            raise _damaged() from None

    def _read(self, at: int, left: list[int], depth: int, wanted: Wanted | None = None) -> tuple[Any, int]:
        """Return a value and where it ends; `left` counts down values and letters."""
        left[0] -= 1
        if left[0] < 0 or depth < 0:
            raise _damaged()
        kind, size, at = self._control(at)
        if kind == 1:
            target, at = self._pointer(size, at)
            return self._read(target, left, depth - 1, wanted)[0], at
        if kind == 7:
            return self._map(size, at, left, depth - 1, wanted)
        if kind == 11:
            return self._list(size, at, left, depth - 1)
        if kind == 14:
            return size != 0, at
        return self._scalar(kind, at, size, left), at + size

    def _skip(self, at: int, left: list[int]) -> int:
        """Return where a value ends, whatever it is."""
        data, more = self._data, 1
        while more:
            more -= 1
            left[0] -= 1
            if left[0] < 0:
                raise _damaged()
            first = data[at]
            if first >> 5 == 1:
                at += (first >> 3 & 3) + 2
                continue
            kind, size, at = self._control(at)
            if kind in (7, 11):
                more += size * (2 if kind == 7 else 1)
            elif kind != 14:
                at += size
        return at

    def _control(self, at: int) -> tuple[int, int, int]:
        """Return the kind and size of a value (a pointer's size as it stands), and where its content begins."""
        first = self._data[at]
        kind, size, at = first >> 5, first & 31, at + 1
        if kind == 0:
            kind, at = self._data[at] + 7, at + 1
        if size < 29 or kind == 1:
            return kind, size, at
        more = size - 28
        base = (29, 285, 65821)[more - 1]
        return kind, base + int.from_bytes(self._take(at, more), "big"), at + more

    def _pointer(self, size: int, at: int) -> tuple[int, int]:
        length = (size >> 3) + 1
        number = int.from_bytes(self._take(at, length), "big")
        if length < 4:
            number += ((size & 7) << 8 * length) + (0, 2048, 526336)[length - 1]
        if self._begin + number >= self._end:
            raise _damaged()
        return self._begin + number, at + length

    def _map(
        self, size: int, at: int, left: list[int], depth: int, wanted: Wanted | None
    ) -> tuple[dict[str, Any], int]:
        found = {}
        for _ in range(size):
            key, at = self._key(at, left, depth)
            if wanted is None:
                found[key], at = self._read(at, left, depth)
            elif key in wanted:
                found[key], at = self._read(at, left, depth, wanted[key])
            else:
                at = self._skip(at, left)
        return found, at

    def _key(self, at: int, left: list[int], depth: int) -> tuple[str, int]:
        """Return the name of a map's entry and where it ends; names that maps share are remembered by their pointer."""
        first = self._data[at]
        pointer = self._data[at : at + (first >> 3 & 3) + 2] if first >> 5 == 1 else b""
        known = self._names.get(pointer)
        if known is not None:
            return known, at + len(pointer)
        key, end = self._read(at, left, depth)
        if type(key) is not str:
            raise _damaged()
        if pointer and len(self._names) < NAMES:
            self._names[pointer] = key
        return key, end

    def _list(self, size: int, at: int, left: list[int], depth: int) -> tuple[list[Any], int]:
        found = []
        for _ in range(size):
            value, at = self._read(at, left, depth)
            found.append(value)
        return found, at

    def _scalar(self, kind: int, at: int, size: int, left: list[int]) -> Any:
        left[1] -= size
        if left[1] < 0:
            raise _damaged()
        content = self._take(at, size)
        if kind == 2:
            return content.decode()
        if kind == 4:
            return content
        if kind in _UNSIGNED and size <= _UNSIGNED[kind]:
            return int.from_bytes(content, "big")
        if kind == 8 and size <= 4:
            return int.from_bytes(content.rjust(4, b"\0"), "big", signed=True)
        return struct.unpack({3: ">d", 15: ">f"}[kind], content)[0]

    def _take(self, at: int, size: int) -> bytes:
        if at + size > self._end:
            raise _damaged()
        return bytes(self._data[at : at + size])


_UNSIGNED = {5: 2, 6: 4, 9: 8, 10: 16}

# Each follows the lowest `bits` bits of a number down from a node, to a leaf or until they are used up. There is one
# for each width of a record, since a call for every bit would double the time.
_Descend = Callable[[int, int, int], int]


def _descend_24(data: Bytes, nodes: int) -> _Descend:
    def descend(node: int, number: int, bits: int) -> int:
        while bits and node < nodes:
            bits -= 1
            at = node * 6 + (number >> bits & 1) * 3
            node = int.from_bytes(data[at : at + 3], "big")
        return node

    return descend


def _descend_28(data: Bytes, nodes: int) -> _Descend:
    def descend(node: int, number: int, bits: int) -> int:
        while bits and node < nodes:
            bits -= 1
            bit = number >> bits & 1
            at = node * 7 + bit * 3
            found = int.from_bytes(data[at : at + 4], "big")
            node = found & 0x0FFFFFFF if bit else found >> 8 | (found & 0xF0) << 20
        return node

    return descend


def _descend_32(data: Bytes, nodes: int) -> _Descend:
    def descend(node: int, number: int, bits: int) -> int:
        while bits and node < nodes:
            bits -= 1
            at = node * 8 + (number >> bits & 1) * 4
            node = int.from_bytes(data[at : at + 4], "big")
        return node

    return descend


_DESCEND = {24: _descend_24, 28: _descend_28, 32: _descend_32}


def _metadata(data: Bytes, begin: int) -> Mapping[str, Any]:
    about = Values(data, begin, len(data)).read(begin)
    if not isinstance(about, dict) or type(about.get("database_type")) is not str:
        raise _damaged()
    if type(about.get("node_count")) is not int or about.get("ip_version") not in (4, 6):
        raise _damaged()
    if about.get("record_size") not in (24, 28, 32):
        raise _damaged()
    return about


def _damaged() -> InputError:
    return InputError("the database is damaged", "fetch it again")
