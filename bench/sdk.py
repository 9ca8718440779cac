"""What the SDK costs an application: a request, a look-up among a million, an event, a large list arriving.

    python bench/sdk.py [USERS]

Every figure stands beside a named alternative measured in the same run; only the ratios mean something.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import logging
import os
import random
import resource
import sys
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from sentinel import sdk
from sentinel.api.feed import encode
from sentinel.core.decision import Decision, Delta, Subject
from sentinel.core.decisions import Decisions, Draft
from sentinel.core.wire import read_decision
from sentinel.sdk import asgi, testing, wsgi
from sentinel.sdk.deltas import DeltaReader

USERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
NETWORKS = USERS // 10
FAR = 4_000_000_000_000_000


def each(work: Callable[[], object], times: int = 20_000, rounds: int = 7) -> float:
    """Return the microseconds a call takes, the best of some rounds."""
    return min(timeit.repeat(work, number=times, repeat=rounds)) / times * 1e6


def resident() -> float:
    """Return this process's memory in megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def bare_asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def bare_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


HEADERS = [(b"host", b"shop.example"), (b"user-agent", b"Browser/1.0"), (b"accept", b"*/*")]


def request(app: Any) -> Callable[[], None]:
    """Return a function that sends one request through an ASGI application, no server between."""

    async def send(message: Any) -> None:
        pass

    def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": HEADERS, "client": ("203.0.113.9", 1)}
        with contextlib.suppress(StopIteration):
            app(scope, None, send).send(None)

    return run


def requests() -> None:
    """Compare requests with the middleware and without it."""
    with testing.capture() as sentinel:
        sentinel.decide("block", network="198.51.100.0/24")
        sentinel.decide("block", user="somebody else")

        async def identifying(scope: Any, receive: Any, send: Any) -> None:
            sdk.identify(42)
            await bare_asgi(scope, receive, send)

        bare = each(request(bare_asgi))
        around = each(request(asgi.SentinelMiddleware(bare_asgi)))
        identified = each(request(asgi.SentinelMiddleware(identifying)))
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "203.0.113.9"}
        plain = each(lambda: bare_wsgi(dict(environ), lambda *_: None))
        wrapped = each(lambda: wsgi.SentinelMiddleware(bare_wsgi)(dict(environ), lambda *_: None))
    added = around - bare
    print(f"a request through the ASGI middleware: +{added:.1f} µs (bare {bare:.1f}, ratio {around / bare:.1f})")
    print(f"  and with `identify`: +{identified - bare:.1f} µs (ratio {identified / bare:.1f})")
    added = wrapped - plain
    print(f"a request through the WSGI middleware: +{added:.1f} µs (bare {plain:.1f}, ratio {wrapped / plain:.1f})")


