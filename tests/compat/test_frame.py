"""The frame of foreign protocols, with one made up: who is let in, what is taken, what is refused, and how."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from sentinel.compat.adapter import (
    ANY_SENDER,
    Adapter,
    Answer,
    Request,
    Route,
    Shared,
    first_of,
    in_authorization,
    in_header,
    in_query,
)
from sentinel.compat.frame import Compat
from sentinel.core.errors import EventError
from sentinel.core.record import Key
from sentinel.edge.door import Door
from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets
from sentinel.edge.protocols import KeyForm
from sentinel.edge.turns import BURST
from sentinel.edge.wire import Headers
from sentinel.service.intake import Busy
from tests.api.fakes import NOW, FakeAccess, FakeMeters, Written, gate
from tests.api.served import served

SHOP = "https://shop.example"
SENT = {"name": "login", "who": "42"}


def translate(element):
    if not isinstance(element, dict):
        raise EventError("event", "not an object")
    if element.get("odd"):
        return [{"event": str(1 / 0)}]
    yield {"event": element.get("name"), "user": element.get("who"), "id": element.get("id")}
    if element.get("twice"):
        yield {"event": "again"}


def routes(shared):
    async def events(call):
        taken = await call.take(translate)
        return Answer(201, {"stored": taken.receipt.accepted}, (("x-tag", "7"),))

    async def one(call):
        taken = await call.send([{"event": call.request.named["name"], "properties": call.request.query}])
        return Answer(200, b"fine", kind="text/plain") if not taken.rejected else Answer(400, taken.rejected)

    async def config(call):
        return Answer(200, {"app": call.caller.app, "path": call.request.path})

    async def enter(call):
        return Answer(200, {"said": await call.json()})

    return [
        Route("POST", "/v1/events", events, ANY_SENDER),
        Route("GET", "/v1/{name}/send", one),
        Route("GET", "/v1/config", config, ("sdk",), events=False),
        Route("GET", "/v1/stored", config, ("read", "sdk"), events=False),
        Route("POST", "/auth", enter, events=False, open=True, cost=10),
    ]


FAKE = Adapter(
    KeyForm(("sdk", "ingest", "browser")), routes, in_header("X-Fake-Key"), told_by=(b"x-fake-key",),
    at_root=frozenset({"/v1/config"}), allow="x-fake-key", expose="X-Tag",
)  # fmt: skip


class Room:
    def __init__(self):
        self.access, self.written, self.meters = FakeAccess(), Written(), FakeMeters()
        self.access.known |= {
            f"fake-{scope}": Key(f"fake-{scope}", "one", scope, protocol="fake", settings={"origins": [SHOP]})
            for scope in ("sdk", "ingest", "browser", "read")
        }
        self.access.known["fake-two"] = Key("fake-two", "two", "sdk", protocol="fake")
        self.troubles, self.now, self.starting = [], 0.0, None
        self.intake = self.written.intake()
        self.intake.start()
        self.door = Door(
            self.intake, lambda app: 7, self.meters, lambda: NOW + int(self.now * 1e6), lambda: self.now,
            Buckets(10, 100), Buckets(1, 20), not_yet=lambda: self.starting,
        )  # fmt: skip
        self.shared = Shared(gate(self.access, "the token"), self.door, None, None, lambda app: True, self.trouble)
        self.app = Compat({"fake": FAKE}, self.shared)

    def trouble(self, where, error):
        self.troubles.append((where, str(error)))


@pytest.fixture(scope="module")
def running():
    room = Room()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            assert room.app.answers(scope)
            await room.app(scope, receive, send)

    with served(app, lifespan="off") as client:
        yield room, client
    room.intake.stop()


@pytest.fixture
def room(running):
    room, client = running
    room.now += 1000
    room.starting = None
    room.written.__init__()
    room.meters.__init__()
    room.troubles.clear()
    room.client = client
    return room


def post(room, body, key="fake-sdk", path="/compat/fake/v1/events", headers=(), **more):
    return room.client.post(path, body, headers=[("X-Fake-Key", key), *headers], **more)


@pytest.mark.parametrize("path", ["/v1/events", "//v1/events", "/v1/events/", "///v1/events//"])
def test_an_address_that_was_given_with_a_slash_at_its_end_is_answered_too(room, path):
    """A client that is told 404 may be silent for hours."""
    assert post(room, [{"event": "a"}], path=f"/compat/fake{path}").status < 300


def test_questions_about_stored_events_wait_for_their_turn_and_nothing_else_does(room):
    """They take as long as the API's."""
    key, turns = [("X-Fake-Key", "fake-sdk")], room.shared.turns
    assert room.client.get("/compat/fake/v1/stored", headers=key).status == 200
    turns._of_keys.spend("fake-sdk", 100 * BURST, turns._clock())
    answer = room.client.get("/compat/fake/v1/stored", headers=key)
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (429, True)
    assert room.client.get("/compat/fake/v1/config", headers=key).status == 200
    assert room.client.get("/compat/fake/v1/stored", headers=[("X-Fake-Key", "fake-read")]).status == 200
    assert post(room, [SENT]).status == 201


