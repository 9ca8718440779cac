"""The one way by which events reach the writer thread: many senders, one commit.

Whoever calls `submit` gets a future that is done when the events are on disk. Sendings that wait while a commit runs
share the next one, so the cost of a commit is spread over all who wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from sentinel.core.errors import SentinelError, wordless
from sentinel.core.event import Event
from sentinel.core.record import KeyScope

MOST_WAITING = 64  # sendings; past it a sender is told to come back
RECENT = 10.0  # seconds without a further try after which it is seen whether events could be written again
AGAIN = 300.0  # seconds after which it is told again that they cannot
MOST_EVENTS = 5_000  # in one commit: it holds the interpreter, and who waits for a stream waits for it
MOST_HALVED = 100  # sendings and parts of them, to find in a group the events that bring up a fault
MOST_LEFT_OUT = 10  # events in a row: where none is taken between them, it is not they that are at fault


class Busy(SentinelError):
    """Too much waits to be written; try again in `after` seconds."""

    def __init__(self, message: str, after: int = 1) -> None:
        super().__init__(message, f"try again in {after} s")
        self.after = after


@dataclass(frozen=True, slots=True)
class Sending:
    """Decoded events of one request: whose they are and what their sender may prove.

    `scope` is that of the sender's key. With `historical` (imports) nobody is acted on, unless `enforce`. With
    `stitches` its `identify` events tie anonymous ids to their users.
    """

    app: str
    events: Sequence[Event]
    scope: KeyScope
    historical: bool = False
    enforce: bool = False
    stitches: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a sending: how many events were stored, how many were known, the decision list's revision.

    `faults` are what kept single events from being stored, by their places in the sending; those are not stored.
    """

    accepted: int
    duplicates: int
    revision: int
    faults: Mapping[int, Exception] = field(default_factory=dict)

    def then(self, later: Receipt, place: int) -> Receipt:
        """Return the receipt of a sending that was written in two parts: this is that of the events before `place`."""
        faults = {place + at: error for at, error in later.faults.items()}
        known = self.duplicates + later.duplicates
        return Receipt(self.accepted + later.accepted, known, later.revision, {**self.faults, **faults})


Process = Callable[[Sequence[Sending]], Sequence[Receipt]]


class Intake:
    """A bounded queue of sendings before one writer thread; `process` writes a group of them in one commit.

    `left_out` hears that what `process` was given last, a single event, is not kept. `fault` hears why events cannot
    be written, once while it stays the same. `steady` gives seconds that never jump.
    """

    def __init__(
        self, process: Process, most_waiting: int = MOST_WAITING, left_out: Callable[[], None] = lambda: None,
        fault: Callable[[SentinelError], None] = lambda error: None, steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._process = process
        self._left_out = left_out
        self._in_a_row = 0  # events left out since one was taken
        self._halved = 0  # of the group under way
        self._fault = fault
        self._steady = steady
        self._failed: tuple[float, str] | None = None  # when the last group could not be written, and why
        self._told = (0.0, "")
        self._most = most_waiting
        self._waiting: deque[tuple[Sending, Future[Receipt]]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sentinel-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, sending: Sending) -> Future[Receipt]:
        """Queue a sending; the future is done when it is on disk. Raises Busy where too much waits."""
        future: Future[Receipt] = Future()
        with self._wake:
            if self._stopping:
                raise Busy("the server is stopping", after=5)
            if len(self._waiting) >= self._most:
                raise Busy("too many requests wait to be written")
            self._waiting.append((sending, future))
            self._wake.notify()
        return future

    def waiting(self) -> int:
        """Return how many sendings wait."""
        return len(self._waiting)

    def trouble(self) -> str | None:
        """Return why events could not be written last; None once some were, or could have been."""
        return None if self._failed is None else self._failed[1]

    def look_again(self, room: Callable[[], None]) -> None:
        """Check whether events could be written again, if none came to show it; `room` raises SentinelError if not."""
        failed = self._failed
        if failed is None or self._steady() - failed[0] < RECENT:
            return
        try:
            room()
        except SentinelError as error:
            self._failed = self._steady(), str(error)
        else:
            if self._failed is failed:
                self._failed = None

    def stop(self, timeout: float = 10) -> None:
        """Take nothing more, write what waits, and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while group := self._next():
            self._halved = 0
            outcomes = self._outcomes([sending for sending, _ in group])
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _outcomes(self, sendings: Sequence[Sending]) -> Sequence[Receipt | Exception]:
        """Write sendings and return the receipt or the error of each; a fault of one costs no other."""
        try:
            receipts = self._process(sendings)
        except SentinelError as error:
            self._note(error)
            return [error] * len(sendings)
        except Exception as error:  # noqa: BLE001 - a fault of ours: the senders hear of it, the thread goes on
            found = error
        else:
            self._failed = None
            if any(receipt.accepted for receipt in receipts):
                self._in_a_row = 0
            return receipts
        if len(sendings) > 1:
            return [self._outcomes([sending])[0] for sending in sendings]
        return [self._but_for_faults(sendings[0], found)]

    def _but_for_faults(self, sending: Sending, error: Exception) -> Receipt | Exception:
        """Write a sending that led to a fault half by half, so that only the events at fault are lost.

        Should this be interrupted, the sender may send all of it again: what is written counts as known.
        """
        half = len(sending.events) // 2
        if not half:
            found = self._without(sending, error)
            return wordless(error) if found is None else replace(found, faults={0: wordless(error)})
        if self._halved >= MOST_HALVED:
            return wordless(error)
        self._halved += 1
        (first,) = self._outcomes([replace(sending, events=sending.events[:half])])
        if isinstance(first, Exception):
            return first
        (second,) = self._outcomes([replace(sending, events=sending.events[half:])])
        return second if isinstance(second, Exception) else first.then(second, half)

    def _without(self, sending: Sending, error: Exception) -> Receipt | None:
        """Return the receipt of a sending of one event, left out; None where the fault may not be that event's own."""
        if isinstance(error, OSError | MemoryError) or self._in_a_row >= MOST_LEFT_OUT:
            return None
        try:
            self._left_out()
            (receipt,) = self._process([replace(sending, events=())])
        except Exception:  # noqa: BLE001 - it is everybody's: the sender tries again
            return None
        self._in_a_row += 1
        return receipt

    def _note(self, error: SentinelError) -> None:
        now, why = self._steady(), str(error)
        self._failed = now, why
        if why != self._told[1] or now >= self._told[0] + AGAIN:
            self._told = now, why
            self._fault(error)

    def _next(self) -> list[tuple[Sending, Future[Receipt]]]:
        """Wait for sendings and return a group; empty when stopped and all is written."""
        with self._wake:
            group: list[tuple[Sending, Future[Receipt]]] = []
            while not group and self._wake.wait_for(lambda: self._waiting or self._stopping) and self._waiting:
                group = self._taken()  # empty where all who waited gave up: others will come
            return group

    def _taken(self) -> list[tuple[Sending, Future[Receipt]]]:
        """Take the sendings for the next commit out of the queue: at most MOST_EVENTS events, or one sending."""
        group: list[tuple[Sending, Future[Receipt]]] = []
        events = 0
        while self._waiting and (not group or events + len(self._waiting[0][0].events) <= MOST_EVENTS):
            entry = self._waiting.popleft()
            if entry[1].set_running_or_notify_cancel():
                group.append(entry)
                events += len(entry[0].events)
        return group
