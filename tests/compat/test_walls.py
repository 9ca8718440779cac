"""Who may do what by foreign protocols, and whose: every route of every adapter, with every kind of key."""

from __future__ import annotations

import re

import pytest

from sentinel.compat.adapters import ADAPTERS
from sentinel.core.record import KEY_SCOPES, App

MARKER = "marker"  # stands in everything app `one` holds
ADDRESS = "203.0.113.66"

EVENT = "marker-event"
SENDERS, BROWSERS, READERS = {"sdk", "ingest"}, {"sdk", "ingest", "browser"}, {"read", "admin"}

# Which keys each route lets in. Written by hand: a new route fails until somebody has thought about it.
RIGHTS = {
    "crowdsec GET /v1/decisions/stream": {"sdk"},
    "crowdsec GET /v1/decisions": {"sdk"},
    "crowdsec POST /v1/usage-metrics": {"sdk"},
    **{
        f"moesif POST /v1/{what}{end}": {"sdk", "ingest", "browser"}
        for what in ("events", "actions", "users", "companies", "subscriptions")
        for end in ("", "/batch")
    },
    "moesif GET /v1/config": {"sdk"},
    "moesif GET /v1/rules": {"sdk"},
    **{
        f"exceptionless {route}": BROWSERS
        for route in (
            "POST /api/v2/events",
            "POST /api/v2/projects/{project}/events",
            "POST /api/v1/error",
            "POST /api/v2/events/by-ref/{reference}/user-description",
            "POST /api/v2/projects/{project}/events/by-ref/{reference}/user-description",
            "GET /api/v2/events/submit",
            "GET /api/v2/events/submit/{type}",
            "GET /api/v2/projects/{project}/events/submit",
            "GET /api/v2/projects/{project}/events/submit/{type}",
            "GET /api/v2/events/session/heartbeat",
        )
    },
    **{
        f"exceptionless GET /api/{path}/config": {"sdk", "admin"}
        for path in ("v2/projects", "v2/projects/{project}", "v1/project")
    },
    "exceptionless POST /api/v2/projects/{project}/config": {"admin"},
    "exceptionless DELETE /api/v2/projects/{project}/config": {"admin"},
    **{
        f"exceptionless GET /api/v2/{path}": READERS
        for path in (
            "events",
            "projects/{project}/events",
            "organizations/{organization}/events",
            "stacks/{stack}/events",
            "events/by-ref/{reference}",
            "events/sessions",
            "events/sessions/{session}",
            "events/count",
            "events/{event}",
        )
    },
    **{
        f"logtrace POST /v1/{path}": SENDERS
        for kind in ("events", "sessions", "audit-logs")
        for path in (kind, f"developers/{kind}")
    },
    **{
        f"logtrace GET /v1/{path}": {"read"}
        for kind in ("events", "sessions", "audit-logs")
        for path in (kind, f"{kind}/{{id}}", f"{kind}/metrics")
    },
    **{
        f"logtrace GET /v1/metrics/{path}": {"read"}
        for path in ("events", "events/top-actors", "sessions", "auditlogs")
    },
    **{f"sqreen POST /{path}": SENDERS for path in ("batches", "signals", "traces")},
    **{f"sqreen {route}": {"sdk"} for route in (
        "POST /sqreen/v1/app-login", "POST /sqreen/v1/app-beat", "POST /sqreen/v0/batch", "GET /sqreen/v0/app-logout",
        "GET /sqreen/v0/actionspack",
    )},
    **{f"sqreen POST /sqreen/v0/{path}": {"sdk"} for path in (
        "agent_message", "app_agent_message", "app_sqreen_exception", "attack", "bundle", "commands", "data_point",
        "metrics", "request_record", "sqreen_exception",
    )},
}  # fmt: skip
# How a client of each protocol shows its key. Those that sign in have no key, and walls of their own beside them.
SHOWN = {
    "crowdsec": ("X-Api-Key", ""), "moesif": ("X-Moesif-Application-Id", ""), "logtrace": ("X-Api-Key", ""),
    "exceptionless": ("Authorization", "Bearer "), "sqreen": ("X-Api-Key", ""),
}  # fmt: skip
KEYED = [one for one in RIGHTS if one.split(" ")[0] in ADAPTERS]
QUERIES = {
    "crowdsec GET /v1/decisions": "?scopes=ip,range,user",
    "crowdsec GET /v1/decisions/stream": "?startup=true&scopes=ip,range,user",
}


