"""Whoever has shown a second factor goes on in that session, and in no other; nothing else is lifted by it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sentinel import sdk
from sentinel.core.decision import Decision, Delta, Subject
from sentinel.core.decisions import Decisions
from sentinel.sdk import asgi, testing, wsgi

NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000


@pytest.fixture
def sentinel():
    with testing.capture() as captured:
        yield captured


# What a set of decisions says


def told(passed, *decisions):
    held = Decisions().apply(Delta(1, decisions, reset=True))
    return held.match(Subject(("id:42", "email:jane@example.com"), passed=frozenset(passed)), NOW)


def challenge(id, value="id:42", until=NOW + HOUR, **more):
    return Decision(id, "challenge", "user", value, until=until, playbook="p", **more)


def test_a_challenge_that_is_met_asks_nothing_more_and_another_one_does() -> None:
    first, later = challenge("a"), challenge("b", until=NOW + 2 * HOUR)
    assert told([], first).kind == "challenge"
    assert told(["a"], first).allowed
    assert told(["a"], first, later).decision == "b"
    assert told(["b"], first, later).decision == "a"
    assert told(["a", "b", "c"], first, later).allowed


def test_its_repeat_for_a_linked_key_is_met_with_it() -> None:
    assert told(["a"], challenge("a"), challenge("z", "email:jane@example.com")).allowed
    assert told(["z"], challenge("a"), challenge("z", "email:jane@example.com")).allowed


def test_a_second_one_without_an_end_is_no_repeat_of_the_first() -> None:
    email = "email:jane@example.com"
    first, second = (challenge("a", until=None), challenge("z", email, until=None)), (
        challenge("b", until=None), challenge("y", email, until=None),
    )  # fmt: skip
    assert told(["a"], *first).allowed
    assert told(["a"], *first, *second).decision == "b"
    assert told(["a", "b"], *first, *second).allowed


def test_a_person_s_challenge_that_is_met_still_stands_in_place_of_a_playbook_s_block() -> None:
    block = Decision("b", "block", "user", "id:42", playbook="p")
    asked = Decision("a", "challenge", "user", "id:42", by="jane")
    assert told(["a"], block, asked).allowed


KINDS = st.lists(st.sampled_from(["block", "redirect", "challenge"]), min_size=1, max_size=4)


@given(KINDS, st.sets(st.integers(0, 4)))
def test_nothing_but_challenges_is_lifted(kinds, numbers) -> None:
    made = [
        Decision(f"d{n}", kind, "user", "id:42", to={"redirect": "/x"}.get(kind), until=NOW + 1 + n, playbook="p")
        for n, kind in enumerate(kinds)
    ]
    before, after = told([], *made), told([f"d{n}" for n in numbers], *made)
    assert after == before if before.kind != "challenge" else after.kind in ("challenge", "allow")
    asked = {n for n, kind in enumerate(kinds) if kind == "challenge"}
    assert after.allowed == (before.kind == "challenge" and asked <= numbers)


# What a request is told


def shop() -> TestClient:
    async def ask(scope, receive, send):
        scope["session"]["asked"] = scope["sentinel.verdict"].decision
        await RedirectResponse("/verify", 303)(scope, receive, send)

    async def verify(request):
        met = request.session.get("met", [])
        request.session["met"] = [*met, request.session.pop("asked")][-20:]
        return PlainTextResponse("thank you")

    async def orders(request):
        sdk.passed(request.session.get("met"))
        sdk.identify("jane")
        sdk.track("orders.viewed")
        return PlainTextResponse("orders")

    routes = [Route("/orders", orders), Route("/verify", verify)]
    session = Middleware(SessionMiddleware, secret_key="x")
    app = Starlette(routes=routes, middleware=[session, Middleware(asgi.SentinelMiddleware, challenge=ask)])
    return TestClient(app, follow_redirects=False)


def test_the_session_that_showed_it_goes_on_and_others_are_asked(sentinel) -> None:
    sentinel.decide("challenge", user="jane")
    owner, attacker = shop(), shop()
    for client in (owner, attacker):
        assert client.get("/orders").headers["location"] == "/verify"
    assert owner.get("/verify").status_code == 200
    assert owner.get("/orders").text == "orders"
    assert attacker.get("/orders").status_code == 303
    (event,) = [one for one in sentinel.events if one["event"] == "orders.viewed"]
    assert event["user"] == {"id": "jane"}
    sentinel.decide("challenge", user="jane")
    assert owner.get("/orders").status_code == 303, "another one"
    sentinel.decide("block", user="jane")
    owner.get("/verify")
    assert owner.get("/orders").status_code == 403


def test_a_login_that_showed_it_goes_on_too(sentinel) -> None:
    id = sentinel.decide("challenge", user="jane")
    seen = []

    def app(environ, start_response):
        sdk.passed(environ["met"], request=environ)
        sdk.auth_track(True, "jane", request=environ)
        seen.append(environ["met"])
        start_response("200 OK", [])
        return [b"in"]

    for met, body in ((None, b"challenged"), (id, b"in"), ([7, None, ["a"], id], b"in"), ({"other"}, b"challenged")):
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "REMOTE_ADDR": "203.0.113.9", "met": met}
        assert body in b"".join(wsgi.SentinelMiddleware(app)(environ, lambda status, headers: None))
    assert seen == [id, [7, None, ["a"], id]]


@pytest.mark.parametrize("odd", [None, 7, b"a", [7, None, ["a"]], {"a": 1}, iter("x"), object()])
def test_whatever_it_is_given_it_raises_nothing(sentinel, odd) -> None:
    sdk.passed(odd)
    answered = []

    async def app(scope, receive, send):
        sdk.passed(odd)
        answered.append(True)

    async def send(message): ...

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("203.0.113.9", 1)}
    asyncio.run(asgi.SentinelMiddleware(app)(scope, send, send))
    assert answered
