"""Whatever becomes of the server, its network and the disk: no request waits or fails, and what is lost is counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import sdk
from sentinel.core.decision import Decision
from sentinel.sdk import asgi, client, options, testing
from sentinel.sdk.buffer import Buffer
from sentinel.sdk.clock import Clock, Notes, retry_after
from sentinel.sdk.connection import Answer
from sentinel.sdk.options import Options
from sentinel.sdk.transport import Sender
from tests.api.served import wait_for, within
from tests.sdk.conftest import known
from tests.sdk.test_processes import environment

LONGEST = 0.5  # seconds a request may take here: an empty application on a busy machine
DEEP = b"[" * 100_000 + b"]" * 100_000


async def application(scope, receive, send):
    sdk.identify({"id": 42})
    sdk.track("served", {"n": 1})
    sdk.auth_track(False, email="jane@example.com")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def serve_quickly():
    """Serve until no request took long, five times at most: a stall may be the machine's own."""
    statuses, longest = serve()
    for _ in range(4):
        if longest >= LONGEST:
            more, longest = serve()
            statuses += more
    return statuses, longest


def serve(times=50):
    """Serve requests; return their statuses and the longest time one took."""
    app, statuses, longest = asgi.SentinelMiddleware(application), [], 0.0

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def all_of_them():
        nonlocal longest
        for _ in range(times):
            scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("203.0.113.9", 1)}
            began = time.monotonic()
            await app(scope, None, send)
            longest = max(longest, time.monotonic() - began)

    asyncio.run(all_of_them())
    assert len(statuses) == times
    return statuses, longest


@contextlib.contextmanager
def answering(data):
    """Answer every connection with some bytes once it has said something; with None, never."""
    listening, held = socket.create_server(("127.0.0.1", 0)), []

    def run():
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            held.append(accepted)
            with contextlib.suppress(OSError):
                if data is not None:
                    accepted.recv(65536)
                    accepted.sendall(data)
                    accepted.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
        for one in held:
            one.close()


def http(status, body, *headers):
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


SERVERS = {
    "says nothing": None,
    "hangs up": b"",
    "speaks something else": b"\x16\x03\x01\x00\xff\x00" * 50,
    "500": http(500, b"{}"),
    "429": http(429, b"{}", "Retry-After: 1"),
    "429 until a date that is none": http(429, b"{}", "Retry-After: Wed, 21 Oct 99999 07:28:00 GMT"),
    "401": http(401, b"{}"),
    "a page": http(200, b"<p>welcome to the wifi</p>"),
    "half an answer": http(200, b"{}")[:-1] + b"",
    "brackets": http(200, DEEP),
    "an infinite number": http(200, b'{"accepted": 1e999, "rejected": []}'),
    "another type": http(200, b'{"accepted": true, "rejected": {}}'),
}


@pytest.mark.parametrize("name", SERVERS)
def test_no_request_waits_or_fails_and_no_event_is_lost(name, start):
    with answering(SERVERS[name]) as port:
        client = start(url=f"http://127.0.0.1:{port}", timeout=0.2)
        statuses, longest = serve_quickly()
        assert not sdk.flush(0.3)
        sdk.stop(0)
    assert set(statuses) == {200}
    assert longest < LONGEST
    stats = client.stats()
    left = len(client.buffer.empty())
    assert left + sum(stats["dropped"].values()) == 2 * len(statuses) + 1  # two a request, and one that says who it is
    assert set(stats["dropped"]) <= {"exit"}
    assert stats["sent"] == 0


def test_no_request_waits_where_nobody_listens(start):
    client = start(url="http://127.0.0.1:9")
    assert serve()[0] == [200] * 50
    assert client.stats()["dropped"] == {}


def test_the_log_tells_no_list_from_an_old_one_and_a_refusal_with_what_to_do(server, start, caplog):
    client = start(url="http://127.0.0.1:9")
    sdk.track("e")
    wait_for(lambda: "no decision list yet, so nobody is refused: ConnectionRefusedError" in caplog.text)
    sdk.stop(0)
    error = {
        "code": "forbidden",
        "message": "a key of scope `read` may not do this",
        "hint": "use a key of scope `sdk`",
    }
    server.answers.append((403, {}, json.dumps({"error": error}).encode()))
    client = start()
    sdk.track("e")
    assert known(client)
    wait_for(lambda: "answers 403: a key of scope `read` may not do this (use a key of scope `sdk`)" in caplog.text)
    server.close()
    wait_for(lambda: "the decision list may be old: " in caplog.text)


