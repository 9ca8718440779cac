"""The connection itself: proxies, TLS, what is sent where, and what nobody gets to see."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from sentinel import sdk
from sentinel.sdk.connection import FAILURES, Connection
from sentinel.sdk.options import Options
from tests.api.served import within
from tests.sdk.server import KEY


class Proxy(BaseHTTPRequestHandler):
    """Notes what it is asked for; answers in the server's name, or opens a tunnel to nowhere."""

    seen: list[tuple[str, str, dict[str, str]]]

    def log_message(self, *args):
        pass

    def answer(self):
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"accepted": 1, "duplicates": 0, "rejected": [], "revision": 0}'
        self.send_response(200 if self.command != "CONNECT" else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = answer  # noqa: N815


@contextmanager
def serving(handler, context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.seen = []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def ask(url, **settings):
    connection = Connection(Options(url=url, key=KEY, timeout=60.0, **settings))
    try:
        return connection.ask("POST", "/v1/events", b"{}")
    finally:
        connection.close()


def test_a_proxy_of_the_environment_is_used_and_told_its_own_password(monkeypatch):
    with serving(Proxy) as proxy:
        monkeypatch.setenv("http_proxy", f"http://jane:p%40ss@127.0.0.1:{proxy.server_address[1]}")
        assert ask("http://sentinel.example:8787/base", allow_plain_http=True).status == 200
    ((method, path, headers),) = proxy.seen
    assert (method, path) == ("POST", "http://sentinel.example:8787/base/v1/events")
    assert headers["host"] == "sentinel.example:8787"
    assert headers["proxy-authorization"] == "Basic amFuZTpwQHNz"


def test_through_a_proxy_https_is_a_tunnel_that_does_not_see_the_key(monkeypatch):
    with serving(Proxy) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        with pytest.raises(FAILURES):
            ask("https://sentinel.example")
    ((method, path, headers),) = proxy.seen
    assert (method, path) == ("CONNECT", "sentinel.example:443")
    assert KEY not in str(headers)


def test_a_server_on_loopback_is_never_reached_by_a_proxy(monkeypatch, server):
    with serving(Proxy) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        assert ask(server.url).status == 200
    assert proxy.seen == []


def test_no_proxy_is_heeded(monkeypatch):
    with serving(Proxy) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        monkeypatch.setenv("no_proxy", "sentinel.invalid")
        with pytest.raises(FAILURES):
            ask("http://sentinel.invalid", allow_plain_http=True)
    assert proxy.seen == []


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command, *more], check=True, capture_output=True)
    return key, made


def test_certificates_are_checked(certificate):
    key, made = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    with serving(Proxy, context) as server:
        port = server.server_address[1]
        assert ask(f"https://localhost:{port}", ca_file=str(made)).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"https://localhost:{port}")
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"https://127.0.0.1:{port}", ca_file=str(made))
    assert len(server.seen) == 1


def test_an_answer_without_end_is_read_to_a_bound_only():
    class Endless(Proxy):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass

    with serving(Endless) as server:
        connection = Connection(Options(url=f"http://127.0.0.1:{server.server_address[1]}", key=KEY, timeout=60.0))
        for _ in range(2):
            assert len(connection.ask("POST", "/v1/events", b"{}").body) == 1024 * 1024


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n: \r\n0\r\n", b"X: y\r\n"),
    ],
    ids=["continue", "trailer"],
)
def test_a_flood_without_end_around_an_answer_is_read_to_a_bound_only(first, more):
    """However long a stream may last: a thread that reads for ever takes a processor from the application."""

    class Flooding(Proxy):
        def do_GET(self):
            with contextlib.suppress(OSError):
                self.wfile.write(first)
                while True:
                    self.wfile.write(more * 1000)

    bounded = r"does not end|more than 100 (interim responses|trailers)"  # the latter where http.client bounds them
    with serving(Flooding) as server:
        connection = Connection(Options(url=f"http://127.0.0.1:{server.server_address[1]}", key=KEY, timeout=60.0))
        with pytest.raises(http.client.HTTPException, match=bounded):
            list(connection.stream("/v1/feed/stream", {}, 60).pieces)


