"""How long it takes until ten thousand SDKs have heard of a block, and what each costs the server.

    python -m bench.streams
    python -m bench.streams --streams 1000 --decisions 100000

Streams of the feed are opened, then addresses are blocked one after the other. Beside it the same with 100 of the
streams, on the same server: what a stream costs is the difference. With decisions in force the streams are of SDKs that
have the list; beside them what the whole list takes, for one SDK and for several that start at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import resource
import selectors
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.ingest import Target, running
from sentinel.core.batch import Batch
from sentinel.core.decision import Decision
from sentinel.core.duration import DAY
from sentinel.core.record import App
from sentinel.store.embedded.store import open_store

FIRST = 100
AT_ONCE = 20
LOT = 2_000


class Crowd:
    """Streams that are read by one thread; each keeps what came last."""

    def __init__(self, target: Target, since: int = 0) -> None:
        self._target = target
        self._since = since
        self._selector = selectors.DefaultSelector()
        self._said: dict[int, bytes] = {}

    def grow(self, count: int) -> float:
        """Open streams until there are so many, wait for their heads, and return the seconds it took."""
        began = time.perf_counter()
        path = f"/v1/feed/stream?since={self._since}"
        head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._target.key}\r\n\r\n"
        for _ in range(count - len(self._said)):
            sock = socket.create_connection(("127.0.0.1", self._target.port), timeout=60)
            sock.sendall(head.encode())
            self._said[sock.fileno()] = b""
            self._selector.register(sock, selectors.EVENT_READ)
            self._read(0)
        self.hear(b"event-stream")
        return time.perf_counter() - began

    def hear(self, what: bytes) -> list[float]:
        """Return when each stream said something, sorted."""
        left = {number for number, said in self._said.items() if what not in said}
        times = []
        while left:
            for number in self._read(1):
                if number in left and what in self._said[number]:
                    left.discard(number)
                    times.append(time.perf_counter())
        return times

    def _read(self, patience: float) -> list[int]:
        found = []
        for key, _ in self._selector.select(patience):
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(65536)
            assert data, "a stream ended"
            self._said[key.fd] = (self._said[key.fd] + data)[-8000:]
            found.append(key.fd)
        return found


def held(target: Target) -> int:
    """Return the server's memory in bytes."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{target.process.pid}/status").read_text())[0]) << 10


def decided(folder: Path, count: int) -> None:
    """Store so many blocks of addresses, in force for a day."""
    store = open_store(folder)
    now = time.time_ns() // 1000
    store.access.add_app(App("shop"), "bench", now)
    for first in range(0, count, LOT):
        blocks = tuple(
            Decision(
                id=f"{number:032x}", kind="block", scope="ip", made=now, until=now + DAY, playbook="bench",
                value=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", reason="One address tries many accounts",
            )
            for number in range(first, min(first + LOT, count))
        )  # fmt: skip
        with store.unit() as unit:
            unit.commit([Batch("shop", now, decisions=blocks)])
    store.close()


def whole(target: Target) -> dict[str, Any]:
    """Take the whole list as an SDK that starts does."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=600)
    connection.request("GET", "/v1/feed?since=0", headers={"Authorization": f"Bearer {target.key}"})
    raw = connection.getresponse().read()
    connection.close()
    return {"bytes": len(raw), **json.loads(raw)}


def listed(target: Target, at_once: int) -> int:
    """Print what the whole list takes, and return its revision."""
    before, began = held(target), time.perf_counter()
    found = whole(target)
    alone = time.perf_counter() - began
    cpu, began = target.cpu(), time.perf_counter()
    connections = [http.client.HTTPConnection("127.0.0.1", target.port, timeout=600) for _ in range(at_once)]
    for connection in connections:
        connection.request("GET", "/v1/feed?since=0", headers={"Authorization": f"Bearer {target.key}"})
    for connection in connections:
        connection.getresponse().read()
        connection.close()
    took = time.perf_counter() - began
    print(
        f"{len(found['added']):,} decisions, {found['bytes'] / 1e6:.1f} MB  one SDK {alone:.2f} s, {at_once} at once "
        f"{took:.2f} s, {(target.cpu() - cpu) / at_once * 1e3:.0f} ms of CPU each  "
        f"{before >> 20} to {held(target) >> 20} MiB"
    )
    return int(found["revision"])


def measured(target: Target, crowd: Crowd, streams: int, blocks: int) -> int:
    """Print a line, and return the server's memory."""
    took, cpu = crowd.grow(streams), target.cpu()
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    firsts, lasts = [], []
    for number in range(blocks):
        ip = f"198.51.{streams % 250}.{number + 1}"
        began = time.perf_counter()
        connection.request("POST", "/v1/events", json.dumps({"event": "probe", "ip": ip}), {
            "Authorization": f"Bearer {target.key}"})  # fmt: skip
        connection.getresponse().read()
        times = crowd.hear(f'"{ip}"'.encode())
        firsts.append(times[0] - began)
        lasts.append(times[-1] - began)
    memory = held(target)
    each = (target.cpu() - cpu) / blocks / streams
    print(
        f"{streams:6,} streams  opened in {took:6.1f} s  a block: first {sorted(firsts)[blocks // 2] * 1e3:6.1f} ms  "
        f"last {sorted(lasts)[blocks // 2] * 1e3:7.1f} ms  {each * 1e6:5.1f} µs of CPU a stream  {memory >> 20} MiB"
    )
    return memory


def main(streams: int, blocks: int, decisions: int) -> None:
    """Print both, and what a stream takes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with running("probe", prepare=partial(decided, count=decisions) if decisions else None) as target:
        crowd = Crowd(target, listed(target, AT_ONCE) if decisions else 0)
        few = measured(target, crowd, FIRST, blocks)
        many = measured(target, crowd, streams, blocks)
        print(f"a stream takes {(many - few) / (streams - FIRST) / 1024:.1f} KiB")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--streams", type=int, default=10_000)
    arguments.add_argument("--blocks", type=int, default=10)
    arguments.add_argument("--decisions", type=int, default=0, help="in force beforehand")
    given = arguments.parse_args()
    main(given.streams, given.blocks, given.decisions)
