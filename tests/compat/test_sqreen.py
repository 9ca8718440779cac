"""Sqreen's agents and signals: what an agent was seen to ask is answered, what it says becomes events."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sentinel.compat import sqreen
from sentinel.core.decision import place
from sentinel.core.errors import EventError
from sentinel.core.record import App
from sentinel.service.bans import Ban, Table
from tests.api.served import wait_for
from tests.compat import clients
from tests.compat.captures import recorded, replay

BASE = "/compat/sqreen"
RECORDED = {"key": "0123456789abcdef0123456789abcdef", "session": "sess-048c0484f87e4d43a607e7addbd30034"}
POINT = {
    "type": "point", "signal_name": "myapp.login.failed", "source": "myapp:login", "time": "2026-11-20T21:46:53.868Z",
    "actor": {"ip_addresses": ["203.0.113.4"], "user_identifiers": {"username": "mallory"}}, "location": {},
    "payload_schema": "login/2026", "payload": {"why": "password", "password": "s3cret"},
}  # fmt: skip


class Site:
    """An app with an agent's key, and what it was told and has."""

    def __init__(self, whole, name):
        self.client, access = whole.client, whole.server.store.access
        self.app = re.sub(r"[^a-z0-9]+", "-", name)[:60].strip("-")
        access.add_app(App(self.app), "test", 1)
        self.key = access.make_key(self.app, "sdk", "test", 1, protocol="sqreen")[1]
        settings = {"addresses": True}
        self.telling = access.make_key(self.app, "sdk", "test", 1, protocol="sqreen", settings=settings)[1]
        self.admin = self.client.using(access.make_key(self.app, "admin", "test", 1)[1])

    def ask(self, method, path, body=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()} or {"x-api-key": self.key}
        return self.client.ask(method, BASE + path, body, headers=named)

    def login(self, key=None):
        return self.ask("POST", "/sqreen/v1/app-login", {}, x_api_key=key or self.key).json["session_id"]

    def beat(self, session):
        """Return the names of what an agent is told to do."""
        answer = self.ask("POST", "/sqreen/v1/app-beat", {"metrics": []}, x_session_key=session)
        assert (answer.status, answer.json["status"]) == (200, True)
        return [command["name"] for command in answer.json["commands"]]

    def actions(self, session):
        return self.ask("GET", "/sqreen/v0/actionspack", x_session_key=session).json["actions"]

    def block(self, scope, value):
        body = {"kind": "block", "scope": scope, "value": value, "reason": "test", "for": "1h"}
        answer = self.admin.post("/v1/decisions", body)
        assert answer.status == 201
        return answer.json["decision"]["id"] if "decision" in answer.json else answer.json["id"]

    def events(self):
        return sorted(self.admin.get("/v1/events").json["items"], key=lambda one: (one["timestamp"], one["event"]))


@pytest.fixture
def site(whole, request):
    return Site(whole, request.node.name)


def test_all_that_an_agent_was_seen_to_ask_is_answered(whole, site):
    keys = {RECORDED["key"]: site.key, RECORDED["session"]: f"{site.key}.0123456789abcdef"}
    asked = 0
    for one, answer in replay(whole.client, "sqreen_node_agent", BASE, keys):
        asked += 1
        assert (one.target, answer.status, answer.json["status"]) == (one.target, 200, True)
        if one.target.endswith("app-login"):
            assert answer.json["session_id"].startswith(site.key)
            assert answer.json["features"]["use_signals"] is False
            assert answer.json["commands"][0]["name"] == "instrumentation_enable"
    assert asked == len(recorded("sqreen_node_agent")) == 13
    events = site.events()
    assert [one["event"] for one in events] == ["foobar", *2 * ["identify"], "block_user", "foobar", "identify"]
    assert events[0]["user"] == "username:alice"
    assert events[0]["properties"] == {"prop1": "value1", "prop2": 2}
    assert events[0]["request"] | {"host": ""} == {
        "method": "GET", "path": "/me", "route": "/me", "host": "", "status": 200
    }  # fmt: skip
    for _ in replay(whole.client, "sqreen_node_agent", BASE, keys):
        pass
    assert len(site.events()) == 6, "a batch that is sent again counts once"


