"""A whole server whose windows lie in Valkey: it finds, it outlives itself, and it rebuilds what Valkey lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinel.app import open_server
from sentinel.core.errors import SentinelError
from tests import valkey
from tests.api.served import served, wait_for
from tests.api.whole import settings, whole

FAIL = {"event": "auth", "success": False, "user": "u1"}


@pytest.fixture
def state() -> Iterator[valkey.Server]:
    server = valkey.Server()
    yield server
    server.end()


def test_three_failures_are_found_over_a_restart_in_between(tmp_path, state):
    with whole(tmp_path, windows=state.url) as server:
        server.fail("203.0.113.9", times=2)
        assert server.using("read").get("/v1/findings?playbook=three-failures").json["items"] == []
        secret = server.secrets["one", "sdk"]
    again = open_server(settings(tmp_path, windows=state.url))
    with served(again.front, lifespan="on") as client:
        wait_for(lambda: client.get("/readyz").status == 200)
        assert client.using(secret).post("/v1/events", FAIL | {"ip": "203.0.113.9"}).json["accepted"] == 1
        assert len(list(again.store.decisions.delta("one", 0, 1).added)) == 1


def test_while_lost_windows_are_rebuilt_no_event_is_taken_and_then_all_counts(tmp_path, state):
    """Two failures lie in the store alone when the third comes."""
    with whole(tmp_path, windows=state.url) as server:
        server.fail("203.0.113.9", times=2)
        state.client().flushall()
        send = server.using("sdk")
        answer = send.post("/v1/events", FAIL | {"ip": "203.0.113.9", "id": "third"})
        assert answer.status == 200 or answer.error["code"] == "unavailable"  # they may be whole again by now
        wait_for(lambda: send.post("/v1/events", FAIL | {"ip": "203.0.113.9", "id": "third"}).status == 200)
        assert server.client.get("/readyz").status == 200
        found = server.using("read").get("/v1/findings?playbook=three-failures").json["items"]
        assert len(found) == 1


def test_what_is_lost_while_no_event_comes_is_rebuilt_and_a_server_that_would_forget_is_warned_of(tmp_path, state):
    """As where somebody empties it, or lets it evict keys, while everything runs."""
    with whole(tmp_path, windows=state.url) as server:
        server.fail("203.0.113.9", times=2)
        state.client().flushall()
        wait_for(lambda: state.client().dbsize() > 64)
        state.client().config_set("maxmemory-policy", "allkeys-lru")
        wait_for(lambda: "allkeys-lru" in str(server.using("read").get("/readyz").json["warnings"]))
        assert server.client.get("/readyz").json["warnings"] == [], "strangers need not know"
        state.client().config_set("maxmemory-policy", "noeviction")
        wait_for(lambda: server.using("read").get("/readyz").json["warnings"] == [])
        send = server.using("sdk")
        wait_for(lambda: send.post("/v1/events", FAIL | {"ip": "203.0.113.9", "id": "third"}).status == 200)
        assert len(server.using("read").get("/v1/findings?playbook=three-failures").json["items"]) == 1


def test_installations_that_share_a_valkey_share_nothing_else(tmp_path, state):
    """Production and staging, both with an app of the same name: what one is sent counts for it alone."""
    (tmp_path / "staging").mkdir()
    (tmp_path / "production").mkdir()
    with (
        whole(tmp_path / "staging", windows=state.url) as staging,
        whole(tmp_path / "production", windows=state.url) as production,
    ):
        staging.fail("203.0.113.9", times=2)
        production.fail("203.0.113.9", times=1)
        found = [one.using("read").get("/v1/findings?playbook=three-failures").json for one in (staging, production)]
        assert [one["items"] for one in found] == [[], []]
        staging.fail("203.0.113.9", times=1)
        assert len(staging.using("read").get("/v1/findings?playbook=three-failures").json["items"]) == 1


def kill(state):
    state.kill()
    return state.start


def fill(state):
    state.client().config_set("maxmemory", 1)
    return lambda: state.client().config_set("maxmemory", 0)


@pytest.mark.parametrize(("trouble", "why"), [(kill, "windows cannot be reached"), (fill, "at its `maxmemory`")])
def test_while_windows_cannot_be_used_it_is_not_ready_and_says_why_to_those_who_may_know(tmp_path, state, trouble, why):
    with whole(tmp_path, windows=state.url) as server:
        server.fail("203.0.113.9", times=1)
        server.server.link._patience = 0.1
        mend = trouble(state)
        refused = server.using("sdk").post("/v1/events", FAIL | {"ip": "203.0.113.9"})
        assert refused.status == 503 and str(state.port) not in refused.error["message"]
        said = wait_for(lambda: (one := server.using("read").get("/readyz")).status == 503 and one.json)
        assert said["status"] == "unavailable" and why in said["detail"]
        assert server.client.get("/readyz").json["detail"] == "events cannot be taken"
        assert b"\nsentinel_ready 0.0" in server.local.get("/metrics").body
        assert server.client.get("/healthz").status == server.using("sdk").get("/v1/feed").status == 200
        mend()
        wait_for(lambda: server.client.get("/readyz").json["status"] == "ok")


def test_a_server_without_events_yet_is_not_ready_either_while_windows_cannot_be_used(tmp_path, state):
    server = open_server(settings(tmp_path, windows=state.url))
    with served(server.front, lifespan="on") as client:
        wait_for(lambda: client.get("/readyz").status == 200)
        assert server.pipeline.tenants == {}
        state.kill()
        wait_for(lambda: client.get("/readyz").json["status"] == "unavailable")
        state.start()
        wait_for(lambda: client.get("/readyz").status == 200)


def test_without_valkey_a_start_says_what_is_missing(tmp_path, state):
    state.kill()
    with pytest.raises(SentinelError, match="`windows`: Redis or Valkey cannot be used"):
        open_server(settings(tmp_path, windows=state.url))
