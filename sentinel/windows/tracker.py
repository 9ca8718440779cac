"""All groups of one watch: which of them live, which findings were opened, what is let go and counted.

Groups live in two generations of one horizon each: a group touched moves to the young one, and when the horizon
has passed the old one is dropped whole, so nothing is ever searched for what has expired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sentinel.engine.windows import Hit, Opening, Watch
from sentinel.windows import packed
from sentinel.windows.log import MOST, Crossing, Log

PACKED_RECORDS = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of memory. `lateness` in microseconds; `groups` a watch; `hits` a group before it is thinned.

    Once half of `groups` live, one address may make at most `per_source` new ones a horizon.
    """

    lateness: int = 600_000_000
    groups: int = 1_000_000
    hits: int = MOST
    per_source: int = 1_000


@dataclass(slots=True)
class Opened:
    """A finding already opened: anchor, tally, and whether it acted."""

    at: int
    id: str
    tally: tuple[int | float, ...]
    acting: bool
    approximate: bool


PackedId = tuple[int, bytes] | None
State = bytes | Log


class Tracker:
    """The groups of one watch; `hit` is the whole of its work."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        self.watch = watch
        self.limits = limits
        self.keep = watch.window + limits.lateness
        self.horizon = limits.lateness + max(watch.window, watch.cooldown)
        self.young: dict[str, State] = {}
        self.old: dict[str, State] = {}
        self.opened: dict[str, list[Opened]] = {}
        self.opened_old: dict[str, list[Opened]] = {}
        self.made: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.turn: int | None = None
        self.alone = _count_alone(watch, limits.lateness)

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def hit(self, hit: Hit, id: PackedId, newest: int) -> Iterable[Opening]:
        """Record one hit and return what opens; `id` is the hit's packed id."""
        if self.turn is None or newest >= self.turn:
            self._turn_over(newest)
        key = hit.key
        state = self.young.get(key)
        if state is None:
            state = self._fetch(key, hit.source)
            if state is None:
                return ()
        if type(state) is bytes:
            if id is not None:
                return self._hit_packed(hit, id, state)
            state = self.young[key] = _unpacked(state, self.watch)
        assert isinstance(state, Log)
        return self._hit_log(hit, state)

    def _fetch(self, key: str, source: str | None) -> State | None:
        state = self.old.pop(key, None)
        if state is None:
            if not self._room(source):
                return None
            state = b"" if self.alone else Log()
        self.young[key] = state
        return state

    def _hit_packed(self, hit: Hit, id: tuple[int, bytes], state: bytes) -> Iterable[Opening]:
        at, n, window = hit.at, self.alone, self.watch.window
        record = (at << 1 | id[0]).to_bytes(8, "big") + id[1]
        newest = packed.time_at(state, -1) if state else -1
        if at > newest:
            state = self.young[hit.key] = packed.append(state, record, at, n, window, self.keep)
            if len(state) < n * packed.RECORD or packed.time_at(state, -n) <= at - window:
                return ()
            return self._open(hit, ((at, hit.id, (n,)),))
        if packed.holds(state, record):
            return self._again(hit)
        if at == newest:
            state = packed.append(state, record, at, n, window, self.keep)
        else:
            state = packed.insert(state, record, at, n, window)
        self.young[hit.key] = state
        if self._held_from(hit, newest):
            return ()
        return self._open(hit, self._packed_crossings(hit, state))

    def _packed_crossings(self, hit: Hit, state: bytes) -> Iterator[Crossing]:
        found = set(packed.crossings(state, hit.at, self.alone, self.watch.window))
        if packed.reaches(state, hit.at, self.alone, self.watch.window):
            found.add((hit.at, hit.id))  # it may have been thinned away at once
        return ((at, id, (self.alone,)) for at, id in sorted(found))

    def _hit_log(self, hit: Hit, log: Log) -> Iterable[Opening]:
        at, watch = hit.at, self.watch
        kept = at, hit.id, hit.values
        newest = log.newest() if log.hits else -1
        if at <= newest and log.holds(at, hit.id):
            return self._again(hit)
        log.add(kept, watch, self.keep)
        if at >= newest:
            crossing = log.crossing(kept, watch)
            openings = self._open(hit, (crossing,), log.approximate) if crossing else []
        elif self._held_from(hit, newest) or not log.may_cross(at, watch):
            openings = []
        else:
            found = log.crossings(at, watch)
            if watch.on_arrival:
                found = (crossing for crossing in found if crossing[1] == hit.id)
            openings = self._open(hit, found, log.approximate)
        if len(log.hits) > self.limits.hits:
            log.thin(watch, self.limits.hits)
        return openings

    def _open(self, hit: Hit, crossings: Iterable[Crossing], approximate: bool = False) -> list[Opening]:
        """Open a finding at each crossing that no other holds back, ascending."""
        openings: list[Opening] = []
        for at, id, tally in crossings:
            if not self._held(hit.key, at, id, hit.acting):
                self.know(hit.key, Opened(at, id, tally, hit.acting, approximate))
                openings.append(Opening(hit, at, id, tally, approximate))
        return openings

    def _again(self, hit: Hit) -> list[Opening]:
        """Return what a repeated delivery opened before, so that a failed commit can be done again."""
        reach = hit.at if self.watch.on_arrival else hit.at + self.watch.window - 1
        known = self._opened(hit.key)
        return [
            Opening(hit, one.at, one.id, one.tally, one.approximate) for one in known if hit.at <= one.at <= reach
        ]

    def _held(self, key: str, at: int, id: str, acting: bool) -> bool:
        cooldown = self.watch.cooldown
        for one in self._opened(key):
            if (one.acting or not acting) and (abs(one.at - at) < cooldown or (one.at == at and one.id == id)):
                return True
        return False

    def _held_from(self, hit: Hit, last: int) -> bool:
        """Say whether findings hold back every crossing from the hit's time to `last`: nothing to examine."""
        cooldown, upto = self.watch.cooldown, hit.at
        for one in self._opened(hit.key):
            if (one.acting or not hit.acting) and one.at - cooldown < upto < one.at + cooldown:
                upto = one.at + cooldown
        return upto > last

    def _opened(self, key: str, make: bool = False) -> list[Opened]:
        known = self.opened.get(key)
        if known is None:
            known = self.opened_old.pop(key, None)
            if known is None:
                if not make:
                    return []
                known = []
            self.opened[key] = known
        if len(known) > 8:
            edge = known[-1].at - self.limits.lateness - 2 * self.horizon
            known[:] = [one for one in known if one.at > edge]
        return known

    def _turn_over(self, newest: int) -> None:
        if self.turn is not None:
            passed = newest >= self.turn + self.horizon
            self.old = {} if passed else self.young
            self.opened_old = {} if passed else self.opened
            self.young, self.opened = {}, {}
            self.made.clear()
        self.turn = newest + self.horizon

    def _room(self, source: str | None) -> bool:
        """Say whether a new group may be made; make room where all are taken."""
        living = len(self.young) + len(self.old)
        if living < self.limits.groups // 2:
            return True
        if source is not None:
            if self.made[source] >= self.limits.per_source:
                self.dropped["source over its quota of groups"] += 1
                return False
            self.made[source] += 1
        if living >= self.limits.groups:
            self._evict(max(1, self.limits.groups // 10))
        return True

    def _evict(self, wanted: int) -> None:
        """Drop groups of the lowest tally, those with findings last."""
        size = 1
        while wanted > 0:
            for groups in (self.old, self.young):
                chosen = [key for key, state in groups.items() if _size(state) <= size and self._may_go(key, size)]
                for key in chosen[:wanted]:
                    del groups[key]
                gone = min(len(chosen), max(wanted, 0))
                self.dropped["groups evicted"] += gone
                wanted -= gone
            size *= 2

    def _may_go(self, key: str, size: int) -> bool:
        return size > self.limits.hits or not (key in self.opened or key in self.opened_old)

    def know(self, key: str, finding: Opened) -> None:
        """Take in a finding opened before, unless it is known."""
        known = self._opened(key, make=True)
        if all((one.at, one.id) != (finding.at, finding.id) for one in known):
            known.append(finding)
            known.sort(key=lambda one: one.at)

    def yielded(self, opening: Opening) -> None:
        """Let a finding that did not act hold back no action."""
        for one in self._opened(opening.hit.key):
            if (one.at, one.id) == (opening.at, opening.id):
                one.acting = False


def _count_alone(watch: Watch, lateness: int) -> int:
    """Return n where hits can be packed: a `count` alone, small, over few cells; else 0."""
    if [gauge.kind for gauge in watch.gauges] != ["count"]:
        return 0
    n = int(watch.gauges[0].reach)
    records = 2 * n * (-(-lateness // watch.window) + 2)
    return n if n <= packed.MOST and records <= PACKED_RECORDS else 0


def _size(state: State) -> int:
    return len(state) // packed.RECORD if isinstance(state, bytes) else len(state.hits)


def _unpacked(state: bytes, watch: Watch) -> Log:
    """Return packed hits as a log: for ids that do not fit a record."""
    log = Log()
    for at, id in sorted(packed.unpack(state, index) for index in range(len(state) // packed.RECORD)):
        log.add((at, id, (1,)), watch, keep=1 << 62)
    return log
