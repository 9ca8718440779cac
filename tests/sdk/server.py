"""A small Sentinel server on loopback for the SDK's tests: takes events, serves the feed, misbehaves on request."""

from __future__ import annotations

import gzip
import json
import threading
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sentinel.core.decision import Decision, Delta
from tests.core.strategies import as_json

PATIENCE = 180.0  # seconds a test waits for what must happen
KEY = "k" * 50


class FakeServer(ThreadingHTTPServer):
    """Notes every request; `answers` scripts the next answers to POST, the other attributes say how to serve."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.changed = threading.Condition()
        self.batches: list[list[dict[str, Any]]] = []
        self.attempts: list[list[dict[str, Any]]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.answers: deque[tuple[int, dict[str, str], bytes] | Callable[[Handler], None]] = deque()
        self.feed_status = 200
        self.feed_body: bytes | None = None
        self.feed_extra: dict[str, Any] = {}
        self.stream = "sse"  # sse, none, mute, page, held, garbage, or a status
        self.heartbeat = 0.2
        self.streams = 0
        self.date: float | None = None
        self.deltas: list[Delta] = []
        self.closing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait for something to be so; fails the test where it does not come about."""
        with self.changed:
            assert self.changed.wait_for(what, PATIENCE), "it did not come about"
            return what()

    def decide(self, *decisions: Decision, removed: tuple[str, ...] = (), reset: bool = False) -> int:
        """Add a revision to the list."""
        with self.changed:
            revision = len(self.deltas) + 1
            self.deltas.append(Delta(revision, decisions, removed, reset))
            self.changed.notify_all()
            return revision

    def since(self, revision: int) -> dict[str, Any]:
        news = self.deltas[revision:]
        gone = {id for delta in news for id in delta.removed}
        added = tuple(one for delta in news for one in delta.added if one.id not in gone)
        whole = revision == 0 or any(delta.reset for delta in news)
        return as_json(Delta(len(self.deltas), added, tuple(sorted(gone)), whole)) | self.feed_extra

    def close(self) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def log_message(self, *args: Any) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.server.date, usegmt=True) if self.server.date else super().date_time_string(timestamp)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def note(self) -> None:
        with self.server.changed:
            self.server.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.server.changed.notify_all()

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        events = json.loads(body).get("events", [])
        self.note()
        server = self.server
        with server.changed:
            server.attempts.append(events)
            answer = server.answers.popleft() if server.answers else None
            server.changed.notify_all()
        if callable(answer):
            answer(self)
            return
        if answer is not None:
            self.reply(answer[0], answer[2], answer[1])
            return
        with server.changed:
            server.batches.append(events)
            server.changed.notify_all()
        told = {"accepted": len(events), "duplicates": 0, "rejected": [], "revision": len(server.deltas)}
        self.reply(200, json.dumps(told).encode())

    def do_GET(self) -> None:
        self.note()
        if self.path.startswith("/v1/feed/stream"):
            self.do_stream()
        elif self.server.feed_status != 200:
            self.reply(self.server.feed_status, b'{"error": {"code": "no", "message": "no", "hint": ""}}')
        else:
            with self.server.changed:
                since = self.server.since(int(self.path.partition("since=")[2]))
            body = self.server.feed_body
            self.reply(200, json.dumps(since).encode() if body is None else body)

    def has_news(self, revision: int) -> bool:
        return len(self.server.deltas) > revision or self.server.closing

    def do_stream(self) -> None:
        server = self.server
        if server.stream == "none":
            self.reply(404, b"{}")
            return
        if server.stream == "held":
            with server.changed:
                server.changed.wait_for(lambda: server.closing)
            return
        if server.stream.isdecimal():
            self.reply(int(server.stream), b"{}", {"Retry-After": "300"})
            return
        if server.stream == "page":
            self.reply(200, b"<p>welcome</p>", {"Content-Type": "text/html"})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        revision = int(self.headers.get("Last-Event-ID", "0"))
        with server.changed:
            server.streams += 1
            server.changed.notify_all()
        if server.stream == "garbage":
            self.wfile.write(b": heartbeat\n\ndata: <p>welcome</p>\n\n")
            return
        while not server.closing:
            with server.changed:
                server.changed.wait_for(partial(self.has_news, revision), server.heartbeat)
                news = server.since(revision) if len(server.deltas) > revision else None
                revision = len(server.deltas)
            if server.stream == "mute":
                continue
            if news is None:
                self.wfile.write(b": heartbeat\n\n")
            else:
                self.wfile.write(f"id: {revision}\nevent: delta\ndata: {json.dumps(news)}\n\n".encode())