@pytest.mark.parametrize("body", [DEEP, b'{"accepted": 1e999}', b'{"accepted": -1}', b"\xff\xfe"])
def test_after_an_answer_that_makes_no_sense_the_same_events_are_sent_again(server, start, body):
    server.answers.append((200, {}, body))
    start()
    sdk.track("e")
    server.until(lambda: server.named("e"))
    assert len({event["id"] for batch in server.attempts for event in batch}) == 1
    assert sdk.flush(60)
    assert (sdk.stats()["dropped"], sdk.stats()["sent"]) == ({}, 1)


def test_a_feed_that_makes_no_sense_leaves_the_list_in_force(server, start):
    server.decide(Decision("d1", "block", "user", "id:1", playbook="p"))
    server.stream = "none"
    client = start()
    assert known(client)
    server.feed_body = DEEP
    seen = len(server.requests)
    server.until(lambda: len(server.requests) > seen + 5)
    assert sdk.is_blocked({"id": 1})


class Scripted:
    """A connection that gives answers out of a list, then takes everything; it notes what a receipt was given for."""

    def __init__(self, answers):
        self.answers = deque(answers)
        self.taken = []

    def ask(self, method, path, body=None, headers=None):
        events = json.loads(body)["events"]
        everything = Answer(200, {}, json.dumps({"accepted": len(events), "rejected": []}).encode())
        answer = self.answers.popleft() if self.answers else everything
        if is_receipt(answer):
            self.taken += events
        return answer

    def close(self):
        pass

    end = drop = close


def is_receipt(answer):
    """Say whether an answer is what `docs/sdk-protocol.md` calls a receipt."""
    try:
        told = json.loads(answer.body)
    except ValueError:
        return False
    if answer.status != 200 or not isinstance(told, dict):
        return False
    counts = [told.get("accepted"), told.get("duplicates", 0)]
    rejected = told.get("rejected")
    return all(type(count) is int and count >= 0 for count in counts) and (not rejected or type(rejected) is list)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
RECEIPTS = st.fixed_dictionaries({"accepted": JSON}, optional={"duplicates": JSON, "rejected": JSON, "error": JSON})
BODIES = st.binary(max_size=30) | (JSON | RECEIPTS).map(lambda value: json.dumps(value).encode())
TIMES = st.none() | st.just("0") | st.text(max_size=20) | st.just("Wed, 21 Oct 99999 07:28:00 GMT")
ANSWERS = st.builds(
    lambda status, wait, body: Answer(status, {} if wait is None else {"retry-after": wait}, body),
    st.sampled_from([200, 200, 204, 302, 400, 401, 404, 408, 413, 422, 429, 500, 503]) | st.integers(100, 599),
    TIMES, BODIES,
)  # fmt: skip


@given(st.lists(ANSWERS, max_size=12), st.integers(1, 5))
def test_whatever_a_server_answers_each_event_is_taken_once_or_dropped_and_counted(answers, many):
    settings = Options(url="http://127.0.0.1:9", key="k", retry_base=0.0, retry_limit=0.0, refused_wait=0.0)
    buffer, notes = Buffer(100, 10**6, 1, 0.0), Notes()
    sender = Sender(settings, buffer, notes, lambda dropped: {"event": "sentinel.dropped"})
    sender._connection = Scripted(answers)
    sender._wake.wait = lambda seconds: None
    for n in range(many):
        buffer.put({"id": str(n), "event": "e"}, 10, 0.0)
    sender._deliver(buffer.take(100, lambda: 0.0))
    taken = [event["id"] for event in sender._connection.taken]
    assert len(taken) == len(set(taken))
    assert len(taken) + sum(buffer.dropped.values()) == many
    assert set(buffer.dropped) <= {"refused", "too large"}
    assert not buffer._flying


@given(st.text(max_size=40))
def test_no_header_about_time_can_raise(text):
    assert 0 <= retry_after(text, 1.5) <= 300
    clock = Clock()
    clock.learn_date(text, 0)
    assert isinstance(clock.now(), int)


@pytest.mark.parametrize("date", ["Wed, 21 Oct 99999 07:28:00 GMT", "Wed, 99 Foo 2030 99:99:99 +9999", "0", "\x00"])
def test_a_senseless_date_keeps_no_list_out(server, start, date):
    server.decide(Decision("d1", "block", "user", "id:1", playbook="p"))
    server.stream = "none"
    client = start()
    client.clock.learn_date(date, 0)
    assert known(client)
    assert sdk.is_blocked({"id": 1})


