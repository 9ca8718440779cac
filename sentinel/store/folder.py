"""The data folder: only its owner may read it, and only one server at a time uses it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sentinel.core.errors import StoreError

LOCK = "sentinel.lock"
_OURS = frozenset({LOCK, "sentinel.sqlite3", "events.duckdb"})
_HARMLESS = frozenset({"deleted.jsonl", "lists", "server.json", "first-start.txt", "lost+found"})


class Folder:
    """A data folder, held until it is closed or the process ends. Raises StoreError where another process holds it.

    With `private` nobody else may look into it, whoever else's it was.
    """

    def __init__(self, path: Path, private: bool = True) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if private:
                refuse_anothers(path)
                path.chmod(0o700)
            self._file = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            hint = "make it first, for the user that runs Sentinel" if isinstance(error, PermissionError) else None
            raise StoreError(f"`{path}` cannot be used as data folder: {reason}", hint) from error
        self._hold()

    def close(self) -> None:
        """Let another server have it."""
        os.close(self._file)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            who = f"process {holder}" if holder.isdigit() else "another process"
            hint = "stop it, or give this server a data folder of its own"
            raise StoreError(f"`{self.path}` is in use by {who}", hint) from error
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)


def held(path: Path) -> bool:
    """Say whether a process holds a data folder, as far as this user may know."""
    try:
        file = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def refuse_anothers(path: Path) -> None:
    """Raise StoreError for a folder with files of others, who would not be let in any more: it was named by mistake."""
    if not path.stat().st_mode & 0o077:
        return  # it is nobody else's
    found = {one.name for one in path.iterdir() if not one.name.startswith(".")}
    if not found & _OURS and (others := sorted(found - _HARMLESS)):
        hint = "name a folder that is empty, not there yet, or your own alone"
        raise StoreError(f"`{path}` is not empty: it has `{others[0][:80]}`", hint)
