"""Whatever a foreign client sends to any route: it is answered, and no answer is a fault of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compat.test_walls import KEYED, RIGHTS, SHOWN

NAMES = st.sampled_from(
    ["id", "user_id", "userId", "event", "name", "type", "date", "timestamp", "time", "request", "response", "metadata",
     "data", "message", "tags", "ip", "ip_address", "uri", "headers", "body", "status", "action_name", "count", "value"]
)  # fmt: skip
ATOMS = (
    st.none() | st.booleans() | st.integers() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
    | st.sampled_from(["2026-11-21T00:00:00Z", "9999-99-99", "203.0.113.9", "::1", "http://x/", "\0", "\ud800", "=1"])
)  # fmt: skip
ANYTHING = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip
BODIES = st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode())


@pytest.fixture(scope="module")
def secrets(whole):
    """Return a key for each route."""
    make = whole.server.store.access.make_key
    return {
        one: make("two", sorted(RIGHTS[one] - {"browser"})[0], "test", 1, protocol=one.split(" ")[0])[1]
        for one in KEYED
    }  # fmt: skip


@given(operation=st.sampled_from(KEYED), body=BODIES, query=st.text(alphabet="abc=&%0f;+", max_size=20))
def test_no_body_is_a_fault(whole, secrets, operation, body, query):
    protocol, method, path = operation.split(" ")
    header, prefix = SHOWN[protocol]
    headers = {header: prefix + secrets[operation], "Content-Type": "application/json"}
    raw = None if method == "GET" else body
    answer = whole.client.ask(method, f"/compat/{protocol}{path}?{query}", raw=raw, headers=headers)
    assert answer.status < 500, answer.body[:300]


def test_nothing_of_all_that_was_a_fault_of_ours(whole):
    whole.fail("203.0.113.201")
    assert whole.using("admin").get("/v1/decisions?value=203.0.113.201").json["items"]
