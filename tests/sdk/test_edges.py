"""The middlewares by hand, one message at a time: what passes, what is swallowed, what is reported."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import functools
import json
import threading
import time
from typing import NamedTuple

import pytest

from sentinel import sdk
from sentinel.core.decision import Decision, Delta, Verdict
from sentinel.sdk import asgi, testing, wsgi
from sentinel.sdk.client import Client
from sentinel.sdk.options import Options

BLOCKED = Verdict("block", "d1")


class Route(NamedTuple):
    path: str


@pytest.fixture
def sentinel():
    with testing.capture() as captured:
        captured.decide("block", user="bad")
        yield captured


def scope(kind="http", **more):
    return {"type": kind, "method": "GET", "path": "/", "headers": [], "client": ("203.0.113.9", 1), **more}


def drive(app, sent=None, send=None, receive=None, **more):
    """Serve one connection; return the messages sent."""
    sent = [] if sent is None else sent

    async def collect(message):
        sent.append(message)

    async def connecting():
        return {"type": "websocket.connect"}

    asyncio.run(asgi.SentinelMiddleware(app)(scope(**more), receive or connecting, send or collect))
    return sent


async def start(send, status=200):
    await send({"type": "http.response.start", "status": status, "headers": []})


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_ends_a_task_or_the_process_still_passes(sentinel, error):
    async def app(scope, receive, send):
        try:
            sdk.identify("bad")
        finally:
            raise error

    middleware = asgi.SentinelMiddleware(app)(scope(), None, None)
    with pytest.raises(error):
        middleware.send(None)

    def wsgi_app(environ, start_response):
        try:
            sdk.identify("bad")
        finally:
            raise error

    with pytest.raises(error):
        wsgi.SentinelMiddleware(wsgi_app)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: None)
    assert sentinel.named("sentinel.enforced") == []


def test_a_signal_the_application_raises_itself_is_answered(sentinel):
    async def app(scope, receive, send):
        raise sdk.Blocked(BLOCKED)

    def wsgi_app(environ, start_response):
        raise sdk.Challenged(Verdict("challenge", "c1"))

    assert drive(app)[0]["status"] == 403
    told = []
    list(wsgi.SentinelMiddleware(wsgi_app)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *got: told.append(got)))
    assert told[0][0] == "401 Unauthorized"


MET = sdk.Challenged(Verdict("challenge", "c1"))
LED = sdk.Redirected(Verdict("redirect", "r1", to="/verify"))


def grouped(*errors):
    return BaseExceptionGroup("of a task group", errors)


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (grouped(sdk.Blocked(BLOCKED)), 403),
        (grouped(MET, LED), 303),
        (grouped(MET, grouped(MET, grouped(sdk.Blocked(BLOCKED))), LED), 403),
    ],
    ids=["one", "the strictest of two", "groups in groups"],
)
def test_signals_out_of_a_task_group_are_answered_by_the_strictest(sentinel, raised, status):
    async def app(scope, receive, send):
        raise raised

    def wsgi_app(environ, start_response):
        raise raised

    async def talking(scope, receive, send):
        await send({"type": "websocket.accept"})
        raise raised

    assert drive(app)[0]["status"] == status
    told = []
    list(wsgi.SentinelMiddleware(wsgi_app)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *got: told.append(got)))
    assert told[0][0].startswith(str(status))
    assert [message.get("code") for message in drive(talking, kind="websocket")] == [None, 1008]


def test_a_signal_out_of_a_real_task_group_is_answered(sentinel):
    async def refusing():
        raise sdk.Blocked(BLOCKED)

    async def app(scope, receive, send):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(refusing())
            tasks.create_task(asyncio.Event().wait())

    assert drive(app)[0]["status"] == 403


@pytest.mark.parametrize("other", [ValueError("on purpose"), grouped(ValueError("on purpose"))], ids=["flat", "deep"])
def test_a_group_that_holds_anything_else_is_the_applications_failure(sentinel, other):
    async def app(scope, receive, send):
        raise grouped(sdk.Blocked(BLOCKED), other)

    def wsgi_app(environ, start_response):
        raise grouped(sdk.Blocked(BLOCKED), other)

    with pytest.raises(BaseExceptionGroup):
        drive(app)
    with pytest.raises(BaseExceptionGroup):
        wsgi.SentinelMiddleware(wsgi_app)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: None)
    assert sentinel.named("sentinel.enforced") == []


def test_a_signal_raised_too_late_does_not_reach_the_server(sentinel):
    async def app(scope, receive, send):
        await start(send)
        raise sdk.Blocked(BLOCKED)

    assert [message["type"] for message in drive(app)] == ["http.response.start"]

    def wsgi_app(environ, start_response):
        start_response("200 OK", [])(b"piece")
        raise sdk.Blocked(BLOCKED)

    written = []
    body = wsgi.SentinelMiddleware(wsgi_app)(
        {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: lambda data: written.append(data)
    )
    assert (list(body), written) == ([], [b"piece"])
    assert sentinel.named("sentinel.enforced") == []


def test_an_answer_starts_once_also_where_a_server_gives_nothing_to_write_with(sentinel):
    """Adapters of serverless platforms do not, whatever the standard says."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    started = []
    body = wsgi.SentinelMiddleware(app)(
        {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda status, headers: started.append(status)
    )
    assert (list(body), started) == ([b"one", b"two"], ["200 OK"])


def test_an_answer_nobody_received_is_not_reported(sentinel):
    async def app(scope, receive, send):
        sdk.identify("bad")

    async def gone(message):
        raise OSError("gone")

    drive(app, send=gone)
    assert sentinel.named("sentinel.enforced") == []
    drive(app)
    assert len(sentinel.named("sentinel.enforced")) == 1


def test_messages_of_extensions_before_the_answer_do_not_start_it(sentinel):
    async def app(scope, receive, send):
        await send({"type": "http.response.debug", "info": {}})
        sdk.identify("bad")

    assert [message["type"] for message in drive(app)] == [
        "http.response.debug", "http.response.start", "http.response.body",
    ]  # fmt: skip


def test_a_websocket_of_a_server_that_keeps_1008_to_itself_is_closed_with_3003(sentinel):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        sdk.identify("bad")

    sent = []

    async def picky(message):
        if message.get("code") == 1008:
            raise ValueError("1008 is mine")
        sent.append(message)

    drive(app, send=picky, kind="websocket")
    assert [message.get("code") for message in sent] == [None, 3003]
    assert [event["properties"]["status"] for event in sentinel.named("sentinel.enforced")] == [3003]


def test_a_websocket_that_cannot_be_closed_any_more_is_no_fault(sentinel):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        sdk.identify("bad")

    async def server(message):
        sent.append(message["type"])
        if message["type"] == "websocket.close":
            raise RuntimeError("expected `websocket.http.response.body`")

    drive(app, send=server, kind="websocket")
    assert sent == ["websocket.http.response.start", "websocket.close", "websocket.close"]
    assert sentinel.named("sentinel.enforced") == []


def test_a_websocket_refused_in_between_hears_of_it_and_says_no_more(sentinel):
    heard = []

    async def app(scope, receive, send):
        heard.append(await receive())
        await send({"type": "websocket.accept"})
        sentinel.decide("block", ip="203.0.113.9")
        await send({"type": "websocket.send", "text": "secret"})
        with pytest.raises(OSError, match="refused"):
            await send({"type": "websocket.send", "text": "secret"})
        heard.append(await receive())

    sent = drive(app, kind="websocket")
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert [message["type"] for message in heard] == ["websocket.connect", "websocket.disconnect"]


@pytest.fixture
def alone():
    """Put a client in place whose server is not there."""
    settings = Options(url="http://127.0.0.1:9", key="k", startup_wait=0.1, exit_wait=30.0, flush_interval=3600.0)
    client = Client(settings)
    before = sdk.swap(client)
    yield client
    client.stop(0)
    sdk.swap(before)


def live(app):
    """Have an application begin and end, as its server tells it."""

    async def silent(message):
        pass

    asyncio.run(asgi.SentinelMiddleware(app)({"type": "lifespan"}, silent, silent))


@pytest.mark.parametrize(("moment", "wait"), [("startup.complete", "begin"), ("shutdown.complete", "settle")])
def test_while_a_lifespan_waits_the_loop_goes_on(alone, monkeypatch, moment, wait):
    alone.options = dataclasses.replace(alone.options, startup_wait=30.0)
    went_on = threading.Event()
    monkeypatch.setattr(alone, wait, went_on.wait)

    async def other():
        went_on.set()

    async def app(scope, receive, send):
        task = asyncio.create_task(other())
        await send({"type": f"lifespan.{moment}"})
        assert task.done()

    live(app)


def test_an_application_that_begins_and_ends_many_times_waits_in_vain_but_once(alone):
    """Its own tests do so, and there is no server."""

    async def app(scope, receive, send):
        await send({"type": "lifespan.startup.complete"})
        sdk.track("e")
        await send({"type": "lifespan.shutdown.complete"})

    assert not alone.begin(0.1)
    alone.options = dataclasses.replace(alone.options, startup_wait=150.0)
    began = time.monotonic()
    live(app)
    assert time.monotonic() - began < 100


def test_where_there_is_no_asyncio_a_lifespan_waits_all_the_same(alone, monkeypatch):
    sent, waited = [], []
    monkeypatch.setattr(alone, "begin", waited.append)

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        await send({"type": "lifespan.startup.complete"})

    with pytest.raises(StopIteration):
        asgi.SentinelMiddleware(app)({"type": "lifespan"}, None, send).send(None)
    assert (len(waited), len(sent)) == (2, 1)


def test_other_kinds_of_connections_pass_untouched(sentinel):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    given = ({"type": "webtransport"}, object(), object())
    asyncio.run(asgi.SentinelMiddleware(app)(*given))
    assert seen == [given]


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("broken", [{"headers": 7}, {"client": ("x",), "headers": [(1, 2)]}, {"headers": None}])
def test_a_request_that_cannot_be_understood_is_served_all_the_same(broken, hops):
    with testing.capture(trusted_proxies=hops):

        async def app(scope, receive, send):
            sdk.track("e")
            await start(send, 204)

        assert drive(app, **broken)[0]["status"] == 204


def test_without_enforcement_everybody_passes_and_events_are_sent():
    with testing.capture(enforce=False) as sentinel:
        sentinel.decide("block", user="bad")
        sentinel.decide("block", ip="203.0.113.9")

        async def app(scope, receive, send):
            assert sdk.identify("bad").allowed
            sdk.auth_track(False, id="bad")
            await start(send)

        assert drive(app)[0]["status"] == 200
        (event,) = sentinel.named("auth")
        assert "properties" not in event


def test_an_older_block_does_not_outlive_its_lift_within_a_request(sentinel):
    client = sdk.current()
    client.held.decisions = client.held.decisions.apply(Delta(9, (Decision("x", "block", "user", "id:odd"),)))

    async def app(scope, receive, send):
        with pytest.raises(sdk.Blocked):
            sdk.identify("odd")
        client.held.decisions = client.held.decisions.apply(Delta(10, removed=("x",)))
        assert sdk.identify("odd").allowed
        await start(send)

    assert drive(app)[0]["status"] == 403, "what was latched is answered"


def test_a_request_named_outside_its_context_still_describes_an_event(sentinel):
    import threading

    async def app(scope, receive, send):
        thread = threading.Thread(target=lambda: sdk.track("e", request=scope))
        thread.start()
        thread.join()
        await start(send)

    drive(app, path="/orders")
    (event,) = sentinel.named("e")
    assert (event["ip"], event["request"]["path"], event["request"]["status"]) == ("203.0.113.9", "/orders", 200)


def test_a_client_of_one_request_is_the_client_of_all_of_it():
    """A `start` in the middle of a request does not split it."""
    with testing.capture() as sentinel:
        sentinel.decide("block", user="bad")

        async def app(scope, receive, send):
            with testing.capture():
                pass
            sdk.identify("bad")

        assert drive(app)[0]["status"] == 403
        assert len(sentinel.named("sentinel.enforced")) == 1


def test_an_identified_user_is_the_users_of_later_events(sentinel):
    async def app(scope, receive, send):
        sdk.track("before")
        sdk.identify({"id": 7, "email": "jane@example.com"})
        sdk.track("after")
        sdk.track("other", user_identifiers={"id": 8})
        await start(send)

    drive(app)
    assert "user" not in sentinel.named("before")[0]
    assert sentinel.named("after")[0]["user"] == {"id": "7", "email": "jane@example.com"}
    assert sentinel.named("other")[0]["user"] == {"id": "8"}


def test_what_strangers_make_requests_of_counts_towards_the_bound_of_memory():
    """Else long queries, paths and names would fill many times the memory that may be used while the server is away."""
    client = Client(Options(buffer_bytes=200_000))
    before = sdk.swap(client)
    query = "&".join(f"parameter{n}={'x' * 100}" for n in range(60)).encode()

    async def app(scope, receive, send):
        for _ in range(2):
            sdk.track("e", user_identifiers={f"i{n}": "y" * 100 for n in range(30)})
        await start(send)

    try:
        for _ in range(100):
            drive(app, query_string=query, path="/" + "z" * 900)
    finally:
        sdk.swap(before)
    waiting = client.buffer.events()
    held = sum(len(json.dumps(event)) for event in waiting)
    assert len(waiting) > 5
    assert held < 1.5 * 200_000
    assert client.buffer.dropped == {"full": 200 - len(waiting)}


def test_a_login_and_a_signup_bind_their_user(sentinel):
    async def login(scope, receive, send):
        sdk.auth_track(True, id=7)
        sdk.track("after login")
        await start(send)

    async def signup(scope, receive, send):
        sdk.signup_track(id=8)
        sdk.track("after signup")
        await start(send)

    drive(login)
    drive(signup)
    assert sentinel.named("after login")[0]["user"] == {"id": "7"}
    assert sentinel.named("after signup")[0]["user"] == {"id": "8"}


@pytest.mark.parametrize("call", [sdk.auth_track, sdk.signup_track])
def test_a_login_outside_its_context_that_names_its_request_is_refused_in_it(sentinel, call):
    """An executor's thread has no context of the request; whoever hands the request over has said whose login it is."""

    async def app(scope, receive, send):
        arguments = (False,) if call is sdk.auth_track else ()
        named = functools.partial(call, *arguments, id="bad", request={"scope": 1} if plain else scope)
        with contextlib.suppress(sdk.Blocked):
            await asyncio.get_running_loop().run_in_executor(None, named)
        await start(send)

    plain = True
    assert drive(app)[0]["status"] == 200
    assert sdk.stats()["unenforced"] == 1
    plain = False
    assert drive(app)[0]["status"] == 403


def test_a_request_that_cannot_be_asked_costs_neither_event_nor_refusal(sentinel):
    """Flask's `request` is one in a thread of its own."""

    class Unbound:
        def __getattr__(self, name):
            raise RuntimeError("working outside of request context")

    async def app(scope, receive, send):
        sdk.track("seen", request=Unbound())
        sdk.auth_track(False, id="bad", request=Unbound())

    assert drive(app)[0]["status"] == 403
    assert [len(sentinel.named(name)) for name in ("seen", "auth")] == [1, 1]


def test_a_failed_login_binds_nobody(sentinel):
    async def app(scope, receive, send):
        sdk.auth_track(False, email="jane@example.com")
        sdk.track("after")
        await start(send, 401)

    drive(app)
    assert "user" not in sentinel.named("after")[0]
    assert sentinel.named("auth")[0]["user"] == {"email": "jane@example.com"}


def test_a_client_made_and_dropped_leaves_nothing_behind():
    import gc
    import weakref

    made = weakref.ref(Client(Options()))
    gc.collect()
    assert made() is None


def test_a_stream_without_end_keeps_no_refusal_back(sentinel):
    went_on = []

    async def app(scope, receive, send):
        with contextlib.suppress(BaseException):
            sdk.identify("bad")
        await start(send)
        for piece in range(3):  # an event stream would go on for ever
            await send({"type": "http.response.body", "body": b"secret", "more_body": True})
            went_on.append(piece)

    sent = drive(app)
    assert ([message["type"] for message in sent], went_on) == (["http.response.start", "http.response.body"], [])
    assert sent[0]["status"] == 403


def test_who_only_sends_hears_of_a_refusal_too(sentinel):
    """Else a socket that is written to for ever would be written to for ever."""

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        sentinel.decide("block", ip="203.0.113.9")
        for number in range(5):
            await send({"type": "websocket.send", "text": "tick"})
            sent_until.append(number)

    sent_until = []
    sent = drive(app, kind="websocket")
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent_until == [0]  # the first is lost, as to one who leaves at that moment; a chat goes on for all others


@pytest.mark.parametrize("way", ["asgi", "asgi, refused", "wsgi", "wsgi, refused"])
def test_a_login_whose_request_ends_without_an_answer_is_told_then(way):
    """It has no status to wait for: the application failed, or whoever asked has gone."""

    def log_in():
        sdk.auth_track(True, id="bad")
        raise RuntimeError("on purpose")

    async def app(scope, receive, send):
        log_in()

    def wsgi_app(environ, start_response):
        log_in()

    async def gone(message):
        raise OSError("gone")

    def gone_too(*start):
        raise OSError("gone")

    with testing.capture(flush_interval=3600) as sentinel:
        if way.endswith("refused"):
            sentinel.decide("block", user="bad")
        with contextlib.suppress(RuntimeError, OSError):
            if way.startswith("asgi"):
                drive(app, send=gone)
            else:
                wsgi.SentinelMiddleware(wsgi_app)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, gone_too)
        (item,) = sdk.current().buffer.take(9, lambda: 0.0, until=0.0)
        assert (item.event["event"], item.event["request"]["status"]) == ("auth", None)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_request_that_is_abandoned_ends_without_a_word(sentinel, kind):
    """A loop that ends leaves its tasks to whoever lets go of them, in another context."""

    class Waits:
        def __await__(self):
            yield

    async def app(scope, receive, send):
        sdk.auth_track(True, id="good")
        await Waits()

    async def nothing(*message):
        pass

    serving = asgi.SentinelMiddleware(app)(scope(kind), nothing, nothing)
    contextvars.copy_context().run(serving.send, None)
    serving.close()
    assert sdk.current().buffer._urgent


