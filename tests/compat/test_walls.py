"""Who may do what by foreign protocols, and whose: every route of every adapter, with every kind of key."""

from __future__ import annotations

import re

import pytest

from sentinel.compat.adapters import ADAPTERS
from sentinel.core.record import KEY_SCOPES

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
}
# How a client of each protocol shows its key. Those that sign in have no key, and walls of their own beside them.
SHOWN = {
    "crowdsec": ("X-Api-Key", ""), "moesif": ("X-Moesif-Application-Id", ""), "logtrace": ("X-Api-Key", ""),
    "exceptionless": ("Authorization", "Bearer "),
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
    assert [name for name, route in routes(whole).items() if route.open] == []
    assert {name: set(route.scopes) for name, route in routes(whole).items()} == {one: RIGHTS[one] for one in KEYED}


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
