"""Which events tie a person's names together, and whose word is taken for that."""

from __future__ import annotations

from contextlib import closing
from itertools import count

import pytest

from sentinel.core.event import read
from sentinel.core.record import App
from sentinel.service.intake import Sending
from sentinel.service.overview import Overview
from sentinel.store.embedded.store import open_store
from tests.service.machine import Machine
from tests.service.stories import START

BLOCKED = {"properties": {"blocked": True}}
LOGIN = {"event": "auth", "success": True}
FROM_BROWSER = {"trust": "browser"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with closing(open_store(tmp_path_factory.mktemp("linking"))) as store:
        store.access.add_app(App("shop", made=START), "test", START)
        yield Machine(store, [])


@pytest.fixture
def linked(machine, request):
    """Return a question: the names that somebody is known by after an event that came with two."""
    me = request.node.name

    def ask(event, scope="sdk", historical=False):
        user = {"id": me, "email": f"{me}@example.com"}
        found = read(event | {"id": me[-64:], "timestamp": 1_795_210_200, "user": user}, enriched=True, reserved=True)
        machine.pipeline.process([Sending("shop", [found], scope, historical)])
        keys = machine.store.people.keys("shop", f"email:{me.lower()}@example.com")
        return {key.partition(":")[0] for key in keys}

    return ask


@pytest.mark.parametrize("scope", ["sdk", "admin"])
@pytest.mark.parametrize("event", [LOGIN, {"event": "signup"}, {"event": "identify"}, {"event": "sentinel.identify"}])
def test_a_login_a_sign_up_and_an_identify_link_what_came_together(linked, event, scope):
    assert linked(event, scope) == {"id", "email"}


def test_so_do_those_of_the_past(linked):
    assert linked(LOGIN, historical=True) == {"id", "email"}


@pytest.mark.parametrize(
    "event",
    [
        {"event": "auth", "success": False}, {"event": "auth"}, {"event": "page.viewed"}, {"event": "Signup"},
        LOGIN | BLOCKED, {"event": "signup"} | BLOCKED, {"event": "identify"} | BLOCKED,
        LOGIN | FROM_BROWSER, {"event": "identify"} | FROM_BROWSER, {"event": "signup"} | FROM_BROWSER,
    ],
)  # fmt: skip
def test_what_proves_nothing_links_nothing(linked, event):
    assert linked(event) == {"email"}


@pytest.mark.parametrize("scope", ["ingest", "browser"])
@pytest.mark.parametrize("event", [LOGIN, {"event": "signup"}, {"event": "identify"}])
def test_whose_key_may_only_send_links_nothing(linked, event, scope):
    assert linked(event, scope) == {"email"}


NOBODY = ("null", "0", -1, "None", "[object Object]", "00000000-0000-0000-0000-000000000000")


@pytest.fixture
def seen(machine, request):
    """Return a question: whose a login that succeeded is, by what it says of its user."""
    me = request.node.name
    order = count()

    def ask(user):
        found = read({**LOGIN, "id": f"{me[-50:]}{next(order)}", "timestamp": 1_795_210_200, "user": user})
        machine.pipeline.process([Sending("shop", [found], "sdk", False)])
        return found.user

    return ask


@pytest.mark.parametrize("placeholder", NOBODY)
@pytest.mark.parametrize("name", ["id", "user_id", "uid"])
def test_strangers_who_come_with_what_stands_for_no_user_are_not_one_person(machine, seen, placeholder, name):
    one, other = (f"{name}{placeholder}.{who}@example.com".lower() for who in "ab")
    assert seen({name: placeholder, "email": one}) == f"email:{one}"
    assert seen({name: placeholder, "email": other}) == f"email:{other}"
    assert machine.store.people.keys("shop", f"email:{one}") == (f"email:{one}",)


@pytest.mark.parametrize("placeholder", NOBODY)
def test_alone_it_makes_an_event_nobodys_and_begins_no_person(machine, seen, placeholder):
    assert seen({"id": placeholder}) is None
    assert machine.store.people.get("shop", f"id:{placeholder}") is None


def test_users_without_an_address_are_not_tied_by_what_stands_for_it(machine, seen):
    assert [seen({"id": f"no-mail-{n}", "email": "None"}) for n in "12"] == ["id:no-mail-1", "id:no-mail-2"]
    assert machine.store.people.keys("shop", "id:no-mail-1") == ("id:no-mail-1",)


def test_a_name_that_people_choose_ties_whatever_it_is(machine, seen):
    """Else who is called `null` had only to change his address to be somebody else than the one who was blocked."""
    seen({"username": "null", "email": "old@chosen.example"})
    seen({"username": "null", "email": "new@chosen.example"})
    known = {"email:old@chosen.example", "email:new@chosen.example", "username:null"}
    assert set(machine.store.people.keys("shop", "username:null")) == known


def test_an_app_is_told_of_what_it_sends_in_place_of_users_and_no_other_is(machine, seen):
    seen({"id": "null", "email": "told@example.com"})
    overview = Overview(machine.pipeline, None)
    (told,) = [one for one in overview.warnings("shop") if "`user.id`" in one]
    assert told.startswith("`shop` sends a `user.id` that stands for no user, such as `null` or `0`: ")
    assert told.endswith("and name who really has it by another identifier as well)")
    assert overview.warnings("other") == ()
    counted = {one.labels for one in overview.samples() if one.name == "sentinel_placeholder_identifiers"}
    assert ("shop", "id") in counted
