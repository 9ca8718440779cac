"""Seismo's words: signing in, posting by label, asking by name, id and day, and the five reports."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.compat import seismo, seismo_access
from sentinel.compat.adapter import Shared
from sentinel.core.errors import EventError, SentinelError
from sentinel.core.record import App
from sentinel.service import passwords
from tests.actions.receiver import Receiver, status
from tests.api.whole import whole as run_whole
from tests.compat import clients
from tests.compat.captures import recorded, replay

PASSWORD = "correct horse battery"
BASE = "/compat/seismo"
HOUR, MINUTE = 3_600_000_000, 60_000_000


class Signed:
    """An app with a key for Seismo, and whoever signed in with it."""

    def __init__(self, whole, app, scope="sdk", **settings):
        self.whole, self.app = whole, app
        whole.server.store.access.add_app(App(app), "test", 1)
        _, self.admin = whole.server.store.access.make_key(app, "admin", "test", 1)
        answer = whole.client.using(self.admin).post(
            "/v1/keys", {"scope": scope, "protocol": "seismo", "settings": settings}
        )
        assert answer.status == 201, answer.body
        self.made, self.key = answer.json, answer.json["secret"]

    def sign_in(self, **said):
        return self.whole.client.post(f"{BASE}/auth", said or {"username": "any", "password": self.key})

    def ask(self, method, path, body=None, token=None):
        headers = {"X-Access-Token": self.key if token is None else token}
        return self.whole.client.ask(method, BASE + path, body, headers=headers)

    def post(self, event, label="shop", **more):
        answer = self.ask("POST", f"/api/events/{label}", {"event": event, **more})
        assert answer.status == 201, answer.body
        return answer.json

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json


@pytest.fixture
def signed(whole, request):
    return Signed(whole, re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-"))


@pytest.fixture
def hour(whole, monkeypatch):
    """The hour of the day, which does not end meanwhile: the clock of the door goes on by a millisecond a look."""
    now = time.time_ns() // 1000
    moment = min(now, now // HOUR * HOUR + HOUR - MINUTE)
    monkeypatch.setattr(whole.server.front.foreign.shared.door, "clock", itertools.count(moment, 1000).__next__)
    return datetime.fromtimestamp(moment / 1e6, UTC).hour


@pytest.fixture
def day(whole, hour):
    """The day of that hour."""
    return today(whole.server.front.foreign.shared.door.clock())


def today(micros):
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d")


def test_the_protocol_is_off_for_an_app_without_a_key_of_its_own(whole):
    answer = whole.client.post(f"{BASE}/auth", {"username": "u", "password": whole.secrets["one", "sdk"]})
    assert (answer.status, answer.json) == (401, {"message": "user u is not authorized"})
    headers = {"X-Access-Token": whole.secrets["one", "sdk"]}
    assert whole.client.get(f"{BASE}/api/events/shop", headers=headers).status == 403


def test_it_says_what_it_is(whole):
    assert whole.client.get(f"{BASE}/").json == {
        "app": "seismo", "env": "production", "version": "0.0.12", "apiUrl": "/api"
    }  # fmt: skip


def test_a_key_signs_in_as_its_own_password_and_the_token_posts_and_reads(signed):
    answer = signed.sign_in()
    assert answer.status == 200 and "set-cookie" not in answer.headers
    token = answer.json["token"]
    assert signed.ask("POST", "/api/events/shop", {"event": "a"}, token).status == 201
    assert [one["event"] for one in signed.ask("GET", "/api/events/shop", token=token).json] == ["a"]


def test_a_chosen_name_and_password_sign_in_and_are_never_shown(whole):
    signed = Signed(whole, "chosen", username="seismo", password=PASSWORD)
    assert signed.made["settings"] == {"username": "seismo"}
    assert signed.sign_in(username="seismo", password=PASSWORD).status == 200
    kept = next(key for key in whole.server.store.access.keys("chosen") if key.protocol)
    assert PASSWORD not in json.dumps(dict(kept.settings))


@pytest.mark.parametrize(
    "said",
    [
        {"username": "known", "password": "wrong horse battery"},
        {"username": "nobody", "password": PASSWORD},
        {"username": "known", "password": "x" * 257},
    ],
)
def test_whatever_is_wrong_is_said_in_one_way(whole, request, said):
    signed = Signed(whole, f"wrong-{len(said['password'])}-{said['username']}", username="known", password=PASSWORD)
    answer = signed.sign_in(**said)
    if len(said["password"]) > 256:
        assert (answer.status, answer.json) == (400, {"message": "username or password missing"})
    else:
        assert (answer.status, answer.json) == (401, {"message": f"user {said['username']} is not authorized"})


def test_a_name_and_password_that_fit_two_apps_sign_in_to_neither(whole):
    first = Signed(whole, "first-of-two", username="shared", password=PASSWORD)
    assert first.sign_in(username="shared", password=PASSWORD).status == 200
    Signed(whole, "second-of-two", username="shared", password=PASSWORD)
    assert first.sign_in(username="shared", password=PASSWORD).status == 401


def test_a_key_is_replaced_without_a_gap(whole):
    """As every key is: another one is made with the same name and password, and the old one revoked after that."""
    said = {"username": "replaced", "password": PASSWORD}
    signed = Signed(whole, "replaced", **said)
    assert signed.ask("GET", "/api/events/shop", token=signed.sign_in(**said).json["token"]).status == 200
    admin = whole.client.using(signed.admin)
    assert admin.post("/v1/keys", {"scope": "sdk", "protocol": "seismo", "settings": said}).status == 201
    token = signed.sign_in(**said).json["token"]
    assert signed.ask("POST", "/api/events/shop", {"event": "a"}, token).status == 201
    assert admin.delete(f"/v1/keys/{signed.made['id']}").status == 204
    assert signed.ask("POST", "/api/events/shop", {"event": "b"}, token).status == 201
    assert signed.sign_in(**said).status == 200


@pytest.mark.parametrize(
    "said",
    [
        {"username": "u"},
        {"password": "p"},
        {"username": 1, "password": 2},
        {"token": "t"},
        {"username": "\ud800", "password": "\ud800"},
    ],
)
def test_half_of_what_is_needed_is_missing(signed, said):
    answer = signed.sign_in(**said)
    assert (answer.status, answer.json) == (400, {"message": "username or password missing"})


@pytest.mark.parametrize(
    "token", ["", "undefined", "bm90IG91cnM=", base64.b64encode(b"one;x;99999999999999999;00").decode()]
)
def test_who_has_no_good_token_is_unauthorized(signed, token):
    answer = signed.ask("GET", "/api/events/shop", token=token)
    assert (answer.status, answer.body) == (401, b"Unauthorized")


class Clock:
    now = 1_800_000_000_000_000

    def __call__(self):
        return self.now


def test_tokens_end_are_ours_alone_and_end_with_their_key(whole):
    signed = Signed(whole, "ending", ttl="2h")
    store, clock = whole.server.store, Clock()
    tokens = seismo_access.Tokens(store, clock)
    key = next(key for key in store.access.keys("ending") if key.protocol)
    token = tokens.make(key)
    assert tokens.key(token).id == key.id
    clock.now += 2 * HOUR - 1
    assert tokens.key(token) is not None
    clock.now += 1
    assert tokens.key(token) is None
    plain = base64.b64decode(token).decode()
    app, id, until, mac = plain.split(";")
    forged = base64.b64encode(f"{app};{id};{int(until) + HOUR};{mac}".encode()).decode()
    other = base64.b64encode(f"one;{id};{until};{mac}".encode()).decode()
    assert tokens.key(forged) is None and tokens.key(other) is None
    token = tokens.make(key)
    assert seismo_access.Tokens(store, clock).key(token) is not None, "another process knows it too"
    assert whole.client.using(signed.admin).delete(f"/v1/keys/{key.id}").status == 204
    clock.now += 6_000_000
    assert tokens.key(token) is None


def test_a_posted_event_is_answered_as_seismo_keeps_it(signed):
    found = signed.post("My first event", id="ignored")
    assert list(found) == ["id", "app", "event", "timestampt", "_id"]
    assert (found["id"], found["app"], found["event"]) == ("my-first-event", "shop", "My first event")
    assert re.fullmatch(r"[0-9a-f]{24}", found["_id"])
    assert signed.post({"id": "own", "event": "b"}, data={"x.y": [1]})["data"] == {"x.y": [1]}
    assert signed.get("/api/events/shop") == [found, {**signed.get("/api/events/shop")[1], "id": "own"}]


def test_what_is_posted_is_an_event_like_any_other(signed):
    posted = signed.post({"id": "paid", "event": "invoice paid"}, data={"amount": 7})
    search = signed.whole.client.using(signed.admin).get("/v1/events?q=properties.data.amount%20%3E%206").json["items"]
    assert [(one["id"], one["event"], one["properties"]["seismo"]) for one in search] == [
        (posted["_id"], "invoice paid", {"app": "shop", "id": "paid"})
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b"nothing",
        b'{"event": 7}',
        b'{"event": " "}',
        b'{"event": {"id": "x"}}',
        b'{"event": "sentinel.x"}',
        b'{"event": "sentinel.identify"}',
    ],
)
def test_a_bad_event_is_refused_in_seismos_words(signed, body):
    headers = {"X-Access-Token": signed.key, "Content-Type": "application/json"}
    answer = signed.whole.client.ask("POST", f"{BASE}/api/events/shop", raw=body, headers=headers)
    assert (answer.status, answer.body) == (400, b"bad event format")


def test_labels_names_ids_and_days_are_told_apart(signed, day):
    signed.post("a")
    signed.post({"id": "i", "event": "a"})
    signed.post("b", label="other")

    def ids(query, label="shop"):
        return [one["id"] for one in signed.get(f"/api/events/{label}?{query}")]

    assert ids("") == ["a", "i"] and ids("", "other") == ["b"] and ids("", "none") == []
    assert ids("event=a") == ["a", "i"] and ids("id=i") == ["i"] and ids("event=b") == []
    assert ids("date=today") == ids(f"date={day}") == ["a", "i"] and ids("date=2013-09-10") == []


def test_a_label_with_a_quote_in_it_is_a_label(signed):
    label = "it's%22%20or%20True"
    signed.post("a", label=label)
    signed.post("b")
    assert [one["app"] for one in signed.get(f"/api/events/{label}")] == ["it's\" or True"]


def test_reports_count_what_is_asked_for_in_both_spellings(signed, hour, day):
    signed.post("a")
    signed.post({"id": "i", "event": "a"})
    total = {"total": 2}
    for path in (
        f"day/shop?date={day}", "week/shop?date=today", f"week/shop?week={day}", "month/shop?date=today",
        f"month/shop?month={day}", f"month/shop?month={day[:7]}", f"period/shop?from={day}&to={day}",
        f"hour/shop?date=today&hour={hour}",
    ):  # fmt: skip
        assert signed.get(f"/api/reports/{path}") == total, path
    assert signed.get("/api/reports/day/shop?date=today&id=i&event=a") == {"total": 1, "id": "i", "event": "a"}
    assert signed.get("/api/reports/period/shop?from=2013-09-10&to=2013-09-13") == {"total": 0}


@pytest.mark.parametrize(
    ("path", "said", "text"),
    [
        ("day/shop", 403, "missing date parameter"),
        ("week/shop", 403, "missing date parameter"),
        ("hour/shop?date=today", 403, "missing hour parameter"),
        ("period/shop?from=today", 403, "missing to parameter"),
        ("day/shop?date=2013-13-01", 400, "bad date format"),
        ("day/shop?date=1970-01-01", 400, "bad date format"),
        ("month/shop?date=9999-12", 400, "bad date format"),
        ("hour/shop?date=today&hour=24", 400, "bad hour format"),
        ("year/shop?date=today", 404, "there is nothing at this address"),
    ],
)
def test_a_report_that_lacks_something_is_refused_in_seismos_words(signed, path, said, text):
    answer = signed.ask("GET", f"/api/reports/{path}")
    assert (answer.status, answer.body.decode()) == (said, text)


@pytest.mark.parametrize(
    ("day", "first"),
    [("2026-11-21", "2026-11-15"), ("2026-11-22", "2026-11-22"), ("2027-01-01", "2026-12-27")],
)
def test_weeks_begin_on_sunday(whole, day, first):
    here = seismo.Seismo(Shared(None, None, None, None, None, None))
    found = here.week({"week": day})
    assert (today(found.since), found.until - found.since) == (first, 7 * 24 * HOUR)


def test_an_hour_is_an_hour_and_a_period_has_its_last_day():
    here = seismo.Seismo(Shared(None, None, None, None, None, None))
    for hour in (0, 7, 23):
        since, until = here.hour({"date": "2026-11-21", "hour": str(hour)})
        assert (since - here.day({"date": "2026-11-21"}).since, until - since) == (hour * HOUR, HOUR)
    assert [today(at) for at in here.period({"from": "2026-11-20", "to": "2026-11-21"})] == ["2026-11-20", "2026-11-22"]


def test_months_are_as_long_as_they_are():
    here = seismo.Seismo(Shared(None, None, None, None, None, None))
    assert [today(at) for at in here.month({"month": "2024-02"})] == ["2024-02-01", "2024-03-01"]


READS = [
    "/api/events/shop",
    *(f"/api/reports/{kind}/shop?date=today" for kind in ("day", "week", "month")),
    "/api/reports/period/shop?from=today&to=today",
]


def test_no_app_sees_another_apps_events_by_a_key_or_a_token(whole):
    own, other = Signed(whole, "told-something"), Signed(whole, "somebody-else")
    own.post("mine")
    for shown, found in ((own, [True] * 5), (other, [False] * 5)):
        for token in (shown.key, shown.sign_in().json["token"]):
            answers = [shown.ask("GET", path, token=token).json for path in READS]
            assert [bool(one if type(one) is list else one["total"]) for one in answers] == found
    other.post("theirs")
    assert [one["event"] for one in own.get("/api/events/shop")] == ["mine"]


def test_who_is_let_in_without_a_key_asks_what_this_is_or_signs_in(whole):
    """A try to sign in costs its address as much as twenty events."""
    found = seismo.ADAPTER.routes(whole.server.front.foreign.shared)
    assert {(one.method, one.path): one.cost for one in found if one.open} == {("GET", "/"): 1, ("POST", "/auth"): 20}
    for route in found:
        if not route.open:
            path = route.path.replace("{app}", "shop")
            assert whole.client.ask(route.method, BASE + path, {} if route.method == "POST" else None).status == 401


def test_a_key_that_may_only_send_reads_nothing_and_the_other_way_round(whole):
    sender, reader = Signed(whole, "only-sends", "ingest"), Signed(whole, "only-reads", "read")
    for token in (None, sender.sign_in().json["token"]):
        assert sender.ask("POST", "/api/events/shop", {"event": "a"}, token).status == 201
        assert {sender.ask("GET", path, token=token).status for path in READS} == {403}
    for token in (None, reader.sign_in().json["token"]):
        assert reader.ask("POST", "/api/events/shop", {"event": "a"}, token).status == 403
        assert {reader.ask("GET", path, token=token).status for path in READS} == {200}


def test_a_revoked_key_signs_in_by_none_of_its_passwords(whole):
    signed = Signed(whole, "revoked", username="was", password=PASSWORD)
    said = ({"username": "was", "password": PASSWORD}, {"username": "any", "password": signed.key})
    assert [signed.sign_in(**one).status for one in said] == [200, 200]
    assert whole.client.using(signed.admin).delete(f"/v1/keys/{signed.made['id']}").status == 204
    assert [signed.sign_in(**one).status for one in said] == [401, 401]
    assert signed.ask("GET", "/api/events/shop").status == 401


def test_a_name_costs_few_passwords_however_many_keys_have_it_and_one_where_none_has(whole, monkeypatch):
    """Each takes its time on purpose, and who is nobody must not be told by it."""
    tried = []
    monkeypatch.setattr(seismo_access.passwords, "verify", lambda _, hash: (tried.append(hash) is not None, None))
    make = whole.server.store.access.make_key
    for number in range(seismo_access.MOST_TRIED + 2):
        make("one", "sdk", "test", 1, protocol="seismo", settings={"username": "many", "password": f"h{number}"})
    for name, count in (("many", seismo_access.MOST_TRIED), ("none-has-this", 1)):
        tried.clear()
        assert whole.client.post(f"{BASE}/auth", {"username": name, "password": PASSWORD}).status == 401
        assert len(tried) == count


def test_however_many_keys_a_neighbour_gives_a_name_whose_it_is_signs_in(whole):
    signed = Signed(whole, "taken-name", username="taken", password=PASSWORD)
    make, theirs = whole.server.store.access.make_key, passwords.hashed("wrong horse battery")
    for _ in range(seismo_access.MOST_TRIED):
        make("one", "ingest", "test", 1, protocol="seismo", settings={"username": "taken", "password": theirs})
    assert signed.sign_in(username="taken", password=PASSWORD).status == 200


def test_a_key_for_another_protocol_signs_in_nowhere_here(whole):
    make = whole.server.store.access.make_key
    for protocol in (None, "logtrace"):
        _, secret = make("one", "sdk", "test", 1, **({"protocol": protocol} if protocol else {}))
        assert whole.client.post(f"{BASE}/auth", {"username": "u", "password": secret}).status == 401
        headers = {"X-Access-Token": secret}
        assert whole.client.get(f"{BASE}/api/events/shop", headers=headers).status in (401, 403)


def test_a_token_of_a_key_that_is_none_of_this_protocol_opens_nothing(whole):
    store, clock = whole.server.store, Clock()
    tokens = seismo_access.Tokens(store, clock)
    for protocol in (None, "logtrace"):
        key, _ = store.access.make_key("one", "sdk", "test", 1, **({"protocol": protocol} if protocol else {}))
        assert tokens.key(tokens.make(key)) is None


def test_what_another_client_says_of_an_application_is_no_event_of_seismos(signed):
    """Its properties are its sender's to choose, and may not take the list away from others."""
    signed.post("a")
    _, secret = signed.whole.server.store.access.make_key(signed.app, "sdk", "test", 1)
    told = [{"event": "b", "properties": {"seismo": said}} for said in ({"app": "shop"}, {"app": "shop", "id": None})]
    assert signed.whole.client.using(secret).post("/v1/events", told).json["accepted"] == 2
    assert [one["event"] for one in signed.get("/api/events/shop")] == ["a"]
    assert signed.get("/api/reports/day/shop?date=today") == {"total": 1}


