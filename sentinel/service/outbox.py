"""Deliver what commits left in the outbox: after the commit, with retries, given up visibly.

What a channel is and how it is reached is not known here. A delivery that a crash cut off is made again under the same
key.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from sentinel.core.bundle import Bound, Lane
from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError, fault
from sentinel.core.record import Delivery
from sentinel.service.figures import Figures
from sentinel.service.ports.findings import Outbox

AT_ONCE = 4  # of one channel, so that one that is slow holds up no other
LOT = 200
FULL = 2 * AT_ONCE  # of one channel, handed out and not yet over: then it is given no more
LOOK = 1.0  # seconds between two looks where nobody says that something is due
LONGEST_WAIT = DAY
PAUSE = 0.25  # seconds after a look at which something was folded: commits come faster in a flood
_BUSY = 5.0


class Channels(Protocol):
    """Where deliveries go."""

    def deliver(self, delivery: Delivery) -> None:
        """Deliver, or raise SentinelError with the reason.

        One whose `final` is true will never succeed; its `after` is how many microseconds to leave alone at least.
        """

    def wait(self, attempts: int) -> int | None:
        """Return how many microseconds to wait after so many attempts have failed; None gives up."""


class Courier:
    """One thread that looks, and a few for each channel that deliver.

    `mine` says whether this process may: one at a time does. `bounds` are those of channels: what comes above one is
    folded into a bundle.
    """

    def __init__(
        self, outbox: Outbox, channels: Channels, clock: Callable[[], int], figures: Figures,
        mine: Callable[[], bool] = lambda: True, fault: Callable[[BaseException], None] = lambda error: None,
        bounds: Mapping[str, Bound] | None = None,
    ) -> None:  # fmt: skip
        self._outbox = outbox
        self._channels = channels
        self._clock = clock
        self._figures = figures
        self._mine = mine
        self._fault = fault
        self._bounds = bounds or {}
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._under_way: dict[int, str | None] = {}
        self._pools: dict[str | None, ThreadPoolExecutor] = {}
        self._futures: set[Future[None]] = set()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="sentinel-outbox", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def hurry(self) -> None:
        """Look at once: something was committed."""
        self._wake.set()

    def stop(self, timeout: float = 5) -> None:
        """Begin no further delivery; those under way get `timeout` seconds, and are made again if that is too short."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        for pool in list(self._pools.values()):
            pool.shutdown(wait=False, cancel_futures=True)
        wait(list(self._futures), timeout)
        self._over = True

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            pause = LOOK
            try:
                if self._mine():
                    folded = self.settle()
                    self.round()
                    if folded:
                        self._stopped.wait(PAUSE)
            except SentinelError:
                pause = _BUSY  # the store will say so itself, louder
            except Exception as error:  # noqa: BLE001  a fault of ours must not end all deliveries
                self._fault(error)
                pause = _BUSY
            self._wake.wait(pause)

    def settle(self) -> int:
        """Decide which new deliveries go out alone; return how many were folded into bundles."""
        return sum(self._settle(lane) for lane in self._outbox.lanes(self._clock()))

    def _settle(self, lane: Lane) -> int:
        folded, more = 0, True
        while more and not self._stopped.is_set():
            try:
                settled = self._outbox.settle(lane, self._bounds.get(lane.channel), self._clock())
            except (LookupError, TypeError, ValueError) as error:  # of bodies that cannot be summed each is told
                self._fault(error)
                settled = self._outbox.settle(lane, None, self._clock())
            folded, more = folded + settled.folded, settled.more
        if folded:
            self._figures.count("sentinel_deliveries_bundled", lane.channel, by=folded)
        return folded

    def round(self) -> int:
        """Hand out what is due and is not under way, of no channel more than a lot; return how many."""
        handed, now = 0, self._clock()
        passed: set[str | None] = set()
        while not self._stopped.is_set():
            under_way = dict(self._under_way)  # before it is asked what is due: what is over by then is due no more
            waiting = Counter(under_way.values())
            full = passed | {channel for channel, number in waiting.items() if number >= FULL}
            limit = LOT + sum(number for channel, number in waiting.items() if channel not in full)
            due = self._outbox.due(now, limit, full)
            fresh = [one for one in due if one.id not in under_way]
            for delivery in fresh:
                self._hand_out(delivery)
            handed += len(fresh)
            if len(due) < limit:
                break
            passed |= {one.channel for one in due}
        return handed

    def _hand_out(self, delivery: Delivery) -> None:
        pool = self._pools.get(delivery.channel)
        if pool is None:
            pool = self._pools[delivery.channel] = ThreadPoolExecutor(AT_ONCE, "sentinel-delivery")
        self._under_way[delivery.id] = delivery.channel  # before it can be over
        future = pool.submit(self._deliver, delivery)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            if self._mine():  # asked again: of a server that was suspended meanwhile, another has taken over
                self._attempt(delivery)
        except SentinelError as error:  # the store is busy: it is due again at the next look
            self._figures.count("sentinel_deliveries", "unrecorded")
            self._fault(error)
        except Exception as error:  # noqa: BLE001  reported, and tried again
            self._fault(error)
        finally:
            self._under_way.pop(delivery.id, None)

    def _attempt(self, delivery: Delivery) -> None:
        try:
            self._channels.deliver(delivery)
        except SentinelError as error:
            pause = None if getattr(error, "final", False) else self._channels.wait(delivery.attempts + 1)
            asked = getattr(error, "after", 0)
            self._failed(delivery, str(error), None if pause is None else max(pause, min(asked, LONGEST_WAIT)))
        except Exception as error:  # noqa: BLE001  a channel's fault is a failed attempt like any other
            self._fault(error)
            self._failed(delivery, fault(error), self._channels.wait(delivery.attempts + 1))
        else:
            if self._over:  # nobody can note it any more
                return
            self._outbox.done(delivery.id, self._clock())
            self._figures.count("sentinel_deliveries", "delivered")

    def _failed(self, delivery: Delivery, error: str, pause: int | None) -> None:
        if self._over:
            return
        now = self._clock()
        self._outbox.failed(delivery.id, error, None if pause is None else now + pause)
        self._figures.count("sentinel_deliveries", "given up" if pause is None else "failed")
