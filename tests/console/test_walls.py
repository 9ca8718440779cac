"""Who may do what: every route of the console with every role, of this app and of another, and with nobody."""

from __future__ import annotations

import pytest

from sentinel.console import site
from sentinel.core.record import ROLES

ANYBODY, SERVER = "anybody", "server"

# Who may, at the least. Written by hand: a new route fails until somebody has thought about it.
RIGHTS = {
    "GET /": ANYBODY,
    "GET /sign-in": ANYBODY,
    "POST /sign-in": ANYBODY,
    "GET /welcome": ANYBODY,
    "POST /welcome": ANYBODY,
    "POST /theme": ANYBODY,
    "POST /sign-out": "viewer",
    "GET /account": "viewer",
    "POST /account": "viewer",
    "GET /overview": "viewer",
    "GET /explorer": "viewer",
    "GET /explorer/playbook": "analyst",
    "GET /explorer/rule": "analyst",
    "GET /explorer/words": "viewer",
    "GET /explorer/export": "viewer",
    "GET /explorer/tail": "viewer",
    "GET /explorer/events/{id:path}": "viewer",
    "POST /explorer/searches": "analyst",
    "POST /explorer/searches/{id}/rename": "analyst",
    "POST /explorer/searches/{id}/remove": "analyst",
    "GET /people": "viewer",
    "GET /people/find": "viewer",
    "GET /people/{key:path}": "viewer",
    "POST /people/delete": "admin",
    "POST /people/part": "admin",
    "POST /people/decide": "analyst",
    "POST /people/free": "analyst",
    "POST /people/lift": "analyst",
    "POST /decisions/lift": "analyst",
    "POST /people/label": "analyst",
    "POST /people/unlabel": "analyst",
    "GET /addresses": "viewer",
    "GET /addresses/find": "viewer",
    "GET /addresses/{ip:path}": "viewer",
    "GET /reports": "viewer",
    "GET /reports/series": "viewer",
    "GET /reports/names": "viewer",
    "GET /reports/funnel": "viewer",
    "GET /reports/retention": "viewer",
    "GET /playbooks": "viewer",
    "GET /playbooks/of/{id}": "viewer",
    "GET /playbooks/new": "analyst",
    "GET /playbooks/edit": "analyst",
    "POST /playbooks/edit": "analyst",
    "POST /playbooks/check": "analyst",
    "GET /playbooks/words": "analyst",
    "GET /findings": "viewer",
    "GET /findings/export": "viewer",
    "GET /findings/{id}": "viewer",
    "POST /findings/{id}/mark": "analyst",
    "POST /findings/{id}/pardon": "analyst",
    "POST /findings/{id}/prolong": "analyst",
    "GET /decisions": "viewer",
    "GET /decisions/new": "analyst",
    "POST /decisions/new": "analyst",
    "GET /decisions/{id}": "viewer",
    "POST /decisions/{id}/lift": "analyst",
    "GET /decisions/allowed/list": "viewer",
    "POST /decisions/allowed/add": "analyst",
    "POST /decisions/allowed/{id}/remove": "analyst",
    "GET /settings": "viewer",
    "POST /settings/app": "admin",
    "POST /settings/properties": "admin",
    "POST /settings/enforcement": "admin",
    "POST /settings/server/enforcement": SERVER,
    "POST /settings/deliveries/{id}/revive": "admin",
    "POST /settings/deliveries/revive": "admin",
    "GET /settings/apps": SERVER,
    "POST /settings/apps": SERVER,
    "GET /settings/audit": "admin",
    "GET /settings/keys": "admin",
    "POST /settings/keys": "admin",
    "POST /settings/keys/{id}/revoke": "admin",
    "GET /settings/accounts": SERVER,
    "POST /settings/accounts": SERVER,
    "POST /settings/accounts/{id}/change": SERVER,
    "POST /settings/accounts/{id}/reset": SERVER,
    "POST /settings/accounts/{id}/remove": SERVER,
}
ROUTES = {f"{route.method} {route.path}": route for route in site.routes()}
GUARDED = sorted(name for name, route in ROUTES.items() if route.role is not None)


def test_every_route_says_who_may_and_is_listed_here():
    said = {name: SERVER if route.server else route.role or ANYBODY for name, route in ROUTES.items()}
    assert said == RIGHTS


def ask(reader, name):
    method, path = name.split(" ")
    path = path.replace("{id:path}", "nothing").replace("{id}", "nothing").replace("{key:path}", "id:nothing")
    path = path.replace("/tail", "/tail?q=(")  # which would go on for ever
    return reader.get(path) if method == "GET" else reader.post(path)


@pytest.mark.parametrize("name", GUARDED)
def test_nobody_is_led_to_the_door(console, name):
    answer = ask(console.anybody(), name)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("name", GUARDED)
def test_a_role_that_is_too_low_is_refused_and_a_high_one_is_not(console, name):
    route = ROUTES[name]
    for role in ROLES:
        for everywhere in (True, False):
            if name == "POST /sign-out":
                continue  # it would end the reader's session for the tests that follow
            enough = ROLES.index(role) >= ROLES.index(route.role) and (everywhere or not route.server)
            status = ask(console.reader(role, everywhere), name).status
            assert (status == 403) is not enough, (role, everywhere, status)
            assert status < 500


@pytest.mark.parametrize("name", GUARDED)
def test_another_app_is_not_there_for_who_is_kept_to_one(console, name):
    method, path = name.split(" ")
    path = path.replace("{id:path}", "nothing").replace("{id}", "nothing").replace("{key:path}", "id:nothing")
    reader = console.reader("admin", everywhere=False)
    answer = reader.get(f"{path}?app=two") if method == "GET" else reader.post(f"{path}?app=two")
    assert answer.status == 404
    assert b"there is no app" in answer.body


@pytest.mark.parametrize("name", [name for name in GUARDED if name.startswith("POST")])
def test_a_change_without_the_sessions_token_is_refused(console, name):
    reader = console.reader("admin")
    path = name.split(" ")[1].replace("{id}", "nothing").replace("{key:path}", "id:nothing")
    other = console.reader("analyst")
    other.page("/account")
    for token in ("", "0" * 64, other.csrf or "x"):
        assert reader.post(path, {"csrf": token}).status == 403


@pytest.mark.parametrize("name", [name for name in ROUTES if name.startswith("POST")])
@pytest.mark.parametrize(
    "head",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ""},
        {"Origin": "http://["},  # which Python reads no URL from
    ],
)
def test_a_change_from_another_site_is_refused(console, name, head):
    path = name.split(" ")[1].replace("{id}", "nothing").replace("{key:path}", "id:nothing")
    answer = console.reader("admin").post(path, headers=head)
    assert answer.status == 403
    assert b"comes from another site" in answer.body
