"""Numbers are told in digits, a whole one without a point."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.number import digits, finite, plural, whole


@pytest.mark.parametrize(
    ("value", "told", "apart"),
    [
        (10, "10", "10"),
        (10.0, "10", "10"),
        (1234567.0, "1234567", "1,234,567"),
        (1234567.5, "1234567.5", "1,234,567.5"),
        (0.1 + 0.2, "0.3", "0.3"),
        (0.9, "0.9", "0.9"),
        (-0.0, "0", "0"),
        (1e-9, "0", "0"),
        (100, "100", "100"),
    ],
)
def test_a_number_is_told_in_digits(value, told, apart):
    assert (digits(value), digits(value, ",")) == (told, apart)


@given(st.floats() | st.integers())
def test_what_is_whole_becomes_an_integer_and_no_value_changes(value):
    found = whole(value)
    assert found == value or value != value
    if abs(value) < 2**53:
        assert isinstance(found, int) == (value % 1 == 0)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
def test_what_is_past_every_number_is_none(value):
    assert finite(value) is None


@given(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_what_can_be_shown_stays_as_it_is(value):
    assert finite(value) is value


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_digits_are_read_as_the_number_they_were(value):
    assert "e" not in digits(value)
    assert float(digits(value)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("number", "told"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (-1, "-1 events")])
def test_one_of_something_has_a_word_of_its_own(number, told):
    assert f"{number} {plural(number, 'event')}" == told


def test_more_of_a_word_that_ends_in_s_is_a_word_still():
    assert [plural(number, "address") for number in (0, 1, 2)] == ["addresses", "address", "addresses"]
