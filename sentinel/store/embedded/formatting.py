"""The process beside a busy server that puts packed events into columns, so that the server's interpreter need not.

It gets one lump of the journal after another over a socket, and answers each with a file. It opens none of the store's
files, and ends when the server does. The server's side is `formatter`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from sentinel.core.errors import fault
from sentinel.store.embedded import codec
from sentinel.store.embedded.columns import columns, listed, together
from sentinel.store.paths import AppSchema

READY = b"ready"
_LENGTH = struct.Struct("<I")
_SETTINGS: Mapping[str, str | int] = {"threads": 1, "memory_limit": "256MB", "pandas_analyze_sample": 0}

Learnt = list[tuple[Any, ...]]  # an app's paths as `AppSchema.rows` gives them


class Asked(msgspec.Struct):
    """Rows of the journal as their first position, app and body; what is to be known of apps; and the file to write."""

    rows: list[tuple[int, str, bytes]]
    known: dict[str, Learnt]
    file: str


class Answer(msgspec.Struct):
    """Which columns the file holds, and what was learnt of apps; or why there is no file."""

    names: list[str]
    learnt: dict[str, Learnt]
    refused: str | None = None


def send(connection: socket.socket, message: bytes) -> None:
    """Send one message."""
    connection.sendall(_LENGTH.pack(len(message)) + message)


def receive(connection: socket.socket) -> bytes | None:
    """Return the next message, None where the other end is gone."""
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, *_LENGTH.unpack(head))


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        piece = connection.recv(min(size - len(found), 1 << 20))
        if not piece:
            return None
        found += piece
    return bytes(found)


def formatted(asked: Asked, apps: dict[str, AppSchema], scratch: duckdb.DuckDBPyConnection) -> Answer:
    """Write the file that is asked for, and say what is in it; `apps`, what was learnt of each app, is kept current."""
    for app, rows in asked.known.items():
        apps[app] = AppSchema.made_of(rows)
    tables = []
    for first, app, body in asked.rows:
        events = codec.unpack(body)
        learnt = [apps[app].read(event) for event in events]
        tables.append((len(events), columns(app, events, range(first, first + len(events)), learnt)))
    lump = together(tables)
    if lump:
        names, file = listed(lump), asked.file.replace("'", "''")
        scratch.execute(f"COPY (SELECT {names} FROM lump) TO '{file}' (FORMAT parquet, COMPRESSION uncompressed)")  # noqa: S608 - our own names
    return Answer(list(lump), {app: apps[app].changes() for app in {app for _, app, _ in asked.rows}})


def main(descriptor: int, *collecting: int) -> None:
    """Answer until nobody asks any more; garbage is collected as the server does: `collecting` are its thresholds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server ends in order, and this with it
    os.umask(0o077)
    gc.set_threshold(*collecting)
    apps: dict[str, AppSchema] = {}
    decoder = msgspec.msgpack.Decoder(Asked)
    with socket.socket(fileno=descriptor) as connection, duckdb.connect(config=dict(_SETTINGS)) as scratch:
        send(connection, READY)
        while (message := receive(connection)) is not None:
            asked = decoder.decode(message)
            try:
                answer = formatted(asked, apps, scratch)
            except Exception as error:  # noqa: BLE001 - whoever asked does without, and finds out what is wrong
                apps.clear()
                answer = Answer([], {}, fault(error)[:200])
            try:
                send(connection, msgspec.msgpack.encode(answer))
            except OSError:  # nobody is there to read the file, or to remove it
                Path(asked.file).unlink(missing_ok=True)
                return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
