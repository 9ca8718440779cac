"""UUIDv7 for events and decisions: ordered by time, and unique without any shared state.

The caller brings the random bytes, fresh from the system for each id, so that a forked process never repeats an id.
"""

from __future__ import annotations

CHANCE = 10  # random bytes of one id
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # the two bits that say RFC 9562


def new_id(milliseconds: int, random: bytes) -> str:
    """Return a UUIDv7 (RFC 9562) of a moment in milliseconds since 1970, with CHANCE random bytes."""
    time, chance = f"{milliseconds & 0xFFFFFFFFFFFF:012x}", random.hex()
    variant = _VARIANT[chance[3]]
    return f"{time[:8]}-{time[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
