"""What the functions of the language do. Their names, signatures and documentation are in functions.py.

Every one is pure and total: an argument that is unknown (None) or of the wrong kind gives None, none raises, and the
size of a result is bounded by that of the arguments.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone, tzinfo
from typing import Any

from sentinel.engine.kinds import LISTS, NUMBERS
from sentinel.engine.lists import ListValues, Networks
from sentinel.engine.operators import within

LONGEST = 1 << 16
_HOST = 253
_SCHEME = re.compile(r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//")
_FIRST = -62_135_424_000  # 0001-01-03T00:00Z: a day inside what every zone can show
_LAST = 253_402_128_000  # 9999-12-30T00:00Z
_THURSDAY = 3  # what 1970 began with


def _bounded(text: str) -> str | None:
    return text if len(text) <= LONGEST else None


def lower(text: Any) -> str | None:
    return _bounded(text.lower()) if text.__class__ is str else None


def upper(text: Any) -> str | None:
    return _bounded(text.upper()) if text.__class__ is str else None


def length(value: Any) -> int | None:
    return len(value) if value.__class__ is str or value.__class__ in LISTS else None


def contains(haystack: Any, needle: Any) -> bool | None:
    return within(needle, haystack)


def startswith(text: Any, prefix: Any) -> bool | None:
    return text.startswith(prefix) if text.__class__ is str and prefix.__class__ is str else None


def endswith(text: Any, suffix: Any) -> bool | None:
    return text.endswith(suffix) if text.__class__ is str and suffix.__class__ is str else None


def matches(text: Any, pattern: Any) -> bool | None:
    """`pattern` is a compiled RE2 pattern: its time is linear in the text."""
    if text.__class__ is not str:
        return None
    try:
        return pattern.search(text) is not None
    except UnicodeEncodeError:  # half of a surrogate pair is no character
        return None


def cidr(ip: Any, networks: Networks) -> bool | None:
    return networks.holds(ip) if ip.__class__ is str else None


def in_list(value: Any, values: ListValues) -> bool | None:
    return values.holds(value)


def domain(text: Any) -> str | None:
    """The host of a URL, the part of an e-mail address behind its last @, or the text itself if it is a host."""
    if text.__class__ is not str or len(text) > LONGEST:
        return None
    rest = _SCHEME.sub("", text.strip(), count=1)
    for end in "/?#\\":
        rest = rest.partition(end)[0]
    host = _without_port(rest.rpartition("@")[2]).rstrip(".").lower()
    return host if 0 < len(host) <= _HOST and not any(map(str.isspace, host)) else None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def hour(timestamp: Any, zone: tzinfo = timezone.utc) -> int | None:
    local = _local(timestamp, zone)
    return None if local is None else local // 3600 % 24


def weekday(timestamp: Any, zone: tzinfo = timezone.utc) -> int | None:
    local = _local(timestamp, zone)
    return None if local is None else (local // 86400 + _THURSDAY) % 7


def _local(timestamp: Any, zone: tzinfo) -> int | None:
    """Return the seconds since 1970 that a clock in the zone shows."""
    if timestamp.__class__ not in NUMBERS or not _FIRST <= timestamp < _LAST:
        return None
    seconds = math.floor(timestamp)
    if zone is timezone.utc:
        return seconds
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    return seconds + int(offset.total_seconds()) if offset is not None else seconds


def coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def number(value: Any) -> int | float | None:
    """A number as it is, or the one a text spells in plain decimal digits."""
    if value.__class__ in NUMBERS:
        return value if _is_finite(value) else None
    if value.__class__ is not str or len(value) > 32 or not value.isascii():
        return None
    try:
        return _spelled(value.strip())
    except ValueError:
        return None


def _spelled(text: str) -> int | float | None:
    if not text.lstrip("+-").replace(".", "", 1).isdigit():
        return None
    return float(text) if "." in text else int(text)


def absolute(value: Any) -> int | float | None:
    return abs(value) if value.__class__ in NUMBERS else None


def smallest(*values: Any) -> int | float | None:
    return min(values) if all(value.__class__ in NUMBERS for value in values) else None


def largest(*values: Any) -> int | float | None:
    return max(values) if all(value.__class__ in NUMBERS for value in values) else None


def rounded(value: Any) -> int | None:
    return round(value) if _is_finite(value) else None


def floored(value: Any) -> int | None:
    return math.floor(value) if _is_finite(value) else None


def _is_finite(value: Any) -> bool:
    return value.__class__ is int or (value.__class__ is float and math.isfinite(value))
