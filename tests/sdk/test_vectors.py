"""The vectors that every SDK in every language shares: scrubbing, decisions, deltas, addresses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentinel.core import moment, proxies
from sentinel.core.decision import Delta, Subject
from sentinel.core.decisions import Decisions
from sentinel.core.errors import SentinelError
from sentinel.core.scrub import SECRETS, Scrubber
from sentinel.core.wire import read_decision
from sentinel.sdk import options
from sentinel.sdk.deltas import DeltaReader
from sentinel.sdk.events import Events
from sentinel.sdk.options import Options

DATA = Path(__file__).parents[2] / "data"
SCRUBBING, DECISIONS, ADDRESSES, IDENTITIES = (
    json.loads((DATA / f"{name}-vectors.json").read_text()) for name in ("scrubbing", "decision", "address", "identity")
)
NOW = moment.parse("2030-01-01T00:00:00Z")


def named(case):
    return case.get("name") or json.dumps(case["given"])[:40]


@pytest.mark.parametrize("case", SCRUBBING["properties"], ids=named)
def test_properties_are_scrubbed_as_the_vectors_say(case):
    sent, _, left_out = Scrubber(case.get("more", ())).properties(case["given"])
    assert (sent, left_out) == (case["sent"], case.get("left_out", []))


def test_the_names_of_secrets_are_those_of_the_vectors():
    assert list(SECRETS) == SCRUBBING["names"]


@pytest.mark.parametrize("case", SCRUBBING["named"], ids=named)
def test_a_name_is_a_secrets_where_the_vectors_say_so(case):
    assert Scrubber(case.get("more", ())).is_secret(case["given"]) == case["secret"]


@pytest.mark.parametrize("case", SCRUBBING["identifiers"], ids=named)
def test_identifiers_are_scrubbed_as_the_vectors_say(case):
    events = Events(Options())
    found = events.identifiers(case["given"])
    assert (found, list(events.keys(found))) == (case["sent"], case["keys"])


@pytest.mark.parametrize(
    "case", [one for one in IDENTITIES["users"] if "keys" in one], ids=lambda case: case["keys"][0]
)
def test_what_stands_for_no_user_is_sent_and_looked_up_as_the_vectors_say(case):
    events = Events(Options())
    found = events.identifiers(case["user"])
    assert (found, list(events.keys(found))) == (case["identifiers"], case["keys"])


@pytest.mark.parametrize("case", SCRUBBING["pseudonyms"], ids=named)
def test_pseudonyms_are_made_as_the_vectors_say(case):
    assert Events(Options(pseudonym_key=case["key"].encode())).identifiers(case["given"]) == case["sent"]


@pytest.mark.parametrize("case", DECISIONS["match"], ids=named)
def test_a_request_is_told_what_the_vectors_say(case):
    delta = Delta(1, tuple(map(read_decision, case["decisions"])))
    about = case["subject"]
    users, passed = tuple(about.get("users", ())), frozenset(about.get("passed", ()))
    subject = Subject(users, about.get("ip"), about.get("device"), about.get("login", False), passed)
    told = Decisions(b"salt").apply(delta).match(subject, NOW)
    assert ([told.kind, told.decision] if told.decision else None) == case["told"]


def held_after(case, size):
    """Apply a case's deltas; return what the list then is, as the case tells it."""
    held, rejected, refused = Decisions(b"salt"), 0, 0
    for raw in case["deltas"]:
        try:
            reader, text = DeltaReader(held), json.dumps(raw)
            for at in range(0, len(text), size):
                reader.feed(text[at : at + size])
            held = reader.finish()
            rejected += reader.rejected
        except (ValueError, SentinelError):
            refused += 1
    users = [f"id:{n}" for n in range(1, 10) if not held.match(Subject((f"id:{n}",)), NOW).allowed]
    addresses = {ip: not held.match(Subject(ip=ip), NOW).allowed for ip in case.get("addresses", {})}
    return held.revision, users, addresses, rejected, refused


@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize("case", DECISIONS["deltas"], ids=named)
def test_the_list_changes_as_the_vectors_say(case, size):
    expected = tuple(
        case.get(name, otherwise)
        for name, otherwise in (("revision", 0), ("held", []), ("addresses", {}), ("rejected", 0), ("refused", 0))
    )
    assert held_after(case, size) == expected


@pytest.mark.parametrize("case", ADDRESSES["addresses"], ids=named)
def test_an_address_is_found_as_the_vectors_say(case):
    trusted = options.read({"trusted_proxies": case.get("trusted") or case.get("hops", 0)}, str, {})
    settings = Options(
        trusted_proxies=trusted.trusted_proxies, proxy_hops=trusted.proxy_hops, forwarded_header=case.get("header")
    )
    found = proxies.client_address(
        case["peer"], case.get("forwarded", ()), case.get("x_forwarded_for", ()), settings
    )  # fmt: skip
    assert found == case["ip"]


def test_every_decision_of_the_vectors_can_be_read_alone():
    for case in DECISIONS["match"]:
        for one in case["decisions"]:
            assert read_decision(one).id == one["id"]