@pytest.mark.parametrize(
    ("known", "told"), [({"route": Route("/orders/{n}")}, "/orders/{n}"), ({"path_template": "/o"}, "/o"), ({}, None)]
)
def test_an_event_from_before_the_routing_tells_the_route_once_that_is_known(sentinel, known, told):
    """Who identifies in a middleware does so before."""

    async def app(scope, receive, send):
        sdk.identify("good")
        scope.update(known)
        await start(send)

    drive(app)
    (event,) = sentinel.named("sentinel.identify")
    assert (event["request"]["route"], event["request"]["status"]) == (told, 200)


def test_what_comes_after_a_sockets_end_is_the_servers_to_say(sentinel):
    told = iter([{"type": "websocket.disconnect", "code": 1001}, {"type": "websocket.disconnect", "code": 1000}])
    heard = []

    async def server(message):
        if gone:
            raise OSError("gone")

    async def receive():
        return next(told)

    async def leaves(scope, receive, send):
        await send({"type": "websocket.accept"})
        heard.append((await receive())["code"])
        gone.append(True)
        with pytest.raises(OSError, match="gone"):
            await send({"type": "websocket.send", "text": "into the void"})
        heard.append("told")

    async def is_closed(scope, receive, send):
        await send({"type": "websocket.close"})
        heard.append((await receive())["code"])

    gone = []
    drive(leaves, send=server, receive=receive, kind="websocket")
    gone.clear()
    drive(is_closed, send=server, receive=receive, kind="websocket")
    assert heard == [1001, "told", 1000]


