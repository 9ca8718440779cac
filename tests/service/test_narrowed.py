"""Conditions made by clicking: what they take of what was asked for, whatever was asked for and clicked on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core import event
from sentinel.engine.expression import compile_expression
from sentinel.service.search import clause, joined, literal, narrowed

QUERIES = (
    "", 'event == "a"', 'event == "a" or event == "b"', 'user == None if event == "a" else True', "# all\nTrue == True",
    'event == "a" # not "b"', 'event == " or "', 'not (event == "b")',
)  # fmt: skip
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=30)


def happened(name, value):
    properties = {} if value is None else {"x": value}
    return event.read({"event": name, "id": "e1", "timestamp": 1, "properties": properties}, received=1_000_000)


@given(st.sampled_from(QUERIES), VALUES, VALUES, st.sampled_from("ab"))
def test_only_and_without_part_what_was_asked_for(q, clicked, value, name):
    one = happened(name, value)
    if one.properties and one.properties.get("x") != value:
        return  # not kept as it was sent
    asked = compile_expression(q).matches(one) if q else True
    only = compile_expression(narrowed(q, "properties.x", clicked)).matches(one)
    without = compile_expression(narrowed(q, "properties.x", clicked, out=True)).matches(one)
    assert (only or without) == asked
    assert not (only and without)


@given(st.text(max_size=60))
def test_any_text_is_spelt_in_printable_characters_and_read_back(text):
    spelt = literal(text)
    assert spelt.isprintable()
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert compile_expression(f"properties.x == {spelt}").matches(happened("a", text or None)) is bool(text)


@pytest.mark.parametrize("value", ['"', "\\", '\\"', "\u202e", "\x1b]0;", "😀", "${x}", "\n"])
def test_texts_that_would_end_a_text_do_not(value):
    assert compile_expression(narrowed("", "properties.x", value)).matches(happened("a", value))
    assert not compile_expression(narrowed("", "properties.x", value)).matches(happened("a", "other"))


@pytest.mark.parametrize(
    ("path", "value", "inside", "asked"),
    [
        (("properties", "cart", "total"), 14, False, "properties.cart.total == 14"),
        (("properties", "cart", "gift"), True, False, "properties.cart.gift == True"),
        (("properties", "tags"), "vip", True, '"vip" in properties.tags'),
        (("user", "labels"), "vip", True, '"vip" in user.labels'),
        (("geo", "country"), "DE", False, 'geo.country == "DE"'),
        (("properties", "a.b"), "x", False, None),
        (("properties", "odd key"), "x", False, None),
        (("properties", "a-b"), "x", False, None),
        (("properties", "cart"), {"total": 14}, False, None),
        (("properties", "none"), None, False, None),
        (("properties", "huge"), 10**30, False, None),
        (("properties", "half"), "\ud800", False, None),
        (("timestamp",), "2026-03-09T02:13:00Z", False, None),
        (("received",), "2026-03-09T02:13:00Z", False, None),
        (("geo", "country"), "DE", True, None),
    ],
)
def test_a_value_of_an_event_is_asked_for_where_a_condition_can_name_it(path, value, inside, asked):
    assert clause(path, value, inside=inside) == asked
    if asked:
        compile_expression(joined("success or event == 'a' # why", asked))
