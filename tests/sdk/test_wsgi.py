"""WSGI applications behind a real server: lists, generators, the old `write`, files; and Flask."""

from __future__ import annotations

import contextlib
import io
import sys
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from sentinel import sdk
from sentinel.core.decision import Decision
from sentinel.sdk import context, testing
from sentinel.sdk.wsgi import SentinelMiddleware
from tests.sdk import serving
from tests.sdk.conftest import decide, known

closed: list[str] = []


class Pieces:
    """A body made piece by piece, that notes its closing."""

    def __init__(self, user, identify_at):
        self.user, self.identify_at = user, identify_at

    def __iter__(self):
        for number in range(3):
            if number == self.identify_at:
                sdk.identify({"id": self.user})
            yield b"" if number == 0 else f"piece {number} ".encode()

    def close(self):
        closed.append(self.user)


def application(environ, start_response):
    _, way, user = environ["PATH_INFO"].split("/")
    plain = [("Content-Type", "text/plain")]
    if way == "list":
        sdk.identify({"id": user})
        start_response("200 OK", plain)
        return [b"se", b"cret"]
    if way == "login":
        sdk.auth_track(True, {"id": user})
    if way == "after":
        start_response("200 OK", plain)
        sdk.identify({"id": user})
        return [b"secret"]
    if way == "bare":
        with contextlib.suppress(BaseException):
            sdk.identify({"id": user})
        start_response("200 OK", plain)
        return [b"secret"]
    if way == "generator":
        start_response("200 OK", plain)
        return Pieces(user, 1)
    if way == "late":
        start_response("200 OK", plain)
        return Pieces(user, 2)
    if way == "write":
        write = start_response("200 OK", plain)
        sdk.identify({"id": user})
        write(b"secret")
        return []
    if way == "wrote":
        start_response("200 OK", plain)(b"before ")
        sdk.identify({"id": user})
        return [b"after"]
    if way == "file":
        start_response("200 OK", plain)
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a file"))
    if way == "error":
        start_response("200 OK", plain)
        try:
            raise KeyError(user)
        except KeyError:
            start_response("500 Oops", plain, sys.exc_info())
        return [b"sorry"]
    if way == "form":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        sdk.track("posted")
        start_response("204 No Content", [])
        return []
    raise RuntimeError("on purpose")


@pytest.fixture
def client(server, start):
    made = start(flush_interval=3600)  # an event waits no longer for its request's answer
    assert known(made)
    return made


BAD = Decision("d1", "block", "user", "id:bad", playbook="p")
WAYS = ["list", "after", "bare", "generator", "write"]


@pytest.mark.parametrize("wrap", [lambda app: app, validator], ids=["bare", "validated"])
def test_a_refused_user_is_refused_however_the_body_is_made(server, client, wrap):
    decide(client, BAD)
    closed.clear()
    with serving.wsgi(wrap(SentinelMiddleware(wrap(application)))) as site:
        for way in WAYS:
            got = site.get(f"/{way}/bad")
            assert (way, got.status) == (way, 403)
            assert got.json["error"]["reference"] == "d1"
        for way in WAYS:
            assert site.get(f"/{way}/good").status == 200
    assert closed == ["bad", "good"]
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == len(WAYS)
    assert {event["request"]["status"] for event in server.named("sentinel.enforced")} == {403}


def test_what_has_started_is_let_go_on_and_counted(server, client):
    decide(client, BAD)
    with serving.wsgi(SentinelMiddleware(application)) as site:
        assert site.get("/late/bad").body == b"piece 1 piece 2 "
        assert site.get("/wrote/bad").body == b"before after"
    assert sdk.stats()["unenforced"] == 2
    assert sdk.flush(60)
    assert server.named("sentinel.enforced") == []


def test_what_is_not_refused_passes_unchanged(client):
    with serving.wsgi(SentinelMiddleware(application)) as site:
        assert site.get("/generator/good").body == b"piece 1 piece 2 "
        assert site.get("/write/good").body == b"secret"
        assert site.get("/file/good").body == b"a file"
        assert (site.get("/error/good").status, site.get("/error/good").body) == (500, b"sorry")
        assert site.get("/unknown/good").status == 500


def test_a_file_is_handed_to_the_server_as_a_file(client):
    environ = {"PATH_INFO": "/file/good", "wsgi.file_wrapper": FileWrapper, "REQUEST_METHOD": "GET"}
    assert isinstance(SentinelMiddleware(application)(environ, lambda *_: None), FileWrapper)