def test_a_server_that_says_nothing_is_given_up_after_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TimeoutError):
        ask_quickly = Connection(Options(url=f"http://127.0.0.1:{mute.getsockname()[1]}", key=KEY, timeout=0.1))
        ask_quickly.ask("POST", "/v1/events", b"{}")


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\xff\x16\x03\x01", b"HTTP/1.1 nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", b""],
)
def test_whatever_answers_the_failure_is_one_of_ours(garbage):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            accepted, _ = listening.accept()
            with accepted:
                accepted.recv(65536)
                accepted.sendall(garbage)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            found = ask(f"http://127.0.0.1:{listening.getsockname()[1]}")
            assert found.body == b"{}"
        except FAILURES:
            pass
        thread.join(5)


def test_an_ended_connection_opens_no_other(server):
    connection = Connection(Options(url=server.url, key=KEY))
    connection.end()
    with pytest.raises(ConnectionError):
        connection.ask("POST", "/v1/events", b"{}")
    assert server.attempts == []


def test_the_key_is_in_no_repr_and_no_log(server, start, caplog):
    caplog.set_level("DEBUG")
    client = start()
    sdk.track("e")
    assert sdk.flush(60)
    assert KEY not in caplog.text
    assert KEY not in repr(client)
    assert KEY not in repr(client.options)
    assert KEY not in str(sdk.stats())


def test_an_answer_that_trickles_is_given_up_in_a_bounded_time():
    class Trickling(Proxy):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b" ")
                    pause.wait(0.02)

    pause = threading.Event()
    with serving(Trickling) as server:
        connection = Connection(Options(url=f"http://127.0.0.1:{server.server_address[1]}", key=KEY, timeout=0.1))
        with pytest.raises(TimeoutError):
            connection.ask("POST", "/v1/events", b"{}")
        pause.set()


@contextlib.contextmanager
def trickling(first, more):
    """Answer with some bytes, then with others again and again, a few milliseconds apart, until they are refused."""

    class Trickling(Proxy):
        def do_POST(self):
            with contextlib.suppress(OSError):
                self.wfile.write(first)
                while not pause.wait(0.01):
                    self.wfile.write(more)

        def do_GET(self):
            self.do_POST()

    pause = threading.Event()
    with serving(Trickling) as server:
        yield Connection(Options(url=f"http://127.0.0.1:{server.server_address[1]}", key=KEY, timeout=0.1))
        pause.set()


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x"),
    ],
    ids=["status", "header", "continue", "chunks", "extension", "trailer"],
)
def test_whatever_of_an_answer_trickles_it_is_given_up_in_a_bounded_time(first, more):
    with trickling(first, more) as connection:

        def took():
            began = time.monotonic()
            with pytest.raises(FAILURES):
                connection.ask("POST", "/v1/events", b"{}")
            assert connection._open is None
            return time.monotonic() - began

        assert within(5, took)


def test_a_list_that_trickles_is_given_up_and_a_stream_is_not(monkeypatch):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with trickling(head, b"1\r\n \r\n") as connection:
        with pytest.raises(TimeoutError):
            list(connection.stream("/v1/feed", {}, 0.2, 0.3).pieces)
        pieces = connection.stream("/v1/feed/stream", {}, 60).pieces
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600)  # past the patience for a whole answer
        monkeypatch.setattr("sentinel.sdk.connection.time", later)
        assert next(pieces) == b" "
        connection.close()


def test_a_connection_is_kept_for_the_next_request(server):
    connection = Connection(Options(url=server.url, key=KEY))
    for _ in range(3):
        assert connection.ask("POST", "/v1/events", b"{}").status == 200
        assert connection._open is not None
    connection.close()
