"""Does a server that everybody uses at once stay as it was? Mixed traffic for as long as told, then what became of it.

    python -m bench.soak --seconds 600 --rate 5000              # as it is
    python -m bench.soak --seconds 600 --rate 5000 --pace 144   # the same events as a day's
    python -m bench.soak --seconds 600 --rate 5000 --pace 144 --stored 10000000 --before 8000000   # not a new server

A real `sentinel serve` with the shipped playbooks takes batches at a rate, blocks a probe address a second (how long
until another connection hears of it?), and is asked by streams, the explorer and the console. With a pace the time of
the events runs faster than the clock, so that windows fill and are let go of while it lasts. What is bounded is full
from the beginning where events are stored (as `explorer.py` does) and sent before, as fast as they are taken. Printed
are the process's memory, open files and threads over the time, latencies by kind with the longest, and how the last
third compares with the first.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from bench.explorer import fill
from bench.feed import Listener
from bench.ingest import PROBE, Target
from bench.stream import lines
from sentinel.content import folder
from sentinel.core.duration import SECOND
from sentinel.service.setup import APP, First, first_start
from sentinel.store.embedded.store import open_store

BATCH, STREAMS = 100, 50
PASSWORD = "river anvil seven moss"
QUESTIONS = (
    "/v1/events?limit=50", "/v1/events?limit=50&user=id:7", "/v1/events/top?field=ip",
    "/v1/events/timeseries?interval=hour", "/v1/events/names",
    "/v1/users?limit=50", "/v1/findings", "/v1/decisions", "/v1/users/id:7", "/v1/playbooks",
    "/v1/events?q=not%20success&limit=20", "/metrics",
)  # fmt: skip
PAGES = ("/overview", "/findings", "/decisions", "/settings/keys", "/settings/audit", "/addresses")


class State(NamedTuple):
    """The server's process at a time: seconds since the beginning, bytes, open files, threads."""

    at: float
    memory: int
    files: int
    threads: int
    groups: int
    stored: int