def test_the_agent_for_go_which_knows_no_base_path_is_answered_at_the_root(site):
    def ask(method, path, body=None, **headers):
        return site.client.ask(method, path, body, headers={name.replace("_", "-"): headers[name] for name in headers})

    session = ask("POST", "/sqreen/v1/app-login", {}, x_api_key=site.key).json["session_id"]
    request = {"verb": "GET", "path": "/", "rid": "go1", "user_agent": "Go/1", "parameters": {"query": {"a": ["1"]}}}
    said = {"name": "track", "time": "2026-11-20T21:46:53.868123456Z", "args": ["went", {"properties": {"n": 1}}]}
    record = {
        "event_type": "request_record",
        "client_ip": "203.0.113.4",
        "request": request,
        "observed": {"sdk": [said]},
    }
    assert ask("POST", "/sqreen/v0/batch", {"batch": [record]}, x_session_key=session).json == {"status": True}
    (event,) = site.admin.get("/v1/events?limit=5").json["items"]
    assert (event["event"], event["ip"], event["request"]["user_agent"]) == ("went", "203.0.113.4", "Go/1")
    assert ask("GET", "/sqreen/v0/actionspack", x_session_key=session).json == {"status": True, "actions": []}
    assert ask("GET", "/sqreen/v0/actionspack").status == 404
    assert ask("POST", "/batches", [POINT | {"payload": ["a", {"token": "t"}]}], x_session_key=session).status == 202
    signal = next(one for one in site.events() if one["event"] == "myapp.login.failed")
    assert signal["properties"]["payload"] == ["a", {"token": "<redacted>"}]


def test_an_agent_asks_whom_to_refuse_when_that_changed_and_only_then(site):
    session, other = site.login(), site.login()
    assert site.beat(session) == ["actions_reload"]
    assert site.actions(session) == []
    assert site.beat(session) == []
    decision = site.block("user", "username:mallory")
    wait_for(lambda: site.beat(session) == ["actions_reload"])
    (told,) = site.actions(session)
    assert told["parameters"] == {"users": [{"username": "mallory"}]}
    assert (told["action_id"], told["action"]) == (decision, "block_user")
    assert 3500 < told["duration"] <= 3600
    assert site.beat(session) == []
    assert site.beat(other) == ["actions_reload"], "each process asks for itself"
    assert site.ask("GET", "/sqreen/v0/app-logout", x_session_key=session).status == 200
    assert site.ask("GET", "/sqreen/v0/actionspack", x_session_key="x" + session).status == 401


def test_an_id_is_told_under_each_name_and_as_a_number(site):
    site.block("user", "id:42")
    session = site.login()
    names = ("id", "user_id", "uid")
    wait_for(lambda: site.actions(session))
    assert site.actions(session)[0]["parameters"]["users"] == [
        *({name: "42"} for name in names), *({name: 42} for name in names)
    ]  # fmt: skip


def test_addresses_are_told_only_where_the_key_says_so(site):
    site.block("ip", "203.0.113.77")
    wait_for(lambda: site.actions(site.login(site.telling)))
    (told,) = site.actions(site.login(site.telling))
    assert (told["action"], told["parameters"]) == ("block_ip", {"ip_cidr": ["203.0.113.77/32"]})
    assert site.actions(site.login()) == []


def test_what_an_agent_refused_for_us_is_told_as_that(site):
    decision = site.block("user", "username:mallory")
    wait_for(lambda: site.actions(site.login()))
    said = {"name": "track", "time": "2026-11-20T21:46:55.911Z", "args": [
        "block_user", {"properties": {"output": {"username": "mallory"}, "action_id": decision}},
    ]}  # fmt: skip
    raw = {
        "event_type": "request_record", "request": {"rid": "r", "path": "/"}, "response": {"status": 500},
        "identity": {"username": "mallory"}, "observed": {"sdk": [said]},
    }  # fmt: skip
    (event,) = sqreen.record(frozenset({decision}), raw)
    assert (event["event"], event["user"]) == ("sentinel.enforced", {"username": "mallory"})
    assert event["properties"] == {"kind": "block", "scope": "user", "decision": decision, "status": 500}
    (strange,) = sqreen.record(frozenset(), raw)
    assert strange["event"] == "block_user"
    answer = site.ask("POST", "/sqreen/v0/batch", {"batch": [raw]}, x_session_key=site.login())
    assert answer.json == {"status": True}
    assert [one["event"] for one in site.events()] == ["sentinel.enforced"]


