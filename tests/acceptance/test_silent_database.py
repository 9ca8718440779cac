"""A server whose PostgreSQL stands still, as a host does whose disk or hypervisor hangs: it says so, and it ends."""

from __future__ import annotations

import http.client
import signal
import time

import pytest

from tests.api.served import PATIENCE, Client, wait_for, within
from tests.scaleout import Site


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path, "--grace", "1s")
    yield made
    made.database.thaw()
    made.end()


def test_a_server_ends_in_time_whose_database_stands_still_and_refuses_what_it_holds(site):
    (server,) = site.begin("a")
    port, key = server.client.port, site.key
    assert Client(port, key).post("/v1/events", {"event": "x"}).status == 200
    site.database.freeze()
    sender = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    sender.request("POST", "/v1/events", b'{"event": "x"}', {"Authorization": f"Bearer {key}"})
    assert server.client.get("/healthz").status == 200  # so that it has read what was sent before
    began = time.monotonic()
    assert server.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 60, "it does not wait for the database"
    answer = sender.getresponse()
    assert answer.status == 503 and answer.getheader("retry-after")
    assert "Traceback" not in (server.data.parent / "errors").read_text()
    sender.close()


def test_a_server_whose_database_stands_still_says_so_refuses_in_time_and_goes_on_after(site):
    (server,) = site.begin("a")
    client, health = server.client.using(site.key), Client(server.client.port, server.local["token"])
    assert client.post("/v1/events", {"event": "x"}).status == 200
    site.database.freeze()
    answer = client.post("/v1/events", {"event": "x"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    ready = health.get("/readyz")
    assert ready.status == 503
    assert "the database `postgres`" in ready.json["detail"]

    def took():
        began = time.monotonic()
        assert client.post("/v1/events", {"event": "x"}).status == 503
        return time.monotonic() - began

    assert within(5, took), "it is known by now"
    site.database.thaw()
    wait_for(lambda: health.get("/readyz").status == 200)
    assert client.post("/v1/events", {"event": "x"}).status == 200
