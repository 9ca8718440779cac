"""Export events as newline-delimited JSON, CSV (safe in spreadsheets) or Parquet, streamed and never held whole."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import msgspec
from starlette.responses import Response

from sentinel.api.downloads import Download
from sentinel.api.hub import Seat
from sentinel.api.views import event_view
from sentinel.core.record import EventFormat, Filter, KeptEvent
from sentinel.service.ports.events import Events

TYPES: Mapping[EventFormat, str] = {
    "ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet",
}  # fmt: skip
_LOT = 200  # events written at a time
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_CUT = re.compile("([;|\t\r\n] *)(?=[=+@＝＋－＠-])")
_PARTS = {
    "request": ("method", "path", "route", "host", "status", "user_agent", "referer", "params"),
    "geo": ("country", "city", "lat", "lon", "accuracy", "asn", "org"),
    "network": ("kind", "private", "hosting", "anonymous"),
    "agent": ("browser", "os", "device", "bot"),
}
_PLAIN = (
    "timestamp", "event", "id", "user", "ip", "success", "device", "trust", "historical", "received",
    "identifiers", "user_labels", "ip_labels", "properties",
)  # fmt: skip
COLUMNS = (*_PLAIN, *(f"{part}.{key}" for part, keys in _PARTS.items() for key in keys))


class Export:
    """One export. `pieces` gives its bytes; where nobody takes them any more, what makes them is stopped."""

    def __init__(self, events: Events, app: str, filter: Filter, format: EventFormat) -> None:
        self._gone = threading.Event()
        self._at_once = format == "parquet"
        if self._at_once:
            self._found = events.parquet(app, filter, self._gone.is_set)
        else:
            write = _lines if format == "ndjson" else _csv
            self._found = write(events.matching(app, filter))
        self._first = b""

    def begin(self) -> None:
        """Make the first piece: what the store refuses is refused before the answer begins.

        Not of a file that is made at once: it takes long, and whoever waits for it may go.
        """
        if not self._at_once:
            self._first = next(self._found, b"")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the pieces."""
        try:
            if self._first:
                yield self._first
            while piece := await asyncio.to_thread(next, self._found, b""):
                yield piece
        finally:
            self._gone.set()


def download(
    seat: AbstractContextManager[Seat], events: Events, app: str, filter: Filter, format: EventFormat
) -> Response:
    """Return the answer that gives events as a file."""
    export = Export(events, app, filter, format)
    return Download(seat, export.pieces(), f"events.{format}", TYPES[format], export.begin)


def _lines(events: Iterable[KeptEvent]) -> Iterator[bytes]:
    """Give events as lines of JSON, some at a time, without their places in the order of arrival."""
    found = iter(events)
    while lot := [_shown(kept) for kept in islice(found, _LOT)]:
        yield b"".join(msgspec.json.encode(one) + b"\n" for one in lot)


def _csv(events: Iterable[KeptEvent]) -> Iterator[bytes]:
    """Give events as rows of CSV, the names of the columns first. Every cell is quoted, objects are JSON."""
    found = iter(events)
    yield _rows([dict(zip(COLUMNS, COLUMNS, strict=True))])
    while lot := [_flat(_shown(kept)) for kept in islice(found, _LOT)]:
        yield _rows(lot)


def _rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, quoting=csv.QUOTE_ALL, extrasaction="ignore")
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _shown(kept: KeptEvent) -> dict[str, Any]:
    return {name: value for name, value in event_view(kept).items() if name != "position"}


def _flat(shown: dict[str, Any]) -> dict[str, Any]:
    for part in _PARTS:
        shown |= {f"{part}.{key}": value for key, value in shown.pop(part).items()}
    return shown


def _cell(value: Any) -> str:
    """Return a cell. A text that a spreadsheet would calculate gets an apostrophe, which shows it as it is.

    So does a part of a text where a spreadsheet that takes semicolons for separators would begin another cell.
    """
    text = _CUT.sub(r"\1'", _text(value))
    return "'" + text if isinstance(value, str) and text.lstrip(" ").startswith(_FORMULA) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode() if value else ""
    return value
