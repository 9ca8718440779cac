"""Streams that wait for news: any thread says that something is new, and the streams concerned wake on the event loop.

A stream ends with its key or its session. What it then sends is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence

from sentinel.edge.errors import ApiError

AT_ONCE = {"events": (8, 32), "exports": (2, 4)}  # of one key or account, and of an app: each looks at every event
MOST_SEATS = 20_000
MERCY = 2.0  # seconds a stream that was ended has to say goodbye
SWEEP = 1.0  # seconds between two looks at who may still listen


class Seat:
    """One stream's place, as long as its secret opens something and it is `alive`. `ended` is final."""

    __slots__ = ("_task", "_waiter", "alive", "by", "ended", "secret")

    def __init__(
        self, secret: str, by: str, alive: Callable[[], bool] | None, task: asyncio.Task[object] | None
    ) -> None:  # fmt: skip
        self.secret = secret
        self.by = by
        self.alive = alive
        self.ended = False
        self._task = task
        self._waiter: asyncio.Future[bool] | None = None

    async def wait(self, seconds: float) -> bool:
        """Wait until something is new or the time is over; say whether something is."""
        if self.ended:
            return False
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        timer = loop.call_later(seconds, _settle, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def wake(self) -> None:
        """End a wait."""
        if self._waiter is not None:
            _settle(self._waiter, True)

    def end(self) -> None:
        """End the stream: by itself if it can, else by force after MERCY."""
        if not self.ended:
            self.ended = True
            self.wake()
            if self._task is not None:
                asyncio.get_running_loop().call_later(MERCY, self._force)

    def leave(self) -> None:
        """Note that the stream is over."""
        self._task = None

    def _force(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Hub:
    """All seats of this process. `valid` says whether a secret still opens anything."""

    def __init__(self, valid: Callable[[str], bool]) -> None:
        self._valid = valid
        self._seats: dict[tuple[str, str], set[Seat]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._sweeper: asyncio.Task[None] | None = None
        self._sweeps: set[asyncio.Future[None]] = set()

    def open(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._sweeper = self._loop.create_task(self._sweep_for_ever())

    def close(self) -> None:
        """End every stream and take no more; on the loop."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for seat in self._all():
            seat.end()

    @contextlib.contextmanager
    def seat(
        self, topic: str, app: str, secret: str, by: str = "", alive: Callable[[], bool] | None = None
    ) -> Iterator[Seat]:
        """Give a stream its place while it lasts; `by` is the key or account that opened it.

        It ends when the secret opens nothing any more, or `alive` says no. Raises ApiError where too many are open.
        """
        if self._closed:
            raise ApiError("unavailable", "the server is stopping", "try again", 5)
        if self.count() >= MOST_SEATS:
            raise ApiError("unavailable", "too many streams are open", "poll instead, or try again", 30)
        of_one, of_app = AT_ONCE.get(topic, (MOST_SEATS, MOST_SEATS))
        seats = self._seats.get((topic, app), set())
        if len(seats) >= of_app or (len(seats) >= of_one and sum(one.by == by for one in seats) >= of_one):
            raise ApiError("rate_limited", f"too many streams of {topic} are open", "end one, or try again in 10 s", 10)
        seat = Seat(secret, by, alive, asyncio.current_task())
        self._seats[topic, app] = seats
        seats.add(seat)
        try:
            yield seat
        except asyncio.CancelledError:
            if not seat.ended:
                raise
        finally:
            seat.leave()
            seats.discard(seat)
            if not seats:
                self._seats.pop((topic, app), None)

    def tell(self, topic: str, app: str) -> None:
        """Wake the seats of an app's topic; from any thread, at any time."""
        loop = self._loop
        if loop is not None and (topic, app) in self._seats:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._wake, topic, app)

    def tell_all(self) -> None:
        """Wake every seat and look at every key; from any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._sweep_soon)

    def count(self, topic: str | None = None, app: str | None = None) -> int:
        """Return how many streams are open."""
        found = list(self._seats.items())
        return sum(len(seats) for (t, a), seats in found if topic in (None, t) and app in (None, a))

    async def sweep(self) -> None:
        """End the streams of who may not listen any more, and wake the others: they look whether anything is new."""
        seats = self._all()
        over = await asyncio.to_thread(self._over, seats) if seats else set()  # a store may hang
        for seat in self._all():
            if seat in over:
                seat.end()
            else:
                seat.wake()

    def _over(self, seats: Sequence[Seat]) -> set[Seat]:
        revoked = {secret for secret in {seat.secret for seat in seats} if not self._valid(secret)}
        return {seat for seat in seats if seat.secret in revoked or (seat.alive is not None and not seat.alive())}

    def _sweep_soon(self) -> None:
        sweeping = asyncio.ensure_future(self.sweep())
        self._sweeps.add(sweeping)
        sweeping.add_done_callback(self._sweeps.discard)

    def _wake(self, topic: str, app: str) -> None:
        for seat in self._seats.get((topic, app), ()):
            seat.wake()

    def _all(self) -> list[Seat]:
        return [seat for seats in self._seats.values() for seat in seats]

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            await self.sweep()


def _settle(waiter: asyncio.Future[bool], news: bool) -> None:
    if not waiter.done():
        waiter.set_result(news)
