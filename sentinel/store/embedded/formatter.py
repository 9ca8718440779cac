"""The server's side of the process that puts events into columns: it is started when there is much to do.

If that process fails, the server does the same work by itself, only more slowly; nothing is lost.
"""

from __future__ import annotations

import contextlib
import gc
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from secrets import token_hex

import msgspec

from sentinel.store.embedded import formatting
from sentinel.store.embedded.formatting import READY, Answer, Asked, receive, send
from sentinel.store.embedded.journal import HELD, Row
from sentinel.store.paths import AppSchema

LUMP = "lump-{}.parquet"  # the file in the data folder, while it is read: each server that is started has its own
MUCH = HELD  # a lump of fewer events is not worth asking for: those are held in memory anyway
_PATIENCE = 30.0  # seconds for an answer
_MOST_FAILURES = 3  # in a row, after which it is not asked again

Made = tuple[Path, Sequence[str]]  # a file, and the columns in it


class Formatter:
    """One process at most; called by one thread at a time. `warnings` says why it is asked no more."""

    def __init__(self, folder: Path) -> None:
        self.warnings: list[str] = []
        for old in folder.glob(LUMP.format("*")):  # of a server that was killed
            old.unlink(missing_ok=True)
        self._file = folder / LUMP.format(token_hex(4))
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._ready = False
        self._failures = 0
        self._told: dict[str, int] = {}  # which version of what is known of an app it has

    @contextlib.contextmanager
    def formatted(self, rows: Sequence[Row], schema: Callable[[str], AppSchema]) -> Iterator[Made | None]:
        """Give a file of these rows' events and the columns in it, None where the process cannot help now.

        What the process learnt of properties is taken over. The file is deleted when the block is left.
        """
        try:
            yield self._asked(rows, schema) if self._is_ready() else None
        finally:
            self._file.unlink(missing_ok=True)

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._connection = self._process = None
        self._ready = False
        self._told.clear()

    def _is_ready(self) -> bool:
        """Say whether the process can be asked; start it where it does not run, without waiting until it is ready."""
        if self._ready or self._failures >= _MOST_FAILURES:
            return self._ready
        try:
            if self._connection is None:
                self._start()
            elif _has_said(self._connection):
                self._ready = receive(self._connection) == READY
                if not self._ready:
                    self._fail("it ended as it began")
        except OSError as error:
            self._fail(str(error))
        return self._ready

    def _start(self) -> None:
        mine, its = socket.socketpair()
        with its:
            mine.settimeout(_PATIENCE)
            self._connection = mine
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", formatting.__name__, *map(str, (its.fileno(), *gc.get_threshold()))],
                pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def _asked(self, rows: Sequence[Row], schema: Callable[[str], AppSchema]) -> Made | None:
        """Ask the process, and return the file it made and its columns; None where it made none."""
        apps = {row.app: schema(row.app) for row in rows}
        known = {app: of.rows() for app, of in apps.items() if self._told.get(app) != of.version}
        asked = Asked([(row.first, row.app, row.body) for row in rows], known, str(self._file))
        try:
            answer = self._answer(msgspec.msgpack.encode(asked))
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            self._fail(str(error))
            return None
        if answer.refused is not None:
            self._told.clear()  # it forgot what it knew
            return None
        self._failures = 0
        for app, of in apps.items():
            of.learn(answer.learnt[app])
            self._told[app] = of.version
        return self._file, answer.names

    def _answer(self, message: bytes) -> Answer:
        assert self._connection is not None
        send(self._connection, message)
        answer = receive(self._connection)
        if answer is None:
            raise EOFError("it ended")
        return msgspec.msgpack.decode(answer, type=Answer)

    def _fail(self, why: str) -> None:
        self._failures += 1
        if self._process is not None:
            self._process.kill()
        self.close()
        if self._failures >= _MOST_FAILURES:
            self.warnings.append(f"events are put into columns by the server itself: the other process failed: {why}")


def _has_said(connection: socket.socket) -> bool:
    """Say whether there is something to read, or never will be; `select` takes no descriptor past the first 1,024."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(0))
