"""What strangers write into addresses, headers and bodies: each is answered, none by a fault, no secret comes back."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import inspect
import json
import re
import sys
import time
import zlib

import pytest
import zstandard

from sentinel.api import program
from sentinel.app import open_server
from sentinel.edge.wire import Budget
from tests.api.served import within
from tests.api.test_walls import BODIES, LISTS, RIGHTS, STREAMS
from tests.api.whole import settings

IDS = [
    "..%2F..%2F..%2Fetc%2Fpasswd", "%2e%2e%2f%2e%2e%2f", "..", ".", "%00", "a%00b", "%0d%0aSet-Cookie:%20evil=1",
    "%ff%fe", "%ed%a0%80", "%F0%9F%92%A3", "'%20OR%20'1'='1", "%3Bdrop%20table%20app", "{}", "${7*7}", "%25s%25n",
    "a" * 3000, "9" * 400, "-1", "9223372036854775808", "%e2%80%ae", "=cmd", "*", "%",
]  # fmt: skip
NAMED = [one for one in RIGHTS if "{" in one and one not in STREAMS]
BODIED = [one for one in RIGHTS if one in BODIES]
HEAVY = {
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "nested in a field": b'{"reason":' * 5_000 + b"1" + b"}" * 5_000,
    "a long number": b"[" + b"9" * 1_000_000 + b"]",
    "a large exponent": b'{"value": 1e999999999, "reason": -1e-999999999}',
    "no number": b'{"value": NaN, "reason": Infinity}',
    "no Unicode": b'{"value": "\xff\xfe", "reason": "\\ud800"}',
    "a zero": b'{"value": "\\u0000", "reason": "\\u0000"}',
    "many keys": b"{" + b",".join(b'"k%d": 1' % number for number in range(50_000)) + b"}",
    "one key often": b"{" + b",".join([b'"kind": "block"'] * 50_000) + b"}",
}


def cursors() -> list[str]:
    values = [
        [0, "--5"], [0, "a\0b", 0], [0, "\ud800", 0], [2**63, "x", 0], [0, "9" * 5000], [-1, "x" * 900], [True, "x"],
        [1e300, "x"], [0], [0, 0], [0, 0, 0], [0, "x", -1], {}, None, [["x"]],
    ]  # fmt: skip
    written = [base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=") for value in values]
    return [*written, "%00", "%ff", "=", "a", "..", "%F0%9F%92%A3", "9" * 2000]


def filled(operation, id):
    method, path = operation.split(" ")
    return method, re.sub(r"\{\w+\}", lambda _: id, path)


@pytest.mark.parametrize("operation", NAMED)
def test_no_name_in_an_address_is_a_fault_or_a_way_out(whole, operation):
    client = whole.using("admin")
    for id in IDS:
        method, path = filled(operation, id)
        answer = client.ask(method, path, BODIES.get(operation))
        assert answer.status < 500, (path[:80], answer.body[:200])
        assert "set-cookie" not in answer.headers
        assert b"root:" not in answer.body
        assert all("\r" not in value and "\n" not in value for value in answer.headers.values())


@pytest.mark.parametrize("path", LISTS)
def test_no_cursor_is_a_fault(whole, path):
    for cursor in cursors():
        answer = whole.using("admin").get(f"{path}?cursor={cursor}")
        assert answer.status in (200, 422), (cursor[:60], answer.body[:200])


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "9" * 5000, "1e3", "0x10", "%00", "nan", "true", ""])
def test_no_limit_but_a_number_within_bounds_is_taken(whole, path, limit):
    assert whole.using("admin").get(f"{path}?limit={limit}").status == 422


@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize("operation", BODIED)
def test_no_body_is_a_fault_or_work_for_long(whole, operation, name):
    method, path = filled(operation, "none")

    def took():
        started = time.monotonic()
        answer = whole.using("admin").ask(method, path, raw=HEAVY[name], headers={"Content-Type": "application/json"})
        assert answer.status < 500, answer.body[:200]
        assert len(answer.body) < 400_000
        return time.monotonic() - started

    assert within(15, took)


@pytest.mark.parametrize("path", ["/v1/events", "/v1/import"])
@pytest.mark.parametrize("pack", ["gzip", "deflate", "zstd"])
def test_a_body_that_expands_without_end_is_refused(whole, path, pack):
    large = b" " * (64 << 20)
    data = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[pack](large)
    assert len(data) < 100_000
    answer = whole.using("sdk").post(path, raw=data, headers={"Content-Encoding": pack})
    assert (answer.status, answer.error["code"]) == (413, "too_large")


def test_packed_twice_is_refused(whole):
    data = gzip.compress(gzip.compress(b"[]"))
    for encoding in ("gzip, gzip", "gzip,gzip,gzip,gzip"):
        answer = whole.using("sdk").post("/v1/events", raw=data, headers={"Content-Encoding": encoding})
        assert 400 <= answer.status < 500


@pytest.mark.parametrize("operation", [one for one in RIGHTS if one not in STREAMS])
def test_no_answer_repeats_a_key(whole, operation):
    """Neither the one that asked, be it good or not, nor any other's."""
    wrong = "wrong-" + "x" * 48
    for key in (wrong, whole.secrets["one", "ingest"], whole.secrets["one", "admin"]):
        method, path = filled(operation, "none")
        body = whole.client.using(key).ask(method, path, BODIES.get(operation)).body.decode()
        assert wrong not in body
        assert not [secret for secret in whole.secrets.values() if secret in body]
        assert whole.server.token not in body


