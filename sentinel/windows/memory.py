"""Windows in this process's memory: the default of a server, and what tests and backtests use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from sentinel.engine.windows import Absent, FirstSeen, Hit, Opening, Progress, Spike, Steps, Threshold, Travel, Watch
from sentinel.windows.absence import AbsenceTracker
from sentinel.windows.groups import Findings, Limits, Opened
from sentinel.windows.novelty import NoveltyTracker
from sentinel.windows.renaming import Renaming
from sentinel.windows.sequence import SequenceTracker
from sentinel.windows.snapshot import dump, fill
from sentinel.windows.spike import SpikeTracker
from sentinel.windows.threshold import ThresholdTracker
from sentinel.windows.tracker import Revise, Tracker
from sentinel.windows.travel import TravelTracker

KINDS: dict[type, Callable[[Watch, Limits], Tracker[Any]]] = {
    Threshold: ThresholdTracker,
    Steps: SequenceTracker,
    FirstSeen: NoveltyTracker,
    Travel: TravelTracker,
    Absent: AbsenceTracker,
    Spike: SpikeTracker,
}


class MemoryWindows:
    """Windows of one app in memory, for one thread at a time; any may call `groups`, `dropped` and `merged`."""

    def __init__(self, watches: Iterable[Watch] = (), limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.trackers: dict[str, Tracker[Any]] = {}
        for watch in watches:
            self.watch(watch)

    def watch(self, watch: Watch) -> None:
        """Begin a watch, or begin it anew where what it asks has changed."""
        known = self.trackers.get(watch.id)
        if known is None or known.watch != watch:
            self.trackers[watch.id] = KINDS[type(watch.detector)](watch, self.limits)

    def forget(self, watch: str) -> None:
        """End a watch and drop its state."""
        self.trackers.pop(watch, None)

    def unlearn(self) -> None:
        """Forget every finding: the store knows which there are."""
        for tracker in self.trackers.values():
            tracker.findings = Findings(tracker.watch, tracker.limits)

    def hand_over(self, watch: str) -> Tracker[Any]:
        """Give up the state of a watch, for other windows."""
        return self.trackers.pop(watch)

    def take_over(self, watch: str, state: Tracker[Any]) -> None:
        """Go on with the state that other windows handed over."""
        self.trackers[watch] = state

    def hit(self, hits: Sequence[Hit], newest: int) -> list[Opening]:
        """Record hits in their order of arrival and return what opens; `newest` is the app's newest event time."""
        if len(hits) == 1:
            return list(self.trackers[hits[0].watch].hit(hits[0], newest))
        return list(self.run(hits, newest))

    def run(self, hits: Sequence[Hit], newest: int, revise: Revise | None = None) -> Iterator[Opening]:
        """Record hits and give what opens, in the order of the hits; a watch goes on once its opening was taken.

        Hits are recorded watch by watch, since what a watch keeps lies together. With `revise`, the hits that follow an
        opening of the same watch are passed through it first.
        """
        by_watch: dict[str, list[Hit]] = {}
        for hit in hits:
            own = by_watch.get(hit[0])
            if own is None:
                own = by_watch[hit[0]] = []
            own.append(hit)
        runs = [self.trackers[watch].run(own, newest, revise) for watch, own in by_watch.items()]
        firsts = [(opening, run) for run in runs if (opening := next(run, None)) is not None]
        return _in_order(firsts, hits) if firsts else iter(())

    def due(self, watermark: int) -> list[Opening]:
        """Return what opens because nothing came in time. Events before `watermark` are not waited for any more."""
        return [opening for tracker in self.trackers.values() for opening in tracker.due(watermark)]

    def put_back(self, openings: Sequence[Opening]) -> None:
        """Take back what `due` gave, since it could not be kept: it is due again."""
        for opening in openings:
            self.trackers[opening.hit.watch].put_back(opening)

    def yielded(self, opening: Opening) -> None:
        """Learn that a finding did not act after all, so that it holds back no action."""
        self.trackers[opening.hit.watch].findings.yielded(opening)

    def know(self, watch: str, key: str, at: int, id: str, tally: tuple[int | float, ...], acting: bool) -> None:
        """Take in a finding opened before (by another process, or before a restart), so that it holds back others."""
        self.trackers[watch].findings.know(key, Opened(at, id, tally, acting, approximate=False))

    def progress(self, watch: str, key: str, now: int) -> Progress | None:
        """Return how near a group is to a finding, changing nothing; None for a watch or a group that is not known."""
        tracker = self.trackers.get(watch)
        return None if tracker is None else tracker.progress(key, now)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give users other names."""
        renaming = Renaming(names)
        for tracker in self.trackers.values():
            renaming.do(tracker)

    def snapshot(self, watch: str) -> bytes | None:
        """Return the state of a watch; None of one that is not known."""
        tracker = self.trackers.get(watch)
        return None if tracker is None else dump(tracker)

    def restore(self, watch: str, data: bytes) -> bool:
        """Take over a snapshot; False where it was taken of another watch. Raises SentinelError for damaged bytes."""
        known = self.trackers[watch].watch
        tracker = KINDS[type(known.detector)](known, self.limits)
        if not fill(tracker, data):
            return False
        self.trackers[watch] = tracker
        return True

    def faults(self) -> Counter[tuple[str, str]]:
        """Return what went wrong since this was asked last, by watch and text."""
        found: Counter[tuple[str, str]] = Counter()
        for name, tracker in self.trackers.items():
            if tracker.faults:
                found.update({(name, text): count for text, count in tracker.faults.items()})
                tracker.faults.clear()
        return found

    def groups(self) -> dict[str, int]:
        """Return how many groups live, by watch."""
        return {name: len(tracker.groups) for name, tracker in list(self.trackers.items())}

    def dropped(self) -> Counter[str]:
        """Return what was let go, by reason, over all watches."""
        total: Counter[str] = Counter()
        for tracker in list(self.trackers.values()):
            total.update(dict(tracker.dropped))  # one more reason may come up meanwhile
        return total

    def merged(self) -> Counter[str]:
        """Return how many hits were merged or dropped because their groups had too many, by watch."""
        return Counter({name: tracker.merged for name, tracker in list(self.trackers.items()) if tracker.merged})


def windows_of(watches: Iterable[Watch], lateness: int) -> MemoryWindows:
    """Return windows with the usual limits, for events up to `lateness` microseconds behind the newest."""
    return MemoryWindows(watches, Limits(lateness=lateness))


def _in_order(firsts: Sequence[tuple[Opening, Iterator[Opening]]], hits: Sequence[Hit]) -> Iterator[Opening]:
    """Give what several watches open in the order of the hits it came with."""
    if len(firsts) == 1:
        opening, run = firsts[0]
        yield opening
        yield from run
        return
    watches = {opening.hit.watch for opening, _ in firsts}
    places: dict[tuple[str, int, str], int] = {}
    for place, hit in enumerate(hits):
        if hit.watch in watches:
            places.setdefault((hit.watch, hit.at, hit.id), place)

    def entry(turn: int, opening: Opening, run: Iterator[Opening]) -> tuple[int, int, Opening, Iterator[Opening]]:
        hit = opening.hit
        return places[hit.watch, hit.at, hit.id], turn, opening, run

    heap = [entry(turn, opening, run) for turn, (opening, run) in enumerate(firsts)]
    heapify(heap)
    while heap:
        _, turn, opening, run = heappop(heap)
        yield opening
        following = next(run, None)
        if following is not None:
            heappush(heap, entry(turn, following, run))
