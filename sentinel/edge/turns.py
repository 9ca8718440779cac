"""How many expensive questions a key and an app may ask at once, and how many seconds their answers may take in all.

A dashboard that asks ten questions at a time gets all its answers; a stolen key that asks without end leaves room for
other keys, and an app with many keys leaves room for other apps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sentinel.edge.access import Caller
from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets

AT_ONCE = 2  # of one key, of the places that the explorer has for everybody
AT_ONCE_OF_APP = 3
WAITING = 32
PATIENCE = 20.0  # seconds to wait for a turn
RATE, BURST = 0.5, 120.0  # seconds of questions per second, and how many at first; an app has twice of both
_WHAT = "questions that take long"
_Whose = tuple[str, str]  # `key` or `app`, and which


class Turns:
    """Who asks now, by key and app, and how many seconds their questions took; `clock` gives steady seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of_keys = Buckets(RATE, BURST, what=_WHAT)
        self._of_apps = Buckets(2 * RATE, 2 * BURST, what=_WHAT)
        self._lines: dict[_Whose, _Line] = {}

    @asynccontextmanager
    async def of(self, caller: Caller) -> AsyncIterator[None]:
        """Let a key ask once it is its turn and its app's; raises ApiError where either asks too much.

        The server's own administrator waits for nobody.
        """
        if caller.server:
            yield
            return
        spent = ((self._of_keys, caller.key), (self._of_apps, caller.app))
        for buckets, name in spent:
            buckets.ask(name, self._clock())
        async with self._turn(("key", caller.key), AT_ONCE), self._turn(("app", caller.app), AT_ONCE_OF_APP):
            begun = self._clock()
            try:
                yield
            finally:
                for buckets, name in spent:
                    buckets.spend(name, self._clock() - begun, self._clock())

    @asynccontextmanager
    async def _turn(self, whose: _Whose, at_once: int) -> AsyncIterator[None]:
        line = self._lines.setdefault(whose, _Line(at_once))
        if line.here >= at_once + WAITING:
            raise _too_many(whose, 1)
        line.here += 1
        try:
            async with _within(PATIENCE, line.places, whose):
                yield
        finally:
            line.here -= 1
            if not line.here:
                del self._lines[whose]


class _Line:
    """Those who ask with one key, or of one app: how many they are, and how many of them may."""

    def __init__(self, at_once: int) -> None:
        self.here = 0
        self.places = asyncio.Semaphore(at_once)


def _too_many(whose: _Whose, after: int) -> ApiError:
    by = "with this key" if whose[0] == "key" else "by the keys of this app"
    return ApiError("rate_limited", f"too many questions at once {by}", f"try again in {after} s", after)


@asynccontextmanager
async def _within(patience: float, places: asyncio.Semaphore, whose: _Whose) -> AsyncIterator[None]:
    try:
        await asyncio.wait_for(places.acquire(), patience)
    except TimeoutError:
        raise _too_many(whose, 5) from None
    try:
        yield
    finally:
        places.release()
