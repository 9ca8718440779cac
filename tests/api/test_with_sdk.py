"""The SDK and the server together: what one sends the other understands, in both directions."""

from __future__ import annotations

import os

import pytest

from sentinel.sdk.client import Client
from sentinel.sdk.options import Options
from tests.api.served import wait_for


@pytest.fixture
def sdk(whole):
    client = Client(Options(url=f"http://127.0.0.1:{whole.client.port}", key=whole.secrets["one", "sdk"]))
    client.ensure_running()
    assert client.wait_ready(60)
    yield client
    client.stop(5)


def test_what_playbooks_decide_is_enforced_in_the_application(whole, sdk):
    whole.fail("203.0.113.171")
    assert wait_for(lambda: sdk.verdict(ip="203.0.113.171").kind == "block")


def test_what_a_person_decides_and_lifts_is_heard_of(whole, sdk):
    admin = whole.using("admin")
    made = admin.post("/v1/decisions", {"kind": "block", "scope": "user", "value": "sdk-user", "reason": "x"}).json
    assert wait_for(lambda: sdk.verdict(user="sdk-user").kind == "block")
    admin.delete(f"/v1/decisions/{made['id']}")
    assert wait_for(lambda: sdk.verdict(user="sdk-user").kind == "allow")


def test_what_the_sdk_sends_is_taken_whole_its_own_names_too(whole, sdk):
    sdk.track("invoice.created", {"amount": 12, "lone": "\ud800"}, {"id": "sdk-sender"})
    sdk.identify({"id": "sdk-sender", "email": "sdk@example.com"}, {"plan": "free"})
    assert sdk.flush(60)
    read = whole.using("read")
    found = wait_for(
        lambda: (items := read.get("/v1/events?user=sdk-sender").json["items"]) and len(items) == 2 and items
    )
    assert {one["event"] for one in found} == {"invoice.created", "sentinel.identify"}
    assert sdk.stats().get("rejected", 0) == 0
    linked = read.get("/v1/users/email:sdk@example.com").json
    assert set(linked["identifiers"]) == {"id:sdk-sender", "email:sdk@example.com"}


def test_while_enforcement_is_off_nothing_is_enforced_and_then_again(whole, sdk):
    admin = whole.using("admin")
    admin.post("/v1/decisions", {"kind": "block", "scope": "ip", "value": "203.0.113.172", "reason": "x"})
    assert wait_for(lambda: sdk.verdict(ip="203.0.113.172").kind == "block")
    admin.ask("PUT", "/v1/enforcement", {"on": False, "why": "a drill"})
    assert wait_for(lambda: sdk.verdict(ip="203.0.113.172").kind == "allow")
    admin.ask("PUT", "/v1/enforcement", {"on": True, "why": "over"})
    assert wait_for(lambda: sdk.verdict(ip="203.0.113.172").kind == "block")


def test_the_server_knows_how_each_process_is(whole, sdk):
    read = whole.using("read")
    sdk.buffer.drop("full")
    sdk.track("e")
    assert sdk.flush(60)
    (found,) = [one for one in read.get("/v1/sdks").json["items"] if one["dropped"] == {"full": 1}]
    assert (found["pid"], found["enforcing"]) == (os.getpid(), True)
    assert 0 <= found["list_age"] < 60
    assert wait_for(lambda: read.get("/v1/events?event=sentinel.dropped").json["items"])
    assert whole.using("read", "two").get("/v1/sdks").json["items"] == []


def test_a_process_without_events_says_that_it_lives(whole):
    idle = Client(
        Options(url=f"http://127.0.0.1:{whole.client.port}", key=whole.secrets["two", "sdk"], report_interval=0.05)
    )
    read = whole.using("read", "two")
    try:
        idle.ensure_running()
        assert idle.wait_ready(60)
        first = wait_for(lambda: read.get("/v1/sdks").json["items"])
        assert len(first) == 1
        assert wait_for(lambda: read.get("/v1/sdks").json["items"][0]["uptime"] >= first[0]["uptime"] + 0.1)
        assert read.get("/v1/sdks").json["items"][0]["streaming"] is True
    finally:
        idle.stop(5)


@pytest.mark.parametrize("text", ["", "x", "{", "[]", "[" * 4000, "{}", '{"instance": 7}', "ü", '"' * 9000])
def test_a_report_that_is_none_costs_its_request_nothing(whole, text):
    before = whole.using("read").get("/v1/sdks").json["items"]
    headers = [("Sentinel-SDK", text.encode("utf-8").decode("latin-1"))]
    assert whole.using("sdk").post("/v1/events", [{"event": "e"}], headers=headers).json["accepted"] == 1
    assert len(whole.using("read").get("/v1/sdks").json["items"]) == len(before)


@pytest.mark.parametrize("scope", ["ingest", "browser"])
def test_only_keys_of_scope_sdk_report(whole, scope):
    headers = [("Sentinel-SDK", '{"instance": "stranger"}'), ("Origin", "https://shop.example")]
    assert whole.using(scope).post("/v1/events", [{"event": "e"}], headers=headers).json["accepted"] == 1
    assert "stranger" not in str(whole.using("read").get("/v1/sdks").json)
