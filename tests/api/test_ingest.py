"""The door for events over real HTTP: what is taken, what is refused and how."""

from __future__ import annotations

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest
import zstandard

from sentinel.api.ingest import Ingest
from sentinel.core.device import fingerprint
from sentinel.core.errors import StoreBusy
from sentinel.core.proxies import Proxies
from sentinel.edge import wire
from sentinel.edge.door import Door as EventDoor
from sentinel.edge.limits import Buckets
from sentinel.edge.requests import named
from sentinel.service.intake import Busy
from tests.api.fakes import NOW, FakeAccess, FakeMeters, Written, gate
from tests.api.served import served

EVENT = {"event": "auth", "success": False, "user": "42", "ip": "203.0.113.9"}
PATH = "/v1/events"


class Door:
    """The path under test with all it asks, each part at a test's hand."""

    def __init__(self):
        self.access = FakeAccess()
        self.written = Written()
        self.meters = FakeMeters()
        self.faults = []
        self.now = 0.0
        self.intake = self.written.intake()
        self.intake.start()
        self.door = EventDoor(
            self.intake,
            lambda app: 7,
            self.meters,
            lambda: NOW,
            lambda: self.now,
            Buckets(1000, 10_000),
            Buckets(10, 20),
        )
        self.app = Ingest(gate(self.access), self.door, self.faults.append)


@pytest.fixture(scope="module")
def running():
    door = Door()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await door.app(scope, receive, named(scope, send))

    with served(app, lifespan="off") as client:
        yield door, client
    door.intake.stop()


@pytest.fixture
def door(running):
    door, client = running
    door.now += 1000  # every bucket is full again
    door.written.__init__()
    door.meters.__init__()
    door.faults.clear()
    door.client = client.using("sdk")
    yield door
    door.access.broken = None


def test_good_events_are_written_before_the_answer(door):
    answer = door.client.post(PATH, [EVENT, {**EVENT, "id": "a"}])
    assert (answer.status, answer.json) == (200, {"accepted": 2, "duplicates": 0, "rejected": [], "revision": 7})
    assert [event.name for event in door.written.events] == ["auth", "auth"]
    (sending,) = door.written.sendings
    assert (sending.app, sending.scope) == ("one", "sdk")
    assert not sending.historical


@pytest.mark.parametrize("body", [EVENT, [EVENT], {"events": [EVENT]}])
def test_one_event_a_list_and_a_named_list_are_all_taken(door, body):
    assert door.client.post(PATH, body).json["accepted"] == 1


@pytest.mark.parametrize("body", [[], {"events": []}])
def test_no_events_are_no_error(door, body):
    assert door.client.post(PATH, body).json == {"accepted": 0, "duplicates": 0, "rejected": [], "revision": 7}
    assert door.written.sendings == []


def test_an_event_called_events_is_one_event(door):
    assert door.client.post(PATH, {"event": "x", "events": []}).json["rejected"][0]["index"] == 0


def test_the_headers_of_the_user_s_request_name_the_device(door):
    """As the SDK names it; a header however long costs no event."""
    request = {"user_agent": "curl/8", "accept_language": "de," * 5_000}
    assert door.client.post(PATH, {**EVENT, "request": request}).json["accepted"] == 1
    assert door.written.events[-1].device == fingerprint(*request.values())


def test_an_event_that_brings_up_a_fault_costs_no_other_and_the_log_is_told_of_it(door):
    """Else its sender would send it for ever, and all that waits behind it."""
    sent = [{**EVENT, "id": "a"}, {"id": "x", "event": 1}, {**EVENT, "id": "bad"}, {**EVENT, "id": "b"}]
    answer = door.client.post(PATH, sent, headers={"X-Request-Id": "r-1"})
    assert (answer.status, answer.json["accepted"]) == (200, 2)
    wrong, bad = answer.json["rejected"]
    assert wrong["index"] == 1
    assert bad == {
        "index": 2, "id": "bad", "error": "a fault of the server kept it from being stored: see `r-1` in its log"
    }  # fmt: skip
    assert [str(one) for one in door.faults] == ["ZeroDivisionError"]
    ((_, receipt, rejected, _),) = door.meters.taken
    assert (receipt.accepted, list(receipt.faults), rejected) == (2, [1], 1)


