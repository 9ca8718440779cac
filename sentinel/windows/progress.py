"""How near a group in Redis or Valkey is to a finding: its key's contents are read and weighed by windows in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sentinel.engine.windows import FirstSeen, Hit, Progress, Spike, Steps, Threshold, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from sentinel.windows.scripted import (
    BASE,
    AbsentScript,
    Scripted,
    SpikeScript,
    ThresholdScript,
    number,
    read_text,
    recalled,
)
from sentinel.windows.spike import was_there


def progress_of(asked: Scripted[Any], key: str, answer: Sequence[Any], now: int) -> Progress | None:
    """Return how near a group is to a finding, from what the script `peek` answered; None where it holds nothing."""
    findings, raw, ends, header = answer
    opened = tuple((at, acting == 1) for at, acting in findings)
    hits = [(at, read_text(id), packed) for at, id, packed in raw]
    if not (hits or opened or ends or header):
        return None
    match asked.watch.detector:
        case Spike():
            found = _spike(asked, hits, now)
        case FirstSeen(history=history):
            found = _first_seen(history, hits, header or [], now)
        case _:
            found = _weighed(asked, key, hits, ends, now)
    return found._replace(opened=opened)


def _weighed(asked: Scripted[Any], key: str, hits: Sequence[Any], ends: Sequence[int], now: int) -> Progress:
    """Let windows in memory take the hits in, and say what they come to."""
    watch = asked.watch
    windows = MemoryWindows([watch], Limits(lateness=asked.limits.lateness, hits=1 << 40))
    taken = [_hit(asked, key, *hit) for hit in hits]
    taken += [Hit(watch.id, key, at, f"{at}", (False, True), False, None) for at in ends]
    windows.hit(sorted(taken, key=lambda hit: (hit.at, hit.id)), max((hit.at for hit in taken), default=0))
    found = windows.progress(watch.id, key, now) or _nothing(watch)
    merged = isinstance(asked, ThresholdScript) and asked.merging and bool(hits) and hits[-1][2][0] == 1
    return found._replace(approximate=merged)


def _nothing(watch: Watch) -> Progress:
    windows = MemoryWindows([watch])
    windows.know(watch.id, "", 0, "", (), False)
    return windows.progress(watch.id, "", 1 << 60) or Progress(())


def _hit(asked: Scripted[Any], key: str, at: int, id: str, packed: Any) -> Hit:
    """Return a hit as windows in memory take it, from what its group's key holds of it."""
    watch = asked.watch
    if isinstance(asked, AbsentScript):
        return recalled(watch.id, at, id, packed)
    if isinstance(asked, ThresholdScript):
        values = _threshold(asked, packed)
    elif isinstance(watch.detector, Threshold):
        values = (1,)
    elif isinstance(watch.detector, Steps):
        marks, until, *rest = msgspec.msgpack.decode(packed[0])
        mask = sum(1 << place for place, mark in enumerate(marks) if mark == "1")
        values = mask, until, tuple(one or None for one in rest)
    else:  # travel
        values = tuple(map(float, packed))
    return Hit(watch.id, key, at, id, values, False, None)


def _threshold(asked: ThresholdScript, packed: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values of a hit as windows in memory have them."""
    slots, others = list(packed[1 : 1 + asked.slots]), list(packed[1 + 2 * asked.slots if asked.slots else 0 :])
    values: list[Any] = []
    for gauge in asked.gauges:
        if gauge.kind == "distinct":
            one = others.pop(0)
            values.append(tuple(_text(each) for each in one) if isinstance(one, list) else one and _text(one))
        elif gauge.kind == "max":
            one = others.pop(0)
            values.append(None if one is None else number(one[1:]))
        elif gauge.kind == "count":
            values.append(slots.pop(0) if asked.slots else 1)
        elif gauge.kind == "sum":
            values.append(slots.pop(0) * BASE + slots.pop(0))
        else:
            values.append((slots.pop(0), slots.pop(0) * BASE + slots.pop(0)))
    return tuple(values)


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _spike(asked: Scripted[Any], hits: Sequence[Any], now: int) -> Progress:
    assert isinstance(asked, SpikeScript)
    spike, window = asked.asked, asked.watch.window
    start = now - window
    count = sum(packed[0] for at, _, packed in hits if start < at <= now)
    before = sum(packed[0] for at, _, packed in hits if start - spike.baseline < at <= start)
    newest = max((at for at, _, _ in hits if at <= now), default=0) + window if count else None
    times = [at for at, _, _ in hits] + ([hits[-1][2][4]] if hits and hits[-1][2][4] is not None else [])
    since = max((at for at in times if at <= start - spike.baseline), default=None)
    if not was_there(spike, since, start):
        since = min((at for at in times if at > start - spike.baseline), default=None)
    full = None if since is None else since + spike.baseline + window
    return Progress((count, before * window / spike.baseline), newest, bool(hits) and hits[-1][2][3] == 1, full)


def _first_seen(history: int, hits: Sequence[Any], header: Sequence[Sequence[Any]], now: int) -> Progress:
    earlier = sum(1 for at, _, _ in hits if now + 1 - history < at <= now)
    known = [read_text(one[0]) for one in header if any(now + 1 - history < at <= now for at in one[1:])]
    newest = hits[-1][0] + history if hits else None
    return Progress((earlier,), newest if earlier else None, known=tuple(sorted(known)))
