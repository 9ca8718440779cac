"""Who may do what, and whose: every operation that OpenAPI lists, with every kind of key, of this app and another."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from starlette.routing import Route

from sentinel.api import events, feed, health, program
from sentinel.api.feed import POLL, STREAM
from sentinel.api.ingest import PATHS
from sentinel.core.errors import SentinelError
from sentinel.core.record import KEY_SCOPES
from sentinel.core.wire import SDK_HEADER
from tests.api.served import wait_for
from tests.api.whole import whole as run_whole

READERS = {"read", "admin"}
LISTENERS = {"read", "sdk", "admin"}
SENDERS = {"sdk", "ingest", "browser", "admin"}
ADMIN = {"admin"}
ANYBODY = set(KEY_SCOPES)

# What each operation is for. Written by hand: a new operation fails until somebody has thought about it.
RIGHTS = {
    "POST /v1/events": SENDERS,
    "POST /v1/import": SENDERS - {"browser"},
    "GET /v1/feed": LISTENERS,
    "GET /v1/feed/stream": LISTENERS,
    "GET /v1/decisions": LISTENERS,
    "GET /v1/decisions/{id}": LISTENERS,
    "POST /v1/decisions": ADMIN,
    "DELETE /v1/decisions/{id}": ADMIN,
    "DELETE /v1/decisions": ADMIN,
    "GET /v1/blocklist.txt": LISTENERS,
    "GET /v1/blocklist.nginx": LISTENERS,
    "GET /v1/blocklist.haproxy": LISTENERS,
    "GET /v1/allow": READERS,
    "POST /v1/allow": ADMIN,
    "DELETE /v1/allow/{id}": ADMIN,
    "GET /v1/labels": READERS,
    "POST /v1/labels": ADMIN,
    "DELETE /v1/labels": ADMIN,
    "GET /v1/findings": READERS,
    "GET /v1/findings/export": READERS,
    "GET /v1/findings/{id}": READERS,
    "PATCH /v1/findings/{id}": ADMIN,
    "GET /v1/events": READERS,
    "GET /v1/events/tail": READERS,
    "GET /v1/events/export": READERS,
    "GET /v1/events/{id}": READERS,
    "GET /v1/events/timeseries": READERS,
    "GET /v1/events/top": READERS,
    "GET /v1/events/names": READERS,
    "GET /v1/funnel": READERS,
    "GET /v1/retention": READERS,
    "GET /v1/reports/{period}": READERS,
    "GET /v1/users": READERS,
    "GET /v1/ips/{ip}": READERS,
    "GET /v1/explain/event/{id}": READERS,
    "GET /v1/explain/group": READERS,
    "GET /v1/explain/decision/{id}": READERS,
    "GET /v1/users/{key}": READERS,
    "DELETE /v1/users/{key}": ADMIN,
    "DELETE /v1/links": ADMIN,
    "GET /v1/schema": READERS,
    "PUT /v1/schema/{path}": ADMIN,
    "GET /v1/searches": READERS,
    "POST /v1/searches": READERS,
    "POST /v1/searches/rule": READERS,
    "GET /v1/searches/{id}": READERS,
    "PUT /v1/searches/{id}": READERS,  # its owner, or an administrator
    "DELETE /v1/searches/{id}": READERS,
    "GET /v1/keys": ADMIN,
    "POST /v1/keys": ADMIN,
    "DELETE /v1/keys/{id}": ADMIN,
    "GET /v1/apps": ADMIN,
    "POST /v1/apps": set(),  # the server's own administrator alone
    "PATCH /v1/apps/{id}": ADMIN,
    "GET /v1/playbooks": READERS,
    "GET /v1/playbooks/{id}/versions": READERS,
    "POST /v1/playbooks/check": ADMIN,
    "POST /v1/playbooks/test": ADMIN,
    "POST /v1/playbooks/backtest": ADMIN,
    "POST /v1/playbooks/suggest": ADMIN,
    "GET /v1/outbox": READERS,
    "POST /v1/outbox/{id}/revive": ADMIN,
    "POST /v1/outbox/revive": ADMIN,
    "GET /v1/audit": ADMIN,
    "POST /v1/backup": set(),
    "GET /v1/enforcement": READERS,
    "PUT /v1/enforcement": ADMIN,
    "GET /v1/sdks": READERS,
    "GET /v1/accounts": set(),
    "POST /v1/accounts": set(),
    "PATCH /v1/accounts/{id}": set(),
    "POST /v1/accounts/{id}/reset": set(),
    "DELETE /v1/accounts/{id}": set(),
    "GET /metrics": READERS,
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
}
BODIES = {
    "POST /v1/events": [],
    "POST /v1/import": [],
    "POST /v1/decisions": {"kind": "block", "scope": "user", "value": "walls", "reason": "walls"},
    "POST /v1/allow": {"scope": "user", "value": "walls", "reason": "walls"},
    "POST /v1/labels": {"kind": "user", "target": "walls", "name": "walls"},
    "PATCH /v1/findings/{id}": {"status": "confirmed"},
    "PUT /v1/schema/{path}": {"promoted": True},
    "POST /v1/searches": {"name": "walls"},
    "POST /v1/searches/rule": {"name": "walls", "event": "walls"},
    "PUT /v1/searches/{id}": {"name": "walls"},
    "POST /v1/keys": {"scope": "read"},
    "POST /v1/apps": {"id": "walls"},
    "PATCH /v1/apps/{id}": {"name": "walls"},
    "POST /v1/accounts": {"name": "walls"},
    "PATCH /v1/accounts/{id}": {"role": "viewer"},
    "POST /v1/backup": {"folder": "/nowhere"},
    "PUT /v1/enforcement": {"on": True, "why": "walls"},
}
QUERIES = {
    "DELETE /v1/links": "?identifier=username:marker", "DELETE /v1/labels": "?kind=user&target=marker&name=label",
    "GET /v1/explain/group": "?group=user%3Dusername:marker",
    "GET /v1/events/timeseries": "?group_by=user",
    "GET /v1/events/top": "?field=user",
    "GET /v1/findings/export": "?format=ecs",
    "GET /v1/funnel": "?step=signup&step=auth&group_by=user",
}  # fmt: skip
# Anybody may be asked about: of somebody else's, nothing is known.
ASKED_ABOUT = {"/v1/users/{key}", "/v1/ips/{ip}", "/v1/reports/{period}"}
OPEN = {"GET /healthz", "GET /readyz"}
STREAMS = {"GET /v1/feed/stream", "GET /v1/events/tail"}
APPS = ("one", "two")
MARKER = "marker"  # stands in everything app `one` holds
SHOWN = [
    *(f"/v1/{one}" for one in ("decisions", "allow", "labels", "keys", "findings", "searches", "audit", "schema")),
    "/v1/events", f"/v1/users/id:{MARKER}", "/v1/outbox?dead=true",
]  # fmt: skip


class Nobody:
    """Takes no delivery, so that each is given up and may be tried again."""

    def deliver(self, delivery):
        raise SentinelError("nobody there")

    def wait(self, attempts):
        return None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with run_whole(tmp_path_factory.mktemp("walls")) as whole:
        whole.server.courier._channels = Nobody()
        yield whole


@pytest.fixture(scope="module")
def things(server):
    """Put one of each thing into app `one` and return their ids by path."""
    admin = server.using("admin")
    who = {"id": MARKER, "username": MARKER}
    server.using("sdk").post("/v1/events", {"event": "signup", "user": who, "id": f"{MARKER}-event"})
    report = {SDK_HEADER: json.dumps({"instance": MARKER, "host": MARKER})}
    named = {"event": MARKER, "properties": {f"{MARKER}-property": 1}}
    server.using("sdk").post("/v1/events", named, headers=report)
    server.fail("203.0.113.66", user=MARKER, properties={"note": MARKER})
    why = {"reason": MARKER}
    decision = admin.post("/v1/decisions", {"kind": "block", "scope": "user", "value": MARKER, **why}).json
    allowance = admin.post("/v1/allow", {"scope": "user", "value": f"{MARKER}-2", **why}).json
    finding = admin.get("/v1/findings?playbook=three-failures").json["items"][0]
    key = admin.post("/v1/keys", {"scope": "read", "name": MARKER}).json
    admin.post("/v1/labels", {"kind": "user", "target": MARKER, "name": "label"})
    search = admin.post("/v1/searches", {"name": MARKER, "q": f"user == '{MARKER}'"}).json
    delivery = wait_for(lambda: admin.get("/v1/outbox?dead=true").json["items"])[0]
    admin.ask("PATCH", "/v1/apps/one", {"name": MARKER})
    return {
        "/v1/decisions/{id}": decision["id"], "/v1/allow/{id}": allowance["id"], "/v1/findings/{id}": finding["id"],
        "/v1/events/{id}": f"{MARKER}-event", "/v1/keys/{id}": key["id"], "/v1/apps/{id}": "one",
        "/v1/explain/event/{id}": f"{MARKER}-event", "/v1/explain/decision/{id}": decision["id"],
        "/v1/playbooks/{id}/versions": "none",  # all apps have the same ones
        "/v1/outbox/{id}/revive": str(delivery["id"]), "/v1/users/{key}": f"id:{MARKER}",
        "/v1/ips/{ip}": "203.0.113.66", "/v1/searches/{id}": search["id"], "/v1/schema/{path}": "note",
        "/v1/reports/{period}": "day",
    }  # fmt: skip


def ask(client, operation, things, **more):
    """Do an operation, naming the things of app `one` where they are given; of a stream only the head is read."""
    method, path = operation.split(" ")
    filled = re.sub(r"\{\w+\}", things.get(path, "none"), path) + QUERIES.get(operation, "")
    filled = filled if things else filled.replace(MARKER, "none")
    if operation in STREAMS:
        stream = client.stream(filled)
        stream.close()
        return stream.status, ""
    headers = {"Origin": "https://shop.example"}
    answer = client.ask(method, filled, BODIES.get(operation), headers=headers)
    return answer.status, answer.body.decode()


def test_every_operation_openapi_lists_has_its_rights_thought_about(server):
    paths = server.client.get("/v1/openapi.json").json["paths"]
    listed = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert listed == set(RIGHTS)


def test_every_address_that_is_answered_is_one_openapi_lists(server):
    """Else it would be one that no test here looks at."""
    routes = [route for module in (*program.ROUTERS, health) for route in module.router.routes]
    answered = {f"{method} {route.path}" for route in routes for method in route.methods}
    plain = {*(f"POST {path}" for path in PATHS), f"GET {POLL}", f"GET {STREAM}"}
    assert {operation.replace(":path}", "}") for operation in answered | plain} == set(RIGHTS)
    beside = [route for route in server.server.front.rest.routes if isinstance(route, Route)]
    assert [route.path for route in beside] == ["/v1/openapi.json"]
    assert len(server.server.front.rest.routes) == len(program.ROUTERS) + 2  # and health's


def test_everything_with_a_name_in_its_address_is_tried(things):
    """The accounts are the whole server's, and no key may as much as name one."""
    named = {path for _, path in (operation.split(" ") for operation in RIGHTS) if "{" in path}
    assert named - set(things) == {"/v1/accounts/{id}", "/v1/accounts/{id}/reset"}


