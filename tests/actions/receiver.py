"""Servers on loopback for the tests of this room: they keep what they were asked and answer what a test says."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

Answer = Callable[["Receiver", socket.socket], None]


class Request(NamedTuple):
    """What was asked: the first line, headers by lower-case name, the body."""

    line: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers each connection by `answer(receiver, connection)`; `ended` is set when the test is over."""

    def __init__(self, answer: Answer | bytes, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.ended = threading.Event()
        self._answer = answer if callable(answer) else says(answer)
        self._tls = tls
        self._socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host, self.port = host, self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError), self._secured(connection) as secured:
                self._answer(self, secured)

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        try:
            return self._tls.wrap_socket(connection, server_side=True)
        except BaseException:
            connection.close()
            raise

    def read(self, connection: socket.socket) -> None:
        """Read one request and keep it, unless whoever asked was killed in the midst of it."""
        with connection.makefile("rb") as file:
            line = file.readline().decode("latin-1").rstrip()
            headers = {}
            while header := (raw := file.readline()).decode("latin-1").rstrip():
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            body = file.read(length := int(headers.get("content-length", 0)))
            if not raw or len(body) < length:
                raise ConnectionError("cut off")
            self.requests.append(Request(line, headers, body))


def says(raw: bytes) -> Answer:
    """Return an answer: read the request, say these bytes, and hang up."""

    def answer(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(raw)

    return answer


def status(code: int, headers: str = "", body: bytes = b"") -> bytes:
    """Return the bytes of an ordinary answer."""
    return f"HTTP/1.1 {code} Because\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
