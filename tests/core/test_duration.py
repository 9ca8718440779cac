"""Durations: every text that is one, every hint for a text that is none, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.duration import DAY, HOUR, LONGEST, MINUTE, SECOND, UNITS, format_duration, parse_duration
from sentinel.core.errors import DurationError


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0s", 0),
        ("30s", 30 * SECOND),
        ("10m", 10 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("90m", 90 * MINUTE),
        ("7d", 7 * DAY),
        ("1d2h3m4s", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND),
        ("30m1h", 90 * MINUTE),
        ("0007s", 7 * SECOND),
        ("3650d", LONGEST),
    ],
)
def test_a_text_of_numbers_and_units_is_their_sum(text, micros):
    assert parse_duration(text) == micros


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10 m", "did you mean `10m`?"),
        ("10M", "did you mean `10m` or `300d`?"),
        ("1h 30m", "did you mean `1h30m`?"),
        ("5min", "did you mean `5m`?"),
        ("5 minutes", "did you mean `5m`?"),
        ("1hr", "did you mean `1h`?"),
        ("24 Hours", "did you mean `24h`?"),
        ("30secs", "did you mean `30s`?"),
        ("3days", "did you mean `3d`?"),
        ("2w", "did you mean `14d`?"),
        ("2 weeks", "did you mean `14d`?"),
        ("3 months", "did you mean `90d`?"),
        ("2mo", "did you mean `60d`?"),
        ("1y", "did you mean `365d`?"),
        ("15", "a unit is missing: `15s`, `15m`, `15h` or `15d`"),
        ("", "write a whole number and a unit"),
        ("m", "write a whole number and a unit"),
        ("-5m", "write a whole number and a unit"),
        ("1.5h", "write a whole number and a unit"),
        ("1e3s", "write a whole number and a unit"),
        ("forever", "write a whole number and a unit"),
        ("٣m", "write a whole number and a unit"),
        ("5m\n", "did you mean `5m`?"),
    ],
)
def test_a_text_that_is_none_is_refused_with_a_hint(text, hint):
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert caught.value.message == f"`{text}` is not a duration"
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize("text", ["3651d", "3650d1s", "999999999d", "1234567890s", "9" * 199 + "d"])
def test_more_than_ten_years_is_for_ever(text):
    with pytest.raises(DurationError, match=r"is longer than ten years \(write at most `3650d`\)"):
        parse_duration(text)
    with pytest.raises(DurationError, match=r"is longer than ten years \(write at most `3650d`, or `forever`\)"):
        parse_duration(text, endless=True)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0s"),
        (90 * MINUTE, "1h30m"),
        (HOUR - SECOND, "59m59s"),
        (DAY + SECOND, "1d1s"),
        (-MINUTE, "-1m"),
        (1, "0.000001s"),
        (SECOND + SECOND // 2, "1.5s"),
        (HOUR + SECOND // 4, "1h0.25s"),
        (-SECOND // 2, "-0.5s"),
    ],
)
def test_the_shortest_exact_text_is_written(micros, text):
    assert format_duration(micros) == text


@given(st.integers(0, LONGEST // SECOND).map(lambda seconds: seconds * SECOND))
def test_whole_seconds_written_and_read_are_themselves(micros):
    assert parse_duration(format_duration(micros)) == micros


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=6))
def test_parts_add_up_in_any_order(parts):
    """The longest sum of these is 6 × 999 d, so some are past ten years."""
    total = sum(number * UNITS[unit] for number, unit in parts)
    text = "".join(f"{number}{unit}" for number, unit in parts)
    if total <= LONGEST:
        assert parse_duration(text) == total
    else:
        with pytest.raises(DurationError):
            parse_duration(text)


@given(st.text(max_size=30))
def test_no_text_does_worse_than_be_refused(text):
    try:
        assert 0 <= parse_duration(text) <= LONGEST
    except DurationError as error:
        assert error.hint


@pytest.mark.parametrize("unit", ["m", "w", "week", ""])
def test_a_number_without_end_is_refused_in_few_words(unit):
    with pytest.raises(DurationError) as error:
        parse_duration("9" * 100_000 + unit)
    assert len(str(error.value)) < 200
