"""A bounded cache of what was made from a key. It is bounded because senders choose the keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(dict[K, V]):
    """What `make` returns for each key, made when it is first asked for.

    Past `most` keys those not asked for again are dropped. No order of use is kept: where there are many keys, that
    takes longer than finding one.
    """

    __slots__ = ("_before", "_make", "_most")

    def __init__(self, make: Callable[[K], V], most: int) -> None:
        super().__init__()
        self._before: dict[K, V] = {}
        self._make = make
        self._most = most

    def __missing__(self, key: K) -> V:
        if len(self) >= self._most:
            self._before = dict(self)
            self.clear()
        made = self[key] = self._before[key] if key in self._before else self._make(key)
        return made