def test_a_file_is_handed_to_the_server_as_a_file_also_where_no_type_tells_it(client):
    """uWSGI's wrapper is a function that returns the very file, which it knows again if nobody wraps it."""
    file = io.BytesIO(b"a file")
    environ = {"PATH_INFO": "/file/good", "wsgi.file_wrapper": lambda *_: file, "REQUEST_METHOD": "GET"}
    assert SentinelMiddleware(application)(environ, lambda *_: None) is file


def test_where_a_server_has_nothing_for_files_the_application_is_offered_nothing(client):
    environ = {"PATH_INFO": "/list/good", "REQUEST_METHOD": "GET"}
    SentinelMiddleware(application)(environ, lambda *_: None)
    assert "wsgi.file_wrapper" not in environ


@pytest.mark.parametrize("user", ["good", "bad"])
@pytest.mark.parametrize("way", [*WAYS, "error"])
def test_an_answer_has_started_when_the_call_returns(client, way, user):
    """Granian looks for status and headers then, whatever the standard says."""
    decide(client, BAD)
    started = []
    environ = {"PATH_INFO": f"/{way}/{user}", "REQUEST_METHOD": "GET"}
    body = SentinelMiddleware(application)(environ, lambda *start: started.append(start[0][:3]) or started.append)
    assert started[:1] == ["500" if way == "error" else "403" if user == "bad" else "200"]
    list(body)
    body.close() if hasattr(body, "close") else None


def test_a_body_that_fails_before_its_first_piece_is_closed(client):
    """The server never sees such a body, so that it cannot close it."""

    class Failing(Pieces):
        def __iter__(self):
            raise KeyError("on purpose")

    def app(environ, start_response):
        start_response("200 OK", [])
        return Failing("failed", None)

    closed.clear()
    with pytest.raises(KeyError):
        SentinelMiddleware(app)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: None)
    assert closed == ["failed"]


def test_a_blocked_address_never_reaches_the_application(server, client):
    decide(client, Decision("n", "block", "ip", "127.0.0.1", playbook="p"))
    with serving.wsgi(SentinelMiddleware(lambda *_: pytest.fail("reached"))) as site:
        got = site.get("/list/good", Accept="text/html")
        assert (got.status, got.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert site.get("/list/good", "HEAD").body == b""


def test_the_login_of_a_refused_user_leaves_as_its_answer_does(server, start):
    client = start(flush_interval=3600)
    assert known(client)
    decide(client, BAD)

    def page(environ, start_response):
        with server.changed:  # not yet: its status is still to come
            assert not server.changed.wait_for(lambda: server.named("auth"), 0.1)
        start_response("410 Gone", [])
        return []

    with serving.wsgi(SentinelMiddleware(application, refuse=page)) as site:
        assert site.get("/login/bad").status == 410
    (login,) = server.until(lambda: server.named("auth"))
    assert login["request"]["status"] == 410


def test_an_answer_that_nobody_took_is_not_reported(server, client):
    decide(client, BAD)
    body = SentinelMiddleware(application)({"PATH_INFO": "/list/bad", "REQUEST_METHOD": "GET"}, lambda *_: None)
    body.close()
    assert sdk.flush(60)
    assert server.named("sentinel.enforced") == []


def test_an_answer_without_a_body_is_reported_where_no_second_piece_is_asked_for():
    """As granian does, where Content-Length says 0."""
    environ = {"PATH_INFO": "/list/sent", "REQUEST_METHOD": "GET"}
    with testing.capture() as sentinel:
        sentinel.decide("redirect", user="sent", to="https://help.example/")
        body = SentinelMiddleware(application)(environ, lambda *_: None)
        assert next(iter(body), b"") == b""
        assert [event["request"]["status"] for event in sentinel.named("sentinel.enforced")] == [303]


def test_what_is_tracked_as_a_body_is_closed_is_its_requests():
    class Body(Pieces):
        def close(self):
            sdk.track("closed")
            raise OSError("on purpose")

    def app(environ, start_response):
        sdk.identify("jane")
        start_response("200 OK", [])
        return Body("jane", None)

    with testing.capture() as sentinel:
        body = SentinelMiddleware(app)({"PATH_INFO": "/shop", "REQUEST_METHOD": "GET"}, lambda *_: None)
        with pytest.raises(OSError, match="on purpose"):
            body.close()
        (event,) = sentinel.named("closed")
        assert (event["user"], event["request"]["path"]) == ({"id": "jane"}, "/shop")
        assert context.current.get() is None


def test_redirects_and_challenges_are_answered(client):
    decide(
        client,
        Decision("r", "redirect", "user", "id:sent", to="https://help.example/", playbook="p"),
        Decision("c", "challenge", "user", "id:odd", playbook="p"),
    )

    def ask(environ, start_response):
        start_response("428 Precondition Required", [("Content-Type", "text/plain")])
        return [environ["sentinel.verdict"].reference.encode()]

    with serving.wsgi(SentinelMiddleware(application, challenge=ask)) as site:
        got = site.get("/list/sent")
        assert (got.status, got.headers["location"]) == (303, "https://help.example/")
        assert (site.get("/list/odd").status, site.get("/list/odd").body) == (428, b"c")
    with serving.wsgi(SentinelMiddleware(application)) as site:
        assert site.get("/list/odd").status == 401


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; charset=utf-8"]
)
def test_form_fields_are_collected_as_the_application_reads_them(server, client, kind):
    with serving.wsgi(SentinelMiddleware(application)) as site:
        form = {"Content_Type": kind}
        site.get("/form/x?a=1&a=2", "POST", b"name=Jane&card_number=4111", **form)
    assert sdk.flush(60)
    (event,) = server.named("posted")
    assert event["request"]["params"] == {"a": ["1", "2"], "name": "Jane", "card_number": "<redacted>"}
    assert event["request"]["status"] == 204


