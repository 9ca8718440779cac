"""A tracker's state as bytes and back, so that a restart need not fold again what was folded already.

MessagePack. A snapshot records the watch and the lateness it was taken of, and is good for no other.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sentinel.core.errors import SentinelError
from sentinel.windows.groups import Opened
from sentinel.windows.tracker import Tracker

FORMAT = 5
_LARGEST = 1 << 63


def dump(tracker: Tracker[Any]) -> bytes:
    """Return the state of a tracker."""
    groups, findings = tracker.groups, tracker.findings
    return msgspec.msgpack.encode(
        {
            "format": FORMAT,
            "watch": _terms(tracker),
            "turn": tracker.turn,
            "latest": tracker.latest,
            "groups": [_written(tracker, groups.young), _written(tracker, groups.old)],
            "opened": [_opened(findings.young), _opened(findings.old)],
            "extra": tracker.extra(),
        }
    )


def fill(tracker: Tracker[Any], data: bytes) -> bool:
    """Give a new tracker the state of a snapshot; False where it was taken of another watch or in another format.

    Raises SentinelError where the bytes are damaged.
    """
    try:
        stored = msgspec.msgpack.decode(data)
        if stored["format"] != FORMAT or stored["watch"] != _terms(tracker):
            return False
        tracker.turn, tracker.latest = stored["turn"], stored["latest"]
        tracker.groups.young, tracker.groups.old = (_read(tracker, states) for states in stored["groups"])
        tracker.findings.young, tracker.findings.old = map(_findings, stored["opened"])
        tracker.resume(stored["extra"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"the window snapshot of `{tracker.watch.id}` is damaged: {error}"
        raise SentinelError(text, "it is rebuilt from the events") from error
    return True


def plain(values: Any) -> Any:
    """Return values as MessagePack takes them: what hits add up to may be past its integers."""
    if isinstance(values, tuple):
        return tuple(map(plain, values))
    return values if not isinstance(values, int) or -_LARGEST <= values < _LARGEST else str(values).encode()


def frozen(values: Any) -> Any:
    """Return values as they were before they were written: lists were tuples, bytes integers."""
    if isinstance(values, list):
        return tuple(map(frozen, values))
    return int(values) if isinstance(values, bytes) else values


def _terms(tracker: Tracker[Any]) -> str:
    """Return what a snapshot must have been taken of."""
    return f"{tracker.watch} {tracker.limits.lateness}"


def _written(tracker: Tracker[Any], states: dict[str, Any]) -> dict[str, Any]:
    return {key: tracker.write(state) for key, state in states.items()}


def _read(tracker: Tracker[Any], stored: dict[str, Any]) -> dict[str, Any]:
    return {key: tracker.read(state) for key, state in stored.items()}


def _opened(opened: dict[str, list[Opened]]) -> dict[str, Any]:
    return {
        key: [[o.at, o.id, plain(o.tally), o.acting, o.approximate] for o in known] for key, known in opened.items()
    }


def _findings(stored: dict[str, Any]) -> dict[str, list[Opened]]:
    return {
        key: [Opened(at, id, frozen(tally), acting, approximate) for at, id, tally, acting, approximate in known]
        for key, known in stored.items()
    }
