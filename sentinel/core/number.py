"""Numbers as people read them: `10`, never `10.0` or `1e+06`."""

from __future__ import annotations

import math

_EXACT = 1 << 53


def whole(value: float) -> int | float:
    """Return a number, as an integer where it is a whole one."""
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < _EXACT else value


def finite(value: float | None) -> float | None:
    """Return a number, None for what no JSON or chart can show: a sum of large ones may be past every number."""
    return value if value is None or math.isfinite(value) else None


def digits(value: float, apart: str = "") -> str:
    """Return a number in digits, with at most six behind the point; `apart` stands between thousands."""
    found = whole(round(value, 6))
    return f"{found:{apart}}" if isinstance(found, int) else f"{found:{apart}.6f}".rstrip("0").rstrip(".")


def plural(number: int, what: str) -> str:
    """Return the word for so many of something: `event` of one, else `events`; `address` and `addresses`."""
    return what if number == 1 else f"{what}es" if what.endswith("ss") else f"{what}s"