def test_a_token_in_the_address_sends_and_does_not_read(signed):
    token, client = signed.sign_in().json["token"], signed.whole.client
    assert client.post(f"{BASE}/api/events/shop?access_token={token}", {"event": "a"}).status == 201
    assert client.get(f"{BASE}/api/events/shop?access_token={token}").status == 401


def test_an_answer_that_would_be_too_long_is_refused(signed, monkeypatch):
    monkeypatch.setattr(seismo, "MOST", 1)
    signed.post("a")
    assert len(signed.get("/api/events/shop")) == 1
    signed.post("a")
    assert signed.ask("GET", "/api/events/shop").status == 413


def test_an_answer_that_would_be_too_long_is_not_made(signed, monkeypatch):
    """An app may have more events than fit into memory."""
    monkeypatch.setattr(seismo, "MOST", 2)
    for _ in range(6):
        signed.post("a")
    kept, read = signed.whole.server.store.events, []
    matching = kept.matching
    monkeypatch.setattr(kept, "matching", lambda *asked: (read.append(one) or one for one in matching(*asked)))
    assert signed.ask("GET", "/api/events/shop").status == 413
    assert len(read) == 3


def test_what_the_real_client_was_seen_to_send_is_answered(whole, hour):
    signed = Signed(whole, "replayed", username="seismo", password="mypass-mypass")
    token = signed.sign_in(username="seismo", password="mypass-mypass").json["token"]
    old = next(dict(one.headers)["X-Access-Token"] for one in recorded("seismo_client")[1:])

    def longer(one):
        if type(one.body) is dict and "password" in one.body:
            return replace(
                one, body={"username": "seismo", "password": one.body["password"].replace("mypass", "mypass-mypass")}
            )
        return one

    said = {old: token, "hour=21": f"hour={hour}"}
    answers = list(replay(whole.client, "seismo_client", BASE, said, longer))
    assert [answer.status for _, answer in answers] == [200] + [201] * 4 + [200] * 10 + [401]
    names = [[one["id"] for one in answer.json] for _, answer in answers[5:10]]
    everything = ["application-started", "app-start", "search-executed", "app-start"]
    assert names == [everything, ["search-executed"], ["app-start"] * 2, everything, ["search-executed"]]
    assert [answer.json for _, answer in answers[10:15]] == [
        {"total": 3, "event": "application started"}, {"total": 2, "id": "app-start"},
        {"total": 4}, {"total": 4}, {"total": 0},
    ]  # fmt: skip


