"""Decisions as JSON, and snapshots as pages: nothing is lost, and nothing malformed costs the rest."""

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core import pages
from sentinel.core.decision import Decision, Delta, Subject, pair
from sentinel.core.decisions import Decisions
from sentinel.core.errors import DecisionError
from sentinel.core.wire import read_decision, write_decision
from tests.core.strategies import DELTAS, IPS, USERS, decisions

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GOOD = {"id": "d1", "kind": "block", "scope": "user", "value": "id:1", "until": "2030-01-01T00:00:00Z", "playbook": "p"}


@given(decisions())
def test_a_decision_survives_the_wire(decision):
    assert read_decision(json.loads(json.dumps(write_decision(decision)))) == decision


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": 7}, "id"), ({"until": "soon"}, "until"), ({"until": True}, "until"), ({"value": None}, "value"),
        ({"scope": "network", "value": "0.0.0.0/0"}, "value"), ({"logins_only": "yes"}, "logins_only"),
        ({"to": 5}, "to"), ({"kind": "redirect"}, "to"), ({"kind": "ban"}, "kind"), ({"until": 1e300}, "until"),
    ],
)  # fmt: skip
def test_a_malformed_decision_is_refused_by_its_field(change, field):
    with pytest.raises(DecisionError) as caught:
        read_decision(GOOD | change)
    assert caught.value.field == field


def test_fields_of_a_later_version_are_passed_over():
    assert read_decision(GOOD | {"colour": "red"}) == read_decision(GOOD)


def restored(kept):
    return pages.read([json.loads(json.dumps(page)) for page in pages.write(kept)])


@given(st.lists(DELTAS, max_size=4))
def test_a_snapshot_answers_and_changes_as_the_set_it_was_made_from(deltas):
    kept = Decisions(b"pepper")
    for delta in deltas:
        kept = kept.apply(delta)
    back = restored(kept)
    assert (len(back), back.revision, back.salt) == (len(kept), kept.revision, kept.salt)
    for one in (kept, kept.apply(Delta(9, removed=("a", "b")))):
        twin = back if one is kept else back.apply(Delta(9, removed=("a", "b")))
        for user in USERS:
            for ip in IPS:
                subject = Subject((user,), ip, "phone", login=True)
                assert twin.match(subject, 5) == one.match(subject, 5)


def many():
    users = tuple(Decision(f"u{n}", "block", "user", f"id:{n}", playbook="p", until=5) for n in range(50))
    networks = tuple(Decision(f"n{n}", "block", "ip", f"203.0.113.{n % 250}", playbook="p") for n in range(1200))
    return Decisions(b"pepper").apply(Delta(7, users + networks))


def test_a_page_whose_keys_are_out_of_order_is_refused():
    users = tuple(Decision(f"u{n}", "block", "user", f"id:{n}", playbook="p") for n in range(300))
    made = list(pages.write(Decisions().apply(Delta(1, users))))
    page = next(page for page in made if "shard" in page and len(b64decode(page["keys"])) > 8)
    keys = b64decode(page["keys"])
    page["keys"] = b64encode(keys[8:16] + keys[:8] + keys[16:]).decode()
    with pytest.raises(DecisionError):
        pages.read(made)


def test_a_page_is_small_and_names_no_user():
    made = [json.dumps(page) for page in pages.write(many())]
    assert len(made) > 50
    assert not any("id:4" in page for page in made)


def test_part_of_a_snapshot_is_no_snapshot():
    made = list(pages.write(many()))
    assert len(pages.read(made)) == 1250
    for cut in (0, 1, 5, len(made) - 1):
        with pytest.raises(DecisionError):
            pages.read(made[:cut])
    with pytest.raises(DecisionError):
        pages.read(made[:3] + made[4:])


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("wrong", ["x", None, 2**70, -(2**70), 1.5, [], {}])
def test_a_network_that_is_none_makes_its_file_none(at, wrong):
    made = list(pages.write(Decisions().apply(Delta(1, (Decision("a", "block", "ip", "192.0.2.1", playbook="p"),)))))
    assert len(pages.read(made)) == 1
    (row,) = made[-2]["networks"]
    row[at] = wrong
    if (at, wrong) == (1, "x"):
        assert len(pages.read(made)) == 1
        return
    with pytest.raises(DecisionError):
        pages.read(made)


@given(JSON)
def test_whatever_else_a_file_holds_is_refused(page):
    made = list(pages.write(only_pair()))
    if page != {}:
        with pytest.raises(DecisionError):
            pages.read([page, *made[1:]])
    with pytest.raises(DecisionError):
        pages.read([made[0], page, *made[2:]])


def only_pair():
    return Decisions().apply(Delta(1, (Decision("a", "block", "user+ip", pair("id:1", "203.0.113.9")),)))


def test_a_snapshot_leads_nobody_to_a_place_no_decision_could():
    made = json.dumps(
        list(pages.write(Decisions().apply(Delta(1, (Decision("a", "redirect", "user", "id:1", "/x"),)))))
    )
    assert len(pages.read(json.loads(made))) == 1
    with pytest.raises(DecisionError):
        pages.read(json.loads(made.replace('"/x"', '"javascript:x"')))
