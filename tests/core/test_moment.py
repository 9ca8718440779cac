"""Moments: what is read as a time, what is not, and that nothing is lost on the way to text and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import EventError
from sentinel.core.moment import from_datetime, parse, to_text

SECOND = 1_000_000
AT = 1_790_000_000 * SECOND
MOMENTS = st.integers(0, 253_402_300_799 * SECOND + 999_999)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2026-09-21T14:13:20Z", AT),
        ("2026-09-21T14:13:20", AT),
        ("2026-09-21 14:13:20", AT),
        ("2026-09-21t14:13:20Z", AT),
        ("2026-09-21t14:13:20z", AT),
        ("2026-09-21T14:13:20.5z", AT + 500_000),
        ("2026-09-21T14:13:20+00:00", AT),
        ("2026-09-21T16:13:20+02:00", AT),
        ("2026-09-21T04:43:20-09:30", AT),
        ("2026-09-22T00:13:20+10:00", AT),
        ("20260921T141320Z", AT),
        ("2026-09-21T14:13:20.5Z", AT + 500_000),
        ("2026-09-21T14:13:20,25Z", AT + 250_000),
        ("2026-09-21T14:13:20.123Z", AT + 123_000),
        ("2026-09-21T14:13:20.123456Z", AT + 123_456),
        ("2026-09-21T14:13:20.123456789Z", AT + 123_456),
        ("2026-09-21T14:13:20.123456+02:00", AT + 123_456 - 7200 * SECOND),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * SECOND),
        ("2016-12-31t23:59:60z", 1_483_228_800 * SECOND),
        ("2016-12-31T23:59:60.25Z", 1_483_228_800 * SECOND + 250_000),
        ("2016-12-31T15:59:60-08:00", 1_483_228_800 * SECOND),
        ("2017-01-01T05:29:60+05:30", 1_483_228_800 * SECOND),
        ("2026-09-21T14:13Z", AT - 20 * SECOND),
        ("2026-09-21", AT - (14 * 3600 + 13 * 60 + 20) * SECOND),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799 * SECOND + 999_999),
    ],
)
def test_a_text_is_read_as_the_moment_it_names(text, micros):
    assert parse(text) == micros


@pytest.mark.parametrize(
    ("number", "micros"),
    [
        (0, 0),
        (0.000001, 1),
        (1_790_000_000, AT),
        (1_790_000_000.25, AT + 250_000),
        (1_790_000_000.1234567, AT + 123_457),
        (99_999_999_999, 99_999_999_999 * SECOND),
    ],
)
def test_a_number_is_seconds_since_1970(number, micros):
    assert parse(number) == micros


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yesterday at noon", "`timestamp`: `yesterday at noon` is not a time"),
        ("", "`timestamp`: `` is not a time"),
        ("2026", "`timestamp`: `2026` is not a time"),
        ("20260921", "`timestamp`: `20260921` is not a time"),
        ("1790000000", "`timestamp`: `1790000000` is not a time"),
        ("2026-02-30T00:00:00Z", "`timestamp`: `2026-02-30T00:00:00Z` is not a time"),
        ("2026-09-21T24:00:01Z", "`timestamp`: `2026-09-21T24:00:01Z` is not a time"),
        ("2026-09-21T14:13:60Z", "`timestamp`: `2026-09-21T14:13:60Z` is not a time"),
        ("2016-12-30T23:59:60Z", "`timestamp`: `2016-12-30T23:59:60Z` is not a time"),
        ("2016-12-31T22:59:60Z", "`timestamp`: `2016-12-31T22:59:60Z` is not a time"),
        ("2016-12-31T23:59:60-08:00", "`timestamp`: `2016-12-31T23:59:60-08:00` is not a time"),
        ("2016-12-31T23:59:61Z", "`timestamp`: `2016-12-31T23:59:61Z` is not a time"),
        ("1970-01-01T00:00:60Z", "`timestamp`: `1970-01-01T00:00:60Z` is not a time"),
        ("2016-13-31T23:59:60Z", "`timestamp`: `2016-13-31T23:59:60Z` is not a time"),
        ("9999-12-31T23:59:60Z", "`timestamp`: `9999-12-31T23:59:60Z` lies before 1970 or after the year 9999"),
        ("2026-09-21T14:13:20+25:00", "`timestamp`: `2026-09-21T14:13:20+25:00` is not a time"),
        ("0001-01-01T00:00:00+14:00", "`timestamp`: `0001-01-01T00:00:00+14:00` lies before 1970"),
        ("1969-12-31T23:59:59.999999Z", "`timestamp`: `1969-12-31T23:59:59.999999Z` lies before 1970"),
        ("9999-12-31T23:59:59-01:00", "`timestamp`: `9999-12-31T23:59:59-01:00` lies before 1970 or after"),
        ("2" * 41, "`timestamp`: `" + "2" * 40 + "` is not a time"),
        (-1, "`timestamp`: `-1` lies before 1970 or after the year 9999"),
        (-0.000001, "`timestamp`: `-1e-06` lies before 1970 or after the year 9999"),
        (1_790_000_000_000, "`timestamp`: `1790000000000` lies past the year 5000 (seconds, not milliseconds"),
        (10**400, "`timestamp`: not a finite number of seconds"),
        (float("nan"), "`timestamp`: not a finite number of seconds"),
        (float("inf"), "`timestamp`: not a finite number of seconds"),
        (float("-inf"), "`timestamp`: not a finite number of seconds"),
        (True, "`timestamp`: neither a text nor a number"),
        (None, "`timestamp`: neither a text nor a number"),
        ([], "`timestamp`: neither a text nor a number"),
    ],
)
def test_what_names_no_moment_is_refused_and_says_why(value, message):
    with pytest.raises(EventError) as caught:
        parse(value)
    assert str(caught.value).startswith(message)
    assert caught.value.field == "timestamp"


@given(st.text(max_size=60) | st.from_regex(r"[0-9TZ:.+ -]{8,30}", fullmatch=True))
def test_no_text_does_worse_than_be_refused(text):
    try:
        assert 0 <= parse(text) < 253_402_300_800 * SECOND
    except EventError as error:
        assert error.hint


@given(MOMENTS)
def test_a_moment_written_and_read_is_itself(at):
    assert parse(to_text(at)) == at


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_zone_changes_the_text_and_not_the_moment(at, minutes):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    try:
        text = moment.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    except OverflowError:
        return
    assert parse(text) == at


@given(st.lists(MOMENTS.map(lambda at: at // SECOND * SECOND), min_size=2))
def test_texts_of_whole_seconds_sort_as_their_moments(moments):
    assert [parse(text) for text in sorted(map(to_text, moments))] == sorted(moments)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (AT, "2026-09-21T14:13:20Z"),
        (AT + 1, "2026-09-21T14:13:20.000001Z"),
        (AT + 1000, "2026-09-21T14:13:20.001Z"),
        (AT + 120_000, "2026-09-21T14:13:20.120Z"),
        (AT + 999_999, "2026-09-21T14:13:20.999999Z"),
    ],
)
def test_a_text_has_no_more_decimals_than_three_or_six(micros, text):
    assert to_text(micros) == text


def test_a_datetime_without_a_zone_is_utc():
    assert from_datetime(datetime(2026, 9, 21, 14, 13, 20)) == from_datetime(  # noqa: DTZ001
        datetime(2026, 9, 21, 16, 13, 20, tzinfo=timezone(timedelta(hours=2)))
    )
