"""Real Starlette and FastAPI applications behind a real uvicorn: who is refused, where, and whatever the app does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from sentinel import sdk
from sentinel.core.decision import Decision, pair
from sentinel.core.device import fingerprint
from sentinel.sdk import testing
from sentinel.sdk.asgi import SentinelMiddleware
from sentinel.sdk.fastapi import protect
from tests.sdk import serving
from tests.sdk.conftest import decide, known

pool = ThreadPoolExecutor(2)


def application(went_on: list[str]) -> FastAPI:
    app = FastAPI()

    def identified(user: str) -> str:
        sdk.identify({"id": user})
        return user

    @app.get("/plain/{user}")
    def plain(user: str):
        sdk.identify({"id": user})
        went_on.append(user)
        return {"user": user}

    @app.get("/async/{user}")
    async def asynchronous(user: str):
        sdk.identify({"id": user})
        went_on.append(user)
        return {"user": user}

    @app.get("/depends/{user}")
    def depends(user: str = Depends(identified)):
        went_on.append(user)
        return {"user": user}

    @app.get("/swallows/{user}")
    def swallows(user: str):
        try:
            sdk.identify({"id": user})
            went_on.append(user)
        except Exception:
            went_on.append("swallowed")
        return {"user": user}

    @app.get("/bare/{user}")
    def bare(user: str):
        with contextlib.suppress(BaseException):
            sdk.identify({"id": user})
        return {"secret": user}

    @app.get("/task/{user}")
    async def task(user: str):
        async def inner():
            sdk.identify({"id": user})

        await asyncio.gather(inner(), return_exceptions=True)
        return {"secret": user}

    @app.get("/group/{user}")
    async def group(user: str):
        async def inner():
            sdk.identify({"id": user})

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(inner())
        return {"secret": user}

    @app.get("/pool/{user}")
    async def in_pool(user: str):
        await asyncio.to_thread(sdk.identify, {"id": user})
        return {"secret": user}

    @app.get("/late/{user}")
    def late(user: str, tasks: BackgroundTasks):
        tasks.add_task(sdk.identify, {"id": user})
        return {"user": user}

    @app.get("/stream/{user}")
    async def stream(user: str):
        async def pieces():
            yield b"one"
            with contextlib.suppress(BaseException):
                sdk.identify({"id": user})
            yield b"two"

        return StreamingResponse(pieces())

    @app.get("/fails/{user}")
    def fails(user: str):
        raise RuntimeError("on purpose")

    @app.get("/items/{item}")
    def item(item: str, request: Request):
        sdk.track("item.viewed", {"item": item})
        return {"item": item}

    @app.post("/form")
    async def form(request: Request):
        await request.body()
        sdk.track("posted", collect_body=True)
        return {}

    @app.get("/verify")
    def verify():
        sdk.identify({"id": "sent"})
        return {"verify": "page"}

    @app.post("/login/{user}/{outcome}")
    def login(user: str, outcome: str):
        sdk.auth_track(outcome == "ok", id=user)
        went_on.append(user)
        return {"user": user}

    @app.websocket("/socket/{user}")
    async def socket(websocket: WebSocket, user: str):
        await websocket.accept()
        sdk.identify({"id": user})
        while True:
            await websocket.send_text(await websocket.receive_text())

    @app.websocket("/early/{user}")
    async def early(websocket: WebSocket, user: str):
        sdk.identify({"id": user})
        await websocket.accept()

    return app


def block(id="d1", scope="user", value="id:bad", **fields):
    return Decision(id, "block", scope, value, **({"playbook": "p"} | fields))


@pytest.fixture
def went_on():
    return []


@pytest.fixture
def app(went_on):
    made = application(went_on)
    made.add_middleware(SentinelMiddleware)
    return made


WAYS = ["plain", "async", "depends", "swallows", "bare", "task", "group", "pool"]


def test_a_refused_user_is_refused_however_the_view_calls(server, start, app, went_on):
    client = start()
    assert known(client)
    decide(client, block())
    with serving.asgi(app) as site:
        for way in WAYS:
            got = site.get(f"/{way}/bad")
            assert (way, got.status) == (way, 403)
            assert got.headers["cache-control"] == "no-store"
            assert got.json["error"]["reference"] == "d1"
            assert b"secret" not in got.body
            assert site.get(f"/{way}/good").status == 200
    assert "bad" not in went_on
    assert "swallowed" not in went_on
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == len(WAYS)


def test_the_order_among_other_middleware_changes_nothing(server, start, went_on):
    async def passing(request, call_next):
        return await call_next(request)

    async def catching(request, call_next):
        try:
            return await call_next(request)
        except Exception:
            return PlainTextResponse("a page for every error", 500)

    app = application(went_on)
    app.add_middleware(BaseHTTPMiddleware, dispatch=catching)
    app.add_middleware(SentinelMiddleware)
    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    client = start()
    assert known(client)
    decide(client, block())
    with serving.asgi(app) as site:
        for way in WAYS:
            got = site.get(f"/{way}/bad", Origin="https://shop.example")
            assert (way, got.status) == (way, 403)
            assert got.headers["access-control-allow-origin"] == "https://shop.example"
    assert went_on == []


def test_a_session_opened_before_the_block_is_refused_on_its_next_request(server, start, app):
    client = start()
    assert known(client)
    with serving.asgi(app) as site:
        assert site.get("/plain/bad").status == 200
        server.until(lambda: server.streams)
        server.decide(block())
        for _ in range(2000):
            if site.get("/plain/bad").status == 403:
                break
        else:
            pytest.fail("never refused")


def test_a_blocked_address_never_reaches_the_application(server, start, app, went_on):
    client = start()
    assert known(client)
    decide(client, block(scope="network", value="127.0.0.0/24"))
    with serving.asgi(app) as site:
        got = site.get("/plain/good", Accept="text/html,*/*;q=0.8")
    assert (got.status, got.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert b"d1" in got.body
    assert went_on == []
    (event,) = server.until(lambda: server.named("sentinel.enforced"))
    assert event["ip"] == "127.0.0.1"
    assert event["request"]["status"] == 403
    assert event["properties"]["decision"] == "d1"


def test_the_enforced_event_is_sent_only_for_answers_of_ours(server, start, app):
    client = start()
    assert known(client)
    decide(client, block())
    with serving.asgi(app) as site:
        assert site.get("/late/bad").status == 200
        assert site.get("/stream/bad").body == b"onetwo"
        assert site.get("/plain/bad").status == 403
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == 1
    assert sdk.stats()["unenforced"] == 2


def test_a_redirect_leads_away_but_not_in_circles(server, start, app):
    client = start()
    assert known(client)
    decide(client, Decision("r", "redirect", "user", "id:sent", to="/verify", playbook="p"))
    with serving.asgi(app) as site:
        got = site.get("/plain/sent")
        assert (got.status, got.headers["location"]) == (303, "/verify")
        assert got.headers["cache-control"] == "no-store"
        assert site.get("/verify").json == {"verify": "page"}


def test_a_challenge_is_the_applications_own_or_401(server, start, went_on):
    async def ask(scope, receive, send):
        text = scope["sentinel.verdict"].reference.encode()
        await send({"type": "http.response.start", "status": 428, "headers": [(b"x-ours", b"1")]})
        await send({"type": "http.response.body", "body": text})

    async def broken(scope, receive, send):
        raise RuntimeError("on purpose")

    client = start(exempt=["/plain"])
    assert known(client)
    decide(client, Decision("c", "challenge", "user", "id:odd", playbook="p"))
    for own, status, body in ((None, 401, b"challenged"), (ask, 428, b"c"), (broken, 401, b"challenged")):
        app = application(went_on)
        app.add_middleware(SentinelMiddleware, challenge=own)
        with serving.asgi(app) as site:
            got = site.get("/async/odd")
            assert got.status == status
            assert body in got.body
            assert site.get("/plain/odd").status == 200, "the way to the second factor stays open"


def test_a_blocked_user_cannot_go_on_guessing(server, start, app, went_on):
    client = start(flush_interval=3600)  # an event waits no longer for its request's answer
    assert known(client)
    decide(client, block())
    with serving.asgi(app) as site:
        assert site.get("/login/bad/no", "POST").status == 403
        assert site.get("/login/bad/ok", "POST").status == 403
        assert site.get("/login/good/no", "POST").status == 200
    assert went_on == ["good"]
    events = server.until(lambda: len(server.named("auth")) == 3 and server.named("auth"))
    assert [event.get("properties") for event in events] == [{"blocked": True}, {"blocked": True}, None]
    assert [event["success"] for event in events] == [False, True, False]
    assert [event["request"]["status"] for event in events] == [403, 403, 200]


def test_a_login_only_block_spares_sessions_and_familiar_devices(server, start, app):
    client = start()
    assert known(client)
    device = fingerprint("Familiar/1.0", "de")
    decide(
        client,
        block(logins_only=True, value="id:bad"),
        Decision("a", "allow", "user+device", pair("id:bad", device), playbook="p"),
    )
    with serving.asgi(app) as site:
        assert site.get("/plain/bad").status == 200
        assert site.get("/login/bad/no", "POST", User_Agent="Strange/1.0").status == 403
        assert site.get("/login/bad/ok", "POST", User_Agent="Familiar/1.0", Accept_Language="de").status == 200


def test_an_applications_own_faults_stay_its_own(server, start, app):
    client = start()
    assert known(client)
    decide(client, block())
    with serving.asgi(app) as site:
        assert site.get("/fails/good").status == 500
        assert site.get("/nowhere").status == 404


def test_an_event_says_what_request_it_came_with(server, start, app):
    start(flush_interval=3600)  # an event waits no longer for its request's answer
    with serving.asgi(app) as site:
        site.get(
            "/items/7?next=/cart&token=s3cret&card=1&q=4111111111111111",
            User_Agent="Browser/1.0",
            Referer="https://shop.example/list?session=1",
        )
    assert sdk.flush(60)
    (event,) = server.named("item.viewed")
    assert event["ip"] == "127.0.0.1"
    assert event["device"] == fingerprint("Browser/1.0", None)
    assert event["request"] == {
        "method": "GET",
        "path": "/items/7",
        "route": "/items/{item}",
        "host": event["request"]["host"],
        "user_agent": "Browser/1.0",
        "referer": "https://shop.example/list",
        "status": 200,
        "params": {"next": "/cart", "token": "<redacted>", "card": "<redacted>", "q": "<redacted>"},
    }


def placed() -> FastAPI:
    """Return an application whose every endpoint tracks `seen`, in routers and mounts of both frameworks."""

    async def seen(request: Request) -> JSONResponse:
        sdk.track("seen")
        return JSONResponse({})

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await (await seen(Request(scope)))(scope, receive, send)

    async def told(scope: Any, receive: Any, send: Any) -> None:
        scope["sentinel.route"] = "/told/{user}"
        await bare(scope, receive, send)

    inner, outer, app, below = APIRouter(prefix="/orders"), APIRouter(prefix="/v1"), FastAPI(), FastAPI()
    for one in (app, below):
        one.add_api_route("/orders/{user}", seen)
    inner.add_api_route("/{user}", seen)
    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    app.mount("/fast", below)
    app.mount("/star", Starlette(routes=[Route("/orders/{user}", seen), Mount("/bare", bare)]))
    app.mount("/told", told)
    protect(app)
    return app


@pytest.mark.parametrize(("path", "route"), [
    ("/orders/7", "/orders/{user}"),
    ("/api/v1/orders/7", "/api/v1/orders/{user}"),
    ("/fast/orders/7", "/fast/orders/{user}"),
    ("/star/orders/7", "/star/orders/{user}"),
    ("/star/bare/7", "/star/bare"),
    ("/told/7", "/told/{user}"),
])  # fmt: skip
@pytest.mark.parametrize("root_path", ["", "/behind"])
def test_a_route_is_told_below_whatever_includes_and_mounts_it(path, route, root_path):
    with testing.capture() as sentinel, TestClient(placed(), root_path=root_path) as client:
        assert client.get(root_path + path).status_code == 200
    assert [event["request"]["route"] for event in sentinel.named("seen")] == [route]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; charset=utf-8"]
)
def test_a_form_is_collected_as_it_was_read_and_scrubbed(server, start, app, kind):
    start()
    with serving.asgi(app) as site:
        form = {"Content_Type": kind}
        assert site.get("/form?a=1", "POST", b"name=Jane&password=x", **form).status == 200
    (event,) = server.until(lambda: server.named("posted"))
    assert event["request"]["params"] == {"a": "1", "name": "Jane", "password": "<redacted>"}
    assert event["properties"]["body"] == {"name": "Jane", "password": "<redacted>"}


@pytest.mark.parametrize(
    ("body", "collected"),
    [
        ('{"name": "Jane", "password": "x"}', {"name": "Jane", "password": "<redacted>"}),
        ('{"password": "x", "name": "%s"}' % ("Jane" * 5000), "<cut>"),
        ('{"password": "x", }', "<cut>"),
        ("", None),
    ],
    ids=["whole", "too long", "no JSON", "nothing"],
)
def test_of_json_that_cannot_be_read_whole_no_secret_is_collected(server, start, app, body, collected):
    start()
    with serving.asgi(app) as site:
        assert site.get("/form", "POST", body.encode(), Content_Type="application/json").status == 200
    (event,) = server.until(lambda: server.named("posted"))
    assert event["properties"]["body"] == collected


def test_a_websocket_is_refused_as_it_connects(server, start, app):
    client = start()
    assert known(client)
    decide(client, block(scope="ip", value="127.0.0.1"))
    with serving.asgi(app) as site, pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{site.port}/socket/good").close()
    decide(client, block(), Decision("d1", "block", "user", "id:bad", playbook="p"))
    with serving.asgi(app) as site, pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{site.port}/early/bad").close()


def test_a_websocket_is_closed_once_its_user_is_refused(server, start, app):
    client = start()
    assert known(client)
    with serving.asgi(app) as site:
        with connect(f"ws://127.0.0.1:{site.port}/socket/bad") as socket:
            socket.send("one")
            assert socket.recv(5) == "one"
            decide(client, block())
            socket.send("two")
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(5)
        assert closed.value.rcvd.code == 1008
        with connect(f"ws://127.0.0.1:{site.port}/socket/bad") as socket, pytest.raises(ConnectionClosed) as closed:
            socket.recv(5)
        assert closed.value.rcvd.code == 1008
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == 2


def test_a_lifespan_waits_for_the_first_list_and_flushes_at_its_end(server, start, went_on):
    server.decide(block())
    seen = []

    @asynccontextmanager
    async def lifespan(app):
        yield
        sdk.track("going")

    app = application(went_on)
    app.router.lifespan_context = lifespan
    app.add_middleware(SentinelMiddleware)
    start(flush_interval=3600)
    with serving.asgi(app) as site:
        assert site.get("/plain/bad").status == 403
    assert server.named("going")
    assert seen == []


def test_a_server_that_is_away_delays_no_start_for_long_and_no_request(start, app):
    start(url="http://127.0.0.1:9", startup_wait=0.05, exit_wait=0.05)
    with serving.asgi(app) as site:
        assert site.get("/plain/bad").status == 200
        assert site.get("/plain/bad").status == 200


def test_the_middleware_is_idle_before_start(idle, app):
    before = set(threading.enumerate())
    with serving.asgi(app) as site:
        assert site.get("/plain/bad").status == 200
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("sentinel-")]


def test_two_middlewares_make_one_answer(server, start, app):
    client = start()
    assert known(client)
    decide(client, block())
    app.add_middleware(SentinelMiddleware)
    with serving.asgi(app) as site:
        assert site.get("/plain/bad").status == 403
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == 1


def test_page_status_and_headers_can_be_the_applications(server, start, app):
    client = start(block_status=451, block_page="<b>no: {reference}</b>", block_headers={"X-Why": "security"})
    assert known(client)
    decide(client, block())
    with serving.asgi(app) as site:
        got = site.get("/plain/bad", Accept="text/html")
        assert (got.status, got.body, got.headers["x-why"]) == (451, b"<b>no: d1</b>", "security")
        assert site.get("/plain/bad", "HEAD", Accept="text/html").body == b""


def test_the_address_is_what_trusted_proxies_say(server, start, app):
    client = start(trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"])
    assert known(client)
    decide(client, block(scope="ip", value="203.0.113.9"))
    with serving.asgi(app, proxy_headers=False) as site:
        assert site.get("/plain/x", X_Forwarded_For="203.0.113.9").status == 403
        assert site.get("/plain/x", X_Forwarded_For="203.0.113.9, 10.1.1.1").status == 403
        assert site.get("/plain/x", X_Forwarded_For="203.0.113.9, 198.51.100.1").status == 200
        assert site.get("/plain/x", Forwarded='for="203.0.113.9:4711";proto=https').status == 403


def plain_application():
    app = FastAPI()

    @app.get("/streamed")
    async def streamed():
        async def pieces():
            yield b"one "
            yield b"two"

        return StreamingResponse(pieces(), headers={"x-own": "1"}, media_type="text/plain")

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(done.append, "background")
        return {"ok": True}

    @app.get("/fails")
    async def fails():
        raise RuntimeError("on purpose")

    @app.get("/refuses")
    async def refuses():
        return PlainTextResponse("no", 418, {"set-cookie": "a=1"})

    done: list[str] = []
    return app, done


def test_who_is_not_refused_gets_the_very_answer_there_is_without_the_sdk(server, start):
    start()
    answers, backgrounds = [], []
    for protected in (False, True):
        app, done = plain_application()
        if protected:
            app.add_middleware(SentinelMiddleware)
        with serving.asgi(app) as site:
            found = [site.get(path) for path in ("/streamed", "/later", "/fails", "/refuses", "/nowhere")]
        answers.append([(one.status, {k: v for k, v in one.headers.items() if k != "date"}, one.body) for one in found])
        backgrounds.append(done)
    assert answers[0] == answers[1]
    assert backgrounds == [["background"], ["background"]]
