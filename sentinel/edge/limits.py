"""Rate limits for each app, and for each address that browsers send from: token buckets that may go into debt.

The cost of a request is known only once it was read: a bucket that is not empty lets a request in whole, and the debt
keeps the next ones out.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from sentinel.edge.errors import ApiError

MOST_BUCKETS = 20_000


class Buckets:
    """One bucket a key, refilled at `rate` a second up to `size`; the least recently used are forgotten.

    `what` is what there was too much of, as a refusal says it.
    """

    def __init__(self, rate: float, size: float, most: int = MOST_BUCKETS, what: str = "events") -> None:
        self.rate = rate
        self.size = size
        self._most = most
        self._what = what
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def ask(self, key: str, now: float) -> None:
        """Raise the refusal if the bucket is empty at `now`, in seconds of a steady clock."""
        level = self._level(key, now)
        if level <= 0:
            wait = max(1, math.ceil((1 - level) / self.rate))
            raise ApiError("rate_limited", f"too many {self._what}", f"try again in {wait} s", wait)

    def spend(self, key: str, cost: float, now: float) -> None:
        """Take what a request cost."""
        self._kept[key] = (self._level(key, now) - cost, now)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def _level(self, key: str, now: float) -> float:
        level, then = self._kept.get(key, (self.size, now))
        return min(self.size, level + (now - then) * self.rate)
