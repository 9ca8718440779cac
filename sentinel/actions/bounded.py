"""Run a call that cannot be interrupted, such as a resolver's or a library's, and give up waiting after a time.

A call that was given up goes on in its thread. Each owner (a channel, a host) has only so many threads at once, so one
that never answers leaves room for the others.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
EACH = 8  # calls of one owner at once, those given up but not yet back among them
MOST = 128  # of all owners

_busy: Counter[str] = Counter()
_lock = threading.Lock()


def within(seconds: float, call: Callable[[], T], owner: str) -> T:
    """Return what a call returns, or raise what it raises; raises TimeoutError where it takes longer than `seconds`.

    A call given up goes on in its thread until it ends by itself; where too many of its owner do, TimeoutError is
    raised at once.
    """
    with _lock:
        if _busy[owner] >= EACH or _busy.total() >= MOST:
            raise TimeoutError("too many calls have not come back")
        _busy[owner] += 1
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
            failure.append(error)
        finally:
            _leave(owner)
            done.set()

    try:
        threading.Thread(target=run, name="sentinel-bounded", daemon=True).start()
    except RuntimeError:  # there is no room for another thread
        _leave(owner)
        raise
    if not done.wait(seconds):
        raise TimeoutError("it took too long")
    if failure:
        raise failure[0]
    return outcome[0]


def _leave(owner: str) -> None:
    with _lock:
        _busy[owner] -= 1
        if not _busy[owner]:
            del _busy[owner]
