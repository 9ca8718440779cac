"""While the server starts, and when the start comes to nothing: what it says, and what it does all the same."""

from __future__ import annotations

import threading

import pytest

from sentinel.app import open_server
from sentinel.app.tenants import Tenants
from sentinel.core.errors import StoreBusy
from sentinel.core.record import App
from tests.api.served import served, wait_for
from tests.api.whole import settings
from tests.api.whole import whole as run_whole

FAIL = {"event": "auth", "success": False, "ip": "203.0.113.9"}


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A server that takes until `go` to restore the windows of its app."""
    go = threading.Event()
    restore = Tenants.restored

    def slowly(self, app):
        self._progress("rebuilding windows of one", 12_000)
        assert go.wait(60)
        self._progress("rebuilding windows of one", 13_000)
        return restore(self, app)

    monkeypatch.setattr(Tenants, "restored", slowly)
    server = open_server(settings(tmp_path))
    server.store.access.add_app(App("one"), "test", 1)
    _, key = server.store.access.make_key("one", "sdk", "test", 1)
    _, reader = server.store.access.make_key("one", "read", "test", 1)
    server.go = go
    server.reader = reader
    with served(server.front, lifespan="on") as client:
        yield server, client.using(key)
        go.set()


def test_events_wait_outside_until_windows_are_restored_and_decisions_do_not(slow):
    server, client = slow
    said = wait_for(lambda: "12,000" in client.get("/readyz").body.decode() and client.get("/readyz"))
    assert (said.status, said.json["status"]) == (503, "starting")
    assert said.json["detail"] == "rebuilding windows of one: 12,000 events"
    answer = client.post("/v1/events", FAIL)
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "unavailable", "2")
    assert client.get("/v1/feed").status == 200
    assert client.get("/healthz").status == 200
    states = {one["state"] for one in client.using(server.reader).get("/v1/playbooks").json["items"]}
    assert states == {"rebuilding", "off"}
    server.go.set()
    wait_for(lambda: client.get("/readyz").status == 200)
    assert client.post("/v1/events", FAIL).json["accepted"] == 1


def test_a_stop_while_it_starts_does_not_wait_for_the_end(slow):
    server, client = slow
    wait_for(lambda: "12,000" in client.get("/readyz").body.decode())
    server._stopping.set()
    server.go.set()
    server._restoring.join(60)
    assert not server._restoring.is_alive()
    assert server.overview.starting() is not None


def test_a_start_that_meets_a_busy_store_is_tried_again_until_it_is_done(tmp_path, monkeypatch):
    restore, left = Tenants.restored, threading.Event()

    def busy(self, app):
        if not left.is_set():
            raise StoreBusy("the database cannot be used now")
        return restore(self, app)

    monkeypatch.setattr(Tenants, "restored", busy)
    monkeypatch.setattr("sentinel.app.server.AGAIN", 0.05)
    server = open_server(settings(tmp_path))
    server.first()
    with served(server.front, lifespan="on") as client:
        said = wait_for(lambda: "again" in client.get("/readyz").body.decode() and client.get("/readyz"))
        assert said.status == 503
        assert said.json["detail"] == "the start is tried again: the database cannot be used now"
        left.set()
        wait_for(lambda: client.get("/readyz").status == 200)


def test_a_start_that_comes_to_nothing_says_why_for_as_long_as_it_lasts(tmp_path, monkeypatch):
    def broken(self, app):
        raise ZeroDivisionError("damaged beyond words")

    monkeypatch.setattr(Tenants, "restored", broken)
    server = open_server(settings(tmp_path))
    server.first()
    with served(server.front, lifespan="on") as client:
        said = wait_for(lambda: "could not start" in client.get("/readyz").body.decode() and client.get("/readyz"))
        assert (said.status, said.json["detail"]) == (503, "the server could not start: damaged beyond words")
        assert client.get("/healthz").status == 200


def test_an_app_added_while_it_runs_works_at_once(tmp_path):
    with run_whole(tmp_path) as whole:
        assert whole.local.post("/v1/apps", {"id": "three"}).status == 201
        here = {"Sentinel-App": "three"}
        made = whole.local.ask("POST", "/v1/keys", {"scope": "sdk"}, headers=here).json
        client = whole.client.using(made["secret"])
        stream = client.stream("/v1/feed/stream")
        assert stream.block() == [":"]
        assert client.post("/v1/events", [FAIL] * 3).json["accepted"] == 3
        assert [one["value"] for one in stream.event()["data"]["added"]] == ["203.0.113.9"]
        stream.close()


def test_a_server_that_is_stopped_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())
    server = open_server(settings(tmp_path))
    with served(server.front, lifespan="on") as client:
        wait_for(lambda: client.get("/readyz").status == 200)
        assert client.using("x" * 40).post("/v1/events", [{"event": "x"}]).status == 401  # which is looked up
        assert {thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("sentinel-")}
    wait_for(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("sentinel-")])
