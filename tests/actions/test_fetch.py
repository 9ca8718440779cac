"""The way out, against real servers on loopback: good ones, bad ones, and ones that only look right to a resolver."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sentinel.actions import bounded
from sentinel.actions.bounded import within
from sentinel.actions.download import download
from sentinel.actions.fetch import MOST, Fetcher, FetchError, Response
from sentinel.actions.target import PRIVATE, Reach
from tests.actions.receiver import Receiver, Request, status

LOOPBACK = Reach(["127.0.0.1/32"])


def fetcher(**options: object) -> Fetcher:
    return Fetcher(LOOPBACK, **{"timeout": 60, **options})  # type: ignore[arg-type]


def test_it_brings_status_headers_and_body() -> None:
    with Receiver(status(200, "X-Two: 2\r\n", b"hello")) as receiver:
        assert fetcher().fetch(receiver.url) == Response(200, {"content-length": "5", "x-two": "2"}, b"hello", True)


def test_it_says_who_asks_and_what_and_asks_for_nothing_packed() -> None:
    with Receiver(status(200)) as receiver:
        fetcher().fetch(f"{receiver.url}?a=b", method="POST", headers={"X-Own": "1"}, body=b"{}")
    (request,) = receiver.requests
    assert request.line == "POST /hook?a=b HTTP/1.1"
    assert request.body == b"{}"
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}", "user-agent": request.headers["user-agent"], "accept": "*/*",
        "accept-encoding": "identity", "connection": "close", "x-own": "1", "content-length": "2",
    }  # fmt: skip
    assert request.headers["user-agent"].startswith("sentinel/")


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with Receiver(status(200)) as inside, Receiver(status(302, f"Location: {inside.url}\r\n")) as outside:
        assert fetcher().fetch(outside.url).status == 302
        assert inside.connections == 0


def test_it_connects_to_the_address_it_checked_and_asks_the_resolver_once() -> None:
    """A resolver that says something harmless first and loopback the second time gets no second time."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return next(answers)

    with Receiver(status(204)) as receiver:
        url = f"http://hooks.example:{receiver.port}/"
        assert fetcher(resolver=rebinding).fetch(url).status == 204
    assert asked == ["hooks.example"]
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