class Soak:
    """One run: who calls, how long each answer took, and what went wrong."""

    def __init__(self, target: Target, token: str, home: Path, start: int, options: argparse.Namespace) -> None:
        self.target = target
        self.token = token
        self.home = home
        self.seconds: float = options.seconds
        self.rate: int = options.rate
        self.names: int = options.names
        self.pace: int = options.pace
        self.before: int = options.before
        self.senders: int = options.senders
        self.start = start
        self.made = self.events()
        self.making = threading.Lock()
        self.newest = ""  # the time of the newest event sent
        self.sent = 0
        self.waits: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.wrong: dict[str, int] = defaultdict(int)
        self.states: list[State] = []
        self.began = time.perf_counter()
        self.lasted = 0.0
        self.over = threading.Event()

    def run(self, cookie: str) -> None:
        """Have everybody call until the time is over."""
        calls: list[Callable[[], None]] = [self.probe, self.explore, lambda: self.visit(cookie)]
        calls += [self.ingest] * self.senders
        threads = [threading.Thread(target=self.kept_on, args=(call,), daemon=True) for call in calls]
        self.fill()
        listeners = [Listener(self.target) for _ in range(STREAMS)]
        self.listener = listeners[0]
        self.began = time.perf_counter()
        for thread in threads:
            thread.start()
        while time.perf_counter() - self.began < self.seconds and self.target.process.poll() is None:
            self.look()
            self.over.wait(5)
        self.lasted = time.perf_counter() - self.began
        self.over.set()
        for thread in threads:
            thread.join(30)

    def kept_on(self, call: Callable[[], None]) -> None:
        """Call again after what a network may do; every failure is counted."""
        while not self.over.is_set():
            try:
                call()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.wrong[f"{type(error).__name__} {str(error)[:60]}"] += 1
                self.over.wait(0.5)

    def look(self) -> None:
        """Note the state of the process."""
        place = Path(f"/proc/{self.target.process.pid}")
        said = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", (place / "status").read_text(), re.MULTILINE))
        at = time.perf_counter() - self.began
        files = sum(1 for _ in (place / "fd").iterdir())
        stored = sum(file.stat().st_size for file in self.home.glob("data/*.*"))
        self.states.append(State(at, int(said["VmRSS"]) << 10, files, int(said["Threads"]), self.groups(), stored))

    def groups(self) -> int:
        """Return how many groups windows hold: what memory is for."""
        connection = self.connected()
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {self.token}"})
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(int(float(found)) for found in re.findall(r"^sentinel_groups\{.*\} (\S+)$", text, re.MULTILINE))

    def ask(self, kind: str, connection: http.client.HTTPConnection, method: str, path: str, **more: object) -> None:
        """Send one request, and note how long its whole answer took."""
        began = time.perf_counter()
        connection.request(method, path, **more)  # type: ignore[arg-type]
        response = connection.getresponse()
        response.read()
        self.waits[kind].append((began - self.began, time.perf_counter() - began))
        if response.status >= 400:
            self.wrong[f"{kind} {response.status}"] += 1

    def connected(self) -> http.client.HTTPConnection:
        """Return a connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=60)

    def events(self) -> Iterator[str]:
        """Give the events to be sent."""
        mark = f"{time.time_ns() & 0xFFFFFFFFFF:010x}"  # another in each run, so that no id is known
        middle = f"-{mark[:4]}-7{mark[4:7]}-8{mark[7:]}-"
        rate = max(1, self.rate // self.pace)
        for line in lines(10**12, users=self.names, addresses=self.names, rate=rate, start=self.start):
            if '"success":false' not in line or '0","email' in line:
                yield line.replace("-0000-7000-8000-", middle)

    def send(self, kind: str, connection: http.client.HTTPConnection, number: int) -> None:
        """Send the next events in one batch."""
        with self.making:
            batch = list(islice(self.made, number))
            self.newest = batch[-1].partition('"timestamp":"')[2].partition('"')[0]
            self.sent += number
        body = "[" + ",".join(batch) + "]"
        head = {"Authorization": f"Bearer {self.target.key}"}
        self.ask(kind, connection, "POST", "/v1/events", body=body.encode(), headers=head)

    def fill(self) -> None:
        """Send what is sent before, as fast as it is taken; nothing of it is reported."""
        connection = self.connected()
        while self.sent < self.before:
            self.send("before", connection, 5 * BATCH)
        self.sent = 0
        self.waits.clear()

    def ingest(self) -> None:
        """Send one sender's part of the rate in batches; late ones are not made up for."""
        connection, pace = self.connected(), BATCH * self.senders / self.rate
        due = time.perf_counter()
        while not self.over.wait(max(0.0, due - time.perf_counter())):
            due = max(due + pace, time.perf_counter() - 1)
            self.send("batch of 100", connection, BATCH)

    def probe(self) -> None:
        """Block an address a second, and note how long it took until a stream heard of it."""
        connection, head = self.connected(), {"Authorization": f"Bearer {self.target.key}"}
        while not self.newest and not self.over.wait(0.05):
            pass
        for number in range(60_000):
            ip = f"203.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
            began = time.perf_counter()
            event = {"event": "probe", "ip": ip, "timestamp": self.newest}
            connection.request("POST", "/v1/events", json.dumps(event), head)
            connection.getresponse().read()
            while ip not in self.listener.heard and time.perf_counter() - began < 10:
                time.sleep(0.001)
            self.waits["event to feed"].append((began - self.began, time.perf_counter() - began))
            if self.over.wait(1):
                return

    def explore(self) -> None:
        """Ask what analysts ask, one question after another."""
        connection, head = self.connected(), {"Authorization": f"Bearer {self.token}"}
        for path in QUESTIONS:
            self.ask("explorer", connection, "GET", path, headers=head)
            if self.over.wait(0.4):
                return

    def visit(self, cookie: str) -> None:
        """Read the console's pages."""
        connection = self.connected()
        for path in PAGES:
            self.ask("console page", connection, "GET", path, headers={"Cookie": cookie})
            if self.over.wait(0.5):
                return

    def report(self) -> None:
        """Print what became of it."""
        lasted = self.lasted
        print(
            f"{self.sent:,} events in {lasted:.0f} s ({self.sent / lasted:,.0f}/s of {self.rate:,}), {STREAMS} streams"
        )
        for name, shown in self.eighths():
            print(f"{name:14} " + " ".join(f"{value:6,}" for value in shown))
        for kind, found in sorted(self.waits.items()):
            longest = max((took, at) for at, took in found)
            first = sorted(took for at, took in found if at < lasted / 3)
            last = sorted(took for at, took in found if at >= lasted * 2 / 3)
            if first and last:
                print(
                    f"{kind:14} n {len(found):7,}  first third p50 {part(first, 50):7.1f} p99 {part(first, 99):7.1f} ms"
                    f"  last third p50 {part(last, 50):7.1f} p99 {part(last, 99):8.1f} ms   "
                    f"drift of p50 {part(last, 50) / part(first, 50):.2f}   "
                    f"longest {longest[0] * 1e3:,.0f} ms, at {longest[1]:.0f} s"
                )
        print("went wrong:", dict(self.wrong) or "nothing")

    def eighths(self) -> Iterator[tuple[str, list[int]]]:
        """Give figures of the process by eighths of the time, as means: what waits to be searchable comes and goes."""
        size = -(-len(self.states) // 8)
        lots = [self.states[at : at + size] for at in range(0, len(self.states), size)]

        def mean(one: Callable[[State], int]) -> list[int]:
            return [sum(map(one, lot)) // len(lot) for lot in lots]

        yield "memory, MiB", mean(lambda state: state.memory >> 20)
        yield "at most, MiB", [max(state.memory >> 20 for state in lot) for lot in lots]
        yield "open files", mean(lambda state: state.files)
        yield "threads", mean(lambda state: state.threads)
        yield "groups, 1000s", mean(lambda state: state.groups // 1000)
        yield "on disk, MiB", mean(lambda state: state.stored >> 20)


def part(found: list[float], percent: int) -> float:
    """Return a percentile of sorted seconds, in milliseconds."""
    return found[len(found) * percent // 100] * 1e3


def begins(options: argparse.Namespace) -> int:
    """Return the time of the first event sent, in seconds, so that the last is of about now."""
    lasting = options.seconds + options.before / options.rate
    return int(time.time() - 1.25 * lasting * (options.pace - 1))  # not all lines are sent


def prepare(data: Path, stored: int, before: int) -> First:
    """Make the first app, with so many events before a time in seconds, and return the first secrets."""
    with contextlib.closing(open_store(data)) as store:
        first = first_start(store, time.time_ns() // 1000)
    assert first is not None
    if stored:
        fill(data, stored, before * SECOND, APP)
    return first


@contextlib.contextmanager
def serving(home: Path, key: str) -> Iterator[tuple[Target, str]]:
    """Run a server; give it and its local token."""
    chosen = home / "playbooks"
    chosen.mkdir()
    for file in folder("playbooks").rglob("*.yaml"):
        (chosen / file.name).write_text(file.read_text())
    (chosen / "probe.yaml").write_text(PROBE)
    entry = "import sys; from sentinel.cli import main; sys.exit(main())"
    flags = ("--data", str(home / "data"), "--port", "0", "--playbooks", str(chosen), "--rules", str(folder("rules")))
    command = [sys.executable, "-c", entry, "serve", *flags, "--rate", "1000000", "--log-level", "error"]
    with (home / "errors").open("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            token = json.loads((home / "data" / "server.json").read_text())["token"]
            yield Target(process, port, key), token
        finally:
            process.send_signal(signal.SIGTERM)
            print("ended with code", process.wait(60))
            errors.seek(0)
            said = errors.read()
            print(f"{said.count(chr(10))} lines of errors", said[:500])


def signed_in(port: int, code: str) -> str:
    """Use the first link, and return the session's cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    form = urlencode({"code": code, "name": "soak", "password": PASSWORD, "again": PASSWORD})
    head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{port}"}
    connection.request("POST", "/welcome", form, head)
    response = connection.getresponse()
    assert response.status == 303, response.read()[-400:]
    return (response.getheader("Set-Cookie") or "").partition(";")[0]


def main(options: argparse.Namespace) -> None:
    """Run it and print."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as scratch:
        home, start = Path(scratch), begins(options)
        first = prepare(home / "data", options.stored, start)
        with serving(home, first.key) as (target, token):
            wait_ready(target.port)
            soak = Soak(target, token, home, start, options)
            soak.run(signed_in(target.port, first.link))
            soak.report()


def wait_ready(port: int) -> None:
    """Wait until events are taken."""
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.1)
    raise SystemExit("the server did not become ready")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--rate", type=int, default=2_000, help="events a second")
    arguments.add_argument("--senders", type=int, default=4, help="processes that the events are of")
    arguments.add_argument("--names", type=int, default=20_000, help="users, and addresses; few fill windows soon")
    arguments.add_argument("--pace", type=int, default=1, help="how many times faster the time of the events runs")
    arguments.add_argument("--stored", type=int, default=0, help="events of the thirty days before those")
    arguments.add_argument("--before", type=int, default=0, help="events sent first, as fast as they are taken")
    main(arguments.parse_args())