@pytest.mark.parametrize("off", [3600, -3600])
def test_with_a_clock_an_hour_off_events_carry_the_servers_time_and_decisions_end_by_it(server, start, off):
    there = time.time() + off
    server.date = there
    server.decide(
        Decision("d1", "block", "user", "id:1", playbook="p", until=int((there + 60) * 1e6)),
        Decision("d2", "block", "user", "id:2", playbook="p", until=int((there - 60) * 1e6)),
    )
    client = start()
    assert known(client)
    server.until(lambda: abs(client.stats()["clock_offset"] - off) < 5)
    assert (sdk.is_blocked({"id": 1}), sdk.is_blocked({"id": 2})) == (True, False)
    sdk.track("e")
    (event,) = server.until(lambda: server.named("e"))
    told = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(there))
    assert event["timestamp"][:13] == told[:13] or abs(int(event["timestamp"][14:16]) - int(told[14:16])) in (1, 59)


@pytest.fixture
def self_signed(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context


def test_a_certificate_nobody_vouches_for_gets_no_key_and_no_event(self_signed, start, caplog):
    said = []
    listening = socket.create_server(("127.0.0.1", 0))

    def run():
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self_signed.wrap_socket(accepted, server_side=True) as secure:
                said.append(secure.recv(65536))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    client = start(url=f"https://localhost:{listening.getsockname()[1]}")
    statuses, longest = serve_quickly()
    assert not sdk.flush(0.3)
    wait_for(lambda: client.stats()["failures"] and "SSLCertVerificationError" in caplog.text)
    sdk.stop(1)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)
    assert (set(statuses), [text for text in said if text]) == ({200}, [])
    assert longest < LONGEST


def run(code, **more):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment("http://127.0.0.1:9", **more),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_name_server_that_hangs_holds_up_no_request_and_no_exit():
    assert within(3, an_exit_while_names_hang)  # a second for the events, and what the interpreter needs to end


def an_exit_while_names_hang():
    """Return how long the interpreter took to end, once no call was held up."""
    printed = run(
        """
        import socket, threading, time
        from sentinel import sdk
        asked = threading.Event()
        def hanging(*_, **__):
            asked.set()
            threading.Event().wait()
        socket.getaddrinfo = hanging
        sdk.start(url='https://sentinel.invalid')
        def call(n):
            began = time.monotonic()
            sdk.identify({'id': n % 7})
            sdk.auth_track(False, id=n)
            return time.monotonic() - began
        longest = min(max(map(call, range(2000))) for _ in range(3))  # a stall may be the machine's own
        assert asked.wait(60)
        print(longest, sdk.stats()['queued'], time.monotonic())
        """
    )
    ended = time.monotonic()
    longest, queued, done = printed.split()
    assert float(longest) < LONGEST
    assert int(queued) >= 2000 - 500  # one batch is in the hands of the sender
    return ended - float(done)


def test_many_events_while_the_server_is_away_are_held_to_the_bound_and_counted():
    printed = run(
        """
        import resource
        from sentinel import sdk
        sdk.start(exit_wait=0)
        properties = {'amount': 12, 'note': 'a short text'}
        for n in range(20_000):
            sdk.track('invoice.created', properties, {'id': n})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for n in range(180_000):
            sdk.track('invoice.created', properties, {'id': n})
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stats = sdk.stats()
        print(after - before, stats['queued'], stats['dropped'].get('full'), len(sdk.current().buffer._flying))
        """
    )
    grown, queued, dropped, flying = map(int, printed.split())
    assert grown < 5_000  # kilobytes
    assert queued <= 10_000
    assert queued + dropped + flying == 200_000