@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(),
        lambda body: b"".join(body),
        lambda body: b"".join(body.readlines()),
        lambda body: body.readline() + next(body) + body.read(100),
        lambda body: io.TextIOWrapper(body, "utf-8").read().encode(),
    ],
)
def test_a_body_is_read_in_any_way_that_servers_allow(read):
    def posting(environ, start_response):
        assert read(environ["wsgi.input"]) == b"a=1\n&b=2\n&c=3\n"
        start_response("204 No Content", [])
        return []

    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    environ["wsgi.input"] = io.BytesIO(b"a=1\n&b=2\n&c=3\n")
    with testing.capture():
        assert list(SentinelMiddleware(posting)(environ, lambda status, headers: None)) == []


def test_an_inner_middleware_leaves_the_request_to_the_outer(server, client):
    decide(client, BAD)

    def page(environ, start_response):
        start_response("410 Gone", [])
        return []

    with serving.wsgi(SentinelMiddleware(SentinelMiddleware(application), refuse=page)) as site:
        assert site.get("/list/bad").status == 410
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == 1


def test_the_address_is_what_the_declared_number_of_proxies_says(server, start):
    made = start(trusted_proxies=1)
    assert known(made)
    decide(made, Decision("n", "block", "ip", "203.0.113.9", playbook="p"))
    with serving.wsgi(SentinelMiddleware(application)) as site:
        assert site.get("/list/x", X_Forwarded_For="198.51.100.1, 203.0.113.9").status == 403
        assert site.get("/list/x", X_Forwarded_For="203.0.113.9, 198.51.100.1").status == 200
        assert site.get("/list/x").status == 200


@pytest.mark.parametrize("outer", [True, False])
def test_events_from_before_flasks_views_tell_the_route_too(outer):
    flask = pytest.importorskip("flask")
    from sentinel.sdk.flask import Sentinel

    app = flask.Flask("shop")
    if outer:
        Sentinel(app)
    app.before_request(lambda: sdk.identify("jane") and None)
    app.add_url_rule("/orders/<int:number>", view_func=lambda number: {"number": number})
    if not outer:
        Sentinel(app)
    with testing.capture() as sentinel:
        app.test_client().get("/orders/7")
        (event,) = sentinel.named("sentinel.identify")
    assert event["request"]["route"] == "/orders/<int:number>"


def test_flask(server, client):
    flask = pytest.importorskip("flask")
    from sentinel.sdk.flask import Sentinel

    app = flask.Flask("shop")
    Sentinel(app)
    went_on = []

    @app.get("/items/<item>")
    def item(item):
        sdk.track("item.viewed")
        sdk.identify({"id": item})
        went_on.append(item)
        return {"item": item}

    @app.get("/stream/<user>")
    def stream(user):
        def pieces():
            sdk.identify({"id": user})
            yield "secret"

        return flask.Response(flask.stream_with_context(pieces()))

    @app.errorhandler(Exception)
    def every(error):
        went_on.append("handled")
        return "every", 500

    decide(client, BAD)
    with serving.wsgi(app) as site:
        assert site.get("/items/bad").status == 403
        assert site.get("/stream/bad").status == 403
        assert site.get("/stream/good").body == b"secret"
        assert site.get("/items/good").json == {"item": "good"}
        assert site.get("/nowhere").status == 500
    assert went_on == ["good", "handled"]
    assert sdk.flush(60)
    events = server.named("item.viewed")
    assert [(event["request"]["route"], event["request"]["status"]) for event in events] == [
        ("/items/<item>", 403),
        ("/items/<item>", 200),
    ]
