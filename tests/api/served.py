"""An ASGI app behind a real uvicorn on loopback, and a client that sends exactly what a test says."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

PATIENCE = 180  # seconds for what must happen: on a machine that is busy with much else it takes its time


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The refusal, its form checked: exactly code, message and hint, said as the house says errors."""
        found = self.json
        assert list(found) == ["error"]
        error = found["error"]
        assert list(error) == ["code", "message", "hint"]
        assert error["message"] and not error["message"].endswith(".")
        return error


class Client:
    def __init__(self, port: int, key: str | None = None) -> None:
        self.port = port
        self.key = key

    def ask(self, method: str, path: str, body: Any = None, headers: Any = (), raw: bytes | None = None) -> Answer:
        """Send one request on a connection of its own; `headers` are pairs, so that they may repeat.

        Raises OSError where no whole answer comes, as from a server that is killed while it answers.
        """
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        names = {name.lower() for name, _ in pairs}
        if self.key and "authorization" not in names:
            pairs.append(("Authorization", f"Bearer {self.key}"))
        if body is not None and "content-type" not in names:
            pairs.append(("Content-Type", "application/json"))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in pairs:
                connection.putheader(name, value)
            if raw is not None and not names & {"content-length", "transfer-encoding"}:
                connection.putheader("Content-Length", str(len(raw)))
            connection.endheaders()
            if raw:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read
                    connection.send(raw)
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        except http.client.HTTPException as error:
            raise ConnectionResetError(f"the answer breaks off: {error!r}") from error
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Answer:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.ask("POST", path, body, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self.ask("DELETE", path, **more)

    def using(self, key: str | None) -> Client:
        return Client(self.port, key)

    def stream(self, path: str, headers: Any = ()) -> Stream:
        return Stream(self.port, path, [*dict(headers).items(), ("Authorization", f"Bearer {self.key}")])


class Stream:
    """A server-sent stream, read event by event."""

    def __init__(self, port: int, path: str, headers: Any) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.connection.putrequest("GET", path)
        for name, value in headers:
            self.connection.putheader(name, value)
        self.connection.endheaders()
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def block(self) -> list[str]:
        """Return the lines of the next event or comment; empty when the stream is over."""
        lines: list[str] = []
        while line := self.response.readline().decode():
            if line == "\n":
                return lines
            lines.append(line.rstrip("\n"))
        return lines

    def event(self) -> dict[str, Any]:
        """Return the next event: its name, id and data; fail where only signs of life come."""
        end = time.monotonic() + PATIENCE
        while (block := self.block()) and block[0].startswith(":"):
            assert time.monotonic() < end, "the stream tells nothing"
        fields = dict(line.split(": ", 1) for line in block)
        return {**fields, "data": json.loads(fields["data"])} if fields else {}

    def close(self) -> None:
        if self.connection.sock:
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self.connection.close()


@contextlib.contextmanager
def served(app: Any, **options: Any) -> Iterator[Client]:
    """Serve an app while the block runs."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=3, proxy_headers=False, **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start"
        yield Client(sock.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        sock.close()
        assert not thread.is_alive(), "the server did not stop"


def within(seconds: float, took: Callable[[], float], times: int = 20) -> bool:
    """Say whether something takes less than some seconds, once in some times: a stall may be the machine's own."""
    return any(took() < seconds for _ in range(times))


def wait_for(condition: Any, seconds: float = PATIENCE) -> Any:
    """Return the condition's value once it is true; fail when it stays false.

    It is looked at ever less often: looking takes the processor from what is waited for, and from the other tests.
    """
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        assert waited < seconds, f"it did not happen in {seconds} s: the last look found {value!r}"
        time.sleep(min(0.005 + waited / 20, 0.1))
    return value
