"""What is held on to: a request goes as it is answered, though its events wait and no collector runs."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest

from sentinel import sdk
from sentinel.sdk import asgi, testing, wsgi


class Upload:
    """Stands for whatever is large in a request."""


async def nothing(*message):
    pass


def of(request, user):
    """Do what applications do in a request; return what is kept in it, where it is still there."""
    request["upload"] = upload = Upload()
    left.append(weakref.ref(upload))
    sdk.track("uploaded", request=request)
    sdk.auth_track(False, id="somebody")
    sdk.identify(user)


def by_asgi(user, kind="http"):
    async def app(scope, receive, send):
        of(scope, user)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    scope = {
        "type": kind,
        "method": "POST",
        "path": "/",
        "headers": [(b"accept", b"*/*")],
        "client": ("203.0.113.9", 1),
    }
    with pytest.raises(StopIteration):
        asgi.SentinelMiddleware(app)(scope, nothing, nothing).send(None)


def by_websocket(user):
    by_asgi(user, "websocket")


def by_list(user):
    by_wsgi(user, [b"answer"])


def by_generator(user):
    by_wsgi(user, (piece for piece in (b"an", b"swer")))


def by_wsgi(user, body):
    def app(environ, start_response):
        of(environ, user)
        start_response("200 OK", [])
        return body

    given = wsgi.SentinelMiddleware(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *about: None)
    list(given)
    if hasattr(given, "close"):
        given.close()


left: list[weakref.ref[Upload]] = []


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    left.clear()
    yield
    gc.enable()


@pytest.mark.parametrize("user", ["good", "bad"])
@pytest.mark.parametrize("way", [by_asgi, by_websocket, by_list, by_generator])
def test_a_request_goes_once_it_is_answered_while_its_events_wait(no_collector, way, user):
    """Else thousands of uploads stay in memory while the server is away."""
    with testing.capture() as sentinel:
        sentinel.decide("block", user="bad")
        way(user)
        assert [upload() for upload in left] == [None]
        assert len(sentinel.events) == 3 + (user == "bad")


def test_a_request_can_be_copied_and_pickled_as_without_us():
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    copies = []

    async def app(scope, receive, send):
        copies.extend((copy.deepcopy(scope), pickle.loads(pickle.dumps(scope)), copy.copy(scope)))
        for made in copies:
            sdk.track("copied", request=made)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with testing.capture() as sentinel, pytest.raises(StopIteration):
        asgi.SentinelMiddleware(app)(dict(scope), nothing, nothing).send(None)
    assert [{name: made[name] for name in scope} for made in copies] == [scope] * 3
    assert ["request" in event for event in sentinel.named("copied")] == [False, False, True]


@pytest.mark.parametrize("way", [by_asgi, by_list])
def test_an_event_can_be_told_of_a_request_that_is_over(way):
    """A thread that a view began may speak of the request later."""
    kept = []

    def app(environ, start_response):
        kept.append(environ)
        start_response("204 No Content", [])
        return []

    async def asgi_app(scope, receive, send):
        kept.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    with testing.capture() as sentinel:
        if way is by_list:
            environ = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/over", "QUERY_STRING": "a=1", "HTTP_USER_AGENT": "cat"}
            list(wsgi.SentinelMiddleware(app)(environ, lambda *about: None))
        else:
            scope = {"type": "http", "method": "PUT", "path": "/over", "query_string": b"a=1"}
            with pytest.raises(StopIteration):
                asgi.SentinelMiddleware(asgi_app)(
                    {**scope, "headers": [(b"user-agent", b"cat")]}, nothing, nothing
                ).send(None)
        sdk.track("late", request=kept[0])
        (event,) = sentinel.named("late")
    assert event["request"] == {
        "method": "PUT", "path": "/over", "status": 204, "user_agent": "cat", "params": {"a": "1"},
    }  # fmt: skip
