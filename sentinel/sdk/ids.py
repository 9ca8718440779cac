"""UUIDv7 for events: ordered by time, random enough to need no memory, the same after a fork.

Nothing here is kept between two calls, so no child repeats its parent's ids.
"""

from __future__ import annotations

import os


def new_id(milliseconds: int) -> str:
    """Return a UUIDv7 (RFC 9562) of a moment in milliseconds since 1970."""
    number = (milliseconds & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
