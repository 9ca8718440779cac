"""The stand-in for applications' tests, and FastAPI's helpers by way of it."""

from __future__ import annotations

import threading

import pytest
from fastapi import Depends, FastAPI, Header
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.testclient import TestClient

from sentinel import sdk
from sentinel.sdk import testing
from sentinel.sdk.fastapi import identified, protect


def who(user: str | None = Header(None)):
    return user


@pytest.fixture
def client():
    app = FastAPI()

    @app.get("/orders")
    def orders(user: str | None = Depends(identified(who, lambda user: {"id": user}))):
        sdk.track("orders.listed")
        return {"user": user}

    protect(app)

    async def outside(request, call_next):
        response = await call_next(request)
        response.headers["x-outside"] = "1"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=outside)
    return TestClient(app)


def test_events_are_captured_and_verdicts_are_ordered(client):
    with testing.capture() as sentinel:
        assert client.get("/orders", headers={"user": "42"}).json() == {"user": "42"}
        id = sentinel.decide("block", user={"id": 42})
        refused = client.get("/orders", headers={"user": "42"})
        assert refused.status_code == 403
        assert refused.headers["x-outside"] == "1"
        assert client.get("/orders", headers={"user": "43"}).status_code == 200
        assert client.get("/orders").status_code == 200
        sentinel.undo(id)
        assert client.get("/orders", headers={"user": "42"}).status_code == 200
        assert len(sentinel.named("orders.listed")) == 4
        assert sentinel.named("orders.listed")[0]["user"] == {"id": "42"}
        assert len(sentinel.named("sentinel.enforced")) == 1
        sentinel.clear()
        assert sentinel.events == []


def test_addresses_networks_redirects_and_ends_can_be_ordered():
    with testing.capture() as sentinel:
        sentinel.decide("block", ip="203.0.113.9")
        sentinel.decide("challenge", network="198.51.100.0/24")
        sentinel.decide("redirect", user="7", to="/help", until=1)
        assert sdk.verdict(ip="203.0.113.9").kind == "block"
        assert sdk.verdict(ip="198.51.100.3").kind == "challenge"
        assert sdk.verdict("7").allowed
        with pytest.raises(TypeError):
            sentinel.decide("block")
        with pytest.raises(TypeError):
            sentinel.decide("block", user="1", ip="203.0.113.9")


def test_settings_hold_in_the_stand_in():
    with testing.capture(redact=["shoe_size"]) as sentinel:
        sdk.track("e", {"shoe_size": 43})
        assert sentinel.events[0]["properties"] == {"shoe_size": "<redacted>"}


def test_the_stand_in_starts_no_thread_and_leaves_what_was_before():
    before, threads = sdk.current(), set(threading.enumerate())
    with testing.capture() as sentinel:
        sdk.track("e")
        assert not sdk.flush(0)
        assert sentinel.events
        assert sdk.current() is not before
    assert sdk.current() is before
    assert not [one for one in set(threading.enumerate()) - threads if one.name.startswith("sentinel-")]


def test_an_application_that_starts_the_sdk_itself_is_captured_all_the_same():
    threads = set(threading.enumerate())
    with testing.capture(redact=["shoe_size"]) as sentinel:
        sentinel.decide("block", ip="203.0.113.9")
        sdk.start(url="http://127.0.0.1:9", key="k" * 54, redact=["hat"], identifiers=["login"], flush_interval=7)
        sdk.track("e", {"shoe_size": 43, "hat": 58})
        assert sdk.is_blocked(ip="203.0.113.9"), "what was ordered before holds"
        sentinel.decide("block", user={"login": "jane"})
        assert sdk.is_blocked({"login": "jane"})
        assert sentinel.events[0]["properties"] == {"shoe_size": "<redacted>", "hat": 58}, "the test's own settings win"
        assert not sdk.stats()["running"]
    assert not [one for one in set(threading.enumerate()) - threads if one.name.startswith("sentinel-")]
    assert not sdk.is_blocked(ip="203.0.113.9")


def test_a_user_is_identified_where_the_application_runs():
    """A thread for it would double what a small request costs, and wait where all threads are at work."""
    threads = []

    async def find():
        threads.append(threading.get_ident())
        return "42"

    def name(user):
        threads.append(threading.get_ident())
        return {"id": user}

    app = FastAPI()

    @app.get("/")
    async def orders(user: str = Depends(identified(find, name))):
        return {"user": user}

    with testing.capture():
        assert TestClient(app).get("/").json() == {"user": "42"}
    assert len(threads) == 2
    assert threads[0] == threads[1]


def test_who_cannot_be_named_is_served():
    app = FastAPI()

    @app.get("/")
    def orders(user: str = Depends(identified(lambda: "42", lambda user: {"id": user.number}))):
        return {"user": user}

    with testing.capture():
        assert TestClient(app).get("/").json() == {"user": "42"}
        assert sdk.stats()["counts"]["errors"] == 1


def test_protecting_an_application_that_runs_is_an_error(client):
    with client, pytest.raises(RuntimeError, match="before"):
        protect(client.app)
