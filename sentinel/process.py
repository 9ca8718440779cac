"""One server as a process: its socket, its signals, and the file by which commands on the same machine find it.

What the server does is in `app`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from sentinel import local
from sentinel.app import Server
from sentinel.connection import Connection
from sentinel.core.duration import SECOND
from sentinel.core.errors import SentinelError
from sentinel.settings import Settings


class _Uvicorn(uvicorn.Server):
    """Uvicorn that says when it listens, and lets streams go before it waits for requests under way."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], draining: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening
        self._draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            try:
                self._listening()
            except BaseException:
                await self.shutdown(sockets)  # uvicorn would leave the threads running and the store open
                raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tell_manager("STOPPING=1")
        self._draining()
        await super().shutdown(sockets)


def serve(server: Server, listening: Callable[[str], None]) -> None:
    """Serve until a signal ends it, then stop in order; `listening` is told the address."""
    settings = server.settings
    allow_many_files()
    with _socket(settings) as sock, _quiet_signals():
        address = settings.address if settings.public_url or settings.port else _address(settings, sock)
        config = uvicorn.Config(
            server.front, http=Connection, lifespan="on", log_config=None, access_log=False, proxy_headers=False,
            server_header=False, ws="none", timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, settings.grace // SECOND),
        )  # fmt: skip

        def ready() -> None:
            be_frugal()
            local.leave(settings.data, _loopback(settings, sock), server.token)
            listening(address)
            tell_manager("READY=1")

        try:
            _Uvicorn(config, ready, server.drain).run(sockets=[sock])
        finally:
            local.take_back(settings.data)
            gc.unfreeze()  # or what compiled packages hold counts as leaked at the exit


def tell_manager(state: str) -> None:
    """Tell the service manager that started this process, if one did, how far it is: systemd's sd_notify(3).

    So a unit counts as started when events can come in, and not before.
    """
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where.startswith(("/", "@")):  # "@" stands for the NUL of an abstract address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(state.encode(), where if where[0] == "/" else f"\0{where[1:]}")


def be_frugal() -> None:
    """Let events come and go with little garbage collection: they are in no cycle, and what was imported stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def allow_many_files() -> None:
    """Let as many connections be open at once as the system allows this process, not only as many as it proposes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems call the most infinite and refuse it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def _socket(settings: Settings) -> Iterator[socket.socket]:
    try:
        sock = local.listen(settings.host, settings.port)
    except OSError as error:
        what = f"`{settings.host}:{settings.port}`: cannot be listened at: {error.strerror}"
        raise SentinelError(what, "choose another `host` or `port`") from None
    with sock:
        yield sock


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """Let a stop by signal be an ordinary end: uvicorn raises the signal again when it is done.

    A terminal that is closed ends it in the same order, unless `nohup` lets it go on.
    """
    kept = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        kept[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _address(settings: Settings, sock: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{sock.getsockname()[1]}"


def _loopback(settings: Settings, sock: socket.socket) -> str:
    """Return where a command on the same machine reaches the server."""
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host)  # noqa: S104  compared, not bound
    return f"http://{near}:{sock.getsockname()[1]}" if near else _address(settings, sock)
