"""Events as bytes, for the journal: msgpack, then zstd. What comes out equals what went in.

Two things that JSON can hold and msgpack cannot are handled: integers beyond 64 bits are kept exactly, and half of a
surrogate pair becomes `�`, since no database takes it as text.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import zstandard

from sentinel.core.errors import StoreError
from sentinel.core.event import Event
from sentinel.core.text import whole

FORMAT = b"\x01"
_BIG = 1  # msgpack extension: an integer beyond 64 bits, in decimal digits
_TUPLES = ("user_labels", "ip_labels")
_LEVEL = 1


class _Tools(threading.local):
    """Compressors and packers, which threads may not share."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress
        self.pack = msgspec.msgpack.Encoder().encode
        self.unpack = msgspec.msgpack.Decoder(ext_hook=_extension).decode


def packed(events: Sequence[Event]) -> tuple[bytes, bool]:
    """Return events as bytes, and whether `unpack` gives exactly these again: nothing had to be replaced."""
    plain = [vars(event) for event in events]
    try:
        return FORMAT + _tools.compress(_tools.pack(plain)), True
    except (OverflowError, UnicodeEncodeError, TypeError):
        return FORMAT + _tools.compress(_tools.pack(_packable(plain))), False


def unpack(data: bytes) -> list[Event]:
    """Return the events of bytes made by `packed`; raises StoreError for others."""
    if data[:1] != FORMAT:
        raise StoreError(f"events are packed in the unknown format `{data[:1].hex()}`", "a newer Sentinel wrote them")
    try:
        return [_event(plain) for plain in _tools.unpack(_tools.decompress(data[1:]))]
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise StoreError(f"packed events are damaged: {error}") from error


def size(data: bytes) -> int:
    """Return how many bytes `unpack` would expand to, from the header alone."""
    return max(zstandard.frame_content_size(data[1:]), 0)


def _event(plain: dict[str, Any]) -> Event:
    event = Event()
    for name in _TUPLES:
        if name in plain:
            plain[name] = tuple(plain[name])
    event.__dict__ = plain
    return event


def _packable(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {_packable(key): _packable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_packable(item) for item in value]
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        return msgspec.msgpack.Ext(_BIG, str(value).encode())
    return value


def _extension(code: int, data: memoryview) -> object:
    if code != _BIG:
        raise StoreError(f"packed events hold the unknown extension `{code}`", "a newer Sentinel wrote them")
    return int(bytes(data))


_tools = _Tools()
