"""Which events tie a person's names together, and whose word is taken for that."""

from __future__ import annotations

from contextlib import closing

import pytest

from sentinel.core.event import read
from sentinel.core.record import App
from sentinel.service.intake import Sending
from sentinel.store.embedded.store import open_store
from tests.service.machine import Machine
from tests.service.stories import START

BLOCKED = {"properties": {"blocked": True}}
LOGIN = {"event": "auth", "success": True}
FROM_BROWSER = {"trust": "browser"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with closing(open_store(tmp_path_factory.mktemp("linking"))) as store:
        store.access.put_app(App("shop", made=START), "test", START)
        yield Machine(store, [])


@pytest.fixture
def linked(machine, request):
    """Return a question: the names that somebody is known by after an event that came with two."""
    me = request.node.name

    def ask(event, scope="sdk", historical=False):
        user = {"id": me, "email": f"{me}@example.com"}
        found = read(event | {"id": me[-64:], "timestamp": 1_795_210_200, "user": user}, enriched=True, reserved=True)
        machine.pipeline.process([Sending("shop", [found], machine.now, scope, "k", historical)])
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
