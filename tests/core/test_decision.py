"""Decisions as values: what can be meant, what cannot, and the texts of pairs and places."""

from ipaddress import ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.decision import ALLOW, Decision, Place, Verdict, pair, place, unpair
from sentinel.core.errors import DecisionError, SentinelError
from tests.core.strategies import IPS, NETWORKS

TEXT = st.text(min_size=1, max_size=20)


def decision(**fields):
    return Decision(**({"id": "d1", "kind": "block", "scope": "user", "value": "id:42"} | fields))


@given(TEXT, TEXT)
def test_a_pair_gives_its_two_parts_back_whatever_characters_they_hold(user, other):
    assert unpair(pair(user, other)) == (user, other)


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_different_pairs_have_different_texts(one, two):
    assert (pair(*one) == pair(*two)) == (one == two)


@pytest.mark.parametrize("text", ["", "id:42", '["a"]', '["a", "b"]', '["a",1]', '["a",""]', '["a","b"] ', "[" * 5000])
def test_a_text_that_pair_did_not_make_is_refused(text):
    with pytest.raises(DecisionError):
        unpair(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.9", Place(4, 32, 0xCB007109)),
        ("203.0.113.9/24", Place(4, 24, 0xCB0071)),
        ("::ffff:203.0.113.9", Place(4, 32, 0xCB007109)),
        ("::ffff:203.0.113.0/120", Place(4, 24, 0xCB0071)),
        ("64:ff9b::203.0.113.9", Place(4, 32, 0xCB007109)),
        ("64:ff9b::203.0.113.0/120", Place(4, 24, 0xCB0071)),
        ("64:ff9b::10.0.0.0/104", Place(6, 104, 0x64FF9B << 72 | 10)),
        ("2001:db8::/64", Place(6, 64, 0x20010DB800000000)),
    ],
)
def test_an_address_or_network_is_read_as_numbers(text, expected):
    assert place(text) == expected


@given(st.ip_addresses(), st.integers(19, 128))
def test_the_text_of_a_place_names_the_same_place(ip, length):
    found = place(f"{ip}/{min(length, ip.max_prefixlen)}")
    assert place(str(found)) == found


def test_a_place_lies_within_another_and_meets_it_as_networks_do():
    for one, other in product([*IPS, *NETWORKS], repeat=2):
        small, large = ip_network(one), ip_network(other)
        same = small.version == large.version
        assert place(one).within(place(other)) == (same and small.subnet_of(large)), (one, other)
        assert place(one).meets(place(other)) == (same and small.overlaps(large)), (one, other)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/18", "::ffff:0:0/96", "64:ff9b::/96"])
def test_a_network_that_is_too_wide_to_be_meant_is_refused(text):
    with pytest.raises(DecisionError, match="wider"):
        decision(scope="network", value=text)


@pytest.mark.parametrize("text", ["11.0.0.0/8", "2000::/19"])
def test_the_widest_networks_are_taken(text):
    assert decision(scope="network", value=text).value == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""), ("id", "x" * 129), ("id", "a\nb"), ("kind", "ban"), ("scope", "device"), ("value", ""),
        ("value", "x" * 5000), ("until", -1), ("until", 2**63), ("to", "javascript:alert(1)"), ("to", "https://[x"),
        ("to", "//evil.example"),
        ("to", "/a\r\nSet-Cookie: x=1"), ("to", "https://a b"), ("to", "/\\evil.example"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_meant_is_named(field, value):
    with pytest.raises(DecisionError) as caught:
        decision(**{field: value})
    assert caught.value.field == field
    assert isinstance(caught.value, SentinelError)


@pytest.mark.parametrize(("scope", "value"), [("ip", "nonsense"), ("network", "1.2.3"), ("user+ip", "id:42")])
def test_a_value_must_be_of_its_scope(scope, value):
    with pytest.raises(DecisionError, match="value"):
        decision(scope=scope, value=value)


def test_a_redirect_needs_somewhere_to_lead():
    with pytest.raises(DecisionError, match="`to`"):
        decision(kind="redirect")
    assert decision(kind="redirect", to="/help").to == "/help"


def test_a_decision_ends_at_its_end_and_not_before():
    assert decision(until=100).in_force(99)
    assert not decision(until=100).in_force(100)
    assert decision(until=None).in_force(10**18)


def test_a_decision_without_a_playbook_is_a_persons():
    assert decision(by="jane").manual
    assert not decision(playbook="credential-stuffing").manual


def test_what_is_not_refused_is_allowed_and_has_nothing_to_quote():
    assert ALLOW.allowed
    assert ALLOW.reference == ""
    assert Verdict("block", "d1").reference == "d1"
    assert not Verdict("challenge", "d1").allowed