CLIENT = """
var seismo = require('seismo-client');
var at = JSON.parse(process.argv[2]);
var events = seismo('my-web-app', {server: at.server, credentials: {username: at.username, password: at.password}});
var steps = [
  function (next) { events('application started', undefined, next); },
  function (next) { events({id: 'app-start', event: 'application started'}, {environment: 'test'}, next); },
  function (next) { events.query(next); },
  function (next) { events.query('application started', next); },
  function (next) { events.query({id: 'app-start', date: 'today'}, next); },
  function (next) { events.report({report: 'day', date: 'today'}, next); },
  function (next) { events.report({report: 'week', id: 'app-start', date: 'today'}, next); },
  function (next) { events.report({report: 'period', from: '2013-09-10', to: '2013-09-13'}, next); }
];
var told = [];
(function run(index) {
  if (index === steps.length) { console.log(JSON.stringify(told)); return; }
  steps[index](function (err, result) {
    if (err) { console.error(JSON.stringify(err)); process.exit(1); }
    told.push(result);
    run(index + 1);
  });
})(0);
"""


def test_the_real_client_signs_in_posts_asks_and_reports(whole, hour, tmp_path):
    folder = clients.npm("seismo-client@0.0.5")
    Signed(whole, "real-client", username="shop", password=PASSWORD)
    script = tmp_path / "client.js"
    script.write_text(CLIENT)
    server = f"http://127.0.0.1:{whole.client.port}{BASE}"
    said = json.dumps({"server": server, "username": "shop", "password": PASSWORD})
    done = subprocess.run(
        [clients.node(), "--no-deprecation", str(script), said], env=clients.environment(folder),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, every, named, today, *reports = json.loads(done.stdout)
    assert (first["id"], second["id"], second["data"]) == ("application-started", "app-start", {"environment": "test"})
    assert [one["_id"] for one in every] == [first["_id"], second["_id"]] == [one["_id"] for one in named]
    assert [one["_id"] for one in today] == [second["_id"]]
    assert reports == [{"total": 2}, {"total": 1, "id": "app-start"}, {"total": 0}]


@pytest.fixture(scope="module")
def github():
    """A service like GitHub's API that knows one token."""

    def answer(receiver, connection):
        receiver.read(connection)
        good = base64.b64encode(b"good-token:x-oauth-basic").decode()
        known = receiver.requests[-1].headers.get("authorization") == f"Basic {good}"
        connection.sendall(status(200, body=b'{"login": "OctoCat"}') if known else status(401))

    with Receiver(answer) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def older(tmp_path_factory, github):
    """A server whose settings name an identity service."""
    url = f"http://127.0.0.1:{github.port}"
    with run_whole(tmp_path_factory.mktemp("older"), seismo_identity=url, allow_private_webhooks=True) as found:
        yield found


def test_an_older_token_signs_in_whom_the_service_and_the_key_know(older, github):
    signed = Signed(older, "octo", logins="octocat, hubot")
    answer = signed.sign_in(token="good-token")
    assert answer.status == 200
    assert signed.ask("GET", "/api/events/shop", token=answer.json["token"]).status == 200
    assert github.requests[-1].line.split()[:2] == ["GET", "/user"]
    assert signed.sign_in(token="bad-token").status == 401
    Signed(older, "cat", logins=["octocat"])
    assert signed.sign_in(token="good-token").status == 401, "two keys that fit are none"


def test_a_service_at_a_private_address_is_not_asked_unless_the_settings_allow_it(tmp_path, github):
    asked = len(github.requests)
    with run_whole(tmp_path, seismo_identity=f"http://127.0.0.1:{github.port}") as found:
        answer = Signed(found, "octo", logins="octocat").sign_in(token="good-token")
    assert (answer.status, len(github.requests)) == (503, asked)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"password": "short"}, "not a text of 12 to 256 characters"),
        ({"username": ""}, "not a text of 1 to 100 printable characters"),
        ({"logins": []}, "not 1 to 100 logins"),
        ({"ttl": "1s"}, "is not between 1m and 365d"),
    ],
)
def test_a_key_whose_settings_cannot_be_meant_is_not_made(whole, settings, message):
    made = whole.using("admin").post("/v1/keys", {"scope": "sdk", "protocol": "seismo", "settings": settings})
    assert made.status == 422 and message in made.error["message"]


ODD = st.text(max_size=12) | st.sampled_from(["\x00", "today", "2026-02-30", "9999-12-31", "-1", "'", "2026-11"])
ASKED = ["event", "id", "date", "hour", "week", "month", "from", "to"]
PATHS = [
    "events/shop",
    "reports/hour/shop",
    "reports/week/a'b",
    "reports/month/shop",
    "reports/period/shop",
    "events/\x00",
]


@pytest.fixture(scope="module")
def asker(whole):
    return Signed(whole, "asker")


@given(query=st.dictionaries(st.sampled_from(ASKED), ODD, max_size=4), path=st.sampled_from(PATHS))
def test_no_question_is_a_fault(asker, query, path):
    answer = asker.ask("GET", f"/api/{quote(path)}?{urlencode(query)}")
    assert answer.status in (200, 400, 403), answer.body


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["event", "id", "data"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_nothing_posted_is_a_fault(element):
    try:
        record = seismo._record(element, "shop", 0)
    except EventError:
        return
    assert seismo._event(record)["event"] == record["event"]


@given(st.text(max_size=40))
def test_no_life_of_a_token_is_a_fault(text):
    with contextlib.suppress(SentinelError):
        assert seismo_access.read_life(text) > 0
