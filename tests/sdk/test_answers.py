"""The answers an application gives in place of ours: whatever becomes of them, a refusal stays one."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sentinel import sdk
from sentinel.sdk import asgi, testing, wsgi

IP = "203.0.113.9"
OWN = "428 Precondition Required"


@pytest.fixture
def sentinel():
    with testing.capture() as captured:
        captured.decide("challenge", user="odd")
        captured.decide("block", user="bad")
        yield captured


def by_asgi(challenge):
    """Serve a challenged request over ASGI; return the status and body of the answer."""
    sent = []

    async def page(scope, receive, send):
        challenge()
        await send({"type": "http.response.start", "status": 428, "headers": []})
        await send({"type": "http.response.body", "body": b"own"})

    async def app(scope, receive, send):
        sdk.identify("odd")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": (IP, 1)}
    asyncio.run(asgi.SentinelMiddleware(app, challenge=page)(scope, send, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"]


def by_wsgi(challenge):
    def page(environ, start_response):
        challenge()
        start_response(OWN, [])
        return [b"own"]

    return answered(page)


def answered(page):
    """Serve a challenged request over WSGI; return the status and body of the answer."""
    started = []

    def start_response(status, headers):
        assert not started, "an answer starts once"
        started.append(int(status[:3]))

    def app(environ, start_response):
        sdk.identify("odd")

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": IP}
    body = b"".join(wsgi.SentinelMiddleware(app, challenge=page)(environ, start_response))
    return started[0], body


def test_where_only_the_head_was_asked_for_it_comes_alone(sentinel):
    started = []
    environ = {"REQUEST_METHOD": "HEAD", "PATH_INFO": "/", "REMOTE_ADDR": IP}

    def app(environ, start_response):
        sdk.identify("bad")

    body = wsgi.SentinelMiddleware(app)(environ, lambda *answer: started.append(answer))
    assert b"".join(body) == b""
    ((status, headers),) = started
    assert (status, int(dict(headers)["Content-Length"]) > 0) == ("403 Forbidden", True)


WAYS = pytest.mark.parametrize("way", [by_asgi, by_wsgi])


@WAYS
def test_who_asks_for_a_second_factor_may_identify_whom_it_asks(sentinel, way):
    """What identifies every user would else end the page that lets the user go on."""
    assert way(lambda: sdk.identify("odd")) == (428, b"own")
    assert [event["properties"]["status"] for event in sentinel.named("sentinel.enforced")] == [428]
    assert sdk.stats()["unenforced"] == 0


def quietly():
    with contextlib.suppress(BaseException):
        sdk.identify("bad")


def in_a_task_group():
    raise BaseExceptionGroup("of a task group", [sdk.Blocked(sdk.verdict("bad"))])


@WAYS
@pytest.mark.parametrize("page", [lambda: sdk.identify("bad"), quietly, in_a_task_group])
def test_whoever_is_found_out_to_be_blocked_sees_no_page_for_a_second_factor(sentinel, way, page):
    assert way(page)[0] == 403
    (told,) = sentinel.named("sentinel.enforced")
    assert (told["properties"]["kind"], told["properties"]["status"]) == ("block", 403)


def faulty():
    raise ValueError("on purpose")


def grouped():
    raise BaseExceptionGroup("of a task group", [ValueError("on purpose")])


@WAYS
@pytest.mark.parametrize("page", [faulty, grouped])
def test_a_fault_in_a_page_lifts_no_refusal(sentinel, way, page):
    assert way(page)[0] == 401
    assert len(sentinel.named("sentinel.enforced")) == 1


def after_the_start(environ, start_response):
    start_response(OWN, [])
    raise ValueError("on purpose")


def in_its_midst(environ, start_response):
    start_response(OWN, [])
    yield b"own"
    raise ValueError("on purpose")


def without_a_start(environ, start_response):
    return [b"own"]


def without_a_body(environ, start_response):
    start_response(OWN, [])


@pytest.mark.parametrize("page", [after_the_start, in_its_midst, without_a_start, without_a_body])
def test_a_fault_in_a_page_is_met_however_far_it_was(sentinel, page):
    assert answered(page)[0] == 401
    assert len(sentinel.named("sentinel.enforced")) == 1


def test_a_page_is_written_in_pieces_or_in_the_old_way(sentinel):
    closed = []

    class Pieces(list):
        def close(self):
            closed.append(True)

    def page(environ, start_response):
        start_response(OWN, [])(b"o")
        return Pieces([b"w", b"n"])

    assert answered(page) == (428, b"own")
    assert closed == [True]


@pytest.mark.parametrize(("to", "path"), [
    ("/caf%C3%A9", "/caf\u00e9"), ("/help", "/help/"), ("/help/", "/help"), ("/help?from=here", "/help"),
    ("https://shop.example/a%20b", "/a b"),
])  # fmt: skip
def test_who_is_led_somewhere_is_let_in_there_however_it_is_written(to, path):
    assert (led(to, path), led(to, path + "/more")) == (200, 303)


def test_who_is_led_to_another_site_is_not_let_in_at_the_same_path_of_this_one():
    assert led("https://help.example/orders", "/orders") == 303


def led(to, path):
    """Return the status that a redirected user's request for a path is answered with."""
    sent = []

    async def app(scope, receive, send):
        sdk.identify("lost")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    with testing.capture() as sentinel:
        sentinel.decide("redirect", user="lost", to=to)
        scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"shop.example")]}
        asyncio.run(asgi.SentinelMiddleware(app)(scope, send, send))
    return sent[0]["status"]
