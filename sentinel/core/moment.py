"""Points in time: RFC 3339 on the wire, integer microseconds since the Unix epoch inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NoReturn

from sentinel.core.errors import EventError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = 253_402_300_800_000_000  # the year 10000
_LEAP = re.compile(r"(.{11}\d\d:\d\d:)60(.*)", re.ASCII)
_HINT = "write `2026-11-20T21:30:00Z` or seconds since 1970"


def from_datetime(moment: datetime) -> int:
    """Return the microseconds of a datetime; one without a zone is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def to_text(at: int) -> str:
    """Return RFC 3339 in UTC with as many decimals as needed: none, three or six."""
    seconds, micros = divmod(at, 1_000_000)
    base = _second_text(seconds)
    if not micros:
        return base + "Z"
    return f"{base}.{micros // 1000:03d}Z" if micros % 1000 == 0 else f"{base}.{micros:06d}Z"


def parse(value: object) -> int:
    """Return the microseconds of an RFC 3339 text or of epoch seconds; raises EventError naming `timestamp`.

    A leap second is the one after it, as in the time of Unix.
    """
    if type(value) is not str:
        return _parse_number(value)
    if not 10 <= len(value) <= 40:
        raise EventError("timestamp", f"`{value[:40]}` is not a time", _HINT)
    try:
        moment = datetime.fromisoformat(value)
        at = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        if value.endswith("z"):  # RFC 3339 has it in both cases
            return parse(f"{value[:-1]}Z")
        leap = _leap_second(value)
        if leap is None:
            raise EventError("timestamp", f"`{value}` is not a time", _HINT) from None
        at = leap
    return at if 0 <= at < _LAST else _refuse(value)


def _leap_second(value: str) -> int | None:
    """Return the second after a leap second, None for what is none: there is one only where a month ends in UTC."""
    found = _LEAP.fullmatch(value)
    try:
        at = parse(f"{found[1]}59{found[2]}") + 1_000_000 if found else 0
    except EventError:
        return None
    month_begins = at >= _LAST or _second_text(at // 1_000_000).endswith("-01T00:00:00")
    return at if found and month_begins else None


def _parse_number(seconds: object) -> int:
    if type(seconds) is not int and type(seconds) is not float:
        raise EventError("timestamp", "neither a text nor a number", _HINT)
    if not -1e15 < seconds < 1e15:  # also false for NaN
        raise EventError("timestamp", "not a finite number of seconds", _HINT)
    if abs(seconds) > 1e11:
        raise EventError("timestamp", f"`{seconds}` lies past the year 5000", "seconds, not milliseconds, since 1970")
    at = round(seconds * 1_000_000)
    return at if 0 <= at < _LAST else _refuse(seconds)


def _refuse(value: object) -> NoReturn:
    raise EventError("timestamp", f"`{value}` lies before 1970 or after the year 9999", _HINT)


@lru_cache(maxsize=1 << 12)
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
