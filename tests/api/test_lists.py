"""Who is blocked as text for firewalls and proxies: in their forms, of one's own app, and no more than is blocked."""

from __future__ import annotations

import pytest

from sentinel.api.lists import FORMS, places
from sentinel.core.decision import Decision, Delta
from sentinel.core.record import App
from sentinel.service.bans import Table


@pytest.fixture(scope="module")
def lister(whole):
    access = whole.server.store.access
    access.put_app(App("lists"), "test", 1)
    keys = {scope: access.make_key("lists", scope, "test", 1)[1] for scope in ("admin", "sdk", "read", "ingest")}
    admin = whole.client.using(keys["admin"])
    for kind, scope, value in [
        ("block", "ip", "192.0.2.10"),
        ("block", "ip", "192.0.2.9"),
        ("block", "network", "198.51.100.0/24"),
        ("block", "network", "2001:db8:1::/48"),
        ("challenge", "ip", "192.0.2.11"),
        ("block", "user", "id:42"),
    ]:
        body = {"kind": kind, "scope": scope, "value": value, "reason": "test", "for": "1h"}
        assert admin.post("/v1/decisions", body).status == 201
    return lambda scope="read": whole.client.using(keys[scope])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("txt", "192.0.2.9\n192.0.2.10\n198.51.100.0/24\n2001:db8:1::/48\n"),
        ("nginx", "192.0.2.9 1;\n192.0.2.10 1;\n198.51.100.0/24 1;\n2001:db8:1::/48 1;\n"),
        ("haproxy", "192.0.2.9 block\n192.0.2.10 block\n198.51.100.0/24 block\n2001:db8:1::/48 block\n"),
    ],
)
@pytest.mark.parametrize("scope", ["read", "sdk"])
def test_what_is_blocked_is_a_line_each_in_the_order_of_numbers(lister, form, text, scope):
    answer = lister(scope).get(f"/v1/blocklist.{form}")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.body.decode() == text


def test_who_has_the_list_is_told_so(lister):
    tag = lister().get("/v1/blocklist.txt").headers["etag"]
    answer = lister().get("/v1/blocklist.txt", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (answer.status, answer.body) == (304, b"")
    assert lister().get("/v1/blocklist.txt", headers={"If-None-Match": '"x"'}).status == 200


def test_nobody_sees_another_apps_list(whole):
    assert b"198.51.100.0/24" not in whole.using("read").get("/v1/blocklist.txt").body


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_may_not_read_gets_none(lister, form):
    assert lister("ingest").get(f"/v1/blocklist.{form}").status == 403


def test_no_line_can_be_broken_by_what_it_names():
    table = Table()
    table.update(Delta(1, (Decision("a", "block", "network", "::ffff:192.0.2.0/120"),), reset=True), True, 1)
    assert places(table) == ["192.0.2.0/24"]
