"""LogTrace's words: three generations of payloads become events, and its lists tell of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.compat import logtrace
from sentinel.core import event as events
from sentinel.core.errors import EventError
from sentinel.core.record import App
from tests.compat import clients
from tests.compat.captures import recorded, replay

BASE = "/compat/logtrace"
DETAILS = {
    "timestamp": "2026-11-20T21:46:28.641268+00:00", "http_method": "GET", "http_endpoint": "/run",
    "http_status_code": 200, "ip_address": "8.8.8.8", "operating_system": "macOS", "client_user_agent": "Mozilla/5.0",
    "request_headers": {"host": "a", "Cookie": "secret=1", "authorization": "Bearer x", "X-Session-Token": "y"},
    "geo_ip_location": "", "request_duration": "12ms", "request_id": "r1",
}  # fmt: skip
CAMEL = {
    "httpMethod": "GET", "httpEndpoint": "/run", "httpStatusCode": 200, "ipAddress": "8.8.8.8",
    "operatingSystem": "macOS", "clientUserAgent": "Mozilla/5.0", "requestDuration": "12ms", "requestId": "r1",
    "timestamp": "2026-11-20T21:46:28.641268+00:00", "requestHeaders": {"host": "a"},
}  # fmt: skip
MADE = {
    "event": "user.login", "timestamp": "2026-11-20T21:46:28.641268+00:00", "user": {"id": "12345", "username": "jane"},
    "ip": "8.8.8.8", "request": {"method": "GET", "path": "/run", "user_agent": "Mozilla/5.0", "status": 200},
    "properties": {
        "logtrace": "event", "operating_system": "macOS", "request_duration": "12ms", "request_id": "r1",
        "headers": {"host": "a"},
    },
}  # fmt: skip


class Sender:
    """An app, and clients with a key that sends and one that reads."""

    def __init__(self, whole, app):
        self.client = whole.client
        access = whole.server.store.access
        access.add_app(App(app), "test", 1)
        _, self.key = access.make_key(app, "ingest", "test", 1, protocol="logtrace")
        _, self.reader = access.make_key(app, "read", "test", 1, protocol="logtrace")
        _, self.admin = access.make_key(app, "admin", "test", 1)

    def post(self, path, body, headers=None):
        return self.client.post(f"{BASE}/v1/{path}", body, headers=headers or {"X-API-Key": self.key})

    def get(self, path, key=None):
        return self.client.get(f"{BASE}/v1/{path}", headers={"Authorization": f"Bearer {key or self.reader}"})

    def stored(self):
        items = self.client.using(self.admin).get("/v1/events").json["items"]
        return sorted(items, key=lambda one: one["event"])


@pytest.fixture
def sender(whole, request):
    return Sender(whole, re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-"))


@pytest.mark.parametrize(
    "raw",
    [
        {"action_name": "user.login", "http_method": "", "http_status": 0, "client_ip": "", "client_user_agent": "",
         "user_id": "12345", "username": "jane", "request_details": DETAILS},
        {"name": "user.login", "user_id": 12345, "username": "jane", "request_details": DETAILS},
        {"actionName": "user.login", "userId": "12345", "userName": "jane", "httpMethod": "POST", "httpStatus": 500,
         "clientIp": "1.1.1.1", "clientUserAgent": "other", "requestDetails": CAMEL},
    ],
    ids=["with the middleware's details", "as documented now", "in camel case"],
)  # fmt: skip
def test_the_generations_with_details_mean_one_event(raw):
    assert list(logtrace.event(raw)) == [MADE]


@pytest.mark.parametrize("status", ["200", 200])
def test_the_flat_generation_means_an_event(status):
    raw = {
        "action_name": "user.login", "user_id": "1", "username": "jane", "http_method": "POST", "http_status": status,
        "http_endpoint": "/login", "client_ip": "203.0.113.42", "client_user_agent": "UA/1", "type": "user event",
        "geo_ip_location": "Kenya, Nairobi", "metadata": {"plan": "free"},
    }  # fmt: skip
    assert list(logtrace.event(raw)) == [{
        "event": "user.login", "user": {"id": "1", "username": "jane"}, "ip": "203.0.113.42",
        "request": {"method": "POST", "path": "/login", "user_agent": "UA/1", "status": 200},
        "properties": {
            "logtrace": "event", "type": "user event", "geo_ip_location": "Kenya, Nairobi", "metadata": {"plan": "free"}
        },
    }]  # fmt: skip


def test_a_time_beside_the_fields_is_the_events_and_metadata_of_any_kind_are_kept():
    raw = {"name": "user.login", "username": "jane", "timestamp": "2026-01-15T10:30:00Z", "metadata": ["a", 1]}
    (made,) = logtrace.event(raw)
    assert (made["timestamp"], made["properties"]["metadata"]) == (raw["timestamp"], ["a", 1])
    (told,) = logtrace.event({**raw, "request_details": {"timestamp": "2026-01-16T10:30:00Z"}})
    assert told["timestamp"] == "2026-01-16T10:30:00Z"


def test_a_session_that_begins_happened_at_its_log_in_and_its_token_is_not_kept():
    raw = {"login_at": "2026-01-15T10:30:00Z", "status": "active", "user_id": "7", "token": "efb2c9a1"}
    (made,) = logtrace.session(raw)
    assert (made["event"], made["timestamp"], made["properties"]["status"]) == ("session", raw["login_at"], "ACTIVE")
    assert "efb2c9a1" not in json.dumps(made)
    (ended,) = logtrace.session({**raw, "status": "INACTIVE"})
    assert "timestamp" not in ended and ended["properties"]["session"] == made["properties"]["session"]


def test_a_line_of_an_audit_log_is_named_by_its_action():
    raw = {"action": "user.deleted", "timestamp": "2026-01-15T10:30:00Z", "username": "jane", "metadata": {"a": 1}}
    assert list(logtrace.audit_log(raw)) == [{
        "event": "user.deleted", "timestamp": "2026-01-15T10:30:00Z", "user": {"username": "jane"},
        "properties": {"logtrace": "audit-log", "metadata": {"a": 1}},
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("events", {"user_id": "1"}, "`name`: missing (every event has a `name`, or an `action_name`)"),
        ("events", [7], "`event`: not an object"),
        ("sessions", {"status": "MAYBE"}, "`status`: neither `ACTIVE` nor `INACTIVE`"),
        ("audit-logs", {}, "`action`: missing (every line has an `action`)"),
    ],
)
def test_what_lacks_its_name_is_refused_with_a_message(sender, path, body, message):
    answer = sender.post(f"developers/{path}", body)
    assert (answer.status, answer.json) == (400, {"message": message})


@pytest.mark.parametrize("path", ["v1/developers", "v1"])
@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_both_paths_and_both_places_of_the_key_are_good(whole, sender, path, header):
    headers = {header: sender.key if header == "X-API-Key" else f"Bearer {sender.key}"}
    for kind, body in (("events", {"name": "a"}), ("sessions", {"status": "ACTIVE"}), ("audit-logs", {"action": "b"})):
        answer = whole.client.post(f"{BASE}/{path}/{kind}", body, headers=headers)
        assert (answer.status, answer.json) == (202, {"message": "Event accepted for processing"})


@pytest.mark.parametrize("key", [None, "nobody", "native"])
def test_a_key_that_was_not_made_for_it_is_refused_with_a_message(whole, sender, key):
    secret = whole.secrets["one", "sdk"] if key == "native" else key
    answer = sender.post("events", {"name": "a"}, {"X-API-Key": secret} if secret else {"Accept": "*/*"})
    assert answer.status == (403 if key == "native" else 401) and list(answer.json) == ["message"]


def test_who_sends_reads_nothing_and_the_other_way_round(sender):
    assert sender.get("events", sender.key).status == 403
    assert sender.post("events", {"name": "a"}, {"X-API-Key": sender.reader}).status == 403


def test_what_the_real_clients_were_seen_to_send_is_taken(whole, sender):
    key = dict(recorded("logtrace_py")[0].headers)["X-Api-Key"]
    answers = [answer for _, answer in replay(whole.client, "logtrace_py", BASE, {key: sender.key})]
    assert [answer.status for answer in answers] == [202] * 5
    found = sender.stored()
    assert [one["event"] for one in found] == ["a.b", "session", "user.deleted", "user.login", "user.login"]
    assert {one.get("ip") for one in found if one["event"] == "user.login"} == {"8.8.8.8", "203.0.113.42"}
    assert {one["user"] for one in found if one["event"] == "user.login"} == {"id:12345"}


def test_what_is_sent_stands_beside_the_events_of_the_same_app(whole):
    sender = Sender.__new__(Sender)
    _, sender.key = whole.server.store.access.make_key("one", "sdk", "test", 1, protocol="logtrace")
    sender.client = whole.client
    for n in range(3):
        sender.post("events", {"name": "auth", "user_id": f"lt{n}", "client_ip": "198.51.100.77"})
    found = whole.using("read").get("/v1/events?event=auth&ip=198.51.100.77").json["items"]
    assert len(found) == 3


@pytest.fixture(scope="module")
def filled(whole):
    sender = Sender(whole, "filled")
    for n in range(5):
        body = {
            "name": f"order.{n}", "user_id": f"u{n % 2}", "username": f"Jane{n % 2}", "type": "shop",
            "request_details": {"http_method": "post" if n else "GET", "http_status_code": 200 + 101 * n,
                                "timestamp": f"2026-11-1{n}T10:00:00Z", "http_endpoint": "/x"},
        }  # fmt: skip
        assert sender.post("events", body).status == 202
    for n in range(2):
        status = "ACTIVE" if n else "INACTIVE"
        sender.post("sessions", {"status": status, "user_id": f"u{n}", "login_at": "2026-11-15T10:00:00Z"})
        sender.post("audit-logs", {"action": f"did.{n}", "timestamp": "2026-11-15T10:00:00Z", "username": "jane"})
    return sender


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("http_status=402", [2]),
        ("http_status=3xx", [1]),
        ("http_status=4XX", [2]),
        ("http_method=get", [0]),
        ("user_id=u1", [3, 1]),
        ("username=Jane0", [4, 2, 0]),
        ("search=ORDER.3", [3]),
        ("search=jane1", [3, 1]),
        ("start_date=2026-11-12&end_date=2026-11-13", [3, 2]),
        ("start_date=2026-11-12T10:00:01Z", [4, 3]),
        ("per_page=2&page=2", [2, 1]),
        ("per_page=2&page=4", []),
    ],
)
def test_events_are_listed_by_page_and_by_what_is_asked(filled, query, found):
    answer = filled.get(f"events?{query}")
    assert answer.status == 200, answer.body
    assert [int(one["name"].partition(".")[2]) for one in answer.json["events"]] == found
    if "page" not in query:
        assert answer.json["meta"] == {"paging": {"total": len(found), "per_page": 20, "page": 1}}


def test_an_event_is_told_with_every_field(filled):
    one = filled.get("events?search=order.1").json["events"][0]
    assert one.pop("id") == filled.get("events?search=order.1").json["events"][0]["id"]
    assert one == {
        "type": "shop", "username": "Jane1", "user_id": "u1", "http_method": "post", "http_status_code": 301,
        "http_endpoint": "/x", "http_request_duration": "", "ip_address": "", "client_user_agent": "",
        "geo_ip_location": "", "name": "order.1", "action_name": "order.1", "metadata": {},
        "created_at": "2026-11-11T10:00:00Z", "operating_system": "",
    }  # fmt: skip


def test_one_is_told_by_its_id_and_only_of_its_kind(filled, sender):
    id = filled.get("events?search=order.1").json["events"][0]["id"]
    assert filled.get(f"events/{id}").json["event"]["name"] == "order.1"
    assert filled.get(f"sessions/{id}").status == 404
    assert sender.get(f"events/{id}").status == 404, "another app's"


def test_sessions_and_audit_logs_have_lists_of_their_own(filled):
    assert [one["status"] for one in filled.get("sessions").json["sessions"]] == ["INACTIVE", "ACTIVE"]
    assert [one["user_id"] for one in filled.get("sessions?status=active").json["sessions"]] == ["u1"]
    assert {one["action"] for one in filled.get("audit-logs").json["audit_logs"]} == {"did.0", "did.1"}
    assert filled.get("audit-logs?search=did.1").json["meta"]["paging"]["total"] == 1


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("audit-logs?client=cli/1", ["a"]),
        ("audit-logs?client=CLI/1", ["a"]),
        ("audit-logs?client=Mozilla/5.0 (X11; Linux x86_64)", ["c"]),
        ("audit-logs?client=web", []),
        ("audit-logs?client=", ["c", "b", "a"]),
        ("audit-logs?operating_system=macos", ["b"]),
        ("audit-logs?operating_system=Linux", ["c", "a"]),
        ("audit-logs?client=cli/1&operating_system=macOS", []),
        ("audit-logs?search=192.0.2.7", ["b"]),
        ("audit-logs?start=2026-11-16", ["c", "b"]),
        ("audit-logs?start_date=2026-11-16&end=2026-11-16", ["b"]),
        ("sessions?status=all", ["INACTIVE", "ACTIVE"]),
        ("sessions?status=inactive", ["INACTIVE"]),
        ("sessions?search=nairobi", ["ACTIVE"]),
    ],
)
def test_audit_logs_and_sessions_are_listed_by_what_is_asked_of_them(chosen, path, found):
    answer = chosen.get(path.replace(" ", "%20"))
    assert answer.status == 200, answer.body
    kind, name = ("audit_logs", "action") if path.startswith("audit") else ("sessions", "status")
    assert [one[name] for one in answer.json[kind]] == found


@pytest.fixture(scope="module")
def chosen(whole):
    sender = Sender(whole, "chosen")
    for n, body in enumerate([
        {"action": "a", "client": "cli/1", "operating_system": "Linux"},
        {"action": "b", "client": "cli/2", "operating_system": "macOS", "ip_address": "192.0.2.7"},
        {"action": "c", "request_details": {"client_user_agent": "Mozilla/5.0 (X11; Linux x86_64)"}},
    ]):  # fmt: skip
        sender.post("audit-logs", {**body, "username": "jane", "timestamp": f"2026-11-1{5 + n}T10:00:00Z"})
    sender.post("sessions", {"status": "ACTIVE", "login_at": "2026-11-15T10:00:00Z", "location": "Nairobi"})
    sender.post("sessions", {"status": "INACTIVE"})
    return sender


def test_a_line_of_an_audit_log_tells_its_client(chosen):
    said, derived = (chosen.get(f"audit-logs?search={action}").json["audit_logs"] for action in ("b", "c"))
    assert (said[0]["client"], said[0]["operating_system"], said[0]["ip_address"]) == ("cli/2", "macOS", "192.0.2.7")
    assert (derived[0]["client"], derived[0]["operating_system"]) == ("Mozilla/5.0 (X11; Linux x86_64)", "Linux")


@pytest.mark.parametrize("path", ["events", "sessions", "audit-logs"])
@pytest.mark.parametrize("query", ["usr=1", "clients=x", "startdate=2026-11-16"])
def test_a_parameter_nobody_knows_is_refused_and_the_list_not_told_whole(filled, path, query):
    answer = filled.get(f"{path}?{query}")
    assert answer.status == 400
    assert answer.json["message"].startswith(f"`{query.partition('=')[0]}`: no such parameter (one of client, end,")


def test_metrics_tell_the_last_day_and_who_did_most(sender):
    for user in ("a", "b", "a"):
        sender.post("events", {"name": "x", "user_id": user})
    actors = [{"name": "id:a", "events": 2}, {"name": "id:b", "events": 1}]
    for path in ("events/metrics", "metrics/events"):
        found = sender.get(path).json
        assert (found["count"], found["events_last_24h"], found["top_actors"]) == (3, 3, actors)
    assert sender.get("metrics/events/top-actors").json["actors"] == actors


def test_metrics_of_sessions_and_audit_logs_count_the_last_day_and_sessions_of_nobody(sender):
    for body in ({"user_id": "1"}, {"username": "jane"}, {"token": "t"}, {}, {"location": "Nairobi"}):
        sender.post("sessions", {"status": "INACTIVE", **body})
    sender.post("sessions", {"status": "ACTIVE", "login_at": "2026-01-15T10:30:00Z", "user_id": "1"})
    sender.post("audit-logs", {"action": "x", "user_id": "1"})
    for path in ("sessions/metrics", "metrics/sessions"):
        found = sender.get(path).json
        assert (found["count"], found["suspicious_count"]) == (5, 2)
        assert found["message"] == "Sessions metrics have been fetched successfully"
    for path in ("audit-logs/metrics", "metrics/auditlogs"):
        assert sender.get(path).json == {"count": 1, "message": "Audit log metrics fetched successfully"}


@pytest.mark.parametrize("path", ["events", "sessions", "audit-logs"])
def test_metrics_are_for_who_may_read(sender, path):
    assert sender.get(f"{path}/metrics", sender.key).status == 403


@pytest.mark.parametrize(
    "query", ["http_status=x", "page=0", "per_page=-1", "start_date=never", "page=10000", "search=" + "x" * 300]
)
def test_a_question_that_cannot_be_meant_is_refused_with_a_message(filled, query):
    answer = filled.get(f"events?{query}")
    assert (answer.status, list(answer.json)) == (400, ["message"])


def test_what_code_the_package_of_the_registry_holds_can_be_imported():
    """What it sends is not tried: its one release holds no code. What clients were seen to send is replayed above."""
    folder = clients.pypi("logtrace-py==0.0.2")
    modules = sorted(path.parent.name for path in folder.glob("logtrace*/__init__.py"))
    if not modules:
        pytest.skip("logtrace-py 0.0.2 holds no code, and its repository is no package index")
    done = subprocess.run([sys.executable, "-c", f"import {modules[0]}"], env=clients.environment(folder), timeout=300)
    assert done.returncode == 0


ODD = st.text(max_size=12) | st.sampled_from(["\x00", "4xx", "404", "2026-02-30", "9999-12-31", "-1", "'", "100"])
ASKED = [
    "http_status",
    "http_method",
    "user_id",
    "username",
    "search",
    "start_date",
    "end_date",
    "page",
    "per_page",
    "status",
    "client",
    "operating_system",
    "start",
    "end",
    "",
]


@given(
    query=st.dictionaries(st.sampled_from(ASKED), ODD, max_size=4),
    path=st.sampled_from(["events", "sessions", "audit-logs"]),
)
def test_no_question_is_a_fault(filled, query, path):
    answer = filled.get(f"{path}?{urlencode(query)}")
    assert answer.status in (200, 400), answer.body


NAMES = [
    "name", "action_name", "actionName", "user_id", "status", "request_details", "requestDetails", "metadata", "action",
    "timestamp", "login_at", "token", "http_status", "http_status_code", "ip_address", "request_headers",
]  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(ANYTHING, st.sampled_from([logtrace.event, logtrace.session, logtrace.audit_log]))
def test_nothing_sent_is_a_fault(raw, translate):
    try:
        (made,) = translate(raw)
        found = events.read(made, received=1, new_id=lambda: "x")
    except EventError:
        return
    assert found.name == made["event"] and found.properties["logtrace"] in ("event", "session", "audit-log")
