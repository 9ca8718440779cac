"""The last decision list on disk, readable by its owner alone, so that a restarted process enforces it at once.

The format of its pages is in `core.pages`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

from sentinel.core import pages
from sentinel.core.decisions import Decisions
from sentinel.core.errors import DecisionError
from sentinel.sdk.clock import nap

_LONGEST_LINE = 4 * 1024 * 1024
_LONG = 4096  # of a line: those of a list that is read or written in a moment are shorter
_ABANDONED = 600.0  # seconds since the last byte; who still writes does so all the time


def size(path: str) -> int:
    """Return the bytes of a snapshot, 0 where there is none."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def written(path: str) -> float:
    """Return when a snapshot was written, in seconds since 1970."""
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def source(url: str | None, key: str | None) -> str:
    """Return a hash of a server and a key, so that a list is read only by whoever it was written for."""
    return blake2b(f"{url}\n{key}".encode(), digest_size=16, person=b"sentinel").hexdigest()


def read(path: str, expected: str) -> Decisions:
    """Return the decisions of a snapshot of a source; raises OSError or DecisionError where there is none to trust."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            raise DecisionError("snapshot", f"`{path}` could have been written by others", "its mode should be 0600")
        lines = _lines(file)
        if next(lines, None) != {"source": expected}:
            raise DecisionError("snapshot", f"`{path}` is of another server, key or format")
        return pages.read(lines)


def write(path: str, origin: str, decisions: Decisions, until: float = math.inf) -> None:
    """Put the decisions in place of an older snapshot, whole or not at all; raises OSError.

    At `until`, a moment of the monotonic clock, it gives up and raises TimeoutError.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(kind := os.lstat(path).st_mode) and not stat.S_ISLNK(kind):
            raise OSError(errno.EINVAL, "it is no file")  # but perhaps a device: `/dev/null` would be one no more
    folder, begun = Path(path).parent, f".sentinel-{_digest(Path(path).name)}-"
    with contextlib.suppress(OSError):
        _clear(folder, begun)
    name = str(folder / f"{begun}{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(name, flags, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for page in chain([{"source": origin}], pages.write(decisions)):
                if time.monotonic() > until:
                    raise TimeoutError("there is no time left")
                line = json.dumps(page, separators=(",", ":")) + "\n"
                file.write(line)
                _rest(line)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _clear(folder: Path, begun: str) -> None:
    """Delete the unfinished files of processes that were ended while they wrote a snapshot."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(begun) and time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED:
                Path(entry.path).unlink(missing_ok=True)


def _digest(text: str) -> str:
    return blake2b(os.fsencode(text), digest_size=8, person=b"sentinel").hexdigest()


def _lines(file: Any) -> Iterator[Any]:
    while line := file.readline(_LONGEST_LINE):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            raise DecisionError("snapshot", "a line that is no JSON") from None
        _rest(line)


def _rest(line: str) -> None:
    if len(line) > _LONG:
        nap()
