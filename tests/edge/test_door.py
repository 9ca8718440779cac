"""Whose connection a request came by, for those who take it as a sign; how many large bodies are decoded at once."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import threading

import pytest

from sentinel.core.proxies import Proxies
from sentinel.edge.access import Caller
from sentinel.edge.batch import Parsed
from sentinel.edge.door import AT_ONCE, LARGE_AT_ONCE, SMALL, UNREAD, Door
from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets
from sentinel.edge.wire import Budget, Headers

PROXY = Proxies((ipaddress.ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("client", "headers", "found"),
    [
        (("192.0.2.1", 4000), [], ("192.0.2.1", 4000)),
        (("::ffff:192.0.2.1", 4000), [], ("192.0.2.1", 4000)),
        (("10.0.0.1", 4000), [], None),
        (("10.0.0.1", 4000), [(b"x-forwarded-for", b"192.0.2.1")], None),
        (("192.0.2.1", 4000), [(b"x-forwarded-for", b"")], None),
        (("192.0.2.1", 4000), [(b"forwarded", b"for=unknown")], None),
        (("192.0.2.1", 4000), [(b"via", b"1.1 edge")], None),
        (("192.0.2.1", 4000), [(b"x-real-ip", b"192.0.2.9")], None),
        (("", 0), [], None),
        (None, [], None),
    ],
)
def test_a_connection_is_the_clients_own_only_where_no_proxy_may_stand_between(client, headers, found):
    door = Door(*[None] * 7, proxies=PROXY)
    assert door.connection({"client": client}, Headers(headers)) == found


def test_only_so_many_large_bodies_are_decoded_at_once():
    """Each may become twenty times as large in memory."""
    at_work, most, full = set(), [], threading.Barrier(LARGE_AT_ONCE)

    def parse(data, terms):
        at_work.add(threading.get_ident())
        most.append(len(at_work))
        full.wait(60)  # until as many are at work as may be
        at_work.discard(threading.get_ident())
        return Parsed()

    async def receive():
        return {"type": "http.request", "body": b"x" * (SMALL + 1), "more_body": False}

    async def read_many():
        buckets = Buckets(1, 1000)
        door = Door(*[None] * 3, lambda: 0, lambda: 0.0, buckets, buckets)
        caller = Caller("one", "sdk", "k", "key:k")
        await asyncio.gather(*(door.read(caller, None, Headers([]), receive, parse) for _ in range(3 * LARGE_AT_ONCE)))

    asyncio.run(read_many())
    assert max(most) == LARGE_AT_ONCE and len(most) == 3 * LARGE_AT_ONCE


def test_large_bodies_that_wait_to_be_decoded_are_held_as_unfinished_ones_are():
    """As many wait as are sent: a rate is known of only once they were read."""
    size, go = SMALL + 1, threading.Event()

    def parse(data, terms):
        go.wait(60)
        return Parsed()

    async def receive():
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    async def read_many():
        buckets = Buckets(1, 1000)
        door = Door(*[None] * 3, lambda: 0, lambda: 0.0, buckets, buckets, budget=Budget(2 * 4 * size))
        caller, head = Caller("one", "sdk", "k", "key:k"), Headers([])
        held = [asyncio.ensure_future(door.read(caller, None, head, receive, parse)) for _ in range(4)]
        await asyncio.sleep(0)  # each begins, and waits: none of them asks the loop before
        with pytest.raises(ApiError, match="too many large requests at once"):
            await door.read(caller, None, head, receive, parse)
        go.set()
        await asyncio.gather(*held)
        await door.read(caller, None, head, receive, parse)

    asyncio.run(read_many())


def test_what_a_browsers_key_sends_is_held_with_what_strangers_send():
    """Every visitor has it: what they leave unfinished takes no room from servers."""
    door = Door(*[None] * 7, budget=Budget(0), strangers=Budget(100))
    door.room(Caller("one", "browser", "k", "key:k"), "192.0.2.1").budget.take("x", 50)
    door.room(None, "192.0.2.1").budget.take("y", 25)
    with pytest.raises(ApiError):
        door.room(Caller("one", "sdk", "k", "key:k"), None).budget.take("z", 1)


def read(buckets, data, parse):
    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    door = Door(*[None] * 3, lambda: 0, lambda: 0.0, buckets, buckets)
    encoding = [(b"content-encoding", b"gzip")] if data[:2] == b"\x1f\x8b" else []
    return asyncio.run(door.read(Caller("one", "sdk", "k", "key:k"), None, Headers(encoding), receive, parse))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_body_that_cannot_be_read_costs_by_what_there_was_to_look_at(pack):
    """Else whoever sends nothing else is never told to come back, though each of them takes its time."""

    def refuse(data, terms):
        raise ApiError("malformed", "the body is not JSON")

    buckets = Buckets(1, 100)
    with pytest.raises(ApiError, match="not JSON"):
        read(buckets, pack(b"x" * (101 * UNREAD)), refuse)
    with pytest.raises(ApiError, match="too many events"):
        read(buckets, b"x", refuse)


def test_what_a_small_body_expands_to_holds_up_the_loop_only_where_it_is_little():
    threads = []

    def parse(data, terms):
        threads.append((len(data), threading.current_thread() is threading.main_thread()))
        return Parsed()

    for size in (AT_ONCE, AT_ONCE + 1):
        read(Buckets(1, 1e6), gzip.compress(b" " * size), parse)
    assert threads == [(AT_ONCE, True), (AT_ONCE + 1, False)]
