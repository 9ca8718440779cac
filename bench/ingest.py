"""What durable ingest over HTTP costs: a whole server with ten playbooks, with none, and a bare decode-and-append.

    python bench/ingest.py

The bare one is what one would write first: an ASGI function that decodes the batch with msgspec and appends it to a
file, synced before it answers. All three serve the same batches of 500 at the same time of day: rounds go in turns.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvicorn

from bench.explorer import fill
from bench.stream import START, address, lines, people
from sentinel.app import open_server
from sentinel.content import folder
from sentinel.process import be_frugal
from sentinel.settings import Settings

BATCH, CONNECTIONS = 500, 4
USERS, ADDRESSES = 200_000, 50_000
PLAYBOOKS = (
    "account-brute-force", "address-brute-force", "card-testing-by-address", "card-testing-by-user", "coupon-abuse",
    "credential-stuffing", "disposable-signups", "invitation-spam", "one-account-many-addresses", "password-spraying",
)  # fmt: skip
PROBE = """
playbook: probe
title: One event is enough
mode: enforce
event: probe
group_by: ip
window: 1m
when: {count: 1}
actions:
  - block_ip: {for: 1h}
guard: {max: 100000, per: 1h}
"""
KINDS = ("ten playbooks", "no playbooks", "bare append")


class Target(NamedTuple):
    """A server under load: its process, its port, a key, and one that reads."""

    process: subprocess.Popen[str]
    port: int
    key: str
    reader: str = ""

    def cpu(self) -> float:
        """Return the seconds of CPU its process has used, and what that started."""
        total = 0.0
        for pid in (self.process.pid, *_children(self.process.pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total


class Load(NamedTuple):
    """What a round came to: seconds of the clock, seconds of the server's CPU, and each batch's seconds."""

    wall: float
    cpu: float
    waits: list[float]


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def serve(kind: str, home: Path) -> None:
    """Be the server of one kind until killed; print port and key when it listens."""
    app, *keys = bare(home) if kind == "bare append" else whole(home, kind)
    be_frugal()

    class Told(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            print(self.servers[0].sockets[0].getsockname()[1], *keys, flush=True)

    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="auto")
    Told(config).run()


def bare(home: Path) -> tuple[Any, ...]:
    """Return the naive append."""
    file = (home / "events.ndjson").open("ab", buffering=0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        events = msgspec.json.decode(body)
        file.write(b"\n".join(msgspec.json.encode(event) for event in events) + b"\n")
        os.fdatasync(file.fileno())
        answer = msgspec.json.encode({"accepted": len(events)})
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]}
        )
        await send({"type": "http.response.body", "body": answer})

    return app, "none", "none"


def whole(home: Path, kind: str) -> tuple[Any, ...]:
    """Return a whole server, as `sentinel serve` runs it."""
    chosen = home / "playbooks"
    chosen.mkdir()
    for path in folder("playbooks").rglob("*.yaml"):
        if path.stem in PLAYBOOKS and kind != "no playbooks":
            (chosen / path.name).write_text(path.read_text())
    if kind == "probe":
        (chosen / "probe.yaml").write_text(PROBE)
    settings = Settings(data=home / "data", playbooks=(chosen,), rules=(folder("rules"),), rate=10**9)
    server = open_server(settings)
    server.first()
    apps = server.store.access.apps()
    app = apps[-1].id  # the one that has events already, if there is any
    keys = [server.store.access.make_key(app, scope, "bench", 1)[1] for scope in ("sdk", "read")]
    return server.front, *keys


@contextmanager
def running(kind: str, stored: int = 0, prepare: Callable[[Path], None] | None = None) -> Iterator[Target]:
    """Run a server of one kind, with so many events of `explorer.py` stored before, or what `prepare` puts there."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        if stored:
            fill(Path(home) / "data", stored)
        if prepare is not None:
            prepare(Path(home) / "data")
        command = [sys.executable, "-m", "bench.ingest", "--serve", kind, home]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            port, key, reader = process.stdout.readline().split()
            yield Target(process, int(port), key, reader)
        finally:
            process.kill()
            process.wait()


