"""Thresholds: hits packed as bytes where a small count is all that is asked, else few ones plainly in a list, else a
log with running tallies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sentinel.engine.windows import Hit, Opening, Progress, Threshold, Watch
from sentinel.windows import packed
from sentinel.windows.groups import Crossing, Limits
from sentinel.windows.log import Few, Kept, Log, Terms, terms_of
from sentinel.windows.tally import amounts
from sentinel.windows.tracker import Revise, Tracker

PACKED_RECORDS = 512
LOOK = 24  # every eighth hit of a few is the moment to let go of old ones
State = bytes | Few | Log


class ThresholdTracker(Tracker[State]):
    """The groups of one threshold."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        super().__init__(watch, limits, span=watch.window)
        assert isinstance(watch.detector, Threshold)
        self.terms = terms_of(watch.detector, watch.window)
        self.alone = _count_alone(self.terms, limits.lateness)
        # what is shorter than this has no crossing with one hit more
        self.few = (self.alone - 1) * packed.RECORD if self.alone else 3 * min(self.terms.fewest - 1, limits.hits)
        self.single = len(self.terms.gauges) == 1

    def fresh(self) -> State:
        """Return no bytes where hits can be packed, else no hits."""
        return b"" if self.alone else Few()

    def size(self, state: State) -> int:
        """Return the number of hits kept."""
        if isinstance(state, Log):
            return len(state.hits)
        return len(state) // (packed.RECORD if isinstance(state, bytes) else 3)

    def run(self, hits: Iterable[Hit], newest: int, revise: Revise | None = None) -> Iterator[Opening]:
        """Record hits and give what opens.

        Most hits are newer than all others and come to a group that has too few to cross. For them nothing is called,
        and as little as can be is looked at: what a group keeps is seldom in the processor's caches.
        """
        few, single, pack, keep, opened = self.few, self.single, packed.record, self.keep, False
        groups, spared = self.groups, self.findings.__contains__
        young, turn, latest = groups.young, self.turn or 0, self.latest
        for hit in hits:
            _, key, at, id, values, _, source = hit
            if latest < at < turn:
                state = young.get(key)
                if state is None:
                    state = groups.fetch(key, source, spared)
                if type(state) is Few:
                    size = len(state)
                    if size < few and (size % LOOK or not size or state[0] > at - keep):
                        state += at, id, values[0] if single else values
                        latest = at
                        continue
                elif type(state) is bytes and len(state) < few and (record := pack(id, at)) is not None:
                    young[key] = state + record
                    latest = at
                    continue
                elif state is None:
                    continue  # its source may make no more groups: that is counted
            self.latest = latest
            found = self.hit(revise(hit) if opened and revise is not None else hit, newest)
            if found:
                opened = True
                yield from found
            young, turn, latest = groups.young, self.turn or 0, self.latest
        self.latest = latest

    def judge(self, hit: Hit, state: State) -> Iterable[Opening]:
        """Record a hit and return what opens."""
        _, key, at, id, values, _, _ = hit
        if type(state) is bytes:
            record = packed.record(id, at)
            if record is not None:
                if len(state) < self.few and state[-packed.RECORD : -16] < (at << 1).to_bytes(8, "big"):
                    self.groups.young[key] = state + record
                    return ()
                return self._judge_packed(hit, record, state)
        elif type(state) is Few:
            if state and state[0] <= at - self.keep:
                state.forget(at - self.keep)
            if len(state) < self.few and (not state or state[-3] < at):
                state += at, id, values[0] if self.single else values
                return ()
        if not isinstance(state, Log):
            state = self.groups.young[key] = self._logged(state)
        return self._judge_log(hit, state)

    def _judge_packed(self, hit: Hit, record: bytes, state: bytes) -> Iterable[Opening]:
        at, n, window = hit.at, self.alone, self.watch.window
        newest = packed.time_at(state, -1) if state else -1
        if at > newest:
            state = self.groups.young[hit.key] = packed.append(state, record, at, n, window, self.keep)
            if len(state) < n * packed.RECORD or packed.time_at(state, -n) <= at - window:
                return ()
            return self.findings.open(hit, ((at, hit.id, (n,)),))
        if packed.holds(state, record):
            return self.findings.again(hit, at + window - 1)
        if at == newest:
            state = packed.append(state, record, at, n, window, self.keep)
        else:
            state = packed.insert(state, record, at, n, window)
        self.groups.young[hit.key] = state
        if self.findings.held_from(hit, newest):
            return ()
        return self.findings.open(hit, self._packed_crossings(hit, state))

    def _packed_crossings(self, hit: Hit, state: bytes) -> Iterator[Crossing]:
        found = set(packed.crossings(state, hit.at, self.alone, self.watch.window))
        if packed.reaches(state, hit.at, self.alone, self.watch.window):
            found.add((hit.at, hit.id))  # it may have been thinned away at once
        return ((at, id, (self.alone,)) for at, id in sorted(found))

    def _judge_log(self, hit: Hit, log: Log) -> Iterable[Opening]:
        at, terms = hit.at, self.terms
        kept = at, hit.id, hit.values
        newest = log.hits[-1][0] if log.hits else -1
        if at <= newest and log.holds(at, hit.id):
            return self.findings.again(hit, at if terms.on_arrival else at + terms.window - 1)
        log.add(kept, terms, self.keep)
        if at >= newest:
            crossing = None if self.findings.held_from(hit, at) else log.crossing(kept, terms)
            openings = self.findings.open(hit, (crossing,), log.approximate) if crossing else []
        elif self.findings.held_from(hit, newest) or not log.may_cross(at, terms):
            openings = []
        else:
            found = log.crossings(at, terms)
            if terms.on_arrival:
                found = (crossing for crossing in found if crossing[1] == hit.id)
            openings = self.findings.open(hit, found, log.approximate)
        if len(log.hits) > self.limits.hits:
            self.merged += log.thin(terms, self.limits.hits)
        return openings

    def events(self, state: State, at: int) -> Iterable[str]:
        """Return ids of the hits kept of the window that ends at `at`."""
        start = at - self.watch.window
        if isinstance(state, bytes):
            places = range(packed.place(state, start), packed.place(state, at))
            return [packed.unpack(state, place)[1] for place in places]
        return [id for when, id, _ in self._hits(state) if start < when <= at]

    def weigh(self, key: str, state: State, now: int) -> Progress:
        """Return what lies in the window that ends now."""
        start = now - self.watch.window
        if isinstance(state, bytes):
            counted = range(packed.place(state, start), packed.place(state, now))
            newest = packed.time_at(state, counted[-1]) if counted else None
            tally: tuple[int | float | None, ...] = (len(counted),)
        else:
            inside = [hit for hit in self._hits(state) if start < hit[0] <= now]
            newest = inside[-1][0] if inside else None
            tally = amounts(self.terms.gauges, [values for _, _, values in inside])
        approximate = isinstance(state, Log) and state.approximate
        return Progress(tally, None if newest is None else newest + self.watch.window, approximate)

    def write(self, state: State) -> Any:
        """Return packed bytes as they are, a log as its hits, its bound and its mark."""
        return state if isinstance(state, bytes) else [self._hits(state), state.limit, state.approximate]

    def _hits(self, state: Few | Log) -> list[Kept]:
        return state.hits if isinstance(state, Log) else state.hits(self.single)

    def read(self, stored: Any) -> State:
        """Return the state that `write` gave."""
        if isinstance(stored, bytes):
            self.latest = max(self.latest, packed.time_at(stored, -1) if stored else -1)
            return stored
        hits, limit, approximate = stored
        self.latest = max(self.latest, hits[-1][0] if hits else -1)
        log = Log()
        log.limit, log.approximate = limit, approximate
        log.resume(
            [
                (at, id, tuple(tuple(one) if isinstance(one, list) else one for one in values))
                for at, id, values in hits
            ],
            self.terms,
        )
        return log

    def _logged(self, state: bytes | Few) -> Log:
        """Return hits as a log: once there are many, or an id does not fit a record, or one comes late."""
        log = Log()
        if isinstance(state, bytes):
            unpacked = (packed.unpack(state, index) for index in range(len(state) // packed.RECORD))
            log.resume(sorted((at, id, (1,)) for at, id in unpacked), self.terms)
        elif state:
            log.resume(state.hits(self.single), self.terms)
        return log


def _count_alone(terms: Terms, lateness: int) -> int:
    """Return n where hits can be packed: a `count` alone, small, over few cells; else 0."""
    if [gauge.kind for gauge in terms.gauges] != ["count"]:
        return 0
    n = int(terms.gauges[0].reach)
    records = 2 * n * (-(-lateness // terms.window) + 2)
    return n if n <= packed.MOST and records <= PACKED_RECORDS else 0
