"""Events that wait to be sent: bounded in number and size, oldest dropped first, every drop counted by reason.

Putting never blocks and never raises; how events are sent is in `transport`.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Clock = Callable[[], float]


class Request(dict[str, Any]):
    """What events say of their request; `over` once it has its status, or ended without one."""

    __slots__ = ("over",)

    def __init__(self, said: Mapping[str, Any], over: bool = False) -> None:
        super().__init__(said)
        self.over = over


class Item(NamedTuple):
    """An event, its size in characters, its number in the order of calls, and when it came (monotonic seconds).

    `request` is what it says of its request, where it waits (never for long) for that to be answered.
    """

    event: dict[str, Any]
    size: int
    number: int
    came: float
    request: Request | None = None  # and not the request itself, which is large and would stay for as long


class Buffer:
    """A queue between the callers and the one sender."""

    def __init__(self, size: int, bytes_: int, flush_count: int, flush_interval: float) -> None:
        self._size = size
        self._bytes = bytes_
        self._flush_count = flush_count
        self._flush_interval = flush_interval
        # Re-entrant: a signal handler or a finaliser may track while its own thread is in here.
        self._changed = threading.Condition(threading.RLock())
        self._items: deque[Item] = deque()
        self._held = 0
        self._last = 0
        self._flying: dict[int, Item] = {}
        self._urgent = False
        self._all = False
        self._closed = False
        self._failures = 0
        self.dropped: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._items)

    def put(
        self,
        event: dict[str, Any],
        size: int,
        now: float,
        urgent: bool = False,
        request: Request | None = None,
    ) -> None:
        """Add an event; make room by dropping the oldest."""
        with self._changed:
            self._last += 1
            self._items.append(Item(event, size, self._last, now, request))
            self._held += size
            while len(self._items) > self._size or (self._held > self._bytes and len(self._items) > 1):
                self._drop_oldest()
            self._urgent = self._urgent or urgent
            if urgent or len(self._items) in (1, self._flush_count):
                self._changed.notify_all()

    def has_room(self) -> bool:
        """Say whether another event would push none out."""
        return len(self._items) < self._size and self._held < self._bytes

    def hurry(self, all_: bool = False) -> None:
        """Have what waits sent now; with `all_` also events whose requests are still under way."""
        with self._changed:
            if self._items:
                self._urgent = True
                self._all = self._all or all_
            self._changed.notify_all()

    def take(self, most: int, clock: Clock, until: float = math.inf) -> list[Item]:
        """Wait until events are due and return them, at most `most`.

        Returns none once the buffer is closed and empty, or at `until`, a moment of `clock`.
        """
        with self._changed:
            while True:
                now = clock()
                taken = self._ready(most, now) if self._closed or self._due(now) else []
                if taken or self._closed or now >= until:
                    break
                self._changed.wait(self._until_due(now, until))
            self._held -= sum(item.size for item in taken)
            self._flying.update((item.number, item) for item in taken)
            more = len(taken) >= most and bool(self._items)
            self._urgent, self._all = self._urgent and more, self._all and bool(self._items)
            return taken

    def settle(self, items: list[Item], dropped: str | None = None) -> None:
        """Note that events left the sender's hands: sent, or dropped for a reason."""
        with self._changed:
            if dropped is not None:
                self.dropped[dropped] += len(items)
            for item in items:
                self._flying.pop(item.number, None)
            self._changed.notify_all()

    def drop(self, reason: str) -> None:
        """Count an event that never got in."""
        with self._changed:
            self.dropped[reason] += 1

    def untold(self) -> Counter[str]:
        """Return what was dropped since the last call, by reason; the caller is the one to report it."""
        with self._changed:
            news = self.dropped - self._told
            self._told = self.dropped.copy()
            return news

    def failed(self) -> None:
        """Note that nobody could be reached."""
        with self._changed:
            self._failures += 1
            self._changed.notify_all()

    def wait_settled(self, until: float, clock: Clock, once: bool = False) -> bool:
        """Wait until all that is in the buffer now has left it, or until a moment of `clock`; say whether it has.

        With `once`, the wait ends at the first attempt that reaches nobody.
        """
        with self._changed:
            target, failures = self._last, self._failures
            self.hurry(all_=True)
            while self._oldest() <= target:
                left = until - clock()
                if left <= 0 or (once and self._failures > failures):
                    return False
                self._changed.wait(left)
            return True

    def close(self) -> None:
        """Let `take` return what is left without waiting, then nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def events(self) -> list[dict[str, Any]]:
        """Return the events that wait, oldest first."""
        with self._changed:
            return [item.event for item in self._items]

    def empty(self) -> list[Item]:
        """Take everything out at once, what is under way included."""
        with self._changed:
            items = [*self._flying.values(), *self._items]
            self._items.clear()
            self._flying.clear()
            self._held = 0
            self._changed.notify_all()
            return items

    def _due(self, now: float) -> bool:
        if not self._items:
            return False
        if self._urgent or len(self._items) >= self._flush_count:
            return True
        return now - self._items[0].came >= self._flush_interval

    def _until_due(self, now: float, until: float) -> float | None:
        due = min(self._items[0].came + self._flush_interval if self._items else math.inf, until)
        return None if due == math.inf else max(due - now, 0.001)

    def _ready(self, most: int, now: float) -> list[Item]:
        """Take out what may go, oldest first; events of a request under way stay, for a flush interval at most."""
        everything = self._closed or self._all
        taken: list[Item] = []
        stay: list[Item] = []
        while self._items and len(taken) < most:
            item = self._items.popleft()
            under_way = item.request is not None and not item.request.over
            wait = under_way and not everything and now - item.came < self._flush_interval
            (stay if wait else taken).append(item)
        self._items.extendleft(reversed(stay))
        return taken

    def _drop_oldest(self) -> None:
        gone = self._items.popleft()
        self._held -= gone.size
        self.dropped["full"] += 1

    def _oldest(self) -> float:
        waiting = self._items[0].number if self._items else math.inf
        return min(waiting, *self._flying) if self._flying else waiting
