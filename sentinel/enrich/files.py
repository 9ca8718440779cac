"""Files of the operator that may change while the server runs: read again when they changed; a bad one changes nothing.

How a file's contents are read is up to whoever uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from sentinel.core.errors import InputError

T = TypeVar("T")
Stamp = tuple[int, int, int]


class Watched(Generic[T]):
    """The last good reading of one file: `value`, None before the first. `problem` says what is wrong now.

    `read` raises InputError for a file that is not what it should be.
    """

    def __init__(self, path: Path, what: str, read: Callable[[Path], T]) -> None:
        self.path = path
        self.value: T | None = None
        self.problem: str | None = None
        self._what = what
        self._read = read
        self._seen: Stamp | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Read the file again if it changed; say whether there is a new value. Never raises for the file's sake."""
        try:
            before = stamp(self.path)
            if before == self._seen:
                return False
            if not self.path.is_file():  # a pipe would be waited for, a device read without end
                return self._refuse("not an ordinary file")
            value = self._read(self.path)
            if stamp(self.path) != before:  # somebody writes it this very moment: the next call reads it
                return self._refuse("changed while it was read")
        except (InputError, OSError) as error:
            self._seen = _stamp_or_none(self.path) if isinstance(error, InputError) else None
            return self._refuse(_reason(error))
        self.value, self.problem, self._seen = value, None, before
        return True

    def _refuse(self, reason: str) -> bool:
        then = "nothing is known from it" if self.value is None else "what was read before stays in use"
        self.problem = f"{self._what} `{self.path}`: {reason} ({then})"
        return False


def stamp(path: Path) -> Stamp:
    """Return what changes when a file does: its place on the disk, its size, the time it was written."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _stamp_or_none(path: Path) -> Stamp | None:
    try:
        return stamp(path)
    except OSError:
        return None


def _reason(error: InputError | OSError) -> str:
    if isinstance(error, InputError):
        return str(error)
    return "there is no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
