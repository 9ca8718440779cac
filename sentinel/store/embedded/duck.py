"""The DuckDB file: opened, lent out, and reopened after a failure. What is in it is not known here.

After a failed write every query fails until the file is reopened, which happens only when nobody holds a cursor. A
write-ahead log that cannot be replayed is set aside, and the last checkpoint opened: the journal has the rest.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from sentinel.core.errors import StoreBusy, StoreError

_BROKEN = (duckdb.FatalException, duckdb.IOException, duckdb.InternalException)
_SIGNS = ("invalidated", "Corrupt", "checksum")
DAMAGED = 3  # newest logs set aside that are kept: each may be as large as the journal
_PIECE = 1 << 20
_SETTINGS: dict[str, str | int] = {
    "checkpoint_threshold": "1TB", "threads": 2, "preserve_insertion_order": "false",
    "pandas_analyze_sample": 0,  # objects are texts: what is handed over is not looked through for a better type
}  # fmt: skip


class Duck:
    """One DuckDB file, opened by one process. `failure` says why it cannot be used now."""

    def __init__(self, path: Path, prepare: Callable[[duckdb.DuckDBPyConnection], None], memory: str = "512MB") -> None:
        self.path = path
        self.failure: str | None = "not opened yet"
        self.warnings: list[str] = []
        self._prepare = prepare
        self._memory = memory
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._gate = threading.Condition()
        self._given = 0
        self._reading: int | None = None

    def open(self) -> None:
        """Open the file, without its log where that cannot be replayed; what went wrong shows in `failure`."""
        with self._gate:
            if self._given:
                return
            self._drop()
            try:
                self._open()
                self.failure = None
            except StoreError as error:
                self._drop()
                self.failure = str(error)

    @contextlib.contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor of one's own; read every answer to its end. Raises StoreBusy for what DuckDB raises."""
        with self._gate:
            if self._connection is None or self.failure is not None:
                raise StoreBusy(f"events cannot be searched now: {self.failure}", retry_after=5)
            cursor = self._connection.cursor()
            self._given += 1
        try:
            yield cursor
        except duckdb.ProgrammingError:
            raise  # ours, not the machine's
        except duckdb.Error as error:
            if isinstance(error, _BROKEN) or any(sign in str(error) for sign in _SIGNS):
                self.fail(error)
            raise StoreBusy(f"events cannot be searched now: {_first_line(error)}", retry_after=5) from error
        finally:
            with self._gate:
                with contextlib.suppress(duckdb.Error):
                    cursor.close()
                self._given -= 1
                self._gate.notify_all()

    def fail(self, error: Exception) -> None:
        """Give no more cursors until the file is opened again."""
        self.failure = self.failure or _first_line(error)

    def copy(self, target: Path) -> None:
        """Copy the file into a new one; nobody may checkpoint it meanwhile. Raises StoreBusy where it is broken."""
        if self.failure is not None:
            raise StoreBusy(f"events cannot be copied now: {self.failure}", retry_after=5)
        if self._reading is None:  # kept open: closing it would let go of DuckDB's own lock
            self._reading = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        at = 0
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            while piece := os.pread(self._reading, _PIECE, at):
                file.write(piece)
                at += len(piece)
            file.flush()
            os.fsync(file.fileno())

    def close(self, patience: float = 10.0) -> None:
        """Close the file, waiting so many seconds for cursors that are still out."""
        with self._gate:
            self.failure = self.failure or "closed"
            self._gate.wait_for(lambda: not self._given, patience)
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(duckdb.Error):
                self._connection.close()
            self._connection = None
        if self._reading is not None:
            os.close(self._reading)
            self._reading = None

    def _open(self) -> None:
        if self.path.exists() and not self.path.stat().st_size:
            self.path.unlink()  # made by a process that died before its first byte
        try:
            self._connect()
        except duckdb.Error as error:
            self._drop()
            if "lock" in str(error) or not self._logs():
                raise StoreError(f"`{self.path}` cannot be opened: {_first_line(error)}") from error
            self._open_without_log(error)

    def _open_without_log(self, error: duckdb.Error) -> None:
        moved = [(log, _aside(log)) for log in self._logs()]
        for log, aside in moved:
            log.rename(aside)
        try:
            self._connect()
        except duckdb.Error as second:
            self._drop()
            for log, aside in moved:
                aside.rename(log)
            raise StoreError(f"`{self.path}` cannot be opened: {_first_line(second)}") from second
        self._forget_oldest()
        names = ", ".join(f"`{aside.name}`" for _, aside in moved)
        self.warnings.append(f"the log of `{self.path}` was damaged and is kept as {names}: {_first_line(error)}")

    def _forget_oldest(self) -> None:
        """Keep the newest logs that were set aside; the journal had what was in them, and the rest is gone anyway."""
        aside = self.path.parent.glob(f"{self.path.name}.wal*.damaged-*")
        for log in sorted(aside, key=lambda log: log.stat().st_ctime_ns)[:-DAMAGED]:
            log.unlink(missing_ok=True)

    def _connect(self) -> None:
        self._connection = duckdb.connect(str(self.path), config={**_SETTINGS, "memory_limit": self._memory})
        self._connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        self._prepare(self._connection)
        self.protect()

    def protect(self) -> None:
        """Let nobody else read the files."""
        for file in (self.path, *self._logs()):
            with contextlib.suppress(FileNotFoundError):
                file.chmod(0o600)

    def _logs(self) -> list[Path]:
        return [file for file in self.path.parent.glob(f"{self.path.name}.wal*") if ".damaged-" not in file.name]


def _aside(log: Path) -> Path:
    """Return a name that nothing has yet, with the time of the last change."""
    changed = datetime.fromtimestamp(log.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (log.with_name(f"{log.name}.damaged-{changed}{suffix}") for suffix in _suffixes())
    return next(name for name in names if not name.exists())


def _suffixes() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