@pytest.fixture(scope="module")
def keys(whole):
    """Put blocks into app `one`; give keys of every protocol and scope, those of app `two` as well."""
    admin = whole.using("admin")
    for scope, value in (("ip", ADDRESS), ("user", MARKER)):
        body = {"kind": "block", "scope": scope, "value": value, "reason": MARKER, "for": "4h"}
        assert admin.post("/v1/decisions", body).status == 201
    event = {"event": "marked", "id": EVENT, "user": MARKER, "ip": ADDRESS, "properties": {"note": MARKER}}
    assert whole.using("sdk").post("/v1/events", event).json["accepted"] == 1
    make = whole.server.store.access.make_key
    return {
        (app, protocol, scope): make(
            app, scope, "test", 1, protocol=protocol, settings={"origins": ["https://shop.example"]}
        )
        for app in ("one", "two") for protocol in (*ADAPTERS, "another") for scope in KEY_SCOPES
    }  # fmt: skip


def ask(whole, operation, secret):
    """Ask below the protocol's own prefix."""
    protocol, method, path = operation.split(" ")
    path = f"/compat/{protocol}{re.sub(r'{[a-z]+}', EVENT, path)}{QUERIES.get(operation, '')}"
    header, prefix = SHOWN[protocol]
    headers = {header: prefix + secret, "Origin": "https://shop.example"}
    return whole.client.ask(method, path, {} if method != "GET" else None, headers=headers)


def routes(whole):
    return {
        f"{name} {route.method} {route.path}": route
        for name, adapter in ADAPTERS.items()
        if adapter.caller is None
        for route in adapter.routes(whole.server.front.foreign.shared)
    }


def test_every_route_has_its_rights_thought_about(whole):
    opened = [name for name, route in routes(whole).items() if route.open]
    assert opened == ["sqreen GET /ping"], "it says that somebody is there, and of nobody"
    asked = {name: set(route.scopes) for name, route in routes(whole).items() if not route.open}
    assert asked == {one: RIGHTS[one] for one in KEYED}


@pytest.mark.parametrize("scope", KEY_SCOPES)
@pytest.mark.parametrize("operation", KEYED)
def test_each_scope_may_do_what_it_is_for_and_nothing_else(whole, keys, operation, scope):
    protocol = operation.split(" ")[0]
    status = ask(whole, operation, keys["two", protocol, scope][1]).status
    assert (status not in (401, 403)) is (scope in RIGHTS[operation])
    assert status < 500


@pytest.mark.parametrize("operation", KEYED)
def test_an_apps_key_shows_nothing_of_anothers(whole, keys, operation):
    protocol = operation.split(" ")[0]
    for scope in RIGHTS[operation]:
        body = ask(whole, operation, keys["two", protocol, scope][1]).body.decode()
        assert MARKER not in body.replace(EVENT, "")
        assert ADDRESS not in body


def test_the_marker_is_what_the_walls_keep_in(whole, keys):
    """Hold the test above to account: app `one`'s own key sees it."""
    bodies = [ask(whole, one, keys["one", "crowdsec", "sdk"][1]).body.decode() for one in QUERIES]
    assert all(MARKER in body and ADDRESS in body for body in bodies)


@pytest.mark.parametrize("operation", KEYED)
def test_no_other_key_is_good_not_even_the_servers_own(whole, keys, operation):
    others = [whole.secrets["one", scope] for scope in KEY_SCOPES]
    others += [keys["one", "another", scope][1] for scope in KEY_SCOPES]
    for secret in (*others, whole.server.token, "x" * 54):
        answer = ask(whole, operation, secret)
        assert answer.status in (401, 403)
        assert MARKER not in answer.body.decode().replace(EVENT, "")


@pytest.mark.parametrize("operation", KEYED)
def test_a_revoked_key_is_good_no_more(whole, operation):
    access, protocol = whole.server.store.access, operation.split(" ")[0]
    scope = sorted(RIGHTS[operation] - {"browser"})[0]
    key, secret = access.make_key("one", scope, "test", 1, protocol=protocol)
    assert ask(whole, operation, secret).status not in (401, 403)
    assert whole.using("admin").delete(f"/v1/keys/{key.id}").status < 300
    assert ask(whole, operation, secret).status in (401, 403)


