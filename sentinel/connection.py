"""A connection to the server that bounds what uvicorn leaves open: how long a request's head is, and how long it takes.

What a request says, its body's bounds among it, is `api`'s.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_BODY = b'{"error":{"code":"too_large","message":"the head of the request is too long","hint":"at most 64 KiB"}}'
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_BODY), _BODY)
)


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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._held = 0
        super().on_message_complete()

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