def test_what_a_foreign_body_means_is_written_before_the_answer(room):
    answer = post(room, [SENT, SENT | {"twice": True}])
    assert (answer.status, answer.json, answer.headers["x-tag"]) == (201, {"stored": 3}, "7")
    written = [(one.name, dict(one.identifiers)) for one in room.written.events]
    assert written == [("login", {"id": "42"})] * 2 + [("again", {})]
    (sending,) = room.written.sendings
    assert (sending.app, sending.scope, sending.historical) == ("one", "sdk", False)
    assert [taken[2] for taken in room.meters.taken] == [0]


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress, lambda data: zlib.compress(data, wbits=-15)])
def test_bodies_come_compressed_as_gzip_or_either_deflate(room, encode):
    name = "gzip" if encode is gzip.compress else "deflate"
    raw = encode(json.dumps([SENT]).encode())
    assert post(room, None, raw=raw, headers=[("Content-Encoding", name)]).status == 201
    assert len(room.written.events) == 1


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_body_that_expands_without_end_is_refused(room, name):
    bomb = (gzip.compress if name == "gzip" else zlib.compress)(b" " * (9 << 20))
    answer = post(room, None, raw=bomb, headers=[("Content-Encoding", name)])
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert room.written.events == []


def test_an_element_that_means_nothing_costs_no_other_and_is_counted_and_told(room):
    assert post(room, ["?", SENT, {"name": "sq.x"}, {"odd": True}]).json == {"stored": 1}
    assert [taken[2] for taken in room.meters.taken] == [3]
    assert ("fake", "division by zero") in room.troubles
    told = [text for where, text in room.troubles if where == "compat fake"]
    assert told == ["app `one`: 3 events refused: `event`: not an object"]


def test_what_is_refused_is_told_once_a_minute(room):
    for _ in range(5):
        post(room, ["?"])
    assert len(room.troubles) == 1
    room.now += 61
    post(room, ["?"])
    assert len(room.troubles) == 2


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 300_000, b'"\xff"', b"[[1]]", b"7", b"null"])
def test_no_bytes_are_a_fault(room, raw):
    assert post(room, None, raw=raw).status in (201, 400, 413)
    assert room.written.events == []


@pytest.mark.parametrize("key", ["sdk", "nobody", "moesif", "the token", "", "ü"])
def test_only_keys_made_for_the_protocol_are_good(room, key):
    assert post(room, SENT, key).status in (401, 403)
    assert room.written.events == []


def test_a_key_without_a_protocol_is_told_how_to_make_one(room):
    message = post(room, SENT, "sdk").json["message"]
    assert message == "the key was not made for `fake` (make one with `sentinel keys create … --protocol fake`)"


FINDERS = first_of(
    in_header("X-Key"), in_authorization("bearer", "token"),
    in_query("key", "access_token", sending=lambda request: request.method == "POST"),
)  # fmt: skip


def asked(method="POST", query=b"", **headers):
    raw = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(method, "/", Headers(raw), {"query_string": query})


@pytest.mark.parametrize(
    "request_", [asked(x_key="abc"), asked(authorization="Bearer abc"), asked(authorization="token abc"),
                 asked(query=b"access_token=abc")],
)  # fmt: skip
def test_a_key_may_stand_in_one_of_several_places(request_):
    assert FINDERS(request_) == "abc"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asked(), "unauthorized"),
        (asked("GET", b"key=abc"), "unauthorized"),
        (asked(authorization="Basic abc"), "unauthorized"),
        (asked(x_key=""), "unauthorized"),
        (asked(x_key="a" * 600), "unauthorized"),
        (asked(x_key="abc", authorization="Bearer abc"), "two_credentials"),
        (asked(query=b"key=a&access_token=b"), "two_credentials"),
        (asked(x_key="abc", query=b"key=abc"), "two_credentials"),
    ],
)
def test_no_key_two_keys_and_a_key_in_an_address_that_reads_are_refused(request_, code):
    with pytest.raises(ApiError) as refused:
        FINDERS(request_)
    assert refused.value.code == code


def test_keys_of_the_protocol_are_no_good_elsewhere(room):
    with pytest.raises(Exception, match="was made for `fake`"):
        room.app.shared.gate.caller("fake-sdk")


def test_two_keys_are_one_too_many(room):
    assert post(room, SENT, headers=[("X-Fake-Key", "fake-two")]).status == 400


@pytest.mark.parametrize(("key", "status"), [("fake-sdk", 200), ("fake-ingest", 403), ("fake-browser", 403)])
def test_a_route_lets_its_scopes_in(room, key, status):
    answer = room.client.get("/compat/fake/v1/config", headers={"X-Fake-Key": key, "Origin": SHOP})
    assert answer.status == status


def test_a_key_sees_its_own_app(room):
    answer = room.client.get("/compat/fake/v1/config", headers={"X-Fake-Key": "fake-two"})
    assert answer.json == {"app": "two", "path": "/v1/config"}


