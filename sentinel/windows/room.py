"""How much memory the servers that hold windows have left, and who may make new groups where it is scarce."""

from __future__ import annotations

import time
from collections import Counter

from sentinel.windows.link import Link, fields

LOOK = 5.0  # seconds between two looks
CROWDED, FULL = 0.5, 0.9  # of the server's `maxmemory`
SOURCES = 100_000


def filled(link: Link) -> float:
    """Return how full the fullest server is: 1 is all of its `maxmemory`, 0 where none has any."""
    told = [fields(answer) for answer in link.everywhere("INFO", "memory")]
    parts = (int(one["used_memory"]) / int(one["maxmemory"]) for one in told if int(one.get("maxmemory", 0)))
    return max(parts, default=0.0)


class Room:
    """The room there is; where it is scarce, a source makes `per_source` groups at most."""

    def __init__(self, link: Link, per_source: int) -> None:
        self._link = link
        self._per_source = per_source
        self._filled = 0.0
        self._looked = -LOOK
        self._made: Counter[str] = Counter()

    def look(self) -> None:
        """Look how full the fullest server is, unless that was just done."""
        now = time.monotonic()
        if now < self._looked + LOOK:
            return
        self._looked = now
        self._filled = filled(self._link)
        if self._filled < CROWDED or len(self._made) > SOURCES:
            self._made.clear()

    def left(self, source: str | None) -> str:
        """Return what a script may do about a new group of a source.

        An empty text: make it. `made`: make it and say so, to be counted. `full`: refuse it.
        """
        if self._filled < CROWDED:
            return ""
        over = source is not None and self._made[source] >= self._per_source
        return "full" if over or self._filled >= FULL else "made"

    def made(self, source: str | None) -> None:
        """Count a group that a source made."""
        self._made[source or ""] += 1
