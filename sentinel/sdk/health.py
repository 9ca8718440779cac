"""The state of this process as a small header, sent with requests that are made anyway.

Counts and ages only: no event, no user, no key. What the server does with it is not known here.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from sentinel import __version__
from sentinel.core.wire import SDK_HEADER

_LONGEST = 2048
_REASONS = 12
_COUNTS = ("queued", "sent", "rejected", "failures", "enforced", "unenforced", "decisions", "revision")


class Health:
    """Describes one process by its `stats`; made anew in a child."""

    def __init__(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        self._stats = stats
        self._instance = os.urandom(8).hex()
        self._pid = os.getpid()
        self._host = _ascii(socket.gethostname())[:64]
        self._began = time.monotonic()

    def headers(self) -> dict[str, str]:
        """Return the header that tells how this process is; none where that would be too long."""
        stats = self._stats()
        about = {
            "instance": self._instance,
            "host": self._host,
            "pid": self._pid,
            "version": __version__,
            "uptime": round(time.monotonic() - self._began, 1),
            "enforcing": stats["enforcing"],
            "streaming": stats["connected"],
            "list_age": stats["list_age"],
            **{name: stats[name] for name in _COUNTS},
            "errors": stats["counts"].get("errors", 0),
            "dropped": dict(sorted(stats["dropped"].items())[:_REASONS]),
        }
        text = json.dumps(about, separators=(",", ":"))
        return {SDK_HEADER: text} if len(text) <= _LONGEST else {}


def _ascii(text: str) -> str:
    return "".join(char for char in text if char.isascii() and char.isprintable())
