"""Who an event is about: the vectors every SDK shares, every refusal, and the laws of keys."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import EventError, IdentityError
from sentinel.core.identity import (
    DEFAULT_ORDER,
    LONGEST,
    identifiers,
    is_placeholder,
    key_of,
    keys,
    naming_keys,
    normalise,
    placeholders,
    read_key,
    read_keys,
    user_key,
)

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "identity-vectors.json").read_text())
TEXT = st.text(max_size=40) | st.sampled_from(["null", "Anon", "0", "-1"])
USERS = st.dictionaries(st.sampled_from([*DEFAULT_ORDER, "phone"]), TEXT | st.integers(-(10**30), 10**30) | st.none())


def plain(value):
    """Write the stand-ins for long texts out."""
    if isinstance(value, dict) and "long" in value:
        return value.get("before", "") + "a" * value["long"]
    return {name: plain(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def label(case):
    return json.dumps(case.get("user", case.get("text")))[:60]


@pytest.mark.parametrize("case", [one for one in VECTORS["users"] if "error" not in one], ids=label)
def test_a_user_is_named_as_the_vectors_say(case):
    found = identifiers(plain(case["user"]))
    assert (found, user_key(found)) == (plain(case["identifiers"]), plain(case["key"]))


@pytest.mark.parametrize("case", [one for one in VECTORS["users"] if "keys" in one], ids=label)
def test_what_stands_for_no_user_is_looked_up_and_names_nobody(case):
    found = identifiers(case["user"])
    assert (list(keys(found)), placeholders(found)) == (case["keys"], case["placeholders"])
    assert naming_keys(found) == tuple(key for key in case["keys"] if not is_placeholder(key))


@pytest.mark.parametrize("case", [one for one in VECTORS["users"] if "error" in one], ids=label)
def test_a_user_that_names_nobody_is_refused_as_the_vectors_say(case):
    with pytest.raises(IdentityError) as caught:
        identifiers(plain(case["user"]))
    assert caught.value.field == case["error"]


@pytest.mark.parametrize("case", VECTORS["keys"], ids=label)
def test_what_a_person_writes_becomes_the_key_the_vectors_say(case):
    assert read_key(case["text"]) == case["key"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "`user.id`: an identifier is text or an integer, this is a boolean"),
        (1.0, "`user.id`: an identifier is text or an integer, this is a number with a fraction"),
        (float("nan"), "`user.id`: an identifier is text or an integer, this is a number with a fraction"),
        (10**40, "`user.id`: an identifier is text or an integer, this is too long"),
        (-(10**40), "`user.id`: an identifier is text or an integer, this is too long"),
        ([], "`user.id`: an identifier is text or an integer, this is a list"),
        (b"x", "`user.id`: an identifier is text or an integer, this is a bytes"),
        ("a" * 257, "`user.id`: longer than 256 characters"),
    ],
)
def test_every_refusal_says_what_is_wrong(value, message):
    with pytest.raises(IdentityError) as caught:
        identifiers(value)
    assert str(caught.value) == message
    assert isinstance(caught.value, EventError)


def test_an_object_inside_an_identifier_is_refused():
    with pytest.raises(IdentityError, match=r"`user.id`: .* this is an object"):
        identifiers({"id": {"id": "1"}})


@pytest.mark.parametrize("number", [10**40 - 1, -(10**40) + 1])
def test_the_longest_integers_are_taken(number):
    assert identifiers(number) == {"id": str(number)}


def test_blanks_around_a_text_do_not_count_against_its_length():
    assert identifiers(" " * 100 + "a" * LONGEST + " " * 100) == {"id": "a" * LONGEST}


def test_an_app_s_own_order_decides_which_identifier_is_the_key():
    found = {"id": "1", "email": "a@example.com", "phone": "110"}
    assert user_key(found, ("phone", "id")) == "phone:110"
    assert user_key(found, ("uid",)) is None


def test_keys_are_those_of_all_identifiers_in_order_without_repeats():
    assert keys({"email": "a@example.com", "uid": "1", "id": "1", "phone": "110"}) == ("id:1", "email:a@example.com")


@given(USERS)
def test_naming_what_was_named_changes_nothing(user):
    """Texts are normalised once: their normal form is its own."""
    found = identifiers(user)
    assert identifiers(found) == found


@given(USERS)
def test_identifiers_agree_with_normalise_one_by_one(user):
    expected = {name: normalise(name, value) for name, value in user.items()}
    assert identifiers(user) == {name: text for name, text in expected.items() if text}


@given(USERS)
def test_the_key_is_the_first_of_the_keys_that_name_somebody(user):
    found = identifiers(user)
    assert user_key(found) == next(iter(naming_keys(found)), None)
    assert naming_keys(found) == tuple(key for key in keys(found) if not is_placeholder(key))


@given(USERS)
def test_a_key_read_again_is_itself(user):
    """So a key can be copied from a page into a file."""
    key = user_key(identifiers(user))
    assert key is None or read_key(key) == key


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("alice", ("id:alice", "email:alice", "username:alice")),
        (" Ana@Example.com ", ("id:Ana@Example.com", "email:ana@example.com", "username:Ana@Example.com")),
        ("username:alice", ("username:alice",)),
        ("uid:7", ("id:7",)),
        ("a:b", ("a:b",)),
        ("A:b", ("id:A:b", "email:a:b", "username:A:b")),
    ],
)
def test_a_bare_name_may_be_any_of_an_app_s_identifiers(text, found):
    assert read_keys(text, ("uid", "email", "username")) == found
    assert read_keys(text)[0] == read_key(text)


@given(st.integers(-(10**39), 10**39))
def test_a_number_and_its_text_are_one_user(number):
    assert identifiers(number) == identifiers(str(number)) == identifiers({"id": number})


@given(USERS | TEXT | st.integers(-(10**30), 10**30), st.permutations(DEFAULT_ORDER).map(tuple))
def test_the_key_made_without_the_other_identifiers_is_the_same(user, order):
    assert key_of(user, order) == user_key(identifiers(user), order)