@pytest.mark.parametrize("operation", RIGHTS)
def test_without_a_key_nothing_is_told(server, things, operation):
    client = server.client.using("x" * 54)
    status, _ = ask(client, operation, things)
    assert status == (200 if operation in OPEN else 401)


@pytest.mark.parametrize("scope", KEY_SCOPES)
@pytest.mark.parametrize("operation", RIGHTS)
def test_each_scope_may_do_what_it_is_for_and_nothing_else(server, operation, scope):
    # of what is nowhere, so that nothing is gone which the walls below are to keep: 404 is past the door
    status, body = ask(server.using(scope, "two"), operation, {})
    if scope in RIGHTS[operation]:
        assert status not in (401, 403), body
    else:
        assert (status, json.loads(body or '{"error": {"code": "forbidden"}}')["error"]["code"]) == (403, "forbidden")


def picture(server):
    """Return everything app `one` shows its administrator, but when keys were used: that is noted once a minute."""
    shown = {path: server.using("admin").get(path).body for path in SHOWN}
    return shown | {"/v1/keys": re.sub(rb'"used":[^,]*', b"", shown["/v1/keys"])}


@pytest.mark.parametrize("scope", KEY_SCOPES)
@pytest.mark.parametrize("operation", [one for one in RIGHTS if one not in STREAMS])
def test_a_key_of_another_app_sees_and_touches_nothing(server, things, operation, scope):
    before = picture(server) if scope == "admin" else None
    status, body = ask(server.using(scope, "two"), operation, things)
    path = operation.split(" ")[1]
    if path in things and path not in ASKED_ABOUT:
        assert status == (404 if scope in RIGHTS[operation] else 403)
    if operation == "GET /v1/users/{key}" and scope in READERS:  # who is asked for is named, and nothing is known
        found = json.loads(body)
        assert (found["identifiers"], found["made"], found["decisions"]) == ([f"id:{MARKER}"], None, [])
    else:
        assert MARKER not in body.replace(things.get(path, f"username:{MARKER}"), "")
    if before is not None:
        assert picture(server) == before