def load(target: Target, batches: list[bytes]) -> Load:
    """Send batches over a few connections and wait for every answer."""
    waits: list[float] = []
    left = iter(batches)
    lock = threading.Lock()

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", target.port)
        while True:
            with lock:
                batch = next(left, None)
            if batch is None:
                return
            status = 503
            while status == 503:
                began = time.perf_counter()
                connection.request("POST", "/v1/events", batch, {"Authorization": f"Bearer {target.key}"})
                response = connection.getresponse()
                answer, status = response.read(), response.status
                if status == 503:
                    time.sleep(0.05)
            assert status == 200 and msgspec.json.decode(answer)["accepted"] == BATCH, answer[:200]
            waits.append(time.perf_counter() - began)

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    cpu, wall = target.cpu(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(time.perf_counter() - wall, target.cpu() - cpu, waits)


def batches(count: int, *, besieged: bool = False) -> list[bytes]:
    """Return so many batches, no event twice.

    They are what 200,000 users at 50,000 addresses do in as long as it takes at 20,000 events a second; `besieged`
    ones what 50,000 users at 20,000 addresses do in forty times as long: by then every account is under attack.
    """
    source = lines(count * BATCH) if besieged else lines(count * BATCH, users=USERS, addresses=ADDRESSES, rate=20_000)
    return list(_packed(source))


def acquainted() -> list[bytes]:
    """Return batches in which each of the 200,000 users logged in once, the day before."""
    day = time.strftime("%Y-%m-%d", time.gmtime(START - 86_400))
    rest = '"success":true,"request":{"method":"POST","path":"/login","status":200}'
    return list(_packed(
        f'{{"id":"known-{n}","timestamp":"{day}T12:{n // 3600 % 60:02}:{n // 60 % 60:02}Z","event":"auth",'
        f'"user":{user},"ip":"{address(n % ADDRESSES)}",{rest}}}'
        for n, user in enumerate(people(USERS))
    ))  # fmt: skip


def _packed(events: Iterator[str]) -> Iterator[bytes]:
    while lot := list(islice(events, BATCH)):
        yield b"[" + ",".join(lot).encode() + b"]"


def main(rounds: int, size: int, *, besieged: bool, known: bool) -> None:
    """Print events a second, CPU an event, and the ratios."""
    made = batches((rounds + 1) * size, besieged=besieged)
    loads: dict[str, list[Load]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        targets = {kind: stack.enter_context(running(kind)) for kind in KINDS}
        for target in targets.values():
            load(target, [*(acquainted() if known else []), *made[:size]])
        for number in range(1, rounds + 1):
            for kind, target in targets.items():
                loads[kind].append(load(target, made[number * size : (number + 1) * size]))
    events = rounds * size * BATCH
    print(
        f"batches of {BATCH} over {CONNECTIONS} connections, {rounds} rounds in turns, {events:,} events in all of each"
    )
    walls = {kind: sum(one.wall for one in found) for kind, found in loads.items()}
    for kind, found in loads.items():
        waits = sorted(wait for one in found for wait in one.waits)
        best = max(size * BATCH / one.wall for one in found)
        print(
            f"{kind:14} {events / walls[kind]:9,.0f} events/s over {walls[kind]:.0f} s, {best:,.0f} in its best round  "
            f"{sum(one.cpu for one in found) / events * 1e6:5.1f} µs of CPU an event  "
            f"a batch {waits[len(waits) // 2] * 1e3:5.1f} ms (p99 {waits[len(waits) * 99 // 100] * 1e3:.1f})  "
            f"ratio to bare {walls['bare append'] / walls[kind]:.2f}"
        )
    print(f"ten playbooks / no playbooks {walls['no playbooks'] / walls['ten playbooks']:.2f}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--serve", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    arguments.add_argument("--rounds", type=int, default=4)
    arguments.add_argument("--batches", type=int, default=60, help="in a round")
    arguments.add_argument("--besieged", action="store_true", help="every account is under attack")
    arguments.add_argument("--known", action="store_true", help="everybody was there the day before")
    given = arguments.parse_args()
    if given.serve:
        serve(given.serve[0], Path(given.serve[1]))
    else:
        main(given.rounds, given.batches, besieged=given.besieged, known=given.known)
