"""Time in buckets: whole minutes, hours, days, weeks or months of a time zone. What they count is not known here.

A bucket is known by its number. Minutes and hours are counted in UTC, all others by the zone's calendar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sentinel.core import moment
from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.errors import SentinelError
from sentinel.core.explore import INTERVALS, Interval

SIZES = {"minute": MINUTE, "hour": HOUR}
_NAME = re.compile(r"[A-Za-z0-9_+\-]{1,32}(?:/[A-Za-z0-9_+\-]{1,32}){0,2}")
_EPOCH = date(1970, 1, 1)
_LATEST = 221_845_392_000_000_000  # the year 9000


@dataclass(frozen=True, slots=True)
class Buckets:
    """`count` buckets in a time zone, the first of which has the number `first`."""

    interval: Interval
    zone: ZoneInfo
    first: int
    count: int

    def start(self, number: int) -> int:
        """Return when a bucket begins, in microseconds since 1970."""
        if self.interval in SIZES:
            return number * SIZES[self.interval]
        return _begin(_day(self.interval, number), self.zone)

    def starts(self, before: int = 0) -> tuple[int, ...]:
        """Return when each bucket begins, or with `before` each of the `count` buckets that lie so many earlier."""
        return tuple(self.start(number - before) for number in range(self.first, self.first + self.count))

    def end(self) -> int:
        """Return when the last bucket ends."""
        return self.start(self.first + self.count)


def buckets(interval: Interval, zone: str, since: int, until: int, most: int) -> Buckets:
    """Return the buckets that a period touches; raises SentinelError for a wrong zone or period, and for too many."""
    found = _zone(zone)
    if not 0 <= since < until <= _LATEST:
        raise SentinelError("`to`: not a period between 1970 and the year 9000")
    first, last = (_number(interval, found, at) for at in (since, until - 1))
    if last - first >= most:
        longer = INTERVALS[INTERVALS.index(interval) + 1 :]
        hint = f"ask for a shorter time, or by the {longer[0]}" if longer else "ask for a shorter time"
        raise SentinelError(f"`interval`: {last - first + 1:,} of one {interval} each are more than {most:,}", hint)
    return Buckets(interval, found, first, last - first + 1)


def offset(zone: ZoneInfo, at: int) -> int:
    """Return the microseconds by which a zone's clocks are ahead of UTC at a moment."""
    ahead = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone).utcoffset()
    assert ahead is not None
    return ahead // timedelta(microseconds=1)


def _zone(name: str) -> ZoneInfo:
    try:
        if _NAME.fullmatch(name):
            return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        pass
    raise SentinelError(f"`zone`: `{name[:64]}` is not a time zone", "such as `UTC` or `Europe/Berlin`")


def _number(interval: Interval, zone: ZoneInfo, at: int) -> int:
    if interval in SIZES:
        return at // SIZES[interval]
    day = (at + offset(zone, at)) // DAY
    if interval == "day":
        return day
    if interval == "week":
        return (day + 3) // 7  # the first Monday was the fifth day
    of = _EPOCH + timedelta(days=day)
    return of.year * 12 + of.month - 1


def _day(interval: Interval, number: int) -> date:
    if interval == "month":
        return date(number // 12, number % 12 + 1, 1)
    return _EPOCH + timedelta(days=number * 7 - 3 if interval == "week" else number)


def _begin(day: date, zone: ZoneInfo) -> int:
    """Return the moment at which a day begins; where clocks skip midnight, the moment at which they do."""
    return moment.from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))