def test_a_header_tells_a_request_at_the_root(room):
    assert room.client.get("/v1/config", headers={"X-Fake-Key": "fake-sdk"}).json["app"] == "one"
    head = {"type": "http", "path": "/v1/config", "headers": [(b"authorization", b"Bearer x")]}
    assert not room.app.answers(head)
    assert not room.app.answers(head | {"path": "/v1/events", "headers": [(b"x-fake-key", b"x")]})


def test_a_request_with_a_key_of_ours_is_ours_whatever_else_it_carries(room):
    headers = [(b"x-fake-key", b"x"), (b"authorization", b"Bearer x")]
    assert not room.app.answers({"type": "http", "path": "/v1/config", "headers": headers})
    assert room.app.answers({"type": "http", "path": "/compat/fake/v1/config", "headers": headers})


def test_head_is_answered_as_get_and_paths_end_as_they_like(room):
    assert room.client.ask("HEAD", "/compat/fake/v1/config/", headers={"X-Fake-Key": "fake-sdk"}).status == 200


def test_variable_parts_and_the_query_reach_the_route(room):
    answer = room.client.get("/compat/fake/v1/hello/send?a=1&a=2", headers={"X-Fake-Key": "fake-sdk"})
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"fine", "text/plain")
    (event,) = room.written.events
    assert (event.name, event.properties) == ("hello", {"a": "2"})


@pytest.mark.parametrize("path", ["fake/v1/nothing", "fake", "", "other/v1/events", "fake//send", "fake/v1//send"])
def test_what_is_not_there_is_refused(room, path):
    answer = room.client.get(f"/compat/{path}", headers={"X-Fake-Key": "fake-sdk"})
    assert answer.status == 404
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_method_that_is_not_taken_is_refused(room):
    refused = room.client.ask("PUT", "/compat/fake/v1/events", headers={"X-Fake-Key": "fake-sdk"})
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_who_asks_for_the_methods_of_an_address_is_told_them_and_a_browser_no_word_of_cors(room):
    for headers in ({}, {"Origin": SHOP}):
        asked = room.client.ask("OPTIONS", "/compat/fake/v1/config", headers=headers)
        assert (asked.status, asked.headers["allow"]) == (204, "GET, OPTIONS")
        assert "access-control-allow-origin" not in asked.headers


def test_a_browsers_key_sends_from_its_origins_alone(room):
    assert post(room, SENT, "fake-browser").status == 403
    assert post(room, SENT, "fake-browser", headers=[("Origin", "https://evil.example")]).status == 403
    assert room.written.events == []
    answer = post(room, SENT | {"id": "a"}, "fake-browser", headers=[("Origin", SHOP)])
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (201, SHOP)
    assert answer.headers["access-control-expose-headers"] == "X-Tag"
    (event,) = room.written.events
    assert (event.id, event.ip, event.trust) == ("fake-browser:a", "127.0.0.1", "browser")


def test_a_browser_is_not_believed_about_logins(room):
    assert post(room, {"name": "auth"}, "fake-browser", headers=[("Origin", SHOP)]).json == {"stored": 0}


def test_other_keys_get_no_word_of_cors(room):
    answer = post(room, SENT, headers=[("Origin", SHOP)])
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_preflight_is_answered_where_browsers_may_send(room):
    asked = room.client.ask("OPTIONS", "/compat/fake/v1/events", headers={"Origin": SHOP})
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, SHOP)
    assert asked.headers["access-control-allow-headers"] == "x-fake-key"


def test_the_apps_rate_holds(room):
    for _ in range(2):
        assert post(room, [SENT] * 60).status == 201
    answer = post(room, SENT)
    assert (answer.status, answer.headers["retry-after"]) == (429, "3")


def test_tries_without_a_key_are_few_for_an_address(room):
    answers = [room.client.post("/compat/fake/auth", {"a": 1}) for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[0].json == {"said": {"a": 1}}


def test_nothing_is_taken_while_windows_are_restored_but_lists_are_given(room):
    room.starting = "the server is starting"
    assert post(room, SENT).status == 503
    assert room.client.get("/compat/fake/v1/config", headers={"X-Fake-Key": "fake-sdk"}).status == 200


def test_what_brings_up_a_fault_costs_no_other_event(room):
    answer = post(room, [{"name": "x"}, {"name": "y", "id": "bad"}])
    assert (answer.status, answer.json) == (201, {"stored": 1})
    assert [event.name for event in room.written.events] == ["x"]
    assert "ZeroDivisionError" in {said for _, said in room.troubles}


@pytest.mark.parametrize("fails", [Busy("full"), RuntimeError("broken")])
def test_what_was_not_written_is_not_acknowledged(room, fails):
    room.written.fails = fails
    assert post(room, SENT).status == 503
    assert room.meters.codes == ["unavailable"]
    assert bool(room.troubles) == isinstance(fails, RuntimeError)
