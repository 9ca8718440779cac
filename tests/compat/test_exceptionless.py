"""Exceptionless' words over the wire: events, settings, sessions, descriptions, older forms, and who may do what."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.record import App
from tests.api.served import wait_for
from tests.compat import clients
from tests.compat.captures import recorded, replay

BASE = "/compat/exceptionless"
V2 = f"{BASE}/api/v2"
SHOP = "https://shop.example"
VERSION = "x-exceptionless-configversion"


class Project:
    """An app with keys for Exceptionless of every scope."""

    def __init__(self, whole, app):
        self.whole, self.app, self.client = whole, app, whole.client
        access = whole.server.store.access
        access.add_app(App(app), "test", 1)
        _, self.admin = access.make_key(app, "admin", "test", 1)
        self.keys = {}
        for scope in ("sdk", "ingest", "browser", "read", "admin"):
            settings = {"origins": [SHOP]} if scope == "browser" else {}
            made = access.make_key(app, scope, "test", 1, protocol="exceptionless", settings=settings)
            self.keys[scope] = made[1]

    def ask(self, method, path, body=None, scope="sdk", **more):
        headers = {"Authorization": f"Bearer {self.keys[scope]}", **more.pop("headers", {})}
        return self.client.ask(method, V2 + path, body, headers=headers, **more)

    def submit(self, *events, scope="sdk"):
        answer = self.ask("POST", "/events", list(events), scope)
        assert (answer.status, answer.body) == (202, b""), answer.body
        return answer

    def get(self, path, scope="read"):
        answer = self.ask("GET", path, scope=scope)
        assert answer.status == 200, answer.body
        return answer.json

    def stored(self, query=""):
        items = self.client.using(self.admin).get(f"/v1/events?limit=200{query}").json["items"]
        return sorted(items, key=lambda one: (one["timestamp"], one["event"]))


@pytest.fixture
def project(whole, request):
    return Project(whole, re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-"))


def error(what, user, **more):
    return {
        "type": "error",
        "data": {"@user": {"identity": user}, "@error": {"type": "Error", "message": what}},
        **more,
    }


def test_what_the_real_node_client_was_seen_to_send_is_taken(whole, project):
    keys = {"TEST-API-KEY-0123456789": project.keys["sdk"]}
    answers = [answer for _, answer in replay(whole.client, "exceptionless_node", BASE, keys)]
    assert [answer.status for answer in answers] == [202, 304, 202, 200, 200, 202]
    assert all(answer.body == b"" and answer.headers[VERSION] == "0" for answer in answers)
    found = [(one["event"], one.get("user"), one.get("ip")) for one in project.stored()]
    assert sorted(found, key=str) == sorted(
        [
            ("error", "id:76a62f17-e177-4cc5-b2aa-49a4d59c99a5", None), ("error", None, None), ("error", None, None),
            ("error", "id:76a62f17-e177-4cc5-b2aa-49a4d59c99a5", None), ("error", "email:justin@email.com", None),
            ("Clicked.SignUp", "email:sarah@email.com", None), ("log", None, None), ("404", None, None),
            ("auth", "id:mallory", "1.2.3.4"), ("user_description", None, None),
            ("session.heartbeat", "email:justin@email.com", None), ("session.end", "email:justin@email.com", None),
        ],
        key=str,
    )  # fmt: skip


def test_a_batch_that_is_sent_again_is_stored_once(whole, project):
    keys = {"TEST-API-KEY-0123456789": project.keys["sdk"]}
    for _ in range(2):
        next(replay(whole.client, "exceptionless_node", BASE, keys))
    assert len(project.stored()) == 8


def test_what_the_python_client_was_seen_to_send_is_taken_with_its_user(whole, project):
    answers = [a for _, a in replay(whole.client, "exceptionless_pypi", BASE, {"k" * 20: project.keys["sdk"]})]
    assert [answer.status for answer in answers] == [200, 202]
    (one,) = project.stored()
    assert (one["event"], one["user"], one["properties"]["message"]) == ("error", "id:123", "division by zero")
    assert one["properties"]["environment"]["python_version"] == "3.11.7"


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b"[null]", ["[null]"]),
        (b'[null,{"message":"simple string"}]', ["simple string"]),
        (b"one\r\n\r\ntwo", ["one", "two"]),
        (b'"text"', ['"text"']),
        (b'{"message": "a"', ['{"message": "a"']),
        (b"\xff\xfe", ["\ufffd\ufffd"]),
        (b"[]", []),
        (b"", []),
        (b'{"message": 1}', ["1"]),
        (b'[{"type": {}, "message": ["x"], "tags": "y", "data": 7, "count": -1, "value": "z", "date": 1e99}]', [None]),
    ],
)
def test_whatever_is_sent_is_taken(project, body, messages):
    answer = project.ask("POST", "/events", raw=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.body) == (202, b"")
    assert sorted((one["properties"].get("message") for one in project.stored()), key=str) == messages


def test_failed_log_ins_it_reports_open_a_finding_and_block_as_any_others(whole):
    _, key = whole.server.store.access.make_key("one", "ingest", "test", 1, protocol="exceptionless")
    failed = {
        "type": "auth",
        "source": "login",
        "data": {"@user": {"identity": "mallory"}, "ip": "198.51.100.44", "success": False},
    }
    headers = {"Authorization": f"Bearer {key}"}
    assert whole.client.post(f"{V2}/events", [failed] * 3, headers=headers).status == 202
    decisions = whole.using("read").get("/v1/decisions?value=198.51.100.44").json["items"]
    assert [(one["kind"], one["scope"], one["playbook"]) for one in decisions] == [("block", "ip", "three-failures")]


def test_compressed_bodies_are_read(project):
    body = gzip.compress(json.dumps(error("packed", "u")).encode())
    assert project.ask("POST", "/projects/any/events", raw=body, headers={"Content-Encoding": "gzip"}).status == 202
    assert [one["properties"]["message"] for one in project.stored()] == ["packed"]


def test_one_bad_event_costs_no_other(project):
    project.submit({"type": "sentinel.enforced"}, error("fine", "u"))
    assert [one["event"] for one in project.stored()] == ["error"]


@pytest.mark.parametrize("header", ["Bearer {}", "Token {}", "basic"])
def test_the_key_may_stand_behind_each_scheme(project, header):
    key = project.keys["ingest"]
    said = "Basic " + base64.b64encode(f"client:{key}".encode()).decode() if header == "basic" else header.format(key)
    assert project.ask("POST", "/events", {"message": "a"}, headers={"Authorization": said}).status == 202


def test_a_key_in_the_address_sends_and_does_not_read(project):
    client = project.client
    for name in ("access_token", "api_key", "apikey"):
        assert client.post(f"{V2}/events?{name}={project.keys['ingest']}", {"message": "a"}).status == 202
    assert client.get(f"{V2}/events?access_token={project.keys['read']}").status == 401
    assert client.get(f"{V2}/projects/config?access_token={project.keys['sdk']}").status == 401


@pytest.mark.parametrize("key", [None, "nobody", "native"])
def test_a_key_that_was_not_made_for_it_is_refused(whole, key):
    secret = whole.secrets["one", "sdk"] if key == "native" else key
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    answer = whole.client.post(f"{V2}/events", {"message": "a"}, headers=headers)
    assert answer.status == (403 if key == "native" else 401) and list(answer.json) == ["message"]


def test_each_scope_does_what_it_is_for(project):
    def status(method, path, scope, body=None):
        return project.ask(method, path, body, scope).status

    assert [status("POST", "/events", one, {"message": "a"}) for one in ("sdk", "ingest", "read", "admin")] == [
        202,
        202,
        403,
        403,
    ]
    assert [status("GET", "/events", one) for one in ("sdk", "ingest", "read", "admin")] == [403, 403, 200, 200]
    assert [status("GET", "/projects/config", one) for one in ("sdk", "ingest", "read")] == [200, 403, 403]
    assert [status("POST", "/projects/p/config?key=a", one, {"value": "b"}) for one in ("sdk", "admin")] == [403, 200]


def test_a_browser_sends_from_its_origin_and_may_read_the_headers_it_needs(project):
    headers = {"Origin": SHOP}
    asked = project.client.ask("OPTIONS", f"{V2}/events", headers={**headers, "Access-Control-Request-Method": "POST"})
    assert asked.status == 204 and asked.headers["access-control-allow-origin"] == SHOP
    allowed = asked.headers["access-control-allow-headers"]
    assert {"authorization", "content-type", "user-agent"} <= set(allowed.split(", ")), "Firefox asks for the last"
    answer = project.ask("POST", "/events", error("in the browser", "u"), "browser", headers=headers)
    assert answer.status == 202 and answer.headers["access-control-allow-origin"] == SHOP
    assert "X-Exceptionless-ConfigVersion" in answer.headers["access-control-expose-headers"]
    assert project.ask("POST", "/events", {}, "browser", headers={"Origin": "https://else.example"}).status == 403
    assert project.ask("GET", "/projects/config", None, "browser", headers=headers).status == 403
    (one,) = project.stored()
    assert (one["trust"], one["ip"]) == ("browser", "127.0.0.1")


def test_settings_are_pushed_by_their_version_to_who_may_read_them(project):
    assert project.submit({"message": "a"}).headers[VERSION] == "0"
    assert project.ask("GET", "/projects/config?v=0").status == 304
    for name, value in (("@@log:*", "error"), ("@@DataExclusions", "*password*")):
        assert project.ask("POST", f"/projects/p/config?key={name}", {"value": value}, "admin").status == 200
    assert project.submit({"message": "b"}).headers[VERSION] == "2"
    assert project.submit({"message": "b"}, scope="ingest").headers[VERSION] == "0"
    answer = project.ask("GET", "/projects/config?v=0")
    assert answer.json == {"version": 2, "settings": {"@@log:*": "error", "@@DataExclusions": "*password*"}}
    assert project.ask("GET", "/projects/config?v=2").status == 304
    assert project.ask("DELETE", "/projects/p/config?key=@@log:*", None, "admin").status == 200
    assert project.get("/projects/config", "sdk") == {"version": 3, "settings": {"@@DataExclusions": "*password*"}}


@pytest.mark.parametrize("body", [{}, [], {"value": 7}, {"value": ""}, {"value": "\ud800"}, {"value": "x" * 3000}])
def test_a_setting_that_is_no_text_is_refused(project, body):
    assert project.ask("POST", "/projects/p/config?key=a", body, "admin").status == 400


def test_settings_are_each_apps_own(whole, project):
    project.ask("POST", "/projects/p/config?key=a", {"value": "b"}, "admin")
    assert Project(whole, "settings-of-another").get("/projects/config", "sdk") == {"version": 0, "settings": {}}


@pytest.mark.parametrize(
    ("id", "user"),
    [
        ("justin@email.com", "email:justin@email.com"), ("a+b@email.com", "email:a+b@email.com"), ("42", "id:42"),
        ("0123456789abcdef0123456789abcdef", None), ("x&y", "id:x&y"),
    ],
)  # fmt: skip
def test_a_heartbeat_is_of_a_user_or_of_a_session(project, id, user):
    assert project.ask("GET", f"/events/session/heartbeat?id={id}&close=false").status == 200
    assert project.ask("GET", f"/events/session/heartbeat?id={id}&close=true").status == 200
    assert project.ask("GET", "/events/session/heartbeat").status == 200
    assert [(one["event"], one.get("user")) for one in project.stored()] == [
        ("session.heartbeat", user), ("session.end", user)
    ]  # fmt: skip


def test_sessions_are_told_with_how_long_they_lasted(project):
    session = "0123456789abcdef0123456789abcdef"
    began = "2026-11-20T10:00:00Z"
    project.submit({"type": "session", "reference_id": session, "date": began, "data": {"@user": {"identity": "u"}}})
    project.submit({"type": "log", "date": "2026-11-20T10:01:30Z", "data": {"@ref:session": session}})
    (one,) = project.get("/events/sessions?time=all")
    assert (one["type"], one["value"], one["data"].get("sessionend")) == ("session", 90, None)
    end = "2026-11-20T10:02:00Z"
    project.submit({"type": "sessionend", "date": end, "data": {"@ref:session": session}})
    (one,) = project.get("/events/sessions?time=all")
    assert (one["value"], one["data"]["sessionend"]) == (120, end)
    assert [item["type"] for item in project.get(f"/events/sessions/{session}?time=all")] == [
        "sessionend",
        "log",
        "session",
    ]


def test_what_a_user_says_of_an_event_stands_beside_it(project):
    project.submit(error("boom", "u", reference_id="ref-1"))
    said = {"email_address": "u@example.com", "description": "it broke"}
    answer = project.ask("POST", "/events/by-ref/ref-1/user-description", said)
    assert (answer.status, answer.body) == (202, b"")
    (one,) = project.get("/events/by-ref/ref-1")
    assert one["data"]["@user_description"] == said
    assert len(project.get("/events?time=all")) == 1


def test_an_event_may_come_in_the_address(project):
    said = "source=Clicked&tags=a,b&value=1.5&count=2&identity=u1&identityname=U&color=red&reference=r1"
    assert project.ask("GET", f"/events/submit/usage?{said}", scope="ingest").status == 200
    assert project.ask("GET", "/events/submit/sq.x", scope="ingest").status == 400
    (one,) = project.stored()
    own = one["properties"]
    assert (one["event"], one["user"], one["id"]) == ("Clicked", "id:u1", "r1")
    assert (own["tags"], own["value"], own["count"], own["data"]) == (["a", "b"], 1.5, 2, {"color": "red"})


def test_the_first_versions_errors_are_taken(project):
    body = {
        "Id": "0123", "OccurrenceDate": "2026-11-20T10:00:00Z", "Type": "System.Exception", "Message": "old",
        "StackTrace": [{"Name": "Run", "DeclaringType": "Job"}], "Tags": ["t"], "UserEmail": "u@example.com",
        "ExtendedData": {"Order": 7}, "RequestInfo": {"ClientIpAddress": "203.0.113.9", "Path": "/a"},
    }  # fmt: skip
    answer = project.client.post(
        f"{BASE}/api/v1/error", body, headers={"Authorization": f"Bearer {project.keys['ingest']}"}
    )
    assert answer.status == 202
    (one,) = project.stored()
    assert (one["event"], one["id"], one["user"], one["ip"]) == ("error", "0123", "email:u@example.com", "203.0.113.9")
    assert (one["properties"]["message"], one["properties"]["data"]) == ("old", {"Order": 7})


@pytest.fixture(scope="module")
def filled(whole):
    """Three stacks: `often` by one user, `wide` by three, `rare` by one of them; and a visitor who saw no error."""
    project = Project(whole, "filled-with-stacks")
    for n in range(5):
        project.submit(error("often", "u1", date=f"2026-11-20T10:0{n}:00Z", tags=["a", "b"]))
    for n in range(3):
        project.submit(error("wide", f"u{n}", date=f"2026-11-20T11:0{n}:00Z", count=2, value=n))
    project.submit(error("rare", "u2", date="2026-11-20T12:00:00Z", message='it\'s "rare"'))
    for day in (19, 21):  # the days before and after count nowhere
        project.submit(error("wide", f"other{day}", date=f"2026-11-{day}T00:00:00Z", count=100))
    project.submit(
        {"type": "usage", "source": "Visited", "date": "2026-11-20T12:30:00Z", "data": {"@user": "visitor", "n": 5}}
    )
    return project


DAY = "time=2026-11-20%20TO%202026-11-20"


def test_most_users_tells_stacks_by_distinct_users_and_their_share(filled):
    rows = filled.get(f"/events?mode=stack_users&{DAY}&filter=type:error")
    told = [(row["title"], row["users"], row["total_users"], row["total"], row["share"]) for row in rows]
    assert told == [("wide", 3, 4, 6, 0.75), ('it\'s "rare"', 1, 4, 1, 0.25), ("often", 1, 4, 5, 0.25)] or told == [
        ("wide", 3, 4, 6, 0.75), ("often", 1, 4, 5, 0.25), ('it\'s "rare"', 1, 4, 1, 0.25)
    ]  # fmt: skip
    wide = rows[0]
    assert (wide["first_occurrence"], wide["last_occurrence"]) == ("2026-11-20T11:00:00Z", "2026-11-20T11:02:00Z")
    assert (wide["status"], wide["project_id"], wide["template_key"]) == ("open", filled.app, "stack-error-summary")
    assert re.fullmatch(r"[0-9a-f]{24}", wide["id"])
    assert {one["message"] for one in filled.get(f"/stacks/{wide['id']}/events?{DAY}")} == {"wide"}


def test_of_all_time_everything_counts(filled):
    first = filled.get("/events?mode=stack_users&time=all&limit=1")[0]
    assert (first["title"], first["users"], first["total_users"], first["total"]) == ("wide", 5, 6, 206)
    assert (first["first_occurrence"], first["last_occurrence"]) == ("2026-11-19T00:00:00Z", "2026-11-21T00:00:00Z")


def test_most_frequent_tells_stacks_by_their_events(filled):
    rows = filled.get(f"/projects/p/events?mode=stack_frequent&{DAY}&limit=2")
    assert [(row["title"], row["users"]) for row in rows] == [("often", 1), ("wide", 3)]
    second = filled.get(f"/projects/p/events?mode=stack_frequent&{DAY}&limit=1&page=2")
    assert [row["title"] for row in second] == ["wide"]


@pytest.mark.parametrize("mode", ["stack_recent", "stack_new", "users"])
def test_an_order_of_stacks_that_is_not_there_is_refused(filled, mode):
    answer = filled.ask("GET", f"/events?mode={mode}", scope="read")
    assert answer.status == 400
    assert "stack_users, stack_frequent" in answer.json["message"]


@pytest.mark.parametrize(
    ("filter", "count"),
    [
        ("type:error", 9), ("type:usage", 1), ("-type:error", 1), ("NOT type:error", 1), ("tag:a", 5), ("-tag:a", 5),
        ("user:u1", 6), ("user:u1 often", 5), ("often", 5), ("-often", 5), ('message:"it\'s \\"rare\\""', 1),
        ("message:oft*", 5), ("value:>0", 2), ("value:>=0", 3), ("_exists_:value", 3), ("_missing_:value", 7),
        ("count:2", 3), ("data.n:5", 1), ("type:error AND user:u2", 2), ("error.type:Error", 9), ("source:Visited", 1),
    ],
)  # fmt: skip
def test_terms_that_all_must_hold_are_understood(filled, filter, count):
    assert filled.get(f"/events/count?{DAY}&filter={quote(filter)}") == {"total": count, "aggregations": {}}


@pytest.mark.parametrize(
    "filter", ["a OR b", "(a)", "value:[1 TO 2]", "none:x", "user.data:x", 'x"', "a:b:c d:", "a " * 30]
)
def test_a_filter_that_is_not_understood_is_refused_and_never_guessed(filled, filter):
    answer = filled.ask("GET", f"/events?filter={quote(filter)}", scope="read")
    assert (answer.status, list(answer.json)) == (400, ["message"])


@pytest.mark.parametrize(
    "query",
    [
        "mode=stack_new",
        "mode=x",
        "mode=stack_users&sort=date",
        "sort=date",
        "time=yesterday",
        "limit=0",
        "page=9999&limit=100",
        "time=2026-11-21%20TO%202026-11-20",
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(filled, query):
    answer = filled.ask("GET", f"/events?{query}", scope="read")
    assert (answer.status, list(answer.json)) == (400, ["message"])


def test_events_are_told_as_exceptionless_writes_them(filled):
    answer = filled.ask("GET", f"/events?{DAY}&limit=2&include=total", scope="read")
    assert answer.headers["x-result-count"] == "10"
    visited, rare = answer.json
    assert (visited["type"], visited["source"], visited["data"]) == (
        "usage",
        "Visited",
        {"n": 5, "@user": {"identity": "visitor"}},
    )
    assert rare["data"]["@error"] == {"type": "Error", "message": "rare"}
    assert filled.get(f"/events/{rare['id']}") == rare
    assert filled.get(f"/events?{DAY}&limit=1&mode=summary")[0]["template_key"] == "event-usage-summary"


def test_no_app_sees_another_apps_events(filled, project):
    id = filled.get(f"/events?{DAY}&limit=1")[0]["id"]
    assert project.ask("GET", f"/events/{id}", scope="read").status == 404
    assert project.get("/events?time=all") == project.get("/events?mode=stack_users&time=all") == []


def test_what_other_senders_write_does_no_harm_here(whole, project):
    _, key = whole.server.store.access.make_key(project.app, "sdk", "test", 1)
    odd = {"exceptionless": "error", "stack": "s", "data": 7, "description": "x", "refs": [], "error": "y", "tags": 1}
    whole.client.using(key).post("/v1/events", {"event": "a", "properties": odd, "user": "u"})
    assert len(project.get("/events?time=all")) == 1
    assert [row["id"] for row in project.get("/events?mode=stack_users&time=all")] == ["s"]


ODD = st.text(max_size=12) | st.sampled_from(
    ["\x00", "all", "last 9999 weeks", "stack_users", "0", "99999999999", "-1", "'"]
)
ASKED = ["filter", "time", "mode", "page", "limit", "include", "sort"]


@given(
    query=st.dictionaries(st.sampled_from(ASKED), ODD, max_size=3),
    path=st.sampled_from(["", "/sessions", "/x", "/count", "/by-ref/'"]),
)
def test_no_question_is_a_fault(asker, query, path):
    answer = asker.ask("GET", f"/events{quote(path)}?{urlencode(query)}", scope="read")
    assert answer.status in (200, 400, 404), answer.body


@pytest.fixture(scope="module")
def asker(whole):
    project = Project(whole, "asker")
    project.submit(error("a", "u"))
    return project


NODE = """
import { Exceptionless } from "@exceptionless/node";
const at = JSON.parse(process.argv[2]);
await Exceptionless.startup(c => { c.apiKey = at.key; c.serverUrl = at.server; c.usePersistedQueueStorage = false; });
Exceptionless.config.setUserIdentity({ name: "Justin Hunter", email: "justin@email.com", userId: "76a62f17" });
await Exceptionless.submitException(new Error("boom"));
await Exceptionless.createException("a text, thrown").submit();
await Exceptionless.submitFeatureUsage("Clicked.SignUp");
await Exceptionless.submitLog("app.logger", "hello", "warn");
await Exceptionless.submitNotFound("/nope");
await Exceptionless.processQueue();
await Exceptionless.submitSessionHeartbeat("justin@email.com");
console.log(JSON.stringify(Exceptionless.config.settings));
process.exit(0);
"""


def test_the_real_node_client_sends_and_takes_its_settings(whole, project, tmp_path):
    folder = clients.npm("@exceptionless/node@3.2.1")
    project.ask("POST", "/projects/p/config?key=@@log:*", {"value": "off"}, "admin")
    script = tmp_path / "client.mjs"
    script.write_text(NODE)
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    said = json.dumps({"key": project.keys["sdk"], "server": f"http://127.0.0.1:{whole.client.port}{BASE}"})
    done = subprocess.run(
        [clients.node(), str(script), said], env=clients.environment(folder), cwd=tmp_path,
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    wait_for(lambda: len(project.stored()) >= 6)
    found = {one["event"]: one for one in project.stored()}
    assert set(found) == {"error", "Clicked.SignUp", "log", "404", "session.heartbeat"}
    assert {one["user"] for one in project.stored()} == {"id:76a62f17", "email:justin@email.com"}
    assert json.loads(done.stdout.strip().splitlines()[-1])["@@log:*"] == "off"


PYTHON = """
import sys
from exceptionless import ExceptionSystem, ExceptionlessUtils, System
ExceptionlessUtils.EXCEPTIONLESS_API_ROOT = System.EXCEPTIONLESS_API_ROOT = sys.argv[1]
system = ExceptionSystem()
system.initialize(sys.argv[2], {"id": "123", "email": "user@example.com"})
try:
    1 / 0
except ZeroDivisionError as error:
    system.send(error)
"""


def test_the_real_python_client_sends_with_its_user(whole, project, tmp_path):
    folder = clients.pypi("exceptionless==0.1.0")
    script = tmp_path / "client.py"
    script.write_text(PYTHON)
    command = [sys.executable, str(script), f"http://127.0.0.1:{whole.client.port}{V2}", project.keys["sdk"]]
    done = subprocess.run(command, env=clients.environment(folder), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (one,) = project.stored()
    assert (one["event"], one["user"], one["properties"]["message"]) == ("error", "id:123", "division by zero")


def test_settings_of_the_capture_are_what_the_core_client_asks_for(whole, project):
    for name, value in (("@@log:*", "error"), ("@@usage:Secret*", "false")):
        project.ask("POST", f"/projects/p/config?key={name}", {"value": value}, "admin")
    keys = {dict(recorded("exceptionless_core_settings")[0].headers)["Authorization"][7:]: project.keys["sdk"]}
    answers = [answer for _, answer in replay(whole.client, "exceptionless_core_settings", BASE, keys)]
    assert [answer.status for answer in answers] == [202, 200, 202]
    assert answers[0].headers[VERSION] == str(answers[1].json["version"]) == "2"
