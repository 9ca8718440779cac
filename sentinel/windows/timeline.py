"""A group's recent events in (time, id) order: what detectors that judge on arrival look back at."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

Kept = tuple[int, str, tuple[Any, ...]]


class Timeline:
    """Events of one group, the newest `most` of them at most."""

    __slots__ = ("hits",)

    def __init__(self, hits: list[Kept] | None = None) -> None:
        self.hits: list[Kept] = hits or []

    def index(self, at: int, id: str = "") -> int:
        """Return how many events stand before this place."""
        return bisect_left(self.hits, (at, id))

    def holds(self, at: int, id: str) -> bool:
        """Say whether this very event is kept."""
        index = self.index(at, id)
        return index < len(self.hits) and self.hits[index][:2] == (at, id)

    def add(self, hit: Kept, keep: int, most: int) -> int:
        """Add an event; forget what lies `keep` microseconds or more behind the newest. Return how many were over."""
        insort(self.hits, hit, key=lambda kept: kept[:2])
        stale = self.index(self.hits[-1][0] - keep + 1)
        over = max(0, len(self.hits) - stale - most)
        del self.hits[: stale + over]
        return over