LISTS = ["/v1/decisions", "/v1/findings", "/v1/events", "/v1/labels", "/v1/outbox", "/v1/audit", "/v1/users"]


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_of_another_app_leads_to_nothing_of_its(server, things, path):
    for number in range(2):
        server.fail(f"203.0.113.{80 + number}", user=f"{MARKER}-{number}", properties={"note": MARKER})
        server.using("admin").post("/v1/labels", {"kind": "user", "target": f"{MARKER}-{number}", "name": "label"})
    cursor = server.using("admin").get(f"{path}?limit=1").json["cursor"]
    assert cursor is not None
    for page in (f"{path}?limit=1&cursor={cursor}", f"{path}?limit=50&cursor={cursor}"):
        answer = server.using("admin", "two").get(page)
        assert answer.status == 200
        assert MARKER not in answer.body.decode()


# What is asked by app `one`'s administrator, and a text of the answer that is no other app's to see.
NAMING = {
    "/v1/decisions?value=id:{user}": MARKER,
    "/v1/decisions?finding={finding}": "203.0.113.66",
    "/v1/findings?user={user}": MARKER,
    "/v1/findings/export?format=ecs&user={user}": MARKER,
    "/v1/events?user={user}": MARKER,
    "/v1/events?ip=203.0.113.66": MARKER,
    "/v1/events?q=user%20%3D%3D%20%27{user}%27": MARKER,
    "/v1/events/export?user={user}": MARKER,
    "/v1/labels?target={user}": MARKER,
    "/v1/users?begins=id:{user}": MARKER,
    "/v1/blocklist.txt": "203.0.113.66",
    "/v1/blocklist.nginx": "203.0.113.66",
    "/v1/blocklist.haproxy": "203.0.113.66",
    "/v1/funnel?step=signup&step=auth&group_by=user": MARKER,
    "/v1/explain/group?group=ip%3D203.0.113.66": '"tally":{"count":3}',
}


