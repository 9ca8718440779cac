"""UUIDv7 for events: ordered by time, random enough to need no memory, the same after a fork.

Nothing here is kept between two calls, so no child repeats its parent's ids.
"""

from __future__ import annotations

import os

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # the two bits that say RFC 9562


def new_id(milliseconds: int) -> str:
    """Return a UUIDv7 (RFC 9562) of a moment in milliseconds since 1970."""
    time, chance = f"{milliseconds & 0xFFFFFFFFFFFF:012x}", os.urandom(10).hex()
    variant = _VARIANT[chance[3]]
    return f"{time[:8]}-{time[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
