"""How long it takes from sending an event until another connection hears of the decision it led to.

    python -m bench.feed [--rate 5000] [--stored 10000000] [--across]

One connection sends the event that opens a finding, a stream of the feed waits for the block. On an idle server, then
in turns while others send batches, and while somebody uses the explorer besides; beside each the time the same server
takes to answer `/healthz`, which does nothing, how many events a second came in, how many batches were sent more than a
second late, how many questions were answered and how long they took, and what others took of the machine meanwhile.
With `--stored` so many events of `explorer.py` are there beforehand, and it is these that are asked about.

`--across` takes two servers over one PostgreSQL and one Valkey: events go to one, and in turns its own stream and the
other's are waited for.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.ingest import BATCH, Target, batches, running

PAUSE = 0.01
APART = 0.1  # seconds between two questions
QUESTIONS = (
    "/v1/events?limit=50", "/v1/events/top?field=ip", "/v1/events/timeseries?interval=hour", "/v1/events/names",
    "/v1/users/id:7", "/v1/events?q=not%20success&limit=20", "/v1/events/timeseries?interval=day&group_by=ip",
)  # fmt: skip


class Listener:
    """Follows the feed and notes when each address was heard of."""

    def __init__(self, target: Target) -> None:
        self.heard: dict[str, float] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port)
        self._connection.request("GET", "/v1/feed/stream", headers={"Authorization": f"Bearer {target.key}"})
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while line := self._response.readline():
            if line.startswith(b"data:"):
                at = time.perf_counter()
                for decision in json.loads(line[5:])["added"]:
                    self.heard.setdefault(decision["value"], at)


def post(connection: http.client.HTTPConnection, target: Target, body: bytes) -> None:
    """Send events, again while the server cannot take them."""
    status = 503
    while status == 503:
        connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {target.key}"})
        response = connection.getresponse()
        answer, status = response.read(), response.status
    assert status == 200, answer[:200]


def probe(target: Target, listener: Listener, first: int, count: int) -> tuple[list[float], list[float]]:
    """Have so many addresses blocked, one after the other; return the seconds until heard, and those of `/healthz`."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    waits, idle = [], []
    for number in range(first, first + count):
        ip = f"198.51.{number // 250}.{number % 250 + 1}"
        began = time.perf_counter()
        post(connection, target, json.dumps({"event": "probe", "ip": ip}).encode())
        while ip not in listener.heard:
            assert time.perf_counter() - began < 10, "nobody heard of it"
            time.sleep(0.0002)
        waits.append(listener.heard[ip] - began)
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        idle.append(time.perf_counter() - began)
        time.sleep(PAUSE)
    return sorted(waits), sorted(idle)


@dataclass(slots=True)
class Pressed:
    """What came in: events, and how many batches were sent more than a second late."""

    events: int = 0
    late: int = 0


def press(target: Target, made: list[bytes], rate: int, over: threading.Event, pressed: Pressed) -> None:
    """Send batches at a rate of events a second until all is over."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    began = time.perf_counter()
    for number, batch in enumerate(made):
        wait = began + number * BATCH / rate - time.perf_counter()
        if over.wait(max(0.0, wait)):
            return
        post(connection, target, batch)
        pressed.events += BATCH
        pressed.late += wait < -1
    assert over.is_set(), "there are no more events"


def explore(target: Target, over: threading.Event, took: list[float]) -> None:
    """Ask what analysts ask, one question after another, and note how long each took."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    while not over.is_set():
        for path in QUESTIONS:
            began = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"Bearer {target.reader}"})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, (path, answer[:200])
            took.append(time.perf_counter() - began)
            if over.wait(APART):
                return


def show(what: str, waits: list[float], idle: list[float]) -> None:
    """Print one line."""
    middle, late = len(waits) // 2, len(waits) * 99 // 100
    print(
        f"{what:22} event to feed p50 {waits[middle] * 1e3:6.1f} ms  p99 {waits[late] * 1e3:6.1f} ms   "
        f"/healthz p50 {idle[middle] * 1e3:6.1f} ms   ratio {waits[middle] / idle[middle]:.1f}"
    )


def across(count: int) -> None:
    """Print how long a decision takes to the streams of the server that makes it, and of another one, in turns."""
    from bench.scale import site

    with site(2, 1, probe=True) as (targets, _, _):
        here, there = targets
        near, far = Listener(here), Listener(there)
        probe(here, near, 0, 20)
        show("the same server's stream", *probe(here, near, 100, count))
        show("another server's stream", *probe(here, far, 5_000, count))


def machine() -> float:
    """Return the seconds that all processors were busy for anybody."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, *interrupts = map(int, fields[:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def told(what: str, target: Target, pressed: Pressed, took: list[float]) -> Iterator[None]:
    """Print what came in meanwhile, and what was asked."""
    began, cpu, events, late = time.perf_counter(), target.cpu(), pressed.events, pressed.late
    others = machine() - cpu - time.process_time()
    yield
    seconds = time.perf_counter() - began
    asked = sorted(took)
    questions = f"  {len(asked) / seconds:.1f} questions/s, p50 {asked[len(asked) // 2] * 1e3:.0f} ms" if asked else ""
    print(
        f"{what:22} {(pressed.events - events) / seconds:7,.0f} events/s came in, {pressed.late - late} batches late,"
        f" {(target.cpu() - cpu) / seconds:.2f} processors{questions};"
        f" what is none of this took {(machine() - target.cpu() - time.process_time() - others) / seconds:.2f}"
    )


def main(count: int, rate: int, stored: int) -> None:
    """Print all: idle, under load, and while the explorer is used."""
    made = batches(max(1, rate * 240 // BATCH))
    with running("probe", stored) as target:
        listener = Listener(target)
        probe(target, listener, 0, 20)
        show("idle", *probe(target, listener, 100, count))
        over, pressed = threading.Event(), Pressed()
        pressing = threading.Thread(target=press, args=(target, made, rate, over, pressed))
        pressing.start()
        for turn in range(2):  # in turns, for the machine is not always as fast
            with told(f"{rate:,} events/s", target, pressed, []):
                show("", *probe(target, listener, 10_000 + 4_000 * turn, count))
            asked, took = threading.Event(), list[float]()
            asking = threading.Thread(target=explore, args=(target, asked, took))
            asking.start()
            with told("and the explorer", target, pressed, took):
                show("", *probe(target, listener, 12_000 + 4_000 * turn, count))
            asked.set()
            asking.join()
        over.set()
        pressing.join()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--rate", type=int, default=2_000, help="events a second, in batches of 500")
    arguments.add_argument("--stored", type=int, default=0, help="events stored beforehand")
    arguments.add_argument("--across", action="store_true", help="two servers over one database")
    given = arguments.parse_args()
    if given.across:
        across(given.count)
    else:
        main(given.count, given.rate, given.stored)
