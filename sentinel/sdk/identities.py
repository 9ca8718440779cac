"""Which users were reported to the server lately: `identify` is called with every request, but need not send it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

_AGAIN = 3600.0  # seconds
_MOST = 10_000


class Recent:
    """Remembers a bounded number of users and what was said of them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._told: OrderedDict[int, float] = OrderedDict()  # for a plain one seeks its first key for long

    def is_news(self, found: Mapping[str, str], traits: Mapping[str, Any] | None, now: float) -> bool:
        """Say whether these identifiers and traits were not told within the hour, and note that they are now."""
        key = hash((tuple(sorted(found.items())), repr(sorted(traits.items(), key=str)) if traits else None))
        with self._lock:
            told = self._told.get(key)
            if told is not None and now - told < _AGAIN:
                return False
            self._told.pop(key, None)
            if len(self._told) >= _MOST:
                self._told.popitem(last=False)
            self._told[key] = now
            return True
