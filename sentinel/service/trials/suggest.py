"""Which threshold fits: how high each group's tally ever was over past events, and what a percentile would catch.

Each metric of a `when` is looked at in windows in which the playbook's other metrics hold: that is what would fire at a
threshold. Other detectors are measured by `meters`. Groups past a bound are a sample of all, chosen by a stable hash.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import blake2b
from math import ceil, floor
from typing import Any

from sentinel.core.event import Event
from sentinel.core.number import whole
from sentinel.engine.engine import Engine
from sentinel.engine.playbook import Playbook
from sentinel.engine.windows import Gauge, Threshold
from sentinel.service.eventfiles.reading import Options
from sentinel.service.trials.meters import Measure, Meter, measures, meter
from sentinel.service.trials.past import Run

MOST = 100_000  # groups kept a playbook
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)
SHOWN = 10
Kept = tuple[int, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which playbooks, all of them with `measures`; the rest says how files are read. Microseconds."""

    playbooks: Sequence[Playbook]
    lateness: int
    options: Options = field(default_factory=Options)
    strict: bool = False
    enrich: Callable[[Event], None] | None = None

    @property
    def arrival_order(self) -> bool:
        """Never: windows slide forward."""
        return False


class Amount:
    """What one metric comes to over the hits of a window, not cut off at its threshold."""

    __slots__ = ("counts", "gauge", "largest", "parts", "total")

    def __init__(self, gauge: Gauge) -> None:
        self.gauge = gauge
        self.total = self.parts = 0
        self.counts: Counter[Any] = Counter()
        self.largest: deque[int | float] = deque()  # falling: the first is the largest

    def add(self, value: Any) -> None:
        """Let a hit in."""
        if self.gauge.kind in ("avg", "ratio"):
            self.parts += value[0]
            self.total += value[1]
        elif self.gauge.kind == "distinct":
            self.counts.update(() if value is None else (value,))
        elif self.gauge.kind == "max" and value is not None:
            while self.largest and self.largest[-1] < value:
                self.largest.pop()
            self.largest.append(value)
        elif self.gauge.kind != "max":
            self.total += value or 0

    def drop(self, value: Any) -> None:
        """Let the oldest hit go."""
        if self.gauge.kind in ("avg", "ratio"):
            self.parts -= value[0]
            self.total -= value[1]
        elif self.gauge.kind == "distinct" and value is not None:
            self.counts[value] -= 1
            if not self.counts[value]:
                del self.counts[value]
        elif self.gauge.kind == "max" and value is not None and self.largest[0] == value:
            self.largest.popleft()
        elif self.gauge.kind in ("count", "sum"):
            self.total -= value or 0

    def value(self) -> int | float | None:
        """Return the amount in the units of a gauge's threshold, None where there is none."""
        if self.gauge.kind == "distinct":
            return len(self.counts)
        if self.gauge.kind == "max":
            return self.largest[0] if self.largest else None
        if self.gauge.kind in ("avg", "ratio"):
            return self.total / self.parts if self.parts else None
        return self.total

    def reached(self) -> bool:
        """Say whether the amount reaches the playbook's own threshold."""
        value = self.value()
        if value is None:
            return False
        return value > self.gauge.reach if self.gauge.strict else value >= self.gauge.reach


class Sliding:
    """One group's window as time goes on, and the highest each metric ever was where the others held."""

    __slots__ = ("amounts", "best", "hits")
    never = False

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self.amounts = [Amount(gauge) for gauge in gauges]
        self.hits: deque[Kept] = deque()
        self.best: list[int | float | None] = [None] * len(gauges)

    def hit(self, at: int, values: tuple[Any, ...], window: int) -> None:
        """Record a hit, no older than the last."""
        self.hits.append((at, values))
        for amount, value in zip(self.amounts, values, strict=True):
            amount.add(value)
        while self.hits[0][0] <= at - window:
            for amount, value in zip(self.amounts, self.hits.popleft()[1], strict=True):
                amount.drop(value)
        lacking = [place for place, amount in enumerate(self.amounts) if not amount.reached()]
        if len(lacking) > 1:
            return
        for place in lacking or range(len(self.amounts)):
            found, best = self.amounts[place].value(), self.best[place]
            if found is not None and (best is None or found > best):
                self.best[place] = found