def served() -> None:
    """Compare requests to a real application behind uvicorn, in turns."""
    try:
        import uvicorn
        from fastapi import FastAPI
    except ImportError:
        print("a request to FastAPI behind uvicorn: not measured, they are not installed")
        return

    def serve(protected: bool) -> tuple[uvicorn.Server, http.client.HTTPConnection]:
        app = FastAPI()
        app.get("/")(lambda: {"hello": "world"})
        if protected:
            app.add_middleware(asgi.SentinelMiddleware)  # type: ignore[arg-type]
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
        threading.Thread(target=server.run, daemon=True).start()
        while not server.started:
            time.sleep(0.01)
        return server, http.client.HTTPConnection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])

    def ask(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/")
        connection.getresponse().read()

    with testing.capture():
        sites = [serve(False), serve(True)]
        best = [9e9, 9e9]
        for _ in range(20):
            best = [min(one, each(partial(ask, site), 100, 1)) for one, (_, site) in zip(best, sites, strict=True)]
        for server, connection in sites:
            connection.close()
            server.should_exit = True
    bare, protected = best
    print(f"a request to FastAPI behind uvicorn: {protected:.0f} µs, bare {bare:.0f}, ratio {protected / bare:.2f}")


def decisions(first: int, count: int) -> Iterator[Decision]:
    for n in range(first, first + count):
        yield Decision(
            os.urandom(16).hex(), "block", "user", f"id:{n}", until=FAR + n, playbook="stuffing", reason="why"
        )


def networks(count: int) -> Iterator[Decision]:
    numbers = random.Random(7)
    for n in range(count):
        length = numbers.choice((20, 22, 24, 24, 32))
        bits = ".".join(str(numbers.randint(11, 200)) for _ in range(4))
        yield Decision(os.urandom(16).hex(), "block", "network", f"{bits}/{length}", until=FAR + n, playbook="lists")


def lookups() -> None:
    """Compare the set of decisions with a dictionary of them."""
    gc.collect()
    empty = resident()
    draft = Draft(Decisions(os.urandom(16)))
    for decision in decisions(0, USERS):
        draft.add(decision)
    kept = draft.done(1)
    del draft
    gc.collect()
    compact = resident() - empty
    draft = Draft(kept)
    for decision in networks(NETWORKS):
        draft.add(decision)
    kept = draft.done(2)
    gc.collect()
    empty = resident()
    plain = {decision.value: (decision,) for decision in decisions(0, USERS)}
    gc.collect()
    loose = resident() - empty
    print(f"{USERS:,} users: {compact:.0f} MB, a dictionary of objects {loose:.0f} MB, ratio {loose / compact:.1f}")
    subjects = cycle([Subject((f"id:-{n}",), f"10.{n % 250}.{n // 250 % 250}.{n % 7}") for n in range(20_000)])
    users = cycle([f"id:-{n}" for n in range(20_000)])
    ours = each(lambda: kept.match(next(subjects), 1))
    alone = cycle([Subject((f"id:-{n}",)) for n in range(20_000)])
    user = each(lambda: kept.match(next(alone), 1))
    theirs = each(lambda: plain.get(next(users)))
    print(f"a look-up of user and address, {NETWORKS:,} networks: {ours:.2f} µs (user alone {user:.2f},", end=" ")
    print(f"dictionary, user alone {theirs:.2f})")
    delta = Delta(3, tuple(decisions(USERS, 1)))
    change = each(lambda: kept.apply(delta), 100)
    copy = each(lambda: {**plain, delta.added[0].value: delta.added}, 3)
    print(f"one more decision: {change:.0f} µs, a copy of the dictionary {copy:.0f} µs, ratio {copy / change:.0f}")


def events() -> None:
    """Compare `track` with a line of logging."""
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    with Path(os.devnull).open("w") as null:
        handler = logging.StreamHandler(null)
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
        properties = {"amount": 12, "currency": "EUR", "note": "a short text"}
        with testing.capture():
            ours = each(lambda: sdk.track("invoice.created", properties, {"id": 42}))
        theirs = each(lambda: logger.info("invoice.created %s %s", properties, {"id": 42}))
        logger.removeHandler(handler)
    print(f"an event tracked: {ours:.1f} µs, a line logged {theirs:.1f} µs, ratio {ours / theirs:.1f}")


def longest_stall(work: Callable[[], object]) -> float:
    """Return the longest time in milliseconds another thread had to wait for its turn during some work."""
    done = threading.Event()
    worst = [0.0]

    def tick() -> None:
        while not done.is_set():
            began = time.perf_counter()
            time.sleep(0)
            worst[0] = max(worst[0], time.perf_counter() - began)

    thread = threading.Thread(target=tick)
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)  # what is left is what one step holds
    thread.start()
    work()
    done.set()
    thread.join()
    sys.setswitchinterval(before)
    return worst[0] * 1e3


def arrival() -> None:
    """Compare a large list read while it arrives with one read at once."""
    text = f"{{{encode(Delta(1, tuple(decisions(0, USERS // 10)), reset=True)).tail.decode()}"

    def in_pieces() -> None:
        reader = DeltaReader(Decisions())
        for at in range(0, len(text), 65536):
            reader.feed(text[at : at + 65536])
        reader.finish()

    def at_once() -> None:
        found = json.loads(text)
        Decisions().apply(Delta(found["revision"], tuple(map(read_decision, found["added"])), reset=True))

    # The least of three: another process may hold the processor, and is none of our doing.
    ours, theirs = (min(longest_stall(work) for _ in range(3)) for work in (in_pieces, at_once))
    print(f"a list of {USERS // 10:,} arriving stops others for {ours:.1f} ms at most,", end=" ")
    print(f"read at once {theirs:.1f} ms, ratio {theirs / ours:.0f}")


if __name__ == "__main__":
    for part in (requests, served, events, arrival, lookups):
        part()
