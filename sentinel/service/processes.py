"""The state of the SDK in each process of an app, as it last reported it: in memory, bounded, gone with the server.

Servers do not share it: each knows the processes that send their requests to it. A report comes with requests that are
made anyway. Nothing is decided by it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sentinel.core.duration import MINUTE

MOST = 500  # processes of an app
MOST_APPS = 1000
SILENT = 15 * MINUTE  # a process not heard of for so long has ended
_LONGEST = 64
_REASONS = 12
_LARGEST = 2**53
_TEXTS = ("host", "version")
_COUNTS = ("pid", "queued", "sent", "rejected", "failures", "enforced", "unenforced", "errors", "decisions", "revision")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as it was when it last said so: `seen` in microseconds since 1970, `uptime` and `list_age` in s.

    `list_age` is how long nobody had confirmed its decision list, None where it has none.
    """

    instance: str
    seen: int
    host: str
    version: str
    pid: int
    uptime: float
    enforcing: bool
    streaming: bool
    list_age: float | None
    revision: int
    decisions: int
    queued: int
    sent: int
    rejected: int
    failures: int
    enforced: int
    unenforced: int
    errors: int
    dropped: Mapping[str, int]


@dataclass(slots=True)
class Processes:
    """The processes of every app. `clock` gives microseconds since 1970."""

    clock: Callable[[], int]
    _apps: dict[str, dict[str, Process]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def heard(self, app: str, report: object) -> None:
        """Take a report, in place of that process's last; one that cannot be read is none."""
        process = read(report, self.clock())
        if process is None:
            return
        with self._lock:
            if app not in self._apps and len(self._apps) >= MOST_APPS:
                del self._apps[next(iter(self._apps))]
            kept = self._apps.setdefault(app, {})
            kept.pop(process.instance, None)
            if len(kept) >= MOST:
                del kept[next(iter(kept))]  # whoever was silent longest
            kept[process.instance] = process

    def of(self, app: str) -> list[Process]:
        """Return an app's processes, whoever was heard last first, and forget those long silent."""
        oldest = self.clock() - SILENT
        with self._lock:
            kept = self._apps.get(app, {})
            for process in [one for one in kept.values() if one.seen < oldest]:
                del kept[process.instance]
            return list(reversed(kept.values()))


def read(report: object, now: int) -> Process | None:
    """Return the process of a report, None for what is none: whoever holds a key may have written it."""
    if not isinstance(report, Mapping) or not _word(report.get("instance")):
        return None
    dropped = report.get("dropped")
    reasons = dropped.items() if isinstance(dropped, Mapping) else ()
    texts: dict[str, Any] = {name: report[name] if _word(report.get(name)) else "" for name in _TEXTS}
    counts: dict[str, Any] = {name: _count(report.get(name)) for name in _COUNTS}
    return Process(
        instance=report["instance"],
        seen=now,
        uptime=_seconds(report.get("uptime")) or 0.0,
        enforcing=report.get("enforcing") is True,
        streaming=report.get("streaming") is True,
        list_age=_seconds(report.get("list_age")),
        dropped={name: _count(number) for name, number in list(reasons)[:_REASONS] if _word(name)},
        **texts,
        **counts,
    )


def _word(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < _LARGEST else 0


def _seconds(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < _LARGEST:  # nor NaN
        return None
    return float(value)