SENT = {
    "exceptionless POST /api/v2/events": [
        {"type": "log", "message": MARKER, "reference_id": "reference"},
        {"type": "session", "reference_id": "session"},
    ],
    "exceptionless POST /api/v2/events/by-ref/reference/user-description": {"description": MARKER},
    "logtrace POST /v1/events": {"name": MARKER, "user_id": MARKER},
    "logtrace POST /v1/audit-logs": {"actor": MARKER, "action": MARKER},
    "logtrace POST /v1/sessions": {"user_id": MARKER, "status": "ACTIVE"},
}
EACH = {  # the list in which a thing stands that is asked for by its id
    "exceptionless GET /api/v2/events/{event}": "exceptionless GET /api/v2/events",
    **{f"logtrace GET /v1/{kind}/{{id}}": f"logtrace GET /v1/{kind}" for kind in ("events", "audit-logs", "sessions")},
}
HELD = [
    *(f"exceptionless GET /api/v2/{path}events" for path in ("", "projects/x/", "organizations/one/")),
    *(
        f"exceptionless GET /api/v2/events{more}"
        for more in (
            "/count",
            "/by-ref/reference",
            "/sessions",
            "/sessions/session",
            "?mode=stack_users",
            "?mode=stack_frequent",
            "?include=total",
        )
    ),
    *(f"logtrace GET /v1/{kind}{more}" for kind in ("events", "audit-logs", "sessions") for more in ("", "/metrics")),
    *(f"logtrace GET /v1/metrics/{kind}" for kind in ("events", "events/top-actors", "sessions", "auditlogs")),
]


@pytest.fixture(scope="module")
def told(whole, keys):
    """Let clients of app `one` tell something; give a key of a third app, of which nobody ever told anything."""
    whole.server.store.access.add_app(App("three", "Three"), "test", 1)
    for operation, body in SENT.items():
        protocol, _, path = operation.split(" ")
        header, prefix = SHOWN[protocol]
        shown = {header: prefix + keys["one", protocol, "sdk"][1]}
        assert whole.client.post(f"/compat/{protocol}{path}", body, headers=shown).status == 202
    make = whole.server.store.access.make_key
    return {name: make("three", "read", "test", 1, protocol=name)[1] for name in ("exceptionless", "logtrace")}


def held(answer):
    """Return what an answer holds: the things of its list, or how many there are."""
    found = answer.json
    if isinstance(found, list):
        return found
    lists = [one for one in found.values() if isinstance(one, list)]
    return (lists[0] if lists else []) or found.get("total", found.get("count", 0))


@pytest.mark.parametrize("operation", HELD)
def test_what_clients_told_is_read_by_their_own_apps_keys_alone(whole, keys, told, operation):
    protocol = operation.split(" ")[0]
    own, other = (ask(whole, operation, key) for key in (keys["one", protocol, "read"][1], told[protocol]))
    assert (own.status, bool(held(own))) == (200, True)
    assert not (other.status == 200 and held(other))
    assert other.headers.get("x-result-count", "0") == "0"


@pytest.mark.parametrize("operation", EACH)
def test_one_thing_that_clients_told_is_read_by_their_own_apps_keys_alone(whole, keys, told, operation):
    protocol = operation.split(" ")[0]
    own = keys["one", protocol, "read"][1]
    id = held(ask(whole, EACH[operation], own))[0]["id"]
    asked = re.sub(r"\{\w+\}", id, operation)
    assert [ask(whole, asked, key).status for key in (own, told[protocol])] == [200, 404]


def test_what_two_apps_call_alike_is_told_by_each_of_its_own(whole, keys, told):
    """What app `one` said of a reference, and when its session ended, is nothing of another's of that name."""
    base = "/compat/exceptionless/api/v2/events"

    def shown(app, scope):
        return {"Authorization": f"Bearer {keys[app, 'exceptionless', scope][1]}"}

    events = [
        {"type": "log", "message": "of-two", "reference_id": "reference"},
        {"type": "session", "reference_id": "session"},
    ]
    assert whole.client.post(base, events, headers=shown("two", "sdk")).status == 202
    ending = f"{base}/session/heartbeat?id=session&close=true"
    assert whole.client.get(ending, headers=shown("one", "sdk")).status == 200
    for path, word in (("by-ref/reference", "@user_description"), ("sessions", "sessionend")):
        own, other = (whole.client.get(f"{base}/{path}", headers=shown(app, "read")).json for app in ("one", "two"))
        assert [word in one["data"] for one in own] == [True]
        assert [word in one["data"] for one in other] == [False]


