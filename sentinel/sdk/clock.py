"""The server's time, the waits between attempts, and messages that are logged once.

Events and decisions are not known here.
"""

from __future__ import annotations

import calendar  # noqa: F401 - since Python 3.13 `email` would load it in a thread, at the first date
import contextlib
import email.utils
import logging
import random
import threading
import time
from collections import Counter

logger = logging.getLogger("sentinel.sdk")
_SKEW = 2_000_000  # a Date header tells whole seconds: a smaller difference means nothing
_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_RAREST = 3600.0  # seconds; a server that comes and goes each second must not fill a disk with what is said of it
_SOONEST = 0.5  # seconds: "at once", said again and again, would keep a processor of the application's busy
_LATEST = 300.0  # seconds that a server may ask to be left alone


def nap() -> None:
    """Let the application's threads run, in the midst of long work.

    Otherwise a thread that waits for the interpreter, as after each word with the network, would get it only after
    5 ms, and a greenlet only when all work is done.
    """
    time.sleep(0.00005)


class Clock:
    """This machine's time, corrected to the server's, however it is set meanwhile; microseconds since 1970."""

    def __init__(self) -> None:
        self.offset = 0
        self._ahead: int | None = None  # until the server has told its time, there is none but this machine's

    def now(self) -> int:
        """Return the corrected time."""
        here = time.time_ns() // 1000 if self._ahead is None else _steady() + self._ahead
        return here + self.offset

    def learn(self, server: int, sent: int, received: int) -> None:
        """Note what the server's clock said between two moments of this machine's."""
        self._ahead = _ahead()
        if received - sent < 10 * 1_000_000:
            self.offset = server - (sent + received) // 2

    def learn_date(self, date: str | None, received: int) -> None:
        """Note a Date header, unless it says nothing new."""
        self._ahead = _ahead()
        seconds = _seconds(date) if date else None
        if seconds is not None:
            offset = seconds * 1_000_000 + 500_000 - received
            self.offset = offset if abs(offset) > _SKEW else 0

    def was_set(self) -> bool:
        """Say whether this machine's clock was set, or stood still, since the server's time was learnt."""
        return self._ahead is not None and abs(_ahead() - self._ahead) > _SKEW


def _ahead() -> int:
    """Return by how many microseconds the time of day is ahead of the steady clock."""
    return time.time_ns() // 1000 - _steady()


def _steady() -> int:
    """Return microseconds of a clock that nobody sets and, where there is one, no sleep of the machine stops."""
    return (time.monotonic_ns() if _BOOT is None else time.clock_gettime_ns(_BOOT)) // 1000


class Backoff:
    """Waits that double, with jitter, up to a limit; in seconds."""

    def __init__(self, base: float, limit: float) -> None:
        self._base = base
        self._limit = limit
        self._failures = 0

    def next(self) -> float:
        """Return how long to wait after one more failure."""
        self._failures += 1
        longest = min(self._limit, self._base * 2.0 ** min(self._failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  nothing secret

    def reset(self) -> None:
        """Start anew after a success."""
        self._failures = 0


def retry_after(text: str | None, otherwise: float) -> float:
    """Return the seconds a Retry-After header asks for, within bounds; `otherwise` where it says nothing usable."""
    asked = _asked(text.strip()) if text else None
    return otherwise if asked is None else min(max(asked, min(_SOONEST, otherwise)), _LATEST)


def _asked(text: str) -> float | None:
    """Return the seconds that a number or a date asks for, below zero where the date is over."""
    if text.isdecimal():
        return float(text[:9])
    seconds = _seconds(text)
    return None if seconds is None else seconds - time.time()


def _seconds(date: str) -> int | None:
    """Return the seconds since 1970 of a date as headers write it; None for one that is none, or of no sane year."""
    try:
        parsed = email.utils.parsedate_tz(date)
        return email.utils.mktime_tz(parsed) if parsed is not None and 1970 <= parsed[0] < 10_000 else None
    except (ValueError, OverflowError, TypeError):
        return None


class Notes:
    """Counts by name, and warnings that are said once each."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._open: set[str] = set()
        self._said: dict[str, tuple[int, float]] = {}  # how often, and when last

    def copy(self) -> Notes:
        """Return the same with a lock of its own: a child counts for itself, and says nothing twice."""
        other = Notes()
        other._open, other._said = set(self._open), dict(self._said)
        return other

    def count(self, name: str, by: int = 1) -> None:
        """Add to a count."""
        with self._lock:
            self._counts[name] += by

    def read(self, name: str) -> int:
        """Return a count."""
        return self._counts[name]

    def all(self) -> dict[str, int]:
        """Return every count."""
        with self._lock:
            return dict(self._counts)

    def warn(self, topic: str, message: str) -> None:
        """Log a message once for each topic until `forget`; a topic that comes back is logged ever less often."""
        now = time.monotonic()
        with self._lock:
            times, last = self._said.get(topic, (0, now))
            if topic in self._open or now - last < min(2 ** min(times, 30) - 2, _RAREST):
                return
            self._open.add(topic)
            self._said[topic] = times + 1, now
        with contextlib.suppress(Exception):  # a filter or handler of the application's may raise
            logger.warning("%s", message)

    def forget(self, topic: str) -> None:
        """Let the warning of a topic be logged again: what it was about has been put right."""
        with self._lock:
            self._open.discard(topic)
