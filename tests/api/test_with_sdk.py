"""The SDK and the server together: what one sends the other understands, in both directions."""

from __future__ import annotations

import pytest

from sentinel.sdk.client import Client
from sentinel.sdk.options import Options
from tests.api.served import wait_for


@pytest.fixture
def sdk(whole):
    client = Client(Options(url=f"http://127.0.0.1:{whole.client.port}", key=whole.secrets["one", "sdk"]))
    client.ensure_running()
    assert client.wait_ready(10)
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
    assert sdk.flush(5)
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
