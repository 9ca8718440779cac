"""Write the engine's memory as lines of JSON, and read it back, a part at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeVar

PART = 500  # groups, or tables of what is familiar, at a time: that takes milliseconds, for which events wait

K = TypeVar("K")


def parts(of: Sequence[K]) -> Iterator[Sequence[K]]:
    """Give some at a time, so that whoever writes all of it down holds up nobody for long."""
    return (of[start : start + PART] for start in range(0, len(of), PART))


def line(value: object) -> bytes:
    """Return a value as one line."""
    return json.dumps(value, separators=(",", ":")).encode()
