"""What does a page of the console take, beside the answers of the API that say the same?

    python bench/console.py [EVENTS] [FOLDER]

One server over events of thirty days up to now, 500 findings and 500 decisions. Each page, and the API's answers it is
the twin of, are asked for in turns on one connection. Printed are the medians of 10 runs after two that do not count,
the bytes of the page, and how many times its twins it takes. The folder is removed afterwards.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import uvicorn

from bench.explorer import fill
from bench.ingest import PROBE
from sentinel.app import Server, open_server
from sentinel.content import folder
from sentinel.core.duration import DAY, HOUR, SECOND
from sentinel.settings import Settings

RUNS, FOUND = 10, 500


class Page(NamedTuple):
    """A page's path, and the paths of the API that say what it says."""

    path: str
    twins: tuple[str, ...]


class Visitor:
    """Somebody who is signed in, and has a key."""

    def __init__(self, port: int, session: str, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._pages, self._api = {"Cookie": f"sentinel={session}"}, {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> tuple[int, bytes]:
        """Return an answer's status, and it."""
        self._connection.request("GET", path, headers=self._api if path.startswith("/v1/") else self._pages)
        response = self._connection.getresponse()
        return response.status, response.read()

    def ask(self, path: str) -> tuple[float, bytes]:
        """Return how many milliseconds an answer took, and it."""
        began = time.perf_counter()
        status, body = self.get(path)
        assert status == 200, (path, status, body[:300])
        return (time.perf_counter() - began) * 1000, body

    def send(self, events: list[dict[str, Any]]) -> None:
        """Send events."""
        head = {**self._api, "Content-Type": "application/json"}
        self._connection.request("POST", "/v1/events", json.dumps(events), head)
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, body[:300]


def pages(visitor: Visitor, now: int) -> Iterator[Page]:
    """Give the pages that show events, findings or decisions, with their twins over the same time, to an hour.

    That hour keeps a week from growing longer while one asks: of more than a week distinct users are estimated.
    """
    day, week, month = (f"from={quote(_stamp(now - length + HOUR))}&" for length in (DAY, 7 * DAY, 30 * DAY))
    tops = [f"/v1/events/top?{day}previous=false&field={field}" for field in
            ("event", "user", "ip", "geo.country", "success", "request.route")]  # fmt: skip
    hours = f"/v1/events/timeseries?{day}previous=false&interval=hour"
    event = json.loads(visitor.ask("/v1/events?limit=1")[1])["items"][0]["id"]
    finding = json.loads(visitor.ask("/v1/findings?limit=1")[1])["items"][0]["id"]
    decision = json.loads(visitor.ask("/v1/decisions?limit=1")[1])["items"][0]["id"]
    minutes = f"/v1/events/timeseries?from={quote(_stamp(now - HOUR))}&interval=minute"
    yield Page("/overview", (minutes, "/v1/findings?limit=8", "/v1/decisions?limit=1", "/v1/playbooks"))
    yield Page("/explorer", (f"/v1/events?{day}limit=50", hours, *tops))
    rare = "q=" + quote('properties.feature == "f7"')
    yield Page(f"/explorer?{rare}", tuple(f"{one}&{rare}" for one in (f"/v1/events?{day}limit=50", hours, *tops)))
    yield Page(f"/explorer/events/{event}", (f"/v1/explain/event/{event}",))
    yield Page("/people", (f"/v1/users?{week}limit=50",))
    yield Page("/people/id%3A77", ("/v1/users/id%3A77",))
    yield Page("/addresses", (f"/v1/events/top?{week}previous=false&field=ip&limit=50",))
    yield Page("/addresses/198.18.7.7", ("/v1/ips/198.18.7.7",))
    yield Page("/reports", ("/v1/reports/day",))
    yield Page("/reports/names", (f"/v1/events/names?{week}",))
    steps = "step=signup&step=search&step=export&window=1d"
    yield Page(f"/reports/funnel?range=7d&{steps}", (f"/v1/funnel?{week}{steps}",))
    yield Page("/reports/retention?range=30d&interval=day", (f"/v1/retention?{month}interval=day",))
    yield Page("/findings", ("/v1/findings?limit=50",))
    yield Page(f"/findings/{finding}", (f"/v1/findings/{finding}",))
    yield Page("/decisions", ("/v1/decisions?limit=50",))
    yield Page(f"/decisions/{decision}", (f"/v1/decisions/{decision}",))
    yield Page("/playbooks", ("/v1/playbooks",))
    yield Page("/settings", ("/v1/schema", "/v1/enforcement"))
    yield Page("/settings/audit", ("/v1/audit?limit=50",))


def _stamp(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // SECOND))


@contextmanager
def visited(server: Server) -> Iterator[Visitor]:
    """Run a server while the block runs."""
    _, key = server.store.access.make_key("shop", "admin", "bench", 1)
    session = server.accounts.accept(
        server.accounts.invite("bench", "admin", ("shop",), "bench").code, "", "a b c d e f g"
    )
    serving = uvicorn.Server(uvicorn.Config(server.front, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=serving.run)
    thread.start()
    try:
        while not serving.started:
            time.sleep(0.05)
        visitor = Visitor(serving.servers[0].sockets[0].getsockname()[1], session, key)
        while json.loads(visitor.get("/readyz")[1])["status"] != "ok":
            time.sleep(0.1)
        yield visitor
    finally:
        serving.should_exit = True
        thread.join()


def report(visitor: Visitor, page: Page) -> None:
    """Print what one page takes."""
    took: list[float] = []
    beside: list[float] = []
    for _ in range(RUNS + 2):
        milliseconds, body = visitor.ask(page.path)
        took.append(milliseconds)
        beside.append(sum(visitor.ask(twin)[0] for twin in page.twins))
    ours, theirs = statistics.median(took[2:]), statistics.median(beside[2:])
    name = page.path if len(page.path) < 44 else page.path[:43] + "…"
    print(
        f"{name:44} {ours:6.0f} {len(body) / 1024:6.0f} {theirs:6.0f} {len(page.twins):3} {ours / theirs:6.1f}",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        home, now = Path(name), time.time_ns() // 1000
        fill(home / "data", count, now)
        (home / "probe.yaml").write_text(PROBE)
        shipped = (folder("playbooks"), home / "probe.yaml")
        server = open_server(
            Settings(data=home / "data", playbooks=shipped, rules=(folder("rules"),), log_level="error")
        )
        server.first()
        with visited(server) as visitor:
            visitor.send(
                [{"event": "probe", "user": f"p{n}", "ip": f"203.0.{n // 250}.{n % 250}"} for n in range(FOUND)]
            )
            print(f"{count:,} events\n{'':44} {'ms':>6} {'KiB':>6} {'twins':>6} {'':3} {'ratio':>6}")
            for page in pages(visitor, now):
                report(visitor, page)


if __name__ == "__main__":
    main()