def test_a_socket_that_ends_by_itself_was_not_refused(sentinel):
    async def left():
        return {"type": "websocket.disconnect", "code": 1001}

    async def app(scope, receive, send):
        sentinel.decide("block", ip="203.0.113.9")
        assert (await receive())["code"] == 1001

    assert drive(app, receive=left, kind="websocket") == []
    assert sentinel.named("sentinel.enforced") == []


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_what_outlives_its_request_is_refused_nobody(sentinel, kind):
    contexts = []

    async def app(scope, receive, send):
        contexts.append(contextvars.copy_context())
        if kind == "http":
            raise RuntimeError("before any answer")

    with contextlib.suppress(RuntimeError):
        drive(app, kind=kind)
    assert contexts[0].run(sdk.identify, "bad").kind == "block"
    assert sdk.stats()["unenforced"] == 1


@pytest.mark.parametrize("path", ["/verify", "/verify/code"])
def test_an_exempt_path_lets_through_who_is_challenged(path):
    assert exempted("/verify", path)


@pytest.mark.parametrize(
    ("exempt", "path"),
    [("/", "//orders"), ("/", "/orders"), ("/verify", "/verifying"), ("/verify", "/verify/../orders"),
     ("/verify", "/verify/.."), ("/verify", "/verify/./../orders"), ("/verify", "//verify/../orders")],
)  # fmt: skip
def test_no_way_round_an_exempt_path_leads_elsewhere(exempt, path):
    assert not exempted(exempt, path)


def test_a_block_knows_no_exempt_path():
    assert not exempted("/verify", "/verify", "block")


def exempted(exempt, path, kind="challenge"):
    async def app(scope, receive, send):
        sdk.identify("odd")
        await start(send)

    with testing.capture(exempt=exempt) as captured:
        captured.decide(kind, user="odd")
        return drive(app, path=path)[0]["status"] == 200
