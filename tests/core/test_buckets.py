"""Buckets of time by the calendar of a zone. That SQL agrees is tested in `tests/store/test_explorer.py`."""

from __future__ import annotations

import pytest

from sentinel.core import moment
from sentinel.core.buckets import buckets
from sentinel.core.duration import HOUR
from sentinel.core.errors import SentinelError

AT = moment.parse("2026-03-29T10:20:30Z")  # a Sunday; clocks in Berlin went on by an hour at 01:00 UTC


@pytest.mark.parametrize(
    ("interval", "zone", "edges"),
    [
        ("minute", "Europe/Berlin", ("2026-03-29T10:19:00Z", "2026-03-29T10:20:00Z", "2026-03-29T10:21:00Z")),
        ("hour", "Asia/Kolkata", ("2026-03-29T09:00:00Z", "2026-03-29T10:00:00Z", "2026-03-29T11:00:00Z")),
        ("day", "UTC", ("2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z")),
        ("day", "Europe/Berlin", ("2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")),
        ("week", "Europe/Berlin", ("2026-03-15T23:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z")),
        ("month", "America/New_York", ("2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z")),
    ],
)
def test_the_bucket_of_a_moment_and_the_one_before_it_follow_the_zones_calendar(interval, zone, edges):
    over = buckets(interval, zone, AT, AT + 1, 1)
    assert tuple(map(moment.to_text, (*over.starts(before=1), *over.starts(), over.end()))) == edges


def test_a_period_has_every_bucket_that_it_touches():
    over = buckets("hour", "UTC", AT, moment.parse("2026-03-29T12:00:00.000001Z"), 10)
    assert [moment.to_text(at)[11:16] for at in over.starts()] == ["10:00", "11:00", "12:00"]
    assert buckets("hour", "UTC", AT, moment.parse("2026-03-29T12:00:00Z"), 10).count == 2


@pytest.mark.parametrize(
    ("zone", "length", "message"),
    [
        ("Mars/Olympus", 1, "`zone`: `Mars/Olympus` is not a time zone (such as `UTC` or `Europe/Berlin`)"),
        ("../etc/passwd", 1, "`zone`: `../etc/passwd` is not a time zone (such as `UTC` or `Europe/Berlin`)"),
        ("UTC", 0, "`to`: not a period between 1970 and the year 9000"),
        ("UTC", HOUR, "`interval`: 2 of one hour each are more than 1 (ask for a shorter time, or by the day)"),
    ],
)
def test_what_has_no_buckets_is_said_so(zone, length, message):
    with pytest.raises(SentinelError) as caught:
        buckets("hour", zone, AT, AT + length, 1)
    assert str(caught.value) == message
