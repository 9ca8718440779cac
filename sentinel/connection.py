"""An HTTP connection that bounds what uvicorn leaves unbounded: the size of a request's head, and how long it may take.

What a request says, and the bound of its body, is up to `api`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


def _refusal(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, len(body)) + body


_TOO_LONG = _refusal(
    b"431 Request Header Fields Too Large",
    b'{"error":{"code":"too_large","message":"the head of the request is too long","hint":"at most 64 KiB"}}',
)
_NO_HTTP = _refusal(
    b"400 Bad Request",
    b'{"error":{"code":"malformed","message":"this is not HTTP","hint":"send HTTP/1.1, and one length of the body"}}',
)


def _is_told(record: logging.LogRecord) -> bool:
    """Keep a line for each connection that sends no HTTP out of the log: anybody can, and is answered so."""
    return record.msg != "Invalid HTTP request received."


logging.getLogger("uvicorn.error").addFilter(_is_told)


class _Exit:
    """The transport as whoever answers a request sees it: closed while a body still comes, it is closed behind that.

    A socket that is closed with bytes unread resets the connection, and a client still sending loses the answer.
    """

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.transport, name)

    def close(self) -> None:
        self._connection.leave(self._cycle)


class Connection(HttpToolsProtocol):
    """One connection, let go when it sends bytes of which nothing comes: endless heads, trailers, chunk extensions.

    The parser and uvicorn hold a head until it is whole. So the bytes are counted since something last came of them: a
    head that ended, a piece of a body. `timeout_keep_alive` holds for the first request also.
    """

    longest = 64 * 1024  # bytes of a head
    patience = 10.0  # seconds from a head's first byte to its last

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held = 0
        self._watch: asyncio.TimerHandle | None = None
        self._leaving = False
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)
        if self._running is not None:  # uvicorn tells the last request alone, which may wait behind this one
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            piece = data[: self.longest - self._held]
            data = data[len(piece) :]
            self._held += len(piece)
            super().data_received(piece)
            if self._held >= self.longest:
                self._refuse()
        if self._answering() or self.transport.is_closing():
            self._unwatch()
        elif self._watch is None:
            self._watch = self.loop.call_later(self.patience, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        self._held = 0
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = _Exit(self, self.cycle)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._held = 0
        super().on_message_complete()
        if self._leaving:
            self.transport.close()

    def leave(self, cycle: RequestResponseCycle) -> None:
        """Close the connection, once what is left of an answered request's body has come or had its time."""
        if cycle is not self.cycle or not (cycle.more_body and cycle.response_complete):
            self.transport.close()
        elif not self._leaving:
            self._leaving = True
            self._unwatch()
            self._watch = self.loop.call_later(self.patience, self.timeout_keep_alive_handler)

    def send_400_response(self, msg: str) -> None:
        self.transport.write(_NO_HTTP)
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Write nothing: anybody may ask for another protocol, and is answered in this one."""

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's annotation knows no None
        return cycle is not None and not cycle.response_complete

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            if not self._answering():
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
