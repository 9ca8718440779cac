"""What a connection may send before anybody knows who it is, over raw sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest

from sentinel.connection import Connection
from tests.api.served import served

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


class Hasty(Connection):
    patience = 0.05


left = threading.Event()


async def app(scope, receive, send):
    """Answer with how much of a body came; `/early` answers first, `/stay` when the client has left."""
    length, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message["body"]), message["more_body"]
    while scope["path"] == "/stay" and (await receive())["type"] != "http.disconnect":
        pass
    body = b"%d" % length
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
    if scope["path"] == "/stay":
        left.set()


@pytest.fixture(scope="module")
def patient():
    with served(app, lifespan="off", http=Connection) as client:
        yield client.port


@pytest.fixture(scope="module")
def hasty():
    with served(app, lifespan="off", http=Hasty) as client:
        yield client.port


@contextlib.contextmanager
def connected(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        yield sock


def until_closed(sock):
    """Return what comes until the server closes; a TimeoutError says that it does not."""
    got = b""
    with contextlib.suppress(ConnectionResetError):  # closed before it had read everything
        while piece := sock.recv(65536):
            got += piece
    return got


def answer(sock):
    got = b""
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        got += sock.recv(65536)
    return got


@pytest.mark.parametrize(
    "head",
    [b"GET /?" + b"a" * 70_000, GET + b"A: " + b"a" * 70_000, GET + b"A: a\r\n" * 12_000, b"\r\n" * 40_000],
    ids=["address", "one line", "many lines", "nothing"],
)
def test_a_head_without_an_end_is_refused_at_64_kib(patient, head):
    with connected(patient) as sock:
        sock.sendall(head[: Connection.longest - 1])
        sock.sendall(head[Connection.longest - 1 : Connection.longest])
        assert until_closed(sock).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(("over", "status"), [(-1, b"200"), (0, b"200"), (1, b"431")])
def test_the_bound_of_a_head_does_not_depend_on_how_it_is_cut(patient, over, status):
    start, end = GET + b"Connection: close\r\nA: ", b"\r\n\r\n"
    head = start + b"a" * (Connection.longest - len(start) - len(end) + over) + end
    for cut in (1, 30_000, len(head)):
        with connected(patient) as sock:
            sock.sendall(head[:cut])
            sock.sendall(head[cut:])
            assert until_closed(sock)[9:12] == status


@pytest.mark.parametrize(
    "rest", [b"0\r\n" + b"A: a\r\n" * 40_000, b"5;" + b"a" * 200_000], ids=["trailer", "extension"]
)
def test_what_stands_around_the_pieces_of_a_body_is_bounded_too(patient, rest):
    with connected(patient) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(CHUNKED + rest)
        assert until_closed(sock) == b""


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_as_long_as_they_like(patient, chunked):
    with connected(patient) as sock:
        sock.sendall(GET.replace(b"GET", b"POST"))
        if chunked:
            sock.sendall(
                b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"b" * 16_384 + b"\r\n") * 64 + b"0\r\n\r\n"
            )
        else:
            sock.sendall(b"Content-Length: 1048576\r\n\r\n" + b"b" * 1_048_576)
        assert answer(sock).endswith(b"\r\n\r\n1048576")


def test_requests_follow_each_other_on_one_connection_without_adding_up(patient):
    with connected(patient) as sock:
        for _ in range(3):
            sock.sendall(GET + b"A: " + b"a" * 40_000 + b"\r\n\r\n")
            assert answer(sock).endswith(b"\r\n\r\n0")
        sock.sendall((GET + b"\r\n") * 2 + GET + b"Connection: close\r\n\r\n")
        assert until_closed(sock).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("begun", [b"G", GET, b"\r\n", GET + b"\r\n" + b"G"], ids=["byte", "line", "nothing", "second"])
def test_a_head_that_does_not_end_in_time_closes_the_connection(begun, hasty):
    with connected(hasty) as sock:
        if begun.endswith(b"\r\nG"):
            sock.sendall(begun[:-1])
            answer(sock)
        sock.sendall(begun[-1:] if begun.endswith(b"\r\nG") else begun)
        assert until_closed(sock) == b""


def test_time_for_a_head_runs_from_its_first_byte(hasty):
    with connected(hasty) as sock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.sendall(GET)
        sock.settimeout(0.02)
        for _ in range(2000):
            sock.sendall(b"A: a\r\n")
            with contextlib.suppress(TimeoutError):
                assert sock.recv(100) == b""
                return
        pytest.fail("every further line bought more time")


def test_a_body_that_nobody_waits_for_has_no_time_of_its_own(hasty):
    with connected(hasty) as sock:
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert answer(sock).endswith(b"0")
        sock.sendall(b"b")
        assert until_closed(sock) == b""


@pytest.mark.parametrize(
    "sending", [b"Content-Length: 9000000", b"Transfer-Encoding: chunked"], ids=["length", "chunks"]
)
def test_whoever_is_answered_while_still_sending_gets_the_answer_also_where_the_connection_ends_with_it(
    patient, sending
):
    body = b"b" * 9_000_000 if b"Length" in sending else (b"4000\r\n" + b"b" * 16_384 + b"\r\n") * 550 + b"0\r\n\r\n"
    with connected(patient) as sock:
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + sending + b"\r\n\r\n" + body)
        head, _, answered = until_closed(sock).partition(b"\r\n\r\n")
    assert (head[:13], answered) == (b"HTTP/1.1 200 ", b"0")


def test_what_such_a_client_never_sends_is_not_waited_for(hasty):
    with connected(hasty) as sock:
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\nb")
        assert until_closed(sock).endswith(b"\r\n\r\n0")


def test_nothing_is_answered_behind_the_last_request_of_a_connection(patient, caplog):
    with connected(patient) as sock:
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
        assert answer(sock).endswith(b"0")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(b"b" * 9 + GET + b"\r\n")
        assert until_closed(sock).count(b"HTTP/1.1 200") == 0
    assert caplog.records == []


def test_a_request_under_way_is_not_hurried(hasty):
    with connected(hasty) as sock:
        sock.sendall(GET.replace(b"GET", b"POST") + b"Content-Length: 2\r\n\r\nb")
        for _ in range(3):  # each takes all of a head's time
            with connected(hasty) as other:
                other.sendall(b"G")
                assert until_closed(other) == b""
        sock.sendall(b"b")
        assert answer(sock).endswith(b"\r\n\r\n2")


def test_a_request_that_others_wait_behind_hears_that_its_client_left_and_writes_nothing_into_the_log(patient, caplog):
    left.clear()
    with connected(patient) as sock:
        sock.sendall(b"GET /stay HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"\r\n")
    assert left.wait(60)
    assert caplog.records == []


def test_a_connection_that_never_says_anything_is_closed():
    with served(app, lifespan="off", http=Connection, timeout_keep_alive=0) as client, connected(client.port) as sock:
        assert until_closed(sock) == b""


def test_whoever_asks_for_another_protocol_is_answered_in_this_one_and_writes_nothing_into_the_log(patient, caplog):
    for asked in (b"h2c", b"x"):
        with socket.create_connection(("127.0.0.1", patient), 60) as sock:
            sock.sendall(b"GET /early HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " + asked + b"\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    assert caplog.records == []


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"],
    ids=["TLS", "method", "length"],
)
def test_what_is_no_http_is_refused_in_the_one_form_and_writes_nothing_into_the_log(patient, sent, caplog):
    with connected(patient) as sock:
        sock.sendall(sent)
        head, _, body = until_closed(sock).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "malformed"
    assert b"content-length: %d" % len(body) in head
    assert caplog.records == []