def test_a_bad_event_costs_no_good_one_and_is_named_by_its_place(door):
    answer = door.client.post(PATH, [EVENT, {"id": "b", "event": "x", "ip": "no"}, {**EVENT, "id": "c"}, 3])
    assert answer.status == 200
    assert answer.json["accepted"] == 2
    assert [(one["index"], one["id"]) for one in answer.json["rejected"]] == [(1, "b"), (3, None)]
    assert answer.json["rejected"][0]["error"].startswith("`ip`: `no` is not an address")


def test_repeats_are_counted(door):
    batch = [{**EVENT, "id": "a"}, {**EVENT, "id": "b"}]
    door.client.post(PATH, batch[:1])
    assert door.client.post(PATH, batch).json["duplicates"] == 1


def test_an_event_without_id_and_time_gets_both(door):
    door.client.post(PATH, EVENT)
    (event,) = door.written.events
    assert len(event.id) == 36
    assert (event.at, event.received) == (NOW, NOW)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity", ""])
def test_bodies_may_be_compressed(door, encoding):
    data = json.dumps([EVENT] * 300).encode()
    packed = {"gzip": gzip.compress, "zstd": zstandard.compress}.get(encoding, bytes)(data)
    assert door.client.post(PATH, raw=packed, headers={"Content-Encoding": encoding}).json["accepted"] == 300


def test_several_gzip_members_are_one_body(door):
    data = json.dumps([EVENT]).encode()
    packed = gzip.compress(data[:10]) + gzip.compress(data[10:])
    assert door.client.post(PATH, raw=packed, headers={"Content-Encoding": "gzip"}).json["accepted"] == 1


def test_an_import_is_marked_and_acts_on_nobody_unless_it_says_so(door):
    door.client.post("/v1/import", [EVENT])
    door.client.post("/v1/import?enforce=true", [EVENT])
    marks = [(sending.historical, sending.enforce) for sending in door.written.sendings]
    assert marks == [(True, False), (True, True)]


def test_events_never_enforce_by_a_word_in_the_address(door):
    answer = door.client.post("/v1/events?enforce=true", [EVENT])
    assert answer.error["message"] == "`enforce`: not a parameter of this address"
    assert door.written.sendings == []


LONG = b"[" + b" " * (wire.LARGEST + 1) + b"]"


