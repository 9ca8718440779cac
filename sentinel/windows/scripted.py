"""For each kind of state, what its Lua script needs: name, constants, a hit's values, and how its tally is read.

The scripts in `lua/` say what is kept and what opens. A number that may not fit a double goes in two parts of 10^9.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Generic, TypeVar, cast

import msgspec

from sentinel.core.duration import HOUR, MINUTE, SECOND
from sentinel.core.globe import EARTH_KM, NEAR_KM
from sentinel.engine.windows import (
    MILLION,
    Absent,
    Detector,
    FirstSeen,
    Gauge,
    Hit,
    Spike,
    Steps,
    Threshold,
    Travel,
    Watch,
)
from sentinel.windows.groups import Limits
from sentinel.windows.novelty import RECENT, TIMES, VALUES
from sentinel.windows.tally import reaches

BASE = 10**9
LONGEST = 34  # characters of a value to be told from others; a longer one is hashed
SLACK = 15 * MINUTE  # a group outlives what could need it by so much of the server's own time
FEWEST_THINNED = 64
Tally = tuple[int | float, ...]
D = TypeVar("D", bound=Detector)
_pack = msgspec.msgpack.encode


def text(value: str) -> bytes:
    """Return a text as bytes: UTF-8, in which lone surrogates (JSON can hold some) are let through."""
    return value.encode("utf-8", "surrogatepass")


def read_text(value: bytes) -> str:
    """Return the text whose bytes `text` gave."""
    return value.decode("utf-8", "surrogatepass")


def token(value: str | None) -> str | bool:
    """Return a short text that is another for each value: itself, or its hash where it is long; False for None."""
    if value is None:
        return False
    if len(value) <= LONGEST and value.isascii():
        return value
    return "\0H" + blake2b(text(value), digest_size=16).hexdigest()


class Scripted(ABC, Generic[D]):
    """What the script for one watch is given, and how its answers are read; a kind gives `own`, `values` and `tally`.

    Lengths of time are microseconds, but for `lasting` and `ttl`, which are milliseconds as `PEXPIRE` takes them.
    """

    script: str
    span: int
    packs = False  # whether hits' values are MessagePack

    def __init__(self, watch: Watch, limits: Limits) -> None:
        self.watch = watch
        self.limits = limits
        self.asked = cast(D, watch.detector)
        self.span = self.reach()
        self.keep = self.span + limits.lateness
        findings = limits.lateness + watch.window + 2 * watch.cooldown
        self.lasting = (self.keep + findings + SLACK) // 1000 + 1  # in milliseconds, as is `ttl`
        self.ttl = self.lasting + self.silence() // 1000
        self._common = (self.window(), watch.cooldown, self.keep, findings, self.ttl)

    def arguments(self, quiet: bool, room: str) -> tuple[Any, ...]:
        """Return the arguments before those of the hits; `quiet` opens nothing, `room` is what `Room.left` gave."""
        return (*self._common, int(quiet), room, *self.own())

    def reach(self) -> int:
        """Return how far back an event's answer reaches, in microseconds."""
        return self.watch.span

    def silence(self) -> int:
        """Return for how long a group is known beyond the time of what it holds, in microseconds."""
        return 0

    def window(self) -> int:
        """Return the length that the script takes as the window's, in microseconds."""
        return self.watch.window

    @abstractmethod
    def own(self) -> tuple[Any, ...]:
        """Return the kind's own constants."""

    def values(self, hit: Hit) -> tuple[Any, ...]:
        """Return a hit's values as arguments."""
        return ()

    @abstractmethod
    def tally(self, raw: Any) -> Tally:
        """Return the tally that a script answered, as findings report it."""

    def shown(self, raw: Any) -> Tally:
        """Return the tally that a script answered; where it is bytes, `known` made them."""
        return tuple(json.loads(raw)) if isinstance(raw, bytes) else self.tally(raw)


def known(tally: Tally) -> bytes:
    """Return a tally as JSON, as the scripts keep that of a finding opened elsewhere."""
    return json.dumps(list(tally)).encode()