@pytest.mark.parametrize("query", NAMING)
def test_naming_anothers_things_in_a_query_shows_none_of_them(server, things, query):
    filled = query.format(user=MARKER, finding=things["/v1/findings/{id}"])
    own, other = (server.using("admin", app).get(filled) for app in ("one", "two"))
    assert (own.status, other.status) == (200, 200)
    assert NAMING[query] in own.body.decode(), "else nothing is shown by what follows"
    assert NAMING[query] not in other.body.decode()
    assert len(other.body) < len(own.body)


def test_whom_two_apps_know_by_one_name_each_knows_by_its_own_labels_alone(server, things):
    server.using("sdk", "two").post("/v1/events", {"event": "x", "user": MARKER, "ip": "203.0.113.66"})
    labelled = {"kind": "ip", "target": "203.0.113.66", "name": "label-of-place"}
    server.using("admin").post("/v1/labels", labelled)
    for path, label in (("/v1/users", '"label"'), (f"/v1/users/id:{MARKER}", '"label"'),
                        ("/v1/ips/203.0.113.66", '"label-of-place"')):  # fmt: skip
        own, other = (server.using("admin", app).get(path).body.decode() for app in ("one", "two"))
        assert label in own and label not in other, path


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("/v1/audit?server=true", (403, "forbidden")),
        ("/v1/audit?app=one", (422, "invalid")),
        ("/v1/keys?app=one", (422, "invalid")),
        ("/v1/events?app=one", (422, "invalid")),
        ("/v1/explain/group?app=one&group=ip%3D203.0.113.66", (422, "invalid")),
    ],
)
def test_no_query_names_another_app(server, query, refusal):
    answer = server.using("admin", "two").get(query)
    assert (answer.status, answer.error["code"]) == refusal