def test_channels_are_shown_without_what_they_hold(tmp_path, capfd):
    """What leaves a server that is used is searched in `tests/acceptance/test_secrets.py`."""
    channels = {
        "hook": {"kind": "webhook", "url": "http://127.0.0.1:9/path-hunter2", "secret": "whsec_" + "aHVudGVyMg" * 4},
    }
    server = open_server(settings(tmp_path, channels=channels))
    try:
        shown = repr(server.channels) + "".join(map(repr, server.channels.values()))
    finally:
        server.store.close()
    said = capfd.readouterr()
    for secret in ("path-hunter2", "aHVudGVyMg"):
        assert secret not in said.out + said.err
        assert secret not in shown


def half(whole, path, key, size=1_000_000):
    """Return the answer to a request of whose body only the beginning comes."""
    headers = {"Content-Type": "application/json", "Content-Length": str(size)}
    return whole.client.using(key).post(path, raw=b"[", headers=headers)


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/playbooks/check", "/v1/nothing"])
def test_little_is_read_of_whoever_may_send_nothing(whole, path):
    """What is read is parsed before anybody asks whose it is: a page's visitors have a key, and strangers need none."""
    for key, status in ((None, 401), ("x" * 54, 401), (whole.secrets["one", "browser"], 403)):
        assert half(whole, path, key).status == status
    assert half(whole, path, whole.secrets["one", "ingest"]).status == 403


@pytest.mark.parametrize("operation", BODIED)
def test_objects_and_lists_without_end_are_refused_before_they_are_made(whole, operation):
    method, path = filled(operation, "none")
    data = b'{"reason":[' + b"[]," * 300_000 + b"[]]}"
    answer = whole.using("admin").ask(method, path, raw=data, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.error["code"]) == (413, "too_large")


def test_unfinished_bodies_of_strangers_take_no_room_from_others(whole, monkeypatch):
    """Thirty-two forms that are sent slowly would otherwise have everybody else come back later."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{whole.client.port}"}
    monkeypatch.setattr(whole.server.front.ingest.door, "strangers", Budget(0))
    assert whole.client.post("/sign-in", raw=b"name=a", headers=form).status == 503
    assert whole.client.post("/v1/decisions", {}).status == 503
    assert whole.client.post("/compat/seismo/auth", {}).status == 503
    assert whole.using("sdk").post("/v1/events", {"event": "x"}).status == 200
    assert whole.using("admin").post("/v1/decisions", {}).status == 422


@pytest.mark.parametrize(
    ("path", "scope", "kind", "status"),
    [
        ("/v1/events", "sdk", "application/json", 400),
        ("/v1/decisions", "admin", "application/json", 400),
        ("/v1/decisions", None, "application/json", 400),
        ("/compat/moesif/v1/events/batch", "sdk", "application/json", 403),
        ("/sign-in", None, "application/x-www-form-urlencoded", 401),
    ],
)
def test_nothing_holds_a_body_that_was_refused(whole, path, scope, kind, status):
    """The collector goes by how many things there are: a hundred bodies of 8 MiB in circles filled a gigabyte."""
    data, answers = b"x" * 8000, []
    key = whole.secrets["one", scope] if scope else ""
    site = f"127.0.0.1:{whole.client.port}"
    head = {"host": site, "origin": f"http://{site}", "content-type": kind, "x-moesif-application-id": key}
    head |= {"authorization": f"Bearer {key}"} if key and "compat" not in path else {}
    head |= {"content-length": str(len(data))}
    asked = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path, "root_path": "",
        "query_string": b"", "headers": [(name.encode(), value.encode()) for name, value in head.items()],
        "client": ("192.0.2.1", 4000), "server": ("127.0.0.1", whole.client.port),
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message):
        answers.append(message.get("status"))

    held = sys.getrefcount(data)
    gc.disable()
    try:
        asyncio.run(whole.server.front(asked, receive, send))
    finally:
        gc.enable()
    assert answers[0] == status
    assert sys.getrefcount(data) == held


def test_the_description_of_the_api_is_made_once_and_beside_the_loop(whole, monkeypatch):
    """It takes seconds the first time, and anybody may ask for it."""
    made, rest = [], whole.server.front.rest
    monkeypatch.setattr(rest, "openapi", lambda: made.append(1) or {"openapi": "3"})
    describe = program._description(rest)
    assert {describe(None).body for _ in range(3)} == {b'{"openapi":"3"}'}
    assert made == [1]
    (route,) = [one for one in rest.routes if getattr(one, "path", "") == program.OPENAPI]
    assert not inspect.iscoroutinefunction(route.endpoint)  # those are called in a thread
