"""Thresholds: a group's hits are packed bytes for a small count; else plain hits, then a log once they may cross."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sentinel.engine.windows import Hit, Opening, Progress, Threshold, Watch
from sentinel.windows import packed
from sentinel.windows.groups import Crossing, Limits
from sentinel.windows.hits import STRIDE, Hits
from sentinel.windows.log import Log, Terms, terms_of
from sentinel.windows.snapshot import frozen, plain
from sentinel.windows.tally import amounts
from sentinel.windows.tracker import Revise, Tracker

PACKED_RECORDS = 512
LOOK = 8 * STRIDE  # every eighth hit of a few is the moment to let go of old ones
State = bytes | Hits | Log


class ThresholdTracker(Tracker[State]):
    """The groups of one threshold."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        super().__init__(watch, limits, span=watch.window)
        assert isinstance(watch.detector, Threshold)
        self.terms = terms_of(watch.detector, watch.window, limits.lateness, limits.hits)
        self.alone = _count_alone(self.terms, limits.lateness)
        # what is shorter than this has no crossing with one hit more
        self.few = (self.alone - 1) * packed.RECORD if self.alone else STRIDE * min(self.terms.fewest - 1, limits.hits)

    def fresh(self) -> State:
        """Return no bytes where hits can be packed, else no hits."""
        return b"" if self.alone else Hits()

    def size(self, state: State) -> int:
        """Return the number of hits kept."""
        return len(state) // packed.RECORD if isinstance(state, bytes) else _hits(state).many

    def run(self, hits: Iterable[Hit], newest: int, revise: Revise | None = None) -> Iterator[Opening]:
        """Record hits and give what opens.

        Most hits are newer than all others and come to a group that has too few to cross. For them nothing is called,
        and as little as can be is looked at: what a group keeps is seldom in the processor's caches.
        """
        few, single, pack, keep, opened = self.few, self.terms.single, packed.record, self.keep, False
        groups, spared = self.groups, self.findings.__contains__
        young, turn, latest = groups.young, self.turn or 0, self.latest
        for hit in hits:
            _, key, at, id, values, _, source = hit
            if latest < at < turn:
                state = young.get(key)
                if state is None:
                    state = groups.fetch(key, source, spared)
                if type(state) is Hits:
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
                    latest = at
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
            state = self.groups.young[key] = Log(_unpacked(state), self.terms)
        elif type(state) is Hits:
            state.forget(at - self.keep)
            if len(state) < self.few and (not state or state[-3] < at):
                state += at, id, values[0] if self.terms.single else values
                return ()
            state = self.groups.young[key] = Log(state, self.terms)
        assert isinstance(state, Log)
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
        at, id, terms = hit.at, hit.id, self.terms
        newest = log.hits.at(-1) if log.hits else -1
        if at <= newest and log.hits.holds(at, id):
            return self.findings.again(hit, at if terms.on_arrival else at + terms.window - 1)
        log.add(at, id, hit.values[0] if terms.single else hit.values, terms)
        if at >= newest:
            crossing = None if self.findings.held_from(hit, at) else log.crossing(at, id, terms)
            openings = self.findings.open(hit, (crossing,), log.approximate) if crossing else []
        elif self.findings.held_from(hit, newest) or not log.may_cross(at, terms):
            openings = []
        else:
            found = log.crossings(at, terms)
            if terms.on_arrival:
                found = [crossing for crossing in found if crossing[1] == id]
            openings = self.findings.open(hit, found, log.approximate)
        if log.hits.many > log.limit:
            self.merged += log.thin(terms)
        return openings

    def events(self, state: State, at: int) -> Iterable[str]:
        """Return ids of the hits kept of the window that ends at `at`."""
        start = at - self.watch.window
        if isinstance(state, bytes):
            places = range(packed.place(state, start), packed.place(state, at))
            return [id for _, id in sorted(packed.unpack(state, place) for place in places)]
        hits = _hits(state)
        return [id for _, id, _ in hits.each(hits.behind(start), hits.behind(at))]

    def weigh(self, key: str, state: State, now: int) -> Progress:
        """Return what lies in the window that ends now."""
        start = now - self.watch.window
        if isinstance(state, bytes):
            counted = range(packed.place(state, start), packed.place(state, now))
            newest = packed.time_at(state, counted[-1]) if counted else None
            tally: tuple[int | float | None, ...] = (len(counted),)
        else:
            hits = _hits(state)
            inside = list(hits.each(hits.behind(start), hits.behind(now)))
            newest = inside[-1][0] if inside else None
            tally = amounts(self.terms.gauges, [values for _, _, values in inside])
        approximate = isinstance(state, Log) and state.approximate
        return Progress(tally, None if newest is None else newest + self.watch.window, approximate)

    def write(self, state: State) -> Any:
        """Return packed bytes as they are, else the hits; of a log also its limit and its mark."""
        if not isinstance(state, Log):
            return state if isinstance(state, bytes) else [state]
        hits = state.hits
        if state.approximate:
            hits = Hits.of((at, id, plain(values)) for at, id, values in hits.each())
        return [hits, state.limit, state.approximate]

    def read(self, stored: Any) -> State:
        """Return the state that `write` gave."""
        if isinstance(stored, bytes):
            return stored
        hits, *log = stored
        hits = Hits.of((at, id, frozen(values)) for at, id, values in Hits(hits).each())
        if not log:
            return hits
        limit, approximate = log
        return Log(hits, self.terms, approximate, limit)


def _hits(state: Hits | Log) -> Hits:
    return state.hits if isinstance(state, Log) else state


def _unpacked(state: bytes) -> Hits:
    """Return packed hits as they are: once an id does not fit a record."""
    unpacked = (packed.unpack(state, index) for index in range(len(state) // packed.RECORD))
    return Hits.of((at, id, 1) for at, id in sorted(unpacked))


def _count_alone(terms: Terms, lateness: int) -> int:
    """Return n where hits can be packed: a `count` alone, small, over few cells; else 0."""
    if [gauge.kind for gauge in terms.gauges] != ["count"]:
        return 0
    n = int(terms.gauges[0].reach)
    records = 2 * n * (-(-lateness // terms.window) + 2)
    return n if n <= packed.MOST and records <= PACKED_RECORDS else 0
