"""What an event that came in is known by, in either store: its identity, and its position.

A repeat has the identity of an event before it. A position is a place in the order of arrival: the number of a row or
a block, and an event's index in it, in one integer.
"""

from __future__ import annotations

from sentinel.core.duration import DAY

BITS = 13
END = (1 << BITS) - 1

Identity = tuple[int | None, str]  # the UTC day of the timestamp as sent, None for none; the id


def identity(sent: int | None, id: str) -> Identity:
    """Return what tells a repeat from another event of the same app."""
    return (None if sent is None else sent // DAY, id)
