"""A tracker's state as bytes and back: so that a restart need not fold what was folded already.

MessagePack; a snapshot is good only for the very watch and lateness it was taken of, which it records.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sentinel.core.errors import SentinelError
from sentinel.engine.windows import Watch
from sentinel.windows.log import Log
from sentinel.windows.tracker import Limits, Opened, State, Tracker

FORMAT = 1


def dump(tracker: Tracker) -> bytes:
    """Return the state of a tracker."""
    return msgspec.msgpack.encode(
        {
            "format": FORMAT,
            "watch": _terms(tracker.watch, tracker.limits),
            "turn": tracker.turn,
            "young": _groups(tracker.young),
            "old": _groups(tracker.old),
            "opened": _opened(tracker.opened),
            "opened_old": _opened(tracker.opened_old),
        }
    )


def load(data: bytes, watch: Watch, limits: Limits) -> Tracker | None:
    """Return the tracker of a snapshot, or None where it was taken of another watch or in another format.

    Raises SentinelError where the bytes are damaged.
    """
    try:
        stored = msgspec.msgpack.decode(data)
        if stored["format"] != FORMAT or stored["watch"] != _terms(watch, limits):
            return None
        tracker = Tracker(watch, limits)
        tracker.turn = stored["turn"]
        tracker.young, tracker.old = (_states(stored[name], watch) for name in ("young", "old"))
        tracker.opened, tracker.opened_old = (_findings(stored[name]) for name in ("opened", "opened_old"))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        text = f"the window snapshot of `{watch.id}` is damaged: {error}"
        raise SentinelError(text, "it is rebuilt from the events") from error
    return tracker


def _terms(watch: Watch, limits: Limits) -> list[Any]:
    gauges = [[gauge.kind, gauge.reach, gauge.strict] for gauge in watch.gauges]
    return [watch.id, watch.window, watch.cooldown, gauges, watch.shape, limits.lateness]


def _groups(groups: dict[str, State]) -> dict[str, Any]:
    return {
        key: state if isinstance(state, bytes) else [state.hits, state.limit, state.approximate]
        for key, state in groups.items()
    }


def _states(stored: dict[str, Any], watch: Watch) -> dict[str, State]:
    return {key: state if isinstance(state, bytes) else _log(state, watch) for key, state in stored.items()}


def _log(stored: list[Any], watch: Watch) -> Log:
    hits, limit, approximate = stored
    log = Log()
    log.limit, log.approximate = limit, approximate
    log.resume([(at, id, tuple(map(_value, values))) for at, id, values in hits], watch)
    return log


def _value(stored: Any) -> Any:
    """A pair (avg, ratio) comes back as a list of two integers, a merged set as a list of texts."""
    if not isinstance(stored, list):
        return stored
    return tuple(stored) if all(type(one) is int for one in stored) and len(stored) == 2 else frozenset(stored)


def _opened(opened: dict[str, list[Opened]]) -> dict[str, Any]:
    return {key: [[o.at, o.id, o.tally, o.acting, o.approximate] for o in known] for key, known in opened.items()}


def _findings(stored: dict[str, Any]) -> dict[str, list[Opened]]:
    return {
        key: [Opened(at, id, tuple(tally), acting, approximate) for at, id, tally, acting, approximate in known]
        for key, known in stored.items()
    }