class CountScript(Scripted[Threshold]):
    """A `count` alone."""

    script = "count"

    def own(self) -> tuple[Any, ...]:
        return (int(self.asked.gauges[0].reach),)

    def tally(self, raw: Any) -> Tally:
        return (int(raw),)


ADDING = {"count": 1, "sum": 2, "avg": 3, "ratio": 3}  # slots each takes where hits may be merged


class ThresholdScript(Scripted[Threshold]):
    """Any metrics."""

    script = "threshold"
    packs = True

    def __init__(self, watch: Watch, limits: Limits) -> None:
        super().__init__(watch, limits)
        self.gauges = self.asked.gauges
        self.merging = any(gauge.kind in ("sum", "avg", "ratio") for gauge in self.gauges)
        self.slots = sum(ADDING.get(gauge.kind, 0) for gauge in self.gauges) if self.merging else 0
        kept = sum(int(gauge.reach) if gauge.kind != "max" else 1 for gauge in self.gauges) if not self.merging else 0
        self.most = limits.hits if self.merging else max(FEWEST_THINNED, 4 * kept + 4)
        self._own = _pack(self._gauges()), self.slots, self.most, int(self.asked.on_arrival), self.asked.fewest

    def _gauges(self) -> list[list[Any]]:
        found: list[list[Any]] = []
        slot = other = 1
        for gauge in self.gauges:
            if gauge.kind in ("distinct", "max"):
                found.append(["d" if gauge.kind == "distinct" else "x", other, gauge.reach])
                other += 1
            elif not self.merging:
                found.append(["c", False, gauge.reach])
            else:
                found.append(_adding(gauge, slot))
                slot += ADDING[gauge.kind]
        return found

    def own(self) -> tuple[Any, ...]:
        return self._own

    def values(self, hit: Hit) -> tuple[Any, ...]:
        others = [_OTHER[g.kind](v, g) for g, v in zip(self.gauges, hit.values, strict=True) if g.kind in _OTHER]
        if not self.merging:
            return (_pack(others),)
        slots: list[int] = []
        for gauge, value in zip(self.gauges, hit.values, strict=True):
            if gauge.kind == "count":
                slots.append(value)
            elif gauge.kind == "sum":
                slots += divmod(value or 0, BASE)
            elif gauge.kind in ADDING:
                slots += value[0], *divmod(value[1], BASE)
        return (_pack([0, *slots, *[0] * self.slots, *others]),)

    def tally(self, raw: Any) -> Tally:
        return tuple(_SHOWN[gauge.kind](value) for gauge, value in zip(self.gauges, raw, strict=True))


def _adding(gauge: Gauge, slot: int) -> list[Any]:
    if gauge.kind == "count":
        return ["w", slot, gauge.reach]
    if gauge.kind == "sum":
        return ["s", slot, *divmod(int(gauge.reach), BASE)]
    if isinstance(gauge.reach, int):
        return ["m", slot, *divmod(gauge.reach, BASE), gauge.strict, False]
    return ["m", slot, 0, 0, gauge.strict, gauge.reach]


def _largest(value: int | float | None, gauge: Gauge) -> str | bool:
    return value is not None and ("+" if reaches(value, gauge) else "-") + repr(value)


def number(raw: bytes) -> int | float:
    """Return the number behind a text that `max` keeps."""
    return int(raw) if raw.lstrip(b"-").isdigit() else float(raw)


_OTHER: dict[str, Callable[[Any, Gauge], str | bool]] = {
    "distinct": lambda value, gauge: token(value), "max": _largest,
}  # fmt: skip
_SHOWN: dict[str, Callable[[Any], int | float]] = {
    "count": int, "distinct": int, "sum": lambda raw: raw[0] * BASE + raw[1], "max": number,
    "avg": lambda raw: (raw[1] * BASE + raw[2]) / raw[0] / MILLION,
    "ratio": lambda raw: (raw[1] * BASE + raw[2]) / raw[0] / MILLION,
}  # fmt: skip