@pytest.mark.parametrize("operation", [one for one in RIGHTS if one not in OPEN])
def test_a_key_cannot_be_held_out_as_another_apps(server, things, operation):
    method, path = operation.split(" ")
    shown = {"/v1/ips/{ip}": "203.0.113.1", "/v1/reports/{period}": "day"}
    filled = re.sub(r"\{\w+\}", shown.get(path, "x"), path) + QUERIES.get(operation, "")
    answer = server.using("admin", "two").ask(
        method, filled, BODIES.get(operation), headers={"Sentinel-App": "one", "Origin": "https://shop.example"}
    )
    assert (answer.status, answer.error["code"]) == (403, "forbidden")


def test_the_marker_is_what_the_walls_keep_in(server, things):
    """Hold the tests above to account: app `one`'s own administrator sees the marker nearly everywhere."""
    admin = server.using("admin")
    gets = [one for one in RIGHTS if one.startswith("GET") and one not in STREAMS]
    seen = [operation for operation in gets if MARKER in ask(admin, operation, things)[1]]
    assert {"GET /v1/sdks", "GET /v1/schema", "GET /v1/events/names", "GET /v1/reports/{period}"} <= set(seen)
    assert len(seen) >= 15, seen


def test_streams_tell_their_own_app_alone(server):
    feed, tail = (
        server.using("sdk", "two").stream("/v1/feed/stream"),
        server.using("read", "two").stream("/v1/events/tail"),
    )
    try:
        assert (feed.block(), tail.block()) == ([":"], [":"])
        server.fail("203.0.113.77")
        server.fail("203.0.113.78", app="two")
        assert tail.event()["data"]["ip"] == "203.0.113.78"
        own, others = (
            {one["value"] for one in server.using("read", app).get("/v1/decisions?limit=1000").json["items"]}
            for app in ("two", "one")
        )
        assert "203.0.113.77" in others - own
        told = set()
        while "203.0.113.78" not in told:
            told |= {one["value"] for one in feed.event()["data"]["added"]}
            assert told <= own
    finally:
        feed.close()
        tail.close()


def test_who_comes_back_is_told_of_ones_own_app_alone(server, things):
    own, other = (server.using("read", app).get("/v1/retention?start=signup").json["cohorts"] for app in ("one", "two"))
    assert [sum(one["users"] for one in found) for found in (own, other)] == [1, 0]


def test_a_switch_is_of_its_own_app_alone(server, things):
    one, two = server.using("admin"), server.using("admin", "two")
    server.fail("203.0.113.67", app="two")
    one.ask("PUT", "/v1/enforcement", {"on": False, "why": "walls"})
    assert [app.get("/v1/enforcement").json["app"] for app in (one, two)] == [False, True]
    assert two.get("/v1/feed").json["added"] and not one.get("/v1/feed").json["added"]
    two.ask("PUT", "/v1/enforcement", {"on": True, "why": "walls"})
    assert one.get("/v1/enforcement").json["app"] is False
    one.ask("PUT", "/v1/enforcement", {"on": True, "why": "walls"})


