"""Durations: `10m` in files, integer microseconds inside."""

from __future__ import annotations

import re

from sentinel.core.errors import DurationError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONGEST = 3650 * DAY
ENDLESS = "forever"  # how a length without an end is written

UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_MOST = 200  # characters: a message repeats them
_PARTS = re.compile(r"(?:[0-9]+[smhd])+", re.ASCII)
_PART = re.compile(r"([0-9]+)([smhd])", re.ASCII)
_HINT = "write a whole number and a unit, such as `30s`, `10m`, `1h30m`, `7d`"


def parse_duration(text: str, endless: bool = False) -> int:
    """Return the microseconds of a text such as `90s`, `10m`, `1h30m` or `7d`; zero is `0s`.

    `endless` says that the caller takes `forever` as well: the hint for what is too long names it.
    """
    if len(text) > _MOST:
        raise DurationError(f"`{text[:20]}…` is not a duration", _HINT)
    if not _PARTS.fullmatch(text):
        raise DurationError(f"`{text}` is not a duration", _suggestion(text))
    total = sum(int(number) * UNITS[unit] for number, unit in _PART.findall(text))
    if total > LONGEST:
        most = "write at most `3650d`"
        raise DurationError(f"`{text}` is longer than ten years", f"{most}, or `{ENDLESS}`" if endless else most)
    return total


def format_duration(micros: int) -> str:
    """Write microseconds as the shortest exact text: `90m` becomes `1h30m`; below a second as a decimal."""
    if micros == 0:
        return "0s"
    sign, rest = ("-", -micros) if micros < 0 else ("", micros)
    parts = []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        if unit == "s" and rest:
            parts.append(f"{count + rest / SECOND:.6f}".rstrip("0") + "s")
        elif count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)


def _suggestion(text: str) -> str:
    compact = re.sub(r"\s+", "", text.lower())
    month = re.fullmatch(r"([0-9]{1,3})(M|mo|months?)", text.replace(" ", ""))
    if month:
        return f"did you mean `{month[1]}m` or `{int(month[1]) * 30}d`?" if month[2] == "M" else _days(month[1], 30)
    words = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hr": "h", "hour": "h", "day": "d"}
    match = re.fullmatch(r"([0-9]+)([a-z]+?)s?", compact)
    if match and (unit := words.get(match[2])):
        return f"did you mean `{match[1]}{unit}`?"
    if _PARTS.fullmatch(compact):
        return f"did you mean `{compact}`?"
    if re.fullmatch(r"[0-9]+", compact):
        return f"a unit is missing: `{compact}s`, `{compact}m`, `{compact}h` or `{compact}d`"
    if match and match[2] in ("w", "week"):
        return _days(match[1], 7)
    if match and match[2] in ("y", "year"):
        return _days(match[1], 365)
    return _HINT


def _days(number: str, days: int) -> str:
    return f"did you mean `{int(number) * days}d`?"
