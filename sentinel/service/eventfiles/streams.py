"""The bytes of event files: opened, decompressed by their first bytes, cut into whole lines of bounded length.

What a line says is not known here.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from sentinel.core.errors import InputError

BLOCK = 1 << 16
LONGEST = 1 << 20  # bytes of a line
STDIN = "-"
_PACKED = 1 << 11  # zstd expands at most about 30,000 times: what is given to it at once bounds what comes out
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"

# First bytes that tell what a file is instead, and what can be done about it.
_OTHERS = {
    b"BZh": ("is packed with bzip2", "bzcat it to standard input and read `-`"),
    b"\xfd7zXZ": ("is packed with xz", "xzcat it to standard input and read `-`"),
    b"PK\x03\x04": ("is a zip archive", "unzip -p it to standard input and read `-`"),
    b"PAR1": ("is Parquet", "export it as NDJSON or CSV"),
    b"\xff\xfe": ("is UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("is UTF-16", "save it as UTF-8"),
}


class Chunk(NamedTuple):
    """Whole lines of a file: the number of the first, counted from 1, how many they are, and their bytes."""

    first: int
    size: int
    text: bytes


class Stream:
    """One file, or standard input for `-`, to be read from its start as often as needed.

    `size` is its length in bytes on disk and `position` how many of them were read. What cannot be read twice (a pipe)
    is copied to a temporary file that has no name. Raises InputError for what cannot be read at all.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == STDIN else path
        self._file = _open(path)
        self.size = self._file.seek(0, 2)

    def close(self) -> None:
        """Let go of the file; standard input stays open."""
        if self._file is not sys.stdin.buffer:
            self._file.close()

    @property
    def position(self) -> int:
        """How many bytes of the file were read."""
        return self._file.tell()

    def blocks(self) -> Iterator[bytes]:
        """Give the unpacked bytes from the start, in blocks; raises InputError where packed bytes are damaged."""
        self._file.seek(0)
        head = self._file.read(8)
        self._file.seek(0)
        for magic, (what, hint) in _OTHERS.items():
            if head.startswith(magic):
                raise InputError(f"`{self.name}` {what}", hint)
        unpack = _gunzip if head.startswith(_GZIP) else _unzstd if head.startswith(_ZSTD) else _plain
        blocks = unpack(self._file)
        try:
            first = next(blocks, b"")
            if b"\0" in first:
                raise InputError(f"`{self.name}` is binary", "a file of events is text: NDJSON or CSV")
            yield first
            yield from blocks
        except EOFError:
            raise InputError(f"`{self.name}` ends in the middle of its packed data", "was it copied whole?") from None
        except (OSError, zlib.error, zstandard.ZstdError) as error:
            raise InputError(f"`{self.name}` cannot be read: {error}") from None

    def lines(self, overlong: Callable[[int], object]) -> Iterator[Chunk]:
        """Give whole lines in chunks.

        A line of more than LONGEST bytes is left out, and `overlong` is told its number.
        """
        number, rest, skipping = 1, b"", False
        for block in self.blocks():
            first = block.find(b"\n") + 1
            if len(rest) + (first or len(block)) > LONGEST and not skipping:
                overlong(number)
                skipping, rest = True, b""
            if skipping:
                if not first:
                    continue
                skipping, number, block = False, number + 1, block[first:]
            cut = block.rfind(b"\n") + 1
            text = rest + block[:cut]
            rest = block[cut:] if cut else rest + block
            if cut:
                count = text.count(b"\n")
                yield Chunk(number, count, text)
                number += count
        if rest:
            yield Chunk(number, 1, rest)


def look(path: str) -> None:
    """Raise InputError for what cannot be read at all; nothing of it is read, and no pipe is opened."""
    if path != STDIN and not Path(path).is_fifo():
        _opened(path).close()


def _open(path: str) -> BinaryIO:
    file = sys.stdin.buffer if path == STDIN else _opened(path)
    if file.seekable():
        return file
    with nullcontext(file) if path == STDIN else file:
        return _kept(file)


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise InputError(f"there is no file `{path}`") from None
    except IsADirectoryError:
        raise InputError(f"`{path}` is a folder", "name the files in it") from None
    except OSError as error:
        raise InputError(f"`{path}` cannot be read: {error.strerror or error}") from None


def _kept(file: BinaryIO) -> BinaryIO:
    kept: BinaryIO | None = None
    try:
        kept = tempfile.TemporaryFile(prefix="sentinel-")  # noqa: SIM115 - the stream closes it
        shutil.copyfileobj(file, kept, BLOCK)
    except OSError as error:
        if kept is not None:
            kept.close()
        problem = f"what comes through a pipe could not be kept on disk: {error.strerror or error}"
        raise InputError(problem, "TMPDIR names a folder with more room") from None
    return kept


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    unpacked = gzip.GzipFile(fileobj=file)
    while block := unpacked.read(BLOCK):
        yield block


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    """Unpack one frame after the other; unlike the library's reader this notices a frame that is cut off."""
    fresh = zstandard.ZstdDecompressor().decompressobj
    frame, begun = fresh(), False
    while packed := file.read(_PACKED):
        while packed:
            block = frame.decompress(packed)
            begun, packed = not frame.eof, frame.unused_data
            if block:
                yield block
            if frame.eof:
                frame = fresh()
    if begun:
        raise EOFError
