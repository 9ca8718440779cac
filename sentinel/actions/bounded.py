"""Calls that cannot be interrupted, given up after a time: resolvers and other people's libraries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MOST = 16  # calls at once, those given up but not yet back among them

_places = threading.BoundedSemaphore(MOST)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; TimeoutError after some seconds.

    A call given up goes on in its thread until it ends by itself; where too many do, no new one is begun.
    """
    if not _places.acquire(blocking=False):
        raise TimeoutError("too many calls have not come back")
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
            failure.append(error)
        finally:
            _places.release()
            done.set()

    threading.Thread(target=run, name="sentinel-bounded", daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError("it took too long")
    if failure:
        raise failure[0]
    return outcome[0]