class Suggest(Run):
    """One run over past events."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        super().__init__(asked)

    @property
    def playbooks(self) -> Sequence[Playbook]:
        """The playbooks, without what they do: nobody is acted on here."""
        return [replace(one, actions=()) for one in self.asked.playbooks]

    def begin(self) -> None:
        """Be as if nothing had been seen."""
        self._engine = Engine(self.asked.playbooks, self.asked.lateness, mode="monitor")
        self._playbooks = {one.id: one for one in self.asked.playbooks}
        self._groups: dict[str, dict[str, Meter]] = {id: {} for id in self._playbooks}
        self._shown: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._level: dict[str, int] = dict.fromkeys(self._groups, 0)
        self._watches = {watch.id: watch for watch in self._engine.watches()}
        self.skipped: Counter[tuple[str, str]] = Counter()

    def judge(self, batches: Iterable[list[Event]]) -> None:
        """Let every event count."""
        enrich = self.asked.enrich
        for batch in batches:
            if enrich is not None:
                for event in batch:
                    enrich(event)
            matched = self._engine.match(batch)
            self.skipped.update(matched.skipped)
            by_id = {(event.id, event.at): event for event in batch}
            for hit in matched.hits:
                found = self._meter(hit.watch, hit.key, by_id[hit.id, hit.at])
                if found is not None:
                    found.hit(hit.at, hit.values, self._watches[hit.watch].window)

    def _meter(self, name: str, key: str, event: Event) -> Meter | None:
        groups = self._groups[name]
        found = groups.get(key)
        if found is None and self._sampled(name, key):
            detector = self._watches[name].detector
            if isinstance(detector, Threshold):
                found = groups[key] = Sliding(detector.gauges)
            else:
                found = groups[key] = meter(self._playbooks[name])
            self._shown[name, key] = self._engine.judges[name].group(event)
            if len(groups) > MOST:
                self._thin(name)
        return found

    def _sampled(self, name: str, key: str) -> bool:
        level = self._level[name]
        if not level:
            return True
        hashed = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(hashed, "big") % (1 << level) == 0

    def _thin(self, name: str) -> None:
        """Go on with half of the groups."""
        self._level[name] += 1
        self._groups[name] = {key: one for key, one in self._groups[name].items() if self._sampled(name, key)}
        self._shown = {of: group for of, group in self._shown.items() if of[0] != name or of[1] in self._groups[name]}

    def report(self, percentile: float) -> list[dict[str, Any]]:
        """Return what was seen of each metric of each playbook, and the threshold at a percentile of its groups."""
        return [
            self._measure(playbook, place, measure, percentile)
            for playbook in self.asked.playbooks
            for place, measure in enumerate(measures(playbook))
        ]

    def _measure(self, playbook: Playbook, place: int, measure: Measure, percentile: float) -> dict[str, Any]:
        groups = self._groups[playbook.id]
        found = sorted(
            (measure.plain(one.best[place]), key) for key, one in groups.items() if one.best[place] is not None
        )
        values = [value for value, _ in found]
        scale = 1 << self._level[playbook.id]
        waiting = sorted(one.best[place] or -1 for one in groups.values() if one.never)

        def fires(threshold: int | float) -> int:
            others = len(waiting) - _firing(waiting, threshold, measure.strict)
            return (_firing(values, threshold, measure.strict) + others) * scale

        wanted = _threshold(measure, values, percentile)
        highest = [
            {"group": dict(self._shown[playbook.id, key]), "value": value} for value, key in reversed(found[-SHOWN:])
        ]
        return {
            "playbook": playbook.id, "metric": measure.name, "unit": measure.unit, "never": len(waiting) * scale,
            "groups": len(groups) * scale, "measured": len(found) * scale,
            "sampled": scale > 1, "percentiles": {f"{one:g}": _at(values, one) for one in PERCENTILES},
            "now": {"threshold": measure.threshold, "strict": measure.strict,
                    "fires": fires(measure.threshold)},
            "suggested": None if wanted is None else {
                "percentile": percentile, "threshold": wanted, "fires": fires(wanted), "needs": _needed(percentile),
            },
            "highest": highest,
        }  # fmt: skip


def _at(values: Sequence[int | float], percentile: float) -> int | float | None:
    """Return the smallest value that so many percent of all do not pass (nearest rank)."""
    return values[max(0, ceil(round(len(values) * percentile / 100, 6)) - 1)] if values else None


def _needed(percentile: float) -> int:
    """Return of how many groups a percentile begins to leave some out: of fewer, and at 100, it is the highest."""
    over = 100 - Decimal(str(percentile))
    return ceil(100 / over) if over else 0


def _firing(values: Sequence[int | float], threshold: int | float, strict: bool) -> int:
    """Return how many values reach a threshold."""
    below = bisect_left(values, threshold)
    while strict and below < len(values) and values[below] == threshold:
        below += 1
    return len(values) - below


def _threshold(measure: Measure, values: Sequence[int | float], percentile: float) -> int | float | None:
    """Return the threshold that the groups up to a percentile do not reach, as far as a file takes it.

    None where no number is one: nothing was measured, or at the percentile is what reaches any.
    """
    highest = _at(values, percentile)
    if highest is None or highest >= measure.any:
        return None
    return whole(min(max(_above(measure, highest), measure.least), measure.most))


def _above(measure: Measure, highest: int | float) -> int | float:
    if measure.name == "ratio":
        return round(highest, 3)
    if not measure.step:
        return highest if measure.strict else floor(highest) + 1
    above = highest if measure.strict else highest + measure.step
    return int(above) if measure.step == 1 else round(above, 1)
