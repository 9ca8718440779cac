"""The live tail beside several servers: each event told once, also where one is committed before an earlier one."""

from __future__ import annotations

import contextlib
import threading

import pytest

from sentinel.api.events import TOPIC, Tail
from sentinel.api.hub import Hub
from sentinel.api.stream import HEARTBEAT
from sentinel.core.record import App, Filter
from sentinel.store.postgres.store import open_postgres
from tests import postgres
from tests.api.served import served, wait_for
from tests.contract.conftest import migrated
from tests.contract.values import NOW, batch, event, put


class Source:
    """The tail of `shop` as one process gives it over a store's events."""

    def __init__(self, events):
        self.events = events
        self.hub = Hub(lambda secret: True)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            self.hub.open()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await Tail(self.hub, self.events, "secret", "key:one", "shop", Filter())(scope, receive, send)

    def tell(self):
        self.hub.tell(TOPIC, "shop")


@contextlib.contextmanager
def tail(events):
    """Give the tail of a store's events, and its source."""
    source = Source(events)
    with served(source, lifespan="on") as client:
        stream = client.using("secret").stream("/")
        try:
            assert stream.block() == [":"]
            yield stream, source
        finally:
            stream.close()


@pytest.fixture
def stores():
    """Two processes' stores over one database."""
    server = postgres.shared()
    name = server.make(migrated())
    both = [open_postgres(server.url(name)) for _ in range(2)]
    for app in ("shop", "blog"):
        both[0].access.add_app(App(app, made=NOW), "test", NOW)
    wait_for(lambda: both[1].access.app("blog"))
    yield both
    for store in both:
        store.close()
    server.drop(name)


@contextlib.contextmanager
def writing(store, event):
    """Have a place in the order of arrival while others take later ones; commit at the end."""
    taken, go = threading.Event(), threading.Event()
    place = store.events._place
    take = place.take

    def slowly(connection, blocks):
        numbers = take(connection, blocks)
        taken.set()
        assert go.wait(60)
        return numbers

    place.take = slowly
    thread = threading.Thread(target=put, args=(store, batch(events=(event,))))
    thread.start()
    try:
        assert taken.wait(60)
        yield
    finally:
        go.set()
        thread.join()
        place.take = take


class Counting:
    """The events of a store, and from where they were asked for."""

    def __init__(self, events):
        self._events = events
        self.asked = []
        self.position, self.decided = events.position, events.decided

    def after(self, app, position):
        yield from self._events.after(app, position)
        self.asked.append(position)

    def looked(self, source):
        """Tell that there is something, and return once it was looked for."""
        before = len(self.asked)
        source.tell()
        wait_for(lambda: len(self.asked) > before)


def ids(stream, number):
    """Return what a stream tells next, as far as it does so within ten seconds."""
    stream.connection.sock.settimeout(HEARTBEAT * 0.9)
    with contextlib.suppress(TimeoutError):
        return [stream.event()["data"]["id"] for _ in range(number)]
    return None


def test_events_of_every_server_are_told_once_whichever_is_committed_first(stores):
    events = Counting(stores[1].events)
    with tail(events) as (stream, source):
        with writing(stores[0], event("slow")):
            put(stores[1], batch(events=(event("fast"),)))
            events.looked(source)
        put(stores[1], batch(events=(event("next"),)))
        source.tell()
        assert ids(stream, 3) == ["slow", "fast", "next"]
        put(stores[1], batch(events=(event("last"),)))
        source.tell()
        assert ids(stream, 1) == ["last"]


def test_a_tail_tells_what_another_server_had_begun_to_write_before_it(stores):
    with contextlib.ExitStack() as opened:
        with writing(stores[0], event("slow")):
            put(stores[1], batch(events=(event("fast"),)))
            stream, source = opened.enter_context(tail(stores[1].events))
        put(stores[1], batch(events=(event("next"),)))
        source.tell()
        assert ids(stream, 3) == ["slow", "fast", "next"]


def test_a_quiet_app_does_not_have_the_events_of_others_read_again(stores):
    events = Counting(stores[0].events)
    with tail(events) as (stream, source):
        for n in range(3):
            put(stores[0], batch("blog", events=(event(f"e{n}"),)))
            events.looked(source)
        put(stores[0], batch(events=(event("mine"),)))
        source.tell()
        assert ids(stream, 1) == ["mine"]
    assert events.asked == sorted(set(events.asked))