PATHS = ["/api/v2/projects/config", "/api/v2/projects/one/config", "/api/v1/project/config"]


def test_what_clients_are_told_to_do_is_told_to_those_of_their_own_app_alone(whole, keys, told):
    """By whatever name the project goes in the address."""

    access = whole.server.store.access
    access.add_app(App("four"), "test", 1)  # nothing of it is remembered yet
    own = {app: keys[app, "exceptionless", "sdk"][1] for app in ("one", "two")}
    own["four"] = access.make_key("four", "sdk", "test", 1, protocol="exceptionless")[1]

    def said(app, path):
        shown = {"Authorization": f"Bearer {own[app]}"}
        answer = whole.client.get(f"/compat/exceptionless{path}", headers=shown)
        sent = whole.client.post("/compat/exceptionless/api/v2/events", [], headers=shown)
        return answer.json, sent.headers["x-exceptionless-configversion"]

    shown = {"Authorization": f"Bearer {keys['one', 'exceptionless', 'admin'][1]}"}
    path = "/compat/exceptionless/api/v2/projects/two/config?key=@@log:*"
    before = [said("two", path) for path in PATHS]
    assert whole.client.post(path, {"value": MARKER}, headers=shown).status == 200
    changed = said("one", PATHS[0])
    assert changed[0]["settings"]["@@log:*"] == MARKER and changed[1] == str(changed[0]["version"])
    assert [said("one", path) for path in PATHS] == [changed] * len(PATHS)
    assert [said("two", path) for path in PATHS] == before
    assert [said("four", path) for path in PATHS] == [({"version": 0, "settings": {}}, "0")] * len(PATHS)


def test_what_a_client_tells_is_told_of_its_own_app(whole, keys, told):
    header, prefix = SHOWN["logtrace"]
    before = whole.using("read").get("/v1/events?limit=1000").json["items"]
    shown = {header: prefix + keys["two", "logtrace", "sdk"][1]}
    assert whole.client.post("/compat/logtrace/v1/events", {"name": "of-two"}, headers=shown).status == 202
    assert whole.using("read").get("/v1/events?limit=1000").json["items"] == before
    assert whole.using("read", "two").get("/v1/events").json["items"][0]["event"] == "of-two"


def test_of_an_app_of_which_nothing_was_told_nothing_is_counted(whole, keys, told):
    shown = {SHOWN["logtrace"][0]: keys["one", "logtrace", "sdk"][1]}
    nobodys = {"status": "ACTIVE", "ip_address": ADDRESS}
    assert whole.client.post("/compat/logtrace/v1/sessions", nobodys, headers=shown).status == 202
    own, other = keys["one", "logtrace", "read"][1], told["logtrace"]
    for kind in ("events", "audit-logs", "sessions"):
        totals = [ask(whole, f"logtrace GET /v1/{kind}", key).json["meta"]["paging"]["total"] for key in (own, other)]
        assert totals[0] and not totals[1], kind
    of_nobody = [ask(whole, "logtrace GET /v1/sessions/metrics", key).json["suspicious_count"] for key in (own, other)]
    assert of_nobody == [1, 0]


def test_what_types_one_apps_names_have_is_nothing_to_anothers(whole, keys):
    def sent(app, value):
        shown = {SHOWN["moesif"][0]: keys[app, "moesif", "sdk"][1]}
        action = {"action_name": f"typed-{app}", "user_id": "typed", "metadata": {"typed": value}}
        assert whole.client.post("/compat/moesif/v1/actions", action, headers=shown).status == 201
        kept = whole.using("read", app).get(f"/v1/events?event=typed-{app}").json["items"][0]["properties"]
        return kept["metadata"]["typed"]

    assert sent("one", 7) == 7
    assert sent("two", "text") == "text"


@pytest.mark.parametrize("name", SENT)
def test_what_a_client_sent_is_counted_as_its_own_apps(whole, keys, name):
    def counted(app):
        figures = whole.using("read", app).get("/metrics").body.decode()
        return re.findall(r"^sentinel_ingest_seconds_count.*", figures, re.MULTILINE)

    protocol, _, path = name.split(" ")
    header, prefix = SHOWN[protocol]
    before = counted("one"), counted("two")
    shown = {header: prefix + keys["two", protocol, "sdk"][1]}
    assert whole.client.post(f"/compat/{protocol}{path}", SENT[name], headers=shown).status == 202
    assert counted("one") == before[0] and counted("two") != before[1]
