"""Calls that start together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def at_once(*calls):
    """Run calls in threads that start together; return what they return."""
    gate = threading.Barrier(len(calls))

    def run(call):
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]
