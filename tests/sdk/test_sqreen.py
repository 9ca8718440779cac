"""Call sites written for Sqreen mean what they did, by changing one import."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from sentinel import sdk
from sentinel.sdk import sqreen, testing


@pytest.fixture
def sentinel():
    with testing.capture() as captured:
        yield captured


def test_track_reads_its_options(sentinel):
    sqreen.track("simple")
    sqreen.track("whole", {
        "properties": {"amount": 12}, "user_identifiers": {"email": "Jane@Example.com"},
        "timestamp": datetime(2030, 1, 1, tzinfo=UTC), "collect_body": False,
    })  # fmt: skip
    sqreen.track("named", options={"properties": {"a": 1}})
    simple, whole, named = sentinel.events
    assert simple["event"] == "simple"
    assert (whole["properties"], whole["user"]) == ({"amount": 12}, {"email": "jane@example.com"})
    assert whole["timestamp"] == "2030-01-01T00:00:00Z"
    assert named["properties"] == {"a": 1}
    assert sdk.stats()["counts"] == {}


def test_an_unknown_option_costs_no_event_and_is_said_once(sentinel, caplog):
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        sqreen.track("e", {"propertys": {"a": 1}})
        sqreen.track("e", {"propertys": {"a": 1}})
    assert len(sentinel.named("e")) == 2
    assert len([record for record in caplog.records if "propertys" in record.message]) == 1
    assert sdk.stats()["counts"]["options left out"] == 2


@pytest.mark.parametrize("options", [7, "properties", ["properties"], {"properties"}])
def test_options_that_are_none_cost_no_event(sentinel, options):
    sqreen.track("e", options)
    assert len(sentinel.named("e")) == 1
    assert sdk.stats()["counts"]["errors"] == 1


def test_mistakes_of_the_program_are_type_errors(sentinel):
    with pytest.raises(TypeError, match="datetime"):
        sqreen.track("e", {"timestamp": "2030-01-01"})
    with pytest.raises(TypeError, match="string"):
        sqreen.track(7)


def test_logins_and_signups_take_any_identifier(sentinel):
    sqreen.auth_track(False, email="jane@example.com")
    sqreen.auth_track(True, email="jane@example.com", user_id=42, platform="ios")
    sqreen.signup_track(username="jane")
    failed, worked, signed_up = sentinel.events
    assert (failed["event"], failed["success"], failed["user"]) == ("auth", False, {"email": "jane@example.com"})
    assert worked["user"] == {"email": "jane@example.com", "user_id": "42", "platform": "ios"}
    assert (signed_up["event"], signed_up["user"]) == ("signup", {"username": "jane"})


def test_identify_enforces(sentinel):
    sentinel.decide("block", user={"email": "jane@example.com"})
    assert sqreen.identify({"email": "jane@example.com"}, {"plan": "free"}).kind == "block"
    assert sqreen.identify({"email": "joe@example.com"}).allowed
    assert sentinel.events[0]["properties"] == {"traits": {"plan": "free"}}


def test_start_is_that_of_the_sdk():
    assert sqreen.start is sdk.start