def test_figures_are_of_ones_own_app_alone(server, things):
    server.fail("203.0.113.79", app="two")
    apps = {}
    for app in ("one", "two"):
        figures = server.using("read", app).get("/metrics").body.decode()
        apps[app] = set(re.findall(r'app="(\w+)"', figures))
    assert apps == {"one": {"one"}, "two": {"two"}}


def test_a_duplicate_id_in_another_app_is_another_event(server):
    event = {"event": "x", "id": "the-same", "timestamp": 1_763_000_000}
    for app in ("one", "two"):
        assert server.using("sdk", app).post("/v1/events", event).json["accepted"] == 1


def test_a_browser_key_cannot_take_an_id_a_server_will_send(server):
    event = {"event": "x", "id": "wanted", "timestamp": 1_763_000_000}
    origin = {"Origin": "https://shop.example"}
    assert server.using("browser").post("/v1/events", event, headers=origin).json["accepted"] == 1
    assert server.using("sdk").post("/v1/events", event).json["accepted"] == 1
    assert server.using("browser").post("/v1/events", event, headers=origin).json["duplicates"] == 1


def test_what_went_wrong_in_a_playbook_is_told_of_ones_own_app_alone(server):
    server.server.pipeline.counts.errors["one", "three-failures", MARKER] += 1
    own, other = (server.using("read", app).get("/v1/playbooks").body.decode() for app in ("one", "two"))
    assert MARKER in own and MARKER not in other


def test_a_draft_is_judged_by_the_events_of_ones_own_app_alone(server, things):
    text = f"playbook: walls\nevent: {MARKER}-drafted\ngroup_by: user\nwindow: 1m\nwhen: {{count: 1}}\n"
    assert server.using("sdk").post("/v1/events", {"event": f"{MARKER}-drafted", "user": MARKER}).json["accepted"] == 1
    own, other = (
        server.using("admin", app).post("/v1/playbooks/backtest", {"text": text, "since": "1d"})
        for app in ("one", "two")
    )
    assert (own.status, other.status) == (200, 200)
    assert (own.json["read"], other.json["read"]) == (1, 0)
    assert MARKER in json.dumps(own.json["findings"]) and other.json["findings"] == []


def test_who_is_linked_in_one_app_is_not_who_another_labels(server, things):
    """App `one` knows that its two identifiers are one person."""
    name, admin = f"username:{MARKER}", server.using("admin", "two")
    label = {"kind": "user", "target": name, "name": "of-two"}
    assert server.using("admin").get(f"/v1/labels?target={name}").json["items"][0]["target"] == f"id:{MARKER}"
    assert admin.post("/v1/labels", label).json["target"] == name
    assert [one["target"] for one in admin.get(f"/v1/labels?target={name}").json["items"]] == [name]
    assert admin.delete(f"/v1/labels?kind=user&target={name}&name=of-two").status == 204
    assert admin.get("/v1/labels?name=of-two").json["items"] == []


def test_ones_own_search_is_changed_and_removed_in_ones_own_app(server, things):
    before, own = picture(server), server.using("read", "two")
    path = f"/v1/searches/{own.post('/v1/searches', {'name': 'walls'}).json['id']}"
    assert own.ask("PUT", path, {"name": "changed"}).status == 200
    assert own.get(path).json["name"] == "changed"
    assert own.delete(path).status == 204
    assert own.get(path).status == 404
    assert picture(server) == before


