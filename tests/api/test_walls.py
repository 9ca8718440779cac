"""Who may do what, and whose: every operation that OpenAPI lists, with every kind of key, of this app and another."""

from __future__ import annotations

import json

import pytest

from sentinel.core.record import KEY_SCOPES
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
    "DELETE /v1/links": ADMIN,
    "GET /v1/keys": ADMIN,
    "POST /v1/keys": ADMIN,
    "DELETE /v1/keys/{id}": ADMIN,
    "GET /v1/apps": ADMIN,
    "POST /v1/apps": set(),  # the server's own administrator alone
    "PATCH /v1/apps/{id}": ADMIN,
    "GET /v1/playbooks": READERS,
    "GET /v1/playbooks/{id}/versions": READERS,
    "GET /v1/outbox": READERS,
    "POST /v1/outbox/{id}/revive": ADMIN,
    "GET /v1/audit": ADMIN,
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
    "POST /v1/keys": {"scope": "read"},
    "POST /v1/apps": {"id": "walls"},
    "PATCH /v1/apps/{id}": {"name": "walls"},
    "POST /v1/accounts": {"name": "walls"},
    "PATCH /v1/accounts/{id}": {"role": "viewer"},
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
MARKER = "marker"  # stands in everything app `one` holds


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with run_whole(tmp_path_factory.mktemp("walls")) as whole:
        yield whole


@pytest.fixture(scope="module")
def things(server):
    """Put one of each thing into app `one` and return their ids by path."""
    admin = server.using("admin")
    who = {"id": MARKER, "username": MARKER}
    server.using("sdk").post("/v1/events", {"event": "signup", "user": who, "id": f"{MARKER}-event"})
    server.fail("203.0.113.66", user=MARKER, properties={"note": MARKER})
    why = {"reason": MARKER}
    decision = admin.post("/v1/decisions", {"kind": "block", "scope": "user", "value": MARKER, **why}).json
    allowance = admin.post("/v1/allow", {"scope": "user", "value": f"{MARKER}-2", **why}).json
    finding = admin.get("/v1/findings?playbook=three-failures").json["items"][0]
    key = admin.post("/v1/keys", {"scope": "read", "name": MARKER}).json
    admin.post("/v1/labels", {"kind": "user", "target": MARKER, "name": "label"})
    delivery = admin.get("/v1/outbox").json["items"][0]
    admin.ask("PATCH", "/v1/apps/one", {"name": MARKER})
    return {
        "/v1/decisions/{id}": decision["id"], "/v1/allow/{id}": allowance["id"], "/v1/findings/{id}": finding["id"],
        "/v1/events/{id}": f"{MARKER}-event", "/v1/keys/{id}": key["id"], "/v1/apps/{id}": "one",
        "/v1/explain/event/{id}": f"{MARKER}-event", "/v1/explain/decision/{id}": decision["id"],
        "/v1/playbooks/{id}/versions": "none",  # all apps have the same ones
        "/v1/outbox/{id}/revive": str(delivery["id"]), "/v1/users/{key}": f"id:{MARKER}",
        "/v1/ips/{ip}": "203.0.113.66",
        "/v1/reports/{period}": "day",
    }  # fmt: skip


def ask(client, operation, things, **more):
    """Do an operation, naming the things of app `one`; of a stream only the head is read."""
    method, path = operation.split(" ")
    filled = path.replace("{id}", things.get(path, "none")).replace("{key}", things.get(path, "")).replace(
        "{ip}", things.get(path, "")
    ).replace("{period}", things.get(path, "")) + QUERIES.get(operation, "")
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


@pytest.mark.parametrize("operation", RIGHTS)
def test_without_a_key_nothing_is_told(server, things, operation):
    client = server.client.using("x" * 54)
    status, _ = ask(client, operation, things)
    assert status == (200 if operation in OPEN else 401)


@pytest.mark.parametrize("scope", KEY_SCOPES)
@pytest.mark.parametrize("operation", RIGHTS)
def test_each_scope_may_do_what_it_is_for_and_nothing_else(server, things, operation, scope):
    # of another app, so that nothing of this one is changed; what is not there is 404, which is past the door
    status, body = ask(server.using(scope, "two"), operation, things)
    if scope in RIGHTS[operation]:
        assert status not in (401, 403), body
    else:
        assert (status, json.loads(body or '{"error": {"code": "forbidden"}}')["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("operation", [one for one in RIGHTS if one not in STREAMS])
def test_an_administrator_of_another_app_sees_and_touches_nothing(server, things, operation):
    before = {path: server.using("admin").get(path).body for path in ("/v1/decisions", "/v1/allow", "/v1/keys")}
    status, body = ask(server.using("admin", "two"), operation, things)
    path = operation.split(" ")[1]
    if path in things and path not in ASKED_ABOUT:
        assert status == 404
    if path != "/v1/users/{key}":  # the person asked for is named, and nothing is known of it
        assert MARKER not in body.replace(things.get(path, f"username:{MARKER}"), "")
    else:
        found = json.loads(body)
        assert (found["identifiers"], found["made"], found["decisions"]) == ([f"id:{MARKER}"], None, [])
    after = {path: server.using("admin").get(path).body for path in before}
    assert after == before


@pytest.mark.parametrize("operation", [one for one in RIGHTS if one not in OPEN])
def test_a_key_cannot_be_held_out_as_another_apps(server, things, operation):
    method, path = operation.split(" ")
    filled = path.replace("{id}", "x").replace("{key}", "x").replace("{ip}", "203.0.113.1").replace(
        "{period}", "day"
    ) + QUERIES.get(operation, "")
    answer = server.using("admin", "two").ask(
        method, filled, BODIES.get(operation), headers={"Sentinel-App": "one", "Origin": "https://shop.example"}
    )
    assert (answer.status, answer.error["code"]) == (403, "forbidden")


def test_the_marker_is_what_the_walls_keep_in(server, things):
    """Hold the tests above to account: app `one`'s own administrator sees the marker nearly everywhere."""
    admin = server.using("admin")
    gets = [one for one in RIGHTS if one.startswith("GET") and one not in STREAMS]
    seen = [operation for operation in gets if MARKER in ask(admin, operation, things)[1]]
    assert len(seen) >= 11, seen


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
        told = [one["value"] for one in feed.event()["data"]["added"]]
        assert "203.0.113.77" not in told
    finally:
        feed.close()
        tail.close()


def test_a_duplicate_id_in_another_app_is_another_event(server):
    event = {"event": "x", "id": "the-same", "timestamp": 1_795_000_000}
    for app in ("one", "two"):
        assert server.using("sdk", app).post("/v1/events", event).json["accepted"] == 1


def test_a_browser_key_cannot_take_an_id_a_server_will_send(server):
    event = {"event": "x", "id": "wanted", "timestamp": 1_795_000_000}
    origin = {"Origin": "https://shop.example"}
    assert server.using("browser").post("/v1/events", event, headers=origin).json["accepted"] == 1
    assert server.using("sdk").post("/v1/events", event).json["accepted"] == 1
    assert server.using("browser").post("/v1/events", event, headers=origin).json["duplicates"] == 1
