"""What tells an event that was sent again from another one, in stores and wherever files and tests are judged."""

from __future__ import annotations

from sentinel.core.duration import DAY

Identity = tuple[int | None, str]  # the UTC day of the timestamp as sent, None for none; the id


def identity(sent: int | None, id: str) -> Identity:
    """Return what tells a repeat from another event of the same app."""
    return (None if sent is None else sent // DAY, id)