def test_a_property_that_two_apps_know_is_pinned_in_one_of_them(server, things):
    server.using("sdk", "two").post("/v1/events", {"event": "x", "properties": {"note": "x"}})
    one, two = server.using("admin"), server.using("admin", "two")
    wait_for(lambda: two.ask("PUT", "/v1/schema/note", {"promoted": True}).json.get("pinned"))
    pinned = [
        [prop["pinned"] for prop in app.get("/v1/schema").json["properties"] if prop["path"] == "note"]
        for app in (one, two)
    ]
    assert pinned == [[False], [True]]


def test_how_its_process_is_is_told_of_ones_own_app_alone(server, things):
    report = {SDK_HEADER: json.dumps({"instance": "of-two", "host": "of-two"})}
    assert server.using("sdk", "two").post("/v1/events", {"event": "x"}, headers=report).status < 300
    assert server.using("sdk", "two").get("/v1/feed", headers=report).status == 200
    one, two = ([each["instance"] for each in server.using("read", app).get("/v1/sdks").json["items"]] for app in APPS)
    assert "of-two" in two and "of-two" not in one and MARKER not in two


def test_what_one_app_sent_is_counted_as_its_own(server):
    def counted(app):
        figures = server.using("read", app).get("/metrics").body.decode()
        return re.findall(r"^sentinel_(?:events_total|ingest_seconds_count)\S* .*", figures, re.MULTILINE)

    before = counted("one"), counted("two")
    assert server.using("sdk", "two").post("/v1/events", {"event": "x"}).json["accepted"] == 1
    assert counted("one") == before[0]
    assert len(set(counted("two")) - set(before[1])) == 2


@pytest.mark.parametrize(("path", "topic"), [("/v1/feed/stream", feed.TOPIC), ("/v1/events/tail", events.TOPIC)])
def test_a_listener_hears_of_its_own_app_though_no_other_changes(server, path, topic):
    hub, stream = server.server.hub, server.using("read", "two").stream(path)
    try:
        assert stream.block() == [":"]
        assert wait_for(lambda: (hub.count(topic, "one"), hub.count(topic, "two")) == (0, 1))
        server.fail("203.0.113.81", app="two")
        while "203.0.113.81" not in json.dumps(told := stream.event()):
            assert told["data"]
        if topic == feed.TOPIC:
            server.using("admin", "two").post("/v1/decisions", BODIES["POST /v1/decisions"])
            assert [one["value"] for one in stream.event()["data"]["added"]] == ["id:walls"]
    finally:
        stream.close()


def test_the_listeners_of_ones_own_app_are_told_of_what_was_done_by_hand(server):
    admin, rest, told = server.using("admin", "two"), server.server.front.rest, []
    server.using("sdk", "two").post("/v1/events", {"event": "signup", "user": {"id": "linked", "username": "linked"}})
    server.fail("203.0.113.83", app="two")
    server.fail("203.0.113.82", app="two")
    finding = admin.get("/v1/findings?playbook=three-failures").json["items"][0]["id"]
    kept, rest.state.context = rest.state.context, replace(rest.state.context, told=told.append)
    try:
        block = {"kind": "block", "scope": "user", "value": "told", "reason": "walls"}
        path = f"/v1/decisions/{admin.post('/v1/decisions', block).json['id']}"
        excepted = {"scope": "ip", "value": "203.0.113.83", "reason": "walls", "lift": True}
        done = [
            admin.delete(f"{path}?why=walls"),
            admin.post("/v1/decisions", block),
            admin.post("/v1/allow", excepted),
            admin.ask("PATCH", f"/v1/findings/{finding}", {"status": "false-positive", "lift": True}),
            admin.delete("/v1/links?identifier=username:linked"),
        ]
    finally:
        rest.state.context = kept
    assert [one.status < 300 for one in done] == [True] * 5
    assert told == ["two"] * 6


def test_an_app_is_told_of_its_own_placeholders_alone(server):
    server.using("sdk").post("/v1/events", {"event": "x", "user": "null"})
    mine, others = (server.using("read", app).get("/readyz").json["warnings"] for app in ("one", "two"))
    assert any("`one` sends a `user.id` that stands for no user" in one for one in mine)
    assert not any("`one`" in one for one in others)
