"""How long does a server take until it takes events, with ten million stored and a day's windows?

    python -m bench.startup [EVENTS] [FOLDER]

The events are of thirty days up to now, written straight into the table as `explorer.py` does. `sentinel serve` is then
started over them again and again: for the first time (windows and familiar places are folded from the events), after a
stop in order (from the saved state), and after a `kill -9` with events since. Beside each the start of a server that
has never seen an event, in turns.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench import explorer
from bench.ingest import BATCH, PLAYBOOKS
from sentinel.content import folder
from sentinel.core.duration import DAY
from sentinel.store.embedded.store import open_store

GOAL = 20.0
SINCE = 100  # batches between the last saved state and the kill
ENTRY = [sys.executable, "-c", "import sys; from sentinel.cli import main; sys.exit(main())"]
DAYLONG = """
playbook: logins-in-a-day
title: Many failed logins of one user in a day
event: auth
where: not success
group_by: user
window: 1d
when: {count: 1000}
---
playbook: users-in-a-day
title: Many users from one address in a day
event: auth
group_by: ip
window: 1d
when: {distinct: {user: 1000}}
"""


class Begun(NamedTuple):
    """A server that takes events: its process, port, how long it took by the clock and of processors, its MiB."""

    process: subprocess.Popen[str]
    port: int
    seconds: float
    cpu: float
    memory: int

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, in order or not."""
        self.process.send_signal(number)
        self.process.wait()


def begin(home: Path) -> Begun:
    """Start a server and wait until it takes events."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*ENTRY, "serve", "--data", str(home / "data"), "--port", "0", "--playbooks", str(home / "playbooks"),
         "--rules", str(folder("rules"))],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=home,
    )  # fmt: skip
    assert process.stdout is not None
    found = re.search(r":(\d+)$", process.stdout.readline().strip())
    assert found, "the server did not start"
    port = int(found[1])
    while not ready(port):
        assert process.poll() is None, "the server ended"
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    status = Path(f"/proc/{process.pid}/status").read_text()
    times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    cpu = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
    return Begun(process, port, seconds, cpu, int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) >> 10)


def ready(port: int) -> bool:
    """Say whether a server takes events."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def send(port: int, key: str, batches: int) -> None:
    """Send failed logins of many users."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for batch in range(batches):
        events = [
            {"event": "auth", "success": False, "user": f"u{(batch * BATCH + n) * 7919 % 200_000}",
             "ip": f"198.18.{n % 200}.{batch % 250}"}
            for n in range(BATCH)
        ]  # fmt: skip
        connection.request("POST", "/v1/events", json.dumps(events), {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()


def furnished(home: Path, events: int) -> str:
    """Make the folders of a server with so many events, and return a key of its app."""
    chosen = home / "playbooks"
    chosen.mkdir(parents=True)
    for path in folder("playbooks").rglob("*.yaml"):
        if path.stem in PLAYBOOKS:
            (chosen / path.name).write_text(path.read_text())
    (chosen / "day.yaml").write_text(DAYLONG)
    if not events:
        return ""
    explorer.END = time.time_ns() // 1000
    explorer.START = explorer.END - explorer.DAYS * DAY
    explorer.fill(home / "data", events)
    store = open_store(home / "data")
    try:
        return store.access.make_key("shop", "sdk", "bench", 1)[1]
    finally:
        store.close()


def told(what: str, full: Begun, empty: Begun) -> None:
    """Print one start and the one beside it."""
    over = "" if full.seconds <= GOAL else f"  OVER {GOAL:.0f} s"
    print(
        f"{what:34} {full.seconds:6.1f} s {full.cpu:6.1f} s of CPU {full.memory:6} MiB   without events "
        f"{empty.seconds:5.1f} s {empty.cpu:5.1f} s of CPU   {full.cpu / empty.cpu:4.1f} times{over}", flush=True,
    )  # fmt: skip


def beside(home: Path) -> Begun:
    """Start the server without events, and end it."""
    found = begin(home)
    found.end()
    return found


def main() -> None:
    """Print each way to start."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        full, empty = Path(name) / "full", Path(name) / "empty"
        key = furnished(full, count)
        furnished(empty, 0)
        print(f"{count:,} events of {explorer.DAYS} days, load {os.getloadavg()[0]:.1f}", flush=True)
        beside(empty)
        found = begin(full)
        told("for the first time: all is folded", found, beside(empty))
        found.end()
        for _ in range(3):
            found = begin(full)
            told("after a stop: from the saved state", found, beside(empty))
            found.end()
        found = begin(full)
        send(found.port, key, SINCE)
        found.end(signal.SIGKILL)
        found = begin(full)
        told(f"after kill -9, {SINCE * BATCH:,} events since", found, beside(empty))
        found.end()


if __name__ == "__main__":
    main()
