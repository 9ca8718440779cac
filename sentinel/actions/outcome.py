"""How a delivery can fail, and after how long it is tried again."""

from __future__ import annotations

from sentinel.core.duration import HOUR, SECOND
from sentinel.core.errors import SentinelError

TRIES = 12
FIRST = 5 * SECOND
FACTOR = 4
LONGEST = 6 * HOUR


class DeliveryError(SentinelError):
    """It did not arrive. With `final` trying again cannot help.

    `after` is how many microseconds the receiver asks to be left alone, 0 where it does not say.
    """

    def __init__(self, message: str, hint: str | None = None, *, final: bool = False, after: int = 0) -> None:
        super().__init__(message, hint)
        self.final = final
        self.after = after


def backoff(tried: int, chance: float) -> int | None:
    """Return the microseconds to wait after so many failed tries, None where there were enough.

    It grows from 5 s by a factor of 4 to 6 h, twelve tries over about a day; `chance`, at least 0 and
    below 1, takes up to half of it away, so that a receiver that comes back is not met by everything at once.
    """
    if tried >= TRIES:
        return None
    whole = FIRST
    for _ in range(tried - 1):
        whole = min(whole * FACTOR, LONGEST)
    return whole - int(whole / 2 * chance)
