"""One HTTP connection to the server: proxies honoured, redirects never followed, and it can be cut off at any time.

What requests and answers mean is known to `transport` and `sync`.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401  here and now: an import lock held by a thread at a fork is held for ever
import http.client
import io
import math
import os
import socket
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from sentinel import __version__
from sentinel.core.address import is_loopback
from sentinel.sdk.options import Options

try:
    import ssl
except ImportError:  # a Python without OpenSSL still reaches a server on loopback
    ssl = None  # type: ignore[assignment]

_ANSWER_LIMIT = 1024 * 1024
_MOST_AT_ONCE = 2 * _ANSWER_LIMIT  # bytes of a head, an answer or what comes before a piece of one, all its frames too
_PIECE = 65536

REFUSED = (401, 403)  # the key: only somebody who sees to it makes these go away
FAILURES = (OSError, http.client.HTTPException, ValueError)  # a ValueError comes from headers that cannot be sent


class Answer(NamedTuple):
    """What the server answered: status, headers by lower-case name, body; of a stream `pieces` instead of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    pieces: Iterator[bytes] = iter(())


class _Patience:
    """How long an answer is waited for, until a moment of the monotonic clock, and how many bytes it may still have."""

    until = math.inf
    most = _MOST_AT_ONCE


class _Bytes(io.RawIOBase):
    """A socket's bytes, as long as there is patience: an answer may come byte by byte, each in time, and never end."""

    def __init__(self, patience: _Patience, raw: io.RawIOBase) -> None:
        self._patience = patience
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._patience.until:
            raise TimeoutError("the answer does not end")
        got = self._raw.readinto(buffer)
        self._patience.most -= got or 0
        if self._patience.most < 0:  # heads, interim answers and trailers are read to their end, and may have none
            raise http.client.HTTPException("the answer does not end")
        return got

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, patience: _Patience, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp = io.BufferedReader(_Bytes(patience, self.fp.detach()))


class Connection:
    """Keeps one connection alive between requests; only the thread that owns it asks, anyone may `cut`."""

    def __init__(self, options: Options, about: Callable[[], Mapping[str, str]] = dict) -> None:
        self._options = options
        self._about = about  # headers of the moment: how this process is
        self._parts = urlsplit(options.url or "")
        self._open: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._socket: socket.socket | None = None
        self._prefix = ""
        self._headers: dict[str, str] = {}
        self._context: ssl.SSLContext | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._patience = _Patience()
        self._answering: Any = partial(_Response, self._patience)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return its whole answer; raises one of FAILURES."""
        reused = self._open is not None
        try:
            response = self._request(method, path, body, headers or {}, self._options.timeout)
        except (http.client.RemoteDisconnected, ConnectionError):
            if not reused or self._ended:
                raise
            response = self._request(method, path, body, headers or {}, self._options.timeout)  # it had gone stale
        return self._whole(response)

    def stream(self, path: str, headers: Mapping[str, str], silence: float, longest: float = math.inf) -> Answer:
        """Ask for an answer of any length; `silence` seconds without a piece of it, or `longest` in all, are too long.

        Then its pieces raise TimeoutError.
        """
        response = self._request("GET", path, None, headers, silence)
        if response.status != 200:
            return self._whole(response)
        self._patience.until = time.monotonic() + longest
        return Answer(200, _lower(response), b"", self._pieces(response))

    def close(self) -> None:
        """Close it; the next request opens another."""
        with self._lock:
            connection, self._open = self._open, None
            response, self._response = self._response, None
            self._socket = None
        if response is not None:
            response.close()
        if connection is not None:
            connection.close()

    def end(self) -> None:
        """Cut whatever is under way, from any thread; nothing is opened afterwards."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        """Let go of the socket without a word to the server: after a fork it is the parent's."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                os.close(self._socket.detach())

    def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> http.client.HTTPResponse:
        self._patience.until = time.monotonic() + max(timeout, 2 * self._options.timeout)
        self._patience.most = _MOST_AT_ONCE
        try:
            connection = self._connect()
            connection.sock.settimeout(timeout)
            sent = {**self._headers, **self._about(), **headers}
            connection.request(method, self._prefix + self._parts.path + path, body, sent)
            self._response = connection.getresponse()
        except BaseException:
            self.close()
            raise
        return self._response

    def _whole(self, response: http.client.HTTPResponse) -> Answer:
        body = b""
        try:
            while (room := _ANSWER_LIMIT - len(body)) and (piece := response.read1(min(_PIECE, room))):
                body += piece
            if response.length == 0:
                response.read()  # nothing is left, and now it knows
        except BaseException:
            self.close()
            raise
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, _lower(response), body)

    def _pieces(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while piece := response.read1(_PIECE):
                self._patience.most = _MOST_AT_ONCE
                yield piece
        finally:
            if response.will_close or not response.isclosed():
                self.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._open is None:
            connection = self._make()
            connection.connect()
            with self._lock:
                self._open, self._socket = connection, connection.sock
        if self._ended:
            raise ConnectionAbortedError("the connection was ended")
        return self._open

    def _make(self) -> http.client.HTTPConnection:
        host, tls = self._parts.hostname or "", self._parts.scheme == "https"
        port = self._parts.port or (443 if tls else 80)
        self._prefix = ""
        self._headers = {
            "Authorization": f"Bearer {self._options.key}",
            "Cache-Control": "no-cache",  # an old list would come with an old time, by which ends are judged
            "User-Agent": f"sentinel-sdk/{__version__}",
        }
        proxy = _proxy(self._parts.scheme, host)
        if proxy is None:
            return self._to(host, port)
        (near_host, near_port), headers = proxy
        connection = self._to(near_host, near_port)
        if tls:
            connection.set_tunnel(host, port, headers)
        else:
            self._prefix = f"http://{self._parts.netloc}"
            self._headers |= headers
        return connection

    def _to(self, host: str, port: int) -> http.client.HTTPConnection:
        timeout = self._options.timeout
        if self._parts.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        else:
            if self._context is None:  # reading every certificate there is takes its time
                self._context = ssl.create_default_context(cafile=self._options.ca_file)
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)
        connection.response_class = self._answering  # a proxy's own answer too
        return connection


def _proxy(scheme: str, host: str) -> tuple[tuple[str, int], dict[str, str]] | None:
    """Return the address of the proxy the environment names for a host, and the headers it wants."""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    url = urllib.request.getproxies().get(scheme)
    if not url:
        return None
    parts = urlsplit(url if "//" in url else f"//{url}")
    headers = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    return (parts.hostname or "", parts.port or 80), headers


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
