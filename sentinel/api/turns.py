"""How much of the processors the questions of one key may take: few at once, and so many seconds of them.

A dashboard asks ten at a time and is answered; a stolen key that asks without end leaves room for the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sentinel.edge.access import Caller
from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets

AT_ONCE = 2  # of the places that the explorer has for everybody
WAITING = 32
PATIENCE = 20.0  # seconds to wait for a turn
RATE, BURST = 0.5, 120.0  # seconds of questions a second, and before that counts


class Turns:
    """Who asks now, by key, and how many seconds their questions took by a `clock` that never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent = Buckets(RATE, BURST, what="questions that take long")
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def of(self, caller: Caller) -> AsyncIterator[None]:
        """Let a key ask once it is its turn; raises ApiError where it asks too much.

        The server's own administrator waits for nobody.
        """
        if caller.server:
            yield
            return
        self._spent.ask(caller.key, self._clock())
        async with self._turn(caller.key):
            begun = self._clock()
            try:
                yield
            finally:
                self._spent.spend(caller.key, self._clock() - begun, self._clock())

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        line = self._lines.setdefault(key, _Line())
        if line.here >= AT_ONCE + WAITING:
            raise ApiError("rate_limited", "too many questions at once with this key", "try again in 1 s", 1)
        line.here += 1
        try:
            async with _within(PATIENCE, line.places):
                yield
        finally:
            line.here -= 1
            if not line.here:
                del self._lines[key]


class _Line:
    """Those who ask with one key: how many they are, and how many of them may."""

    def __init__(self) -> None:
        self.here = 0
        self.places = asyncio.Semaphore(AT_ONCE)


@asynccontextmanager
async def _within(patience: float, places: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        await asyncio.wait_for(places.acquire(), patience)
    except TimeoutError:
        raise ApiError("rate_limited", "too many questions at once with this key", "try again in 5 s", 5) from None
    try:
        yield
    finally:
        places.release()