def test_a_snapshot_cut_anywhere_is_left_aside_whole(server, start, tmp_path):
    path = tmp_path / "list"
    blocks = [Decision(f"d{n}", "block", "user", f"id:{n}", playbook="p") for n in range(40)]
    server.decide(*blocks, Decision("n", "block", "network", "203.0.113.0/24", playbook="p"))
    assert known(start(snapshot=path))
    sdk.stop(60)
    whole = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10][:-1]
    for cut in (1, 2, len(whole) // 2, *ends, *(end + 9 for end in ends), len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert len(start(snapshot=path).held.decisions) == 0, cut
    path.write_bytes(whole)
    assert len(start(snapshot=path).held.decisions) == 41


@pytest.mark.parametrize("content", [b"\xff\xfe\x00" * 99, b"\x80", b'{"source": "x"}\n\xff', DEEP, b"\n" * 99])
def test_a_snapshot_that_is_no_text_keeps_no_application_from_starting(start, tmp_path, content):
    path = tmp_path / "list"
    path.write_bytes(content)
    path.chmod(0o600)
    start(snapshot=path)
    assert sdk.identify({"id": 1}).allowed


def test_how_old_a_list_is_can_be_told_also_of_one_from_the_disk(server, start, tmp_path):
    path = tmp_path / "list"
    server.decide(Decision("d1", "block", "user", "id:1", playbook="p"))
    assert known(start(snapshot=path))
    assert sdk.stats()["list_age"] < 60
    sdk.stop(60)
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    client = start(snapshot=path, url=server.url)
    assert 7100 < client.stats()["list_age"] < 7300
    assert known(client)
    server.until(lambda: client.stats()["list_age"] < 60)


def test_without_any_list_it_has_no_age(idle):
    assert sdk.stats()["list_age"] is None


VALUES = JSON | st.binary(max_size=9) | st.just(float("inf")) | st.just(10**400) | st.just(object())


@given(st.dictionaries(st.sampled_from(sorted(set(Options.__slots__) - {"proxy_hops"})), VALUES))
def test_no_setting_keeps_an_application_from_starting(given_):
    found = options.read(given_, lambda message: None, {})
    assert isinstance(found, Options)


def test_a_page_given_as_bytes_is_served():
    with testing.capture(block_page=b"<b>{reference}</b>") as sentinel:
        sentinel.decide("block", ip="203.0.113.9")
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "client": ("203.0.113.9", 1)}
        asyncio.run(asgi.SentinelMiddleware(application)({**scope, "headers": [(b"accept", b"text/html")]}, None, send))
        assert sent[-1]["body"] == b"<b>decision-1</b>"


@pytest.mark.parametrize("wait", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_server_that_says_at_once_again_and_again_keeps_no_processor_busy(server, start, wait):
    """A date that is over comes from any server whose clock is behind."""
    busy = {"Retry-After": wait}
    server.answers.extend([(429, busy, b"{}")] * 1000)
    began = time.monotonic()
    start(retry_base=60.0, retry_limit=60.0)
    sdk.track("e")
    server.until(lambda: len(server.attempts) >= 2)
    assert len(server.attempts) <= 2 + (time.monotonic() - began) / 0.4
    assert time.monotonic() - began >= 0.4


def test_a_log_that_raises_ends_no_call_and_no_thread(server, start):
    def refuse(record):
        raise RuntimeError("on purpose")

    log = logging.getLogger("sentinel.sdk")
    server.feed_status = 401
    server.answers.extend([(401, {}, b"{}"), (200, {}, b"garbage")])
    log.addFilter(refuse)
    try:
        start(trusted_proxies="nonsense")
        sdk.track("sentinel.reserved")
        sdk.identify({"id": 1.5})
        sdk.track("e")
        server.until(lambda: server.named("e"))
        server.feed_status = 200
        assert sdk.ready(60)
    finally:
        log.removeFilter(refuse)


@pytest.mark.parametrize("seconds", [math.inf, 1e300, math.nan, -1.0])
def test_whatever_a_program_waits_for_it_waits(server, start, seconds):
    for call in (sdk.ready, sdk.flush, sdk.stop):
        start()
        assert known(sdk.current())
        call(seconds)


def test_threads_that_cannot_start_are_started_later(server, start, monkeypatch):
    """There may be no more threads while an application is busiest."""
    server.decide(Decision("d1", "block", "user", "id:1", playbook="p"))
    start()
    begin, left = threading.Thread.start, ["none", "one", "none"]

    def starting(thread):
        if thread.name.startswith("sentinel-") and left and left.pop(0) == "none":
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(client, "_AGAIN", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", starting)
        for n in range(3):
            sdk.track("e", {"n": n})
            assert sdk.stats()["running"] is (n == 2)
    assert sdk.ready(60)
    assert sdk.is_blocked({"id": 1})
    assert sdk.flush(60)
    assert len(server.named("e")) == 3
    assert [thread.name for thread in sdk.current()._threads] == ["sentinel-sender", "sentinel-follower"]


def test_threads_that_cannot_start_are_not_tried_again_at_every_request(idle, monkeypatch):
    tried = []
    made = client.Client(Options(url="http://127.0.0.1:9", key="k"))
    monkeypatch.setattr(client, "_AGAIN", 3600.0)
    monkeypatch.setattr(made, "_spawn", lambda: tried.append(1) or (_ for _ in ()).throw(RuntimeError("no more")))
    for _ in range(100):
        made.ensure_running()
    assert len(tried) == 1
