"""Decompress bodies, with a bound on what comes out; a body that is cut off or damaged is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import zstandard

from sentinel.edge.errors import ApiError
from sentinel.edge.wire import LARGEST, too_large

_WINDOW = 8 * 1024 * 1024  # a zstd frame that wants more memory than this is refused
_PIECE = 512  # bytes: zstd expands at most about 30,000 times, so what is given to it at once bounds what comes out


class _Stream(Protocol):
    """What zlib and zstandard both offer of one member or frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Encoding(NamedTuple):
    """How a body begins, what expands one member of it, and how many members are taken."""

    magic: tuple[bytes, ...]
    begin: Callable[[], _Stream]
    members: int


class _Broken(Exception):
    """A body is not whole: what is wrong with it, and what to do."""


def expand(data: bytes, encodings: list[str], most: int = LARGEST) -> bytes:
    """Return a body decompressed, by the values of its `Content-Encoding` headers.

    Raises ApiError for an unknown encoding, a damaged or incomplete body, and more than `most` bytes.
    """
    named = [word.strip().lower() for line in encodings for word in line.split(",")]
    applied = [word for word in named if word not in ("", "identity")]
    if not applied or not data:
        return data
    name = applied[0]
    if len(applied) > 1 or name not in _ENCODINGS:
        shown = ", ".join(applied)[:64]
        raise ApiError("unsupported_encoding", f"the encoding `{shown}` is not known", "use gzip, deflate or zstd")
    if not data.startswith(_ENCODINGS[name].magic):
        raise ApiError("malformed", f"the body is not {name}", "compress it whole, or not at all")
    try:
        return _expanded(data, _of(name, data), most)
    except _Broken as broken:
        raise ApiError("malformed", f"the {name} of the body {broken}", "send it whole, as it was compressed") from None


def _of(name: str, data: bytes) -> _Encoding:
    """Return how to expand a body; deflate is zlib's format, or for some senders the bare stream within it."""
    if name != "deflate":
        return _ENCODINGS[name]
    wrapped = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0  # RFC 1950
    return _ENCODINGS[name] if wrapped else _BARE


def _expanded(data: bytes, encoding: _Encoding, most: int) -> bytes:
    """Expand one member after the other, and notice one that is damaged or cut off."""
    parts: list[bytes] = []
    left, member, begun = most, None, 0
    for start in range(0, len(data), _PIECE):
        end = min(start + _PIECE, len(data))
        piece = data[start:end]
        while piece:
            if member is None:
                member, begun = encoding.begin(), begun + 1
                if begun > encoding.members:
                    raise _Broken(f"goes on behind its end, after byte {end - len(piece):,}")
            try:
                parts.append(member.decompress(piece))
            except (zlib.error, zstandard.ZstdError) as error:
                raise _Broken(_wrong(error, start)) from None
            left -= len(parts[-1])
            if left < 0:
                raise too_large(most)
            piece, member = (member.unused_data, None) if member.eof else (b"", member)
    if member is not None:
        raise _Broken(f"is cut off: it does not end with its last byte, {len(data):,}")
    return b"".join(parts)


def _wrong(error: Exception, start: int) -> str:
    if "too much memory" in str(error):
        return f"wants a window of more than {_WINDOW >> 20} MiB"
    return f"is damaged: it cannot be read from byte {start:,} on"


def _zlib(bits: int) -> Callable[[], _Stream]:
    return lambda: zlib.decompressobj(wbits=bits)


def _zstd() -> _Stream:
    return zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()


_SKIPPED = tuple(bytes((first, 0x2A, 0x4D, 0x18)) for first in range(0x50, 0x60))  # zstd frames that hold nothing
_GZIP = _Encoding((b"\x1f\x8b",), _zlib(31), 64)
_BARE = _Encoding((b"",), _zlib(-15), 1)
_ENCODINGS: Mapping[str, _Encoding] = {
    "deflate": _Encoding((b"",), _zlib(15), 1),
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "zstd": _Encoding((b"\x28\xb5\x2f\xfd", *_SKIPPED), _zstd, 1024),
}