@pytest.mark.parametrize(
    ("how", "status", "code", "message", "hint"),
    [
        ({"raw": b"{", "key": "sdk"}, 400, "malformed", "the body is not JSON", "send one event"),
        ({"raw": b"", "key": "sdk"}, 400, "malformed", "it is empty", "send one event"),
        ({"raw": b"3", "key": "sdk"}, 400, "malformed", "neither an event nor a list", "send one event"),
        ({"raw": b"[" * 50_000, "key": "sdk"}, 400, "malformed", "nested too deep", "send one event"),
        ({"raw": b"[NaN", "key": "sdk"}, 400, "malformed", "the body is not JSON", "send one event"),
        ({"raw": b"x", "key": "sdk", "headers": [("Content-Encoding", "gzip")]}, 400, "malformed", "not gzip", "whole"),
        ({"raw": b"x", "key": "sdk", "headers": [("Content-Encoding", "zstd")]}, 400, "malformed", "not zstd", "whole"),
        (
            {"raw": gzip.compress(b"") * 100, "key": "sdk", "headers": [("Content-Encoding", "gzip")]},
            400, "malformed", "goes on behind its end, after byte 1,280", "whole",
        ),
        (
            {"raw": gzip.compress(b"[]")[:-3], "key": "sdk", "headers": [("Content-Encoding", "gzip")]},
            400, "malformed", "the gzip of the body is cut off: it does not end with its last byte, 19", "whole",
        ),
        (
            {"raw": zstandard.compress(b"[]\n" * 99)[:-3], "key": "sdk", "headers": [("Content-Encoding", "zstd")]},
            400, "malformed", "the zstd of the body is cut off: it does not end with its last byte", "whole",
        ),
        (
            {"body": [], "headers": [("Authorization", "Bearer sdk"), ("Authorization", "Bearer sdk")]},
            400, "two_credentials", "more than one credential", "exactly one key",
        ),
        ({"body": [], "headers": [("Authorization", "Bearer sdk, Bearer x")]}, 400, "two_credentials", "more", "one"),
        ({"body": [], "key": "sdk", "path": PATH + "?api_key=x"}, 400, "two_credentials", "more than one", "one key"),
        ({"body": []}, 401, "unauthorized", "the request carries no key", "Authorization: Bearer"),
        ({"body": [], "path": PATH + "?key=sdk"}, 401, "unauthorized", "no key", "in the address ends up in logs"),
        ({"body": [], "key": "wrong"}, 401, "unauthorized", "not known or was revoked", "Authorization: Bearer"),
        ({"body": [], "headers": [("Authorization", "Basic c2Rr")]}, 401, "unauthorized", "not a bearer key", "Bearer"),
        ({"body": [], "headers": [("Authorization", "Bearer ")]}, 401, "unauthorized", "not a bearer key", "Bearer"),
        ({"body": [], "key": "read"}, 403, "forbidden", "a key of scope `read` may not", "a key of scope `sdk` or"),
        ({"body": [], "key": "moesif"}, 403, "forbidden", "made for `moesif`", "without a protocol"),
        (
            {"body": [], "key": "sdk", "headers": [("Sentinel-App", "two")]},
            403, "forbidden", "does not belong to the app `two`", "",
        ),
        (
            {"body": [], "key": "ingest", "path": "/v1/import?enforce=true"},
            403, "forbidden", "may not enforce an import", "`sdk`",
        ),
        ({"body": [], "key": "sdk", "path": "/v1/import?enforce=maybe"}, 422, "invalid", "`maybe` is neither", ""),
        ({"body": [EVENT] * 5001, "key": "sdk"}, 413, "too_large", "5001 events in one request, at most 5000", "fewer"),
        ({"raw": LONG, "key": "sdk"}, 413, "too_large", "larger than 8 MiB", "fewer"),
        (
            {"raw": gzip.compress(LONG), "key": "sdk", "headers": [("Content-Encoding", "gzip")]},
            413, "too_large", "larger than 8 MiB", "fewer",
        ),
        (
            {"raw": zstandard.compress(LONG), "key": "sdk", "headers": [("Content-Encoding", "zstd")]},
            413, "too_large", "larger than 8 MiB", "fewer",
        ),
        (
            {"body": [], "key": "sdk", "headers": [("Content-Encoding", "br")]},
            415, "unsupported_encoding", "`br` is not known", "gzip, deflate or zstd",
        ),
        (
            {"body": [], "key": "sdk", "headers": [("Content-Encoding", "gzip, gzip")]},
            415, "unsupported_encoding", "`gzip, gzip`", "gzip, deflate or zstd",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_says_its_status_code_message_and_hint(door, how, status, code, message, hint):
    client = door.client.using(how.get("key"))
    answer = client.post(how.get("path", PATH), how.get("body"), raw=how.get("raw"), headers=how.get("headers", ()))
    assert (answer.status, answer.error["code"]) == (status, code)
    assert (answer.headers.get("connection") == "close") == (status == 413)  # nobody waits for the rest of that body
    assert message in answer.error["message"]
    assert hint in (answer.error["hint"] or "")
    assert door.written.sendings == []
    assert door.meters.codes == [code]


def test_a_refusal_for_want_of_a_key_says_which_kind(door):
    assert door.client.using(None).post(PATH, []).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("error", [Busy("too many requests wait", 3), StoreBusy("the disk is full", retry_after=3)])
def test_a_store_that_cannot_take_it_now_says_when_to_come_back(door, error):
    door.written.fails = error
    answer = door.client.post(PATH, [EVENT])
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "unavailable", "3")
    assert answer.error["message"] == error.message
    assert door.faults == []


def test_a_fault_of_ours_leaves_the_events_with_their_sender_and_is_reported(door):
    door.written.fails = ZeroDivisionError("secret detail")
    answer = door.client.post(PATH, [EVENT])
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert b"secret detail" not in answer.body
    assert str(door.faults[0]) == "ZeroDivisionError"


def test_keys_that_cannot_be_looked_up_are_a_busy_store(door):
    door.access.broken = StoreBusy("the disk is full")
    assert door.client.post(PATH, [EVENT]).status == 503


def test_an_app_over_its_rate_is_told_when_to_come_back(door):
    for _ in range(2):
        assert door.client.post(PATH, [EVENT] * 5000).status == 200
    answer = door.client.post(PATH, [EVENT])
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (429, "rate_limited", "1")
    assert door.client.using("other").post(PATH, [EVENT]).status == 200
    door.now += 1
    assert door.client.post(PATH, [EVENT]).status == 200


def test_a_batch_may_go_over_the_rate_once_and_is_waited_for(door):
    for _ in range(2):
        door.client.post(PATH, [EVENT] * 4999)
    assert door.client.post(PATH, [EVENT] * 5000).status == 200
    assert door.client.post(PATH, [EVENT]).headers["retry-after"] == "5"


def test_a_slow_sender_is_let_go(door, monkeypatch):
    monkeypatch.setattr(door.door, "body_patience", 0.1)
    answer = door.client.post(PATH, raw=b"[", headers={"Content-Length": "100"})
    assert (answer.status, answer.error["code"], answer.headers["connection"]) == (408, "timeout", "close")


def test_a_commit_that_hangs_is_not_waited_for_for_ever(door, monkeypatch):
    monkeypatch.setattr(door.door, "commit_patience", 0.05)
    door.written.may_write.clear()
    answer = door.client.post(PATH, [EVENT])
    door.written.may_write.set()
    assert (answer.status, answer.error["message"]) == (503, "the events were not written in time")


def test_a_client_that_leaves_in_the_middle_harms_nobody(door):
    with socket.create_connection(("127.0.0.1", door.client.port)) as sock:
        sock.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sdk\r\nContent-Length: 99\r\n\r\n[")
    assert door.client.post(PATH, [EVENT]).status == 200
    assert door.faults == []


def test_too_many_unfinished_bodies_at_once_are_told_to_come_back(door, monkeypatch):
    monkeypatch.setattr(door.door, "budget", wire.Budget(1000))
    assert door.client.post(PATH, raw=b"[" + b" " * 2000 + b"]").headers["retry-after"] == "1"
    assert door.client.post(PATH, [EVENT]).status == 200


def test_many_senders_at_once_all_get_their_answer(door):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: door.client.post(PATH, [{**EVENT, "id": str(n)}]), range(80)))
    assert {answer.status for answer in answers} == {200}
    assert len(door.written.events) == 80


ORIGIN = {"Origin": "https://shop.example"}
VIEW = {"event": "page.viewed", "id": "a", "ip": "198.51.100.1", "user": "42"}


class TestBrowserKeys:
    @pytest.fixture
    def client(self, door):
        return door.client.using("browser")

    def test_their_events_are_only_claims_from_their_own_address(self, door, client):
        assert client.post(PATH, VIEW, headers=ORIGIN).json["accepted"] == 1
        (event,) = door.written.events
        assert (event.ip, event.trust, event.id) == ("127.0.0.1", "browser", "browser:a")

    def test_behind_a_trusted_proxy_the_address_is_the_browsers(self, door, client, monkeypatch):
        monkeypatch.setattr(door.door, "proxies", Proxies((ip_network("127.0.0.0/8"),)))
        forwarded = [*ORIGIN.items(), ("X-Forwarded-For", "192.0.2.1, 203.0.113.7")]
        client.post(PATH, VIEW, headers=forwarded)
        assert door.written.events[0].ip == "203.0.113.7"

    def test_without_a_trusted_proxy_a_header_says_nothing(self, door, client):
        client.post(PATH, VIEW, headers=[*ORIGIN.items(), ("X-Forwarded-For", "203.0.113.7")])
        assert door.written.events[0].ip == "127.0.0.1"

    @pytest.mark.parametrize("name", ["auth", "signup", "sentinel.enforced"])
    def test_they_send_no_logins_no_signups_and_no_reserved_names(self, client, name):
        answer = client.post(PATH, [{"event": name}, VIEW], headers=ORIGIN)
        assert (answer.json["accepted"], answer.json["rejected"][0]["index"]) == (1, 0)

    @pytest.mark.parametrize("origin", ["https://shop.example", "https://m.shop.example", "https://a.b.shop.example"])
    def test_listed_origins_may_read_the_answer(self, client, origin):
        answer = client.post(PATH, VIEW, headers={"Origin": origin})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)

    @pytest.mark.parametrize(
        "origin",
        ["https://evil.example", "http://shop.example", "https://.shop.example", "https://evilshop.example", None],
    )
    def test_other_origins_are_refused(self, client, origin):
        answer = client.post(PATH, VIEW, headers={"Origin": origin} if origin else {})
        assert (answer.status, answer.error["code"]) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers

    def test_a_listed_origin_may_read_a_refusal_too(self, client):
        answer = client.post(PATH, raw=b"{", headers=ORIGIN)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (400, "https://shop.example")

    def test_they_import_nothing(self, client):
        assert client.post("/v1/import", VIEW, headers=ORIGIN).status == 403

    def test_they_send_little_at_a_time(self, door, client):
        view = {**VIEW, "properties": {"a": "x" * 1000}}
        answer = client.post(PATH, [view] * 600, headers=ORIGIN)
        assert (answer.status, answer.error["message"]) == (413, "the body is larger than 512 KiB")
        packed = gzip.compress(json.dumps([view] * 600).encode())
        assert client.post(PATH, raw=packed, headers={**ORIGIN, "Content-Encoding": "gzip"}).status == 413
        assert door.client.post(PATH, [view] * 600).status == 200

    def test_what_cannot_be_read_counts_too(self, client):
        codes = [client.post(PATH, raw=b"{", headers=ORIGIN).status for _ in range(21)]
        assert codes == [400] * 20 + [429]

    def test_an_address_has_a_rate_of_its_own(self, door, client):
        for _ in range(20):
            assert client.post(PATH, VIEW, headers=ORIGIN).status == 200
        assert client.post(PATH, VIEW, headers=ORIGIN).status == 429
        assert door.client.post(PATH, EVENT).status == 200

    def test_a_browser_may_ask_before_it_sends(self, client):
        answer = client.using(None).ask("OPTIONS", PATH, headers=ORIGIN)
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "authorization" in answer.headers["access-control-allow-headers"]


class TestReservedNames:
    @pytest.mark.parametrize("key", ["sdk", "admin"])
    @pytest.mark.parametrize("name", ["sentinel.enforced", "sentinel.identify", "sentinel.dropped"])
    def test_an_sdk_may_send_its_own_and_an_admin_what_one_sent(self, door, name, key):
        assert door.client.using(key).post(PATH, {"event": name}).json["accepted"] == 1

    def test_others_may_not(self, door):
        assert door.client.using("ingest").post(PATH, {"event": "sentinel.enforced"}).json["accepted"] == 0

    @pytest.mark.parametrize("name", ["sentinel.other", "sq.auth"])
    def test_an_sdk_may_not_make_up_others(self, door, name):
        assert "is reserved" in door.client.post(PATH, {"event": name}).json["rejected"][0]["error"]