@pytest.mark.parametrize("found", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%lo"])
def test_a_name_that_leads_inside_is_not_asked(found: str) -> None:
    with Receiver(status(200)) as receiver:
        with pytest.raises(FetchError, match="is refused") as caught:
            Fetcher(resolver=lambda host: [found]).fetch(f"http://hooks.example:{receiver.port}/")
        assert receiver.connections == 0
    assert not caught.value.permanent, "a name may lead elsewhere tomorrow"


def test_one_inside_address_among_good_ones_refuses_the_name() -> None:
    with pytest.raises(FetchError, match=r"its address 10\.0\.0\.1 is refused \(private\)"):
        Fetcher(resolver=lambda host: ["8.8.8.8", "10.0.0.1"]).fetch("http://hooks.example/")


def test_a_literal_inside_address_is_refused_for_good() -> None:
    with Receiver(status(200)) as receiver:
        with pytest.raises(FetchError, match="loopback") as caught:
            Fetcher().fetch(receiver.url)
        assert receiver.connections == 0
    assert caught.value.permanent


def test_a_url_that_is_none_is_refused_for_good() -> None:
    with pytest.raises(FetchError) as caught:
        fetcher().fetch("http://2130706433/")
    assert caught.value.permanent


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(status(200)) as proxy, Receiver(status(204)) as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert fetcher().fetch(receiver.url).status == 204
        assert proxy.connections == 0


def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    reach = Reach(["127.0.0.0/8"])
    with Receiver(status(204)) as receiver:
        found = Fetcher(reach, resolver=lambda host: ["127.0.0.99", "127.0.0.1"], timeout=60)
        assert found.fetch(f"http://hooks.example:{receiver.port}/").status == 204


def test_ipv6_is_spoken() -> None:
    try:
        receiver = Receiver(status(204), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with receiver:
        assert Fetcher(Reach(["::1/128"]), timeout=60).fetch(f"http://[::1]:{receiver.port}/").status == 204
    assert receiver.requests[0].headers["host"] == f"[::1]:{receiver.port}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_nobody_there_is_an_error_that_may_pass() -> None:
    with pytest.raises(FetchError, match="cannot be asked: Connection refused") as caught:
        fetcher().fetch(f"http://127.0.0.1:{closed_port()}/hunter2")
    assert not caught.value.permanent
    assert "hunter2" not in str(caught.value)


def hang(receiver: Receiver, connection: socket.socket) -> None:
    receiver.read(connection)
    receiver.ended.wait()


def test_a_server_that_never_answers_is_given_up() -> None:
    with Receiver(hang) as receiver, pytest.raises(FetchError, match=r"did not answer within 0\.1 s"):
        fetcher(timeout=0.1).fetch(receiver.url)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"])
def test_a_server_that_drips_is_given_up_however_steadily_it_drips(head: bytes) -> None:
    """Each byte comes in time, all of them never would; the clock is the server's own to turn."""
    time = [0.0]

    def drip(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(head)
        while not receiver.ended.is_set():
            time[0] += 1
            connection.sendall(b"x")

    with Receiver(drip) as receiver, pytest.raises(FetchError, match="did not answer within 10 s"):
        Fetcher(LOOPBACK, timeout=10, clock=lambda: time[0]).fetch(receiver.url, most=1 << 30)


def test_a_resolver_that_hangs_is_given_up() -> None:
    release = threading.Event()

    def slow(host: str) -> list[str]:
        release.wait(60)
        return []

    with pytest.raises(FetchError, match=r"did not answer within 0\.05 s"):
        fetcher(resolver=slow, timeout=0.05).fetch("http://hooks.example/")
    release.set()


def test_resolvers_that_hang_do_not_pile_up_and_hold_up_nobody_else() -> None:
    release = threading.Event()
    done = [threading.Event() for _ in range(bounded.EACH)]

    def hanging(event: threading.Event) -> Callable[[], None]:
        def wait() -> None:
            release.wait(60)
            event.set()

        return wait

    for event in done:
        with pytest.raises(TimeoutError):
            within(0, hanging(event), "slow")
    with pytest.raises(TimeoutError, match="too many"):
        within(60, lambda: 1, "slow")
    assert within(60, lambda: 1, "another") == 1
    release.set()
    for event in done:
        assert event.wait(60)
    for thread in threading.enumerate():
        if thread.name == "sentinel-bounded":
            thread.join(60)
    assert within(60, lambda: 1, "slow") == 1


def test_what_a_bounded_call_raises_is_raised() -> None:
    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        within(5, fail, "one")


@pytest.mark.parametrize(
    ("found", "message"),
    [([], "has no address"), (["nonsense"], "cannot be asked: ValueError")],
)
def test_a_resolver_that_talks_nonsense_is_an_error(found: list[str], message: str) -> None:
    with pytest.raises(FetchError, match=message):
        fetcher(resolver=lambda host: found).fetch("http://hooks.example/")


def test_a_name_nobody_knows_is_an_error_that_may_pass() -> None:
    def unknown(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(FetchError, match=r"`hooks\.example` was not found: Name or service not known") as caught:
        fetcher(resolver=unknown).fetch("http://hooks.example/")
    assert not caught.value.permanent


def test_the_system_s_resolver_is_asked_for_names() -> None:
    with Receiver(status(204)) as receiver:
        found = Fetcher(Reach([*PRIVATE]), timeout=60).fetch(f"http://localhost:{receiver.port}/")
    assert found.status == 204


def test_of_an_endless_body_the_beginning_is_read() -> None:
    def pour(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not receiver.ended.is_set():
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    with Receiver(pour) as receiver:
        found = fetcher().fetch(receiver.url)
    assert (found.status, len(found.body), found.whole) == (200, MOST, False)


def test_a_body_just_as_large_as_allowed_is_whole_and_one_byte_more_is_not() -> None:
    with Receiver(status(200, body=b"x" * 100)) as receiver:
        assert fetcher().fetch(receiver.url, most=100).whole
        assert not fetcher().fetch(receiver.url, most=99).whole


@pytest.mark.parametrize("chunk", [b"1;" + b"e" * 1000 + b"\r\nx\r\n", b"1\r\nx\r\n"])
def test_a_body_of_wrapping_only_ends_too(chunk: bytes) -> None:
    """Chunks of one byte, or with endless extensions: what is bounded is what is read, not what is kept."""
    poured = 0

    def pour(receiver: Receiver, connection: socket.socket) -> None:
        nonlocal poured
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not receiver.ended.is_set():
            connection.sendall(chunk * 100)
            poured += 100

    with Receiver(pour) as receiver:
        assert not fetcher().fetch(receiver.url, most=10_000).whole


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\0" * 100, b"hello\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n broken\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ],
)  # fmt: skip
def test_garbage_is_no_answer(raw: bytes) -> None:
    with Receiver(raw) as receiver, pytest.raises(FetchError, match=r"does not answer in HTTP|cannot be asked"):
        fetcher().fetch(receiver.url)


def test_an_old_answer_without_a_length_ends_with_the_connection() -> None:
    with Receiver(b"HTTP/1.0 200 OK\r\n\r\nall of it") as receiver:
        assert fetcher().fetch(receiver.url) == Response(200, {}, b"all of it", True)


def test_an_answer_that_comes_before_all_was_asked_counts() -> None:
    def rude(receiver: Receiver, connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(status(413))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    with Receiver(rude) as receiver:
        assert fetcher().fetch(receiver.url, method="POST", body=b"x" * 3_000_000).status == 413


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\0"])
def test_a_header_that_holds_another_is_not_sent(value: str) -> None:
    with Receiver(status(200)) as receiver:
        with pytest.raises(FetchError, match="cannot be asked"):
            fetcher().fetch(receiver.url, headers={"X": value})
        assert receiver.requests == []


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of hooks.example and 127.0.0.1, with its key, for two days."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=DNS:hooks.example,IP:127.0.0.1"
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", folder / "key",
         "-out", folder / "cert", "-subj", "/CN=hooks.example", "-addext", names],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return folder


def server(certificate: Path, names: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert", certificate / "key")
    context.sni_callback = lambda connection, name, _: names.append(name)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate / "cert"))


def test_the_certificate_is_checked_against_the_name_and_the_name_is_told(certificate: Path) -> None:
    names: list[str | None] = []
    with Receiver(status(204), tls=server(certificate, names)) as receiver:
        found = fetcher(resolver=lambda host: ["127.0.0.1"], tls=trusting(certificate))
        assert found.fetch(f"https://hooks.example:{receiver.port}/").status == 204
        assert found.fetch(f"https://127.0.0.1:{receiver.port}/").status == 204
        with pytest.raises(FetchError, match=r"`other\.example`: its certificate is not accepted: Hostname mismatch"):
            found.fetch(f"https://other.example:{receiver.port}/")
    assert names[0] == "hooks.example"
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"
    assert len(receiver.requests) == 2


def test_a_certificate_nobody_vouches_for_is_not_accepted(certificate: Path) -> None:
    with Receiver(status(204), tls=server(certificate, [])) as receiver:
        with pytest.raises(FetchError, match="its certificate is not accepted: self-signed certificate"):
            fetcher().fetch(f"https://127.0.0.1:{receiver.port}/")
        assert receiver.requests == []


def test_a_server_without_tls_is_an_error() -> None:
    def plainly(receiver: Receiver, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")

    with Receiver(plainly) as receiver, pytest.raises(FetchError, match="cannot be asked"):
        fetcher().fetch(f"https://127.0.0.1:{receiver.port}/")


def test_a_handshake_that_hangs_is_given_up() -> None:
    def silently(receiver: Receiver, connection: socket.socket) -> None:
        receiver.ended.wait()

    with Receiver(silently) as receiver, pytest.raises(FetchError, match="did not answer within"):
        fetcher(timeout=0.1).fetch(f"https://127.0.0.1:{receiver.port}/")


# Downloads


def test_a_download_brings_the_body_and_the_tag_to_ask_with_next_time() -> None:
    with Receiver(status(200, 'ETag: "v1"\r\n', b"192.0.2.0/24\n")) as receiver:
        found = download(fetcher(), receiver.url)
    assert found is not None
    assert (found.body, found.tag) == (b"192.0.2.0/24\n", '"v1"')


def test_what_did_not_change_is_not_downloaded_again() -> None:
    with Receiver(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n') as receiver:
        assert download(fetcher(), receiver.url, '"v1"') is None
    assert receiver.requests[0].headers["if-none-match"] == '"v1"'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (status(404), "answered 404"),
        (status(304), "answered 304"),
        (status(301, "Location: http://127.0.0.1/\r\n"), "redirects are not followed"),
        (status(200, "Content-Encoding: gzip\r\n", b"\x1f\x8b"), "packed the answer"),
        (status(200, body=b"x" * 101), "larger than"),
    ],
)
def test_anything_but_the_whole_plain_answer_is_an_error(raw: bytes, message: str) -> None:
    with Receiver(raw) as receiver, pytest.raises(FetchError, match=message):
        download(fetcher(), receiver.url, most=100)


def test_a_request_keeps_what_was_sent() -> None:
    """The tests' own server: it must be able to show a difference."""
    assert Request("GET / HTTP/1.1", {}, b'{"a":1}').json() == {"a": 1}