def test_a_signal_is_an_event_and_a_trace_one_of_each_of_its_points(site):
    trace = {"data": [{**POINT, "actor": None}, {"type": "metric", "signal_name": "m", "payload": {}}],
             "actor": {"ip_address": "203.0.113.5"},
             "context": {"request": {"verb": "GET", "path": "/a?x=1"}, "response": {"status": 404}}}  # fmt: skip
    assert site.ask("POST", "/batches", [POINT, {"signal_name": 7}, trace]).status == 202
    first, second = sorted(site.events(), key=lambda one: one["ip"])
    assert (first["event"], first["user"], first["ip"]) == ("myapp.login.failed", "username:mallory", "203.0.113.4")
    assert first["properties"]["payload"] == {"why": "password", "password": "<redacted>"}
    assert (second["ip"], second["request"]) == ("203.0.113.5", {"method": "GET", "path": "/a", "status": 404})
    for path in ("signals", "traces"):
        assert site.ask("POST", f"/{path}", POINT | {"time": f"2026-11-20T21:47:0{len(path)}Z"}).status == 202
        refused = site.ask("POST", f"/{path}", {"signal_name": "sq.own"})
        assert refused.status == 422
        assert "reserved" in refused.json["message"]
    assert site.ask("POST", "/batches", [POINT], x_api_key="wrong" * 10).status == 401


def test_signals_that_are_sent_again_count_once_and_equal_ones_each(site):
    for _ in range(2):
        assert site.ask("POST", "/batches", [POINT, POINT, {"data": [POINT, POINT]}]).status == 202
        assert len(site.events()) == 4


def test_odd_types_cost_a_field_and_never_the_event():
    raw = {
        "event_type": "request_record", "client_ip": 7, "request": {"headers": [["a"], 7], "parameters": []},
        "response": [], "identity": {"id": [1], "email": "Jane@Example.com"},
        "observed": {"sdk": [None, {"name": "track", "args": ["e", {"properties": [], "timestamp": 7}]}, {"name": 1}]},
    }  # fmt: skip
    assert list(sqreen.record(frozenset(), raw)) == [{"event": "e", "user": {"email": "jane@example.com"}}]
    assert list(sqreen.record(frozenset(), {"event_type": "attack"})) == []
    with pytest.raises(EventError):
        list(sqreen.record(frozenset(), []))


def test_an_action_never_lasts_for_ever_nor_longer_than_an_agents_timers():
    table = Table()
    table.bans = {"username:a": Ban("block", 2**63 - 1, "d1", None), "username:b": Ban("block", 10, "d2", None)}
    pack = sqreen._packed(table, 1)
    durations = [sqreen._action(ban, 5, "block_user", {})["duration"] for _, ban in pack.users]
    assert durations == [14 * 24 * 3600, 1]
    assert sqreen._packed(table, 1).tag == pack.tag != sqreen._packed(table, 2).tag, "each week all are told anew"


def test_of_too_many_those_are_told_who_are_refused_longest(monkeypatch):
    monkeypatch.setattr(sqreen, "MOST_TOLD", 2)
    table = Table()
    table.bans = {
        target(n): Ban("block", until, f"d{n}", None)
        for n, until in enumerate((5, 9, 2, 9))
        for target in ("id:{}".format, lambda n: place(f"192.0.2.{n}"))
    }
    pack = sqreen._packed(table, 1)
    assert [key for key, _ in pack.users] == ["id:1", "id:3"]
    assert [str(where) for where, _ in pack.places] == ["192.0.2.1/32", "192.0.2.3/32"]


AGENT = Path(__file__).parent / "sqreen_app.js"


def test_the_agent_itself_tells_and_refuses(site, tmp_path):
    """The real one, from where its users have it; it takes an address with a path."""
    folder = clients.npm("sqreen@1.64.2")
    base = f"http://127.0.0.1:{site.client.port}{BASE}"
    more = {"SQREEN_URL": base, "SQREEN_INGESTION_URL": base, "SQREEN_TOKEN": site.key, "SQREEN_APP_NAME": "shop"}
    script = tmp_path / "app.js"
    script.write_text(AGENT.read_text())
    process = subprocess.Popen(
        [clients.node(), str(script)], env=clients.environment(folder, more), cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        shop = type(site.client)(int(next(line for line in process.stdout if line.strip().isdigit())))
        wait_for(lambda: shop.get("/mallory").status == 200 and site.events())
        site.block("user", "username:mallory")
        wait_for(lambda: not _served(shop, "/mallory"))
        assert _served(shop, "/alice")
        # The agent sends in batches of its own: the refusal may be told before the page that was served after it.
        said = {("viewed", "username:alice"), ("viewed", "username:mallory"), ("sentinel.enforced", "username:mallory")}
        wait_for(lambda: said <= {(one["event"], one["user"]) for one in site.events()})
    finally:
        process.kill()
        process.communicate()


def _served(shop, path):
    try:
        return shop.get(path).status == 200
    except OSError:
        return False
