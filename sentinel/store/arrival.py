"""The identity and the position of an event that came in, the same in both stores.

Two events of one identity are the same event sent again. A position is a place in the order of arrival, in one integer:
the number of a row or a block, and the event's index in it.
"""

from __future__ import annotations

from sentinel.core.duration import DAY

BITS = 13
END = (1 << BITS) - 1

Identity = tuple[int | None, str]  # the UTC day of the timestamp as sent, None for none; the id


def identity(sent: int | None, id: str) -> Identity:
    """Return what tells a repeat from another event of the same app."""
    return (None if sent is None else sent // DAY, id)