class StepsScript(Scripted[Steps]):
    """A sequence."""

    script = "steps"
    packs = True

    def own(self) -> tuple[Any, ...]:
        return _pack([[step.count, step.distinct] for step in self.asked.steps]), self.limits.hits

    def values(self, hit: Hit) -> tuple[Any, ...]:
        mask, until, values = hit.values
        marks = "".join("1" if mask >> place & 1 else "0" for place in range(len(values)))
        return (_pack([marks, bool(until), *map(token, values)]),)

    def tally(self, raw: Any) -> Tally:
        return tuple(max(step.count, step.distinct) for step in self.asked.steps)


class FirstSeenScript(Scripted[FirstSeen]):
    """A value new to its group."""

    script = "first_seen"

    def reach(self) -> int:
        return self.asked.history

    def window(self) -> int:
        return self.reach()

    def own(self) -> tuple[Any, ...]:
        after = self.asked.after
        return after, after + RECENT, VALUES, TIMES

    def values(self, hit: Hit) -> tuple[Any, ...]:
        value = hit.values[0]
        return ("-" if value is None else b"+" + text(value),)

    def tally(self, raw: Any) -> Tally:
        return (int(raw),)


class TravelScript(Scripted[Travel]):
    """Two places too far apart."""

    script = "travel"
    packs = True

    def own(self) -> tuple[Any, ...]:
        return repr(float(self.asked.speed)), self.limits.hits, repr(EARTH_KM), NEAR_KM, HOUR

    def values(self, hit: Hit) -> tuple[Any, ...]:
        return (_pack([float(value) for value in hit.values]),)

    def tally(self, raw: Any) -> Tally:
        return round(float(raw[0]), 1), int(raw[1]) / SECOND


class SpikeScript(Scripted[Spike]):
    """A count against its baseline."""

    script = "spike"
    packs = True

    def reach(self) -> int:
        return self.watch.window + self.asked.baseline

    def silence(self) -> int:
        return self.asked.known

    def own(self) -> tuple[Any, ...]:
        asked = self.asked
        return repr(float(asked.factor)), asked.baseline, asked.fewest, self.limits.hits, asked.known

    def tally(self, raw: Any) -> Tally:
        return raw[0], raw[1] * self.watch.window / self.asked.baseline


class AbsentScript(Scripted[Absent]):
    """Waits, and what ends them."""

    script = "absent"

    def reach(self) -> int:
        return self.asked.within + self.limits.lateness

    def own(self) -> tuple[Any, ...]:
        return (self.asked.within,)

    def values(self, hit: Hit) -> tuple[Any, ...]:
        begins, ends = hit.values[0], hit.values[1]
        what = ("b" if begins else "") + ("e" if ends else "") or "-"
        return what, remembered(hit) if begins else b""

    def tally(self, raw: Any) -> Tally:
        return (0,)


def remembered(hit: Hit) -> bytes:
    """Return what a wait keeps of the hit that began it: whether it acts, then key, source and values as JSON."""
    return (b"1" if hit.acting else b"0") + json.dumps([hit.key, hit.source, hit.values]).encode()


def recalled(watch: str, at: int, id: str, raw: bytes) -> Hit:
    """Return the hit that began a wait, from what `remembered` gave."""
    key, source, values = json.loads(raw[1:])
    return Hit(watch, key, at, id, tuple(values), raw[:1] == b"1", source)


def scripted(watch: Watch, limits: Limits) -> Scripted[Any]:
    """Return what the script for a watch needs."""
    detector = watch.detector
    if isinstance(detector, Threshold) and [gauge.kind for gauge in detector.gauges] == ["count"]:
        return CountScript(watch, limits)
    return KINDS[type(detector)](watch, limits)


KINDS: dict[type, Callable[[Watch, Limits], Scripted[Any]]] = {
    Threshold: ThresholdScript, Steps: StepsScript, FirstSeen: FirstSeenScript, Travel: TravelScript,
    Absent: AbsentScript, Spike: SpikeScript,
}  # fmt: skip
