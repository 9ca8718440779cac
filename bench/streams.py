"""How long it takes until ten thousand SDKs have heard of a block, and what each costs the server.

    python -m bench.streams

Streams of the feed are opened, then addresses are blocked one after the other. Beside it the same with a hundredth of
the streams, on the same server: what a stream costs is the difference.
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
from pathlib import Path

from bench.ingest import Target, running

FIRST = 100


class Crowd:
    """Streams that are read by one thread; each keeps what came last."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._selector = selectors.DefaultSelector()
        self._said: dict[int, bytes] = {}

    def grow(self, count: int) -> float:
        """Open streams until there are so many, wait for their heads, and return the seconds it took."""
        began = time.perf_counter()
        head = f"GET /v1/feed/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._target.key}\r\n\r\n"
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
            self._said[key.fd] = (self._said[key.fd] + data)[-2000:]
            found.append(key.fd)
        return found


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
    memory = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{target.process.pid}/status").read_text())[0]) << 10
    each = (target.cpu() - cpu) / blocks / streams
    print(
        f"{streams:6,} streams  opened in {took:6.1f} s  a block: first {sorted(firsts)[blocks // 2] * 1e3:6.1f} ms  "
        f"last {sorted(lasts)[blocks // 2] * 1e3:7.1f} ms  {each * 1e6:5.1f} µs of CPU a stream  {memory >> 20} MiB"
    )
    return memory


def main(streams: int, blocks: int) -> None:
    """Print both, and what a stream takes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with running("probe") as target:
        crowd = Crowd(target)
        few = measured(target, crowd, FIRST, blocks)
        many = measured(target, crowd, streams, blocks)
        print(f"a stream takes {(many - few) / (streams - FIRST) / 1024:.1f} KiB")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--streams", type=int, default=10_000)
    arguments.add_argument("--blocks", type=int, default=10)
    given = arguments.parse_args()
    main(given.streams, given.blocks)
