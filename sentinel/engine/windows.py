"""What the engine asks of windows: record hits, and answer which of them open a finding.

It is one call for a batch, so that each backend can be atomic in its own way. How hits are kept is not said here; what
must come out is, in `tests/reference.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sentinel.core.duration import HOUR
from sentinel.engine.playbook import JUDGED_ON_ARRIVAL, MetricKind

MILLION = 1_000_000
FARTHEST_KM = 20_038  # half round the earth
KNOWN = 6  # so many baselines back an event still shows that a group is not new


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric as a window weighs it.

    `reach` is a number of hits or values for count and distinct, integer millionths for sum, avg and ratio,
    a plain number for max. With `strict` (max, avg and ratio only) it must be exceeded.
    """

    kind: MetricKind
    reach: int | float
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """Every gauge is reached in one window."""

    gauges: tuple[Gauge, ...]

    @property
    def on_arrival(self) -> bool:
        """Whether only the delivered event itself is judged, once: some metric can fall as hits are added."""
        return any(gauge.kind in JUDGED_ON_ARRIVAL for gauge in self.gauges)

    @property
    def fewest(self) -> int:
        """The smallest number of hits that can meet every metric."""
        counted = (int(gauge.reach) for gauge in self.gauges if gauge.kind in ("count", "distinct"))
        return max(counted, default=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence: how many events fill it, and of how many different values (0: any)."""

    count: int = 1
    distinct: int = 0


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps are filled one after the other within one window. With `until` findings can be taken back."""

    steps: tuple[Step, ...]
    until: bool = False


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """A value new to the group within `history` microseconds, once it has had `after` events before."""

    history: int
    after: int


@dataclass(frozen=True, slots=True)
class Travel:
    """Two places further apart than `speed` km/h allows."""

    speed: float


@dataclass(frozen=True, slots=True)
class Absent:
    """What was awaited did not come within so many microseconds."""

    within: int


@dataclass(frozen=True, slots=True)
class Spike:
    """The window's count, at least `fewest`, is `factor` times the mean of the windows of the `baseline` before.

    The group must have had an event before that baseline, `known` microseconds before it at most.
    """

    factor: float
    baseline: int
    fewest: int

    @property
    def known(self) -> int:
        """How long before the baseline an event still says that the group was there, in microseconds."""
        return KNOWN * self.baseline


Detector = Threshold | Steps | FirstSeen | Travel | Absent | Spike


@dataclass(frozen=True, slots=True)
class Watch:
    """What windows must know of one playbook; `window` and `cooldown` in microseconds, the cooldown above zero.

    `shape` is a hash of all that decides which events count: state kept under another shape is another's.
    """

    id: str
    window: int
    cooldown: int
    detector: Detector
    shape: str = ""

    @property
    def span(self) -> int:
        """How far back the answer to an event reaches, in microseconds."""
        match self.detector:
            case Spike(baseline=baseline, known=known):
                return self.window + baseline + known
            case Travel(speed=speed):
                return int(FARTHEST_KM / speed * HOUR) + 1
        return self.window


class Hit(NamedTuple):
    """One matching event of one watch, for the group `key`.

    `acting` says whether a finding would act now: only findings that acted hold back those that would.
    `source` is the address it came from. `values` is what the detector reads:

    - Threshold: one entry a gauge: for count 1; for distinct a value or None; for max a number or None; for sum
      millionths or None; for avg and ratio the pair (how many, total)
    - Steps: (bits of the steps it matches, whether it matches `until`, a value or None for each step)
    - FirstSeen: (value or None,)
    - Travel: (latitude, longitude, radius of uncertainty in km)
    - Absent: (whether it begins the wait, whether it ends it, where it begins it [the event as stored, its user])
    - Spike: ()
    """

    watch: str
    key: str
    at: int
    id: str
    values: tuple[Any, ...]
    acting: bool
    source: str | None


class Opening(NamedTuple):
    """A finding to open: the hit that brought it up, its anchor, and the tally at the anchor.

    `tally` has one entry a metric: count and distinct at most their threshold (meaning at least so many), sum in
    millionths, avg and ratio as plain numbers; for other detectors see `engine.detectors`. With `retracted` the finding
    is to be taken back instead. `events` are ids of the events it rests on, oldest first, the newest few at most.
    """

    hit: Hit
    at: int
    id: str
    tally: tuple[int | float, ...]
    approximate: bool = False
    retracted: bool = False
    events: tuple[str, ...] = ()


class Progress(NamedTuple):
    """How near a group is to a finding at a moment; every time in microseconds.

    `tally` has the entries of an opening's tally, None for one nothing can be said of; count and distinct may be over
    their thresholds, and past what is kept they are lower bounds. `empties` is when the last of what is counted leaves,
    None where nothing is counted. `ready` is from when on the group can have findings, None where no time says so.
    `due` is when the oldest wait is over. `known` are values as `engine.keys` writes them, `place` is the newest (time,
    latitude, longitude). `opened` are the findings kept: (anchor, whether it acted), by time.
    """

    tally: tuple[int | float | None, ...]
    empties: int | None = None
    approximate: bool = False
    ready: int | None = None
    due: int | None = None
    known: tuple[str, ...] = ()
    place: tuple[int, float, float] | None = None
    opened: tuple[tuple[int, bool], ...] = ()


class Windows(Protocol):
    """Sliding windows in event time, one state for each watch and group key."""

    def hit(self, hits: Sequence[Hit], newest: int) -> list[Opening]:
        """Record hits in their order of arrival and return what opens; `newest` is the app's newest event time.

        A repeat (same watch, key, time and id) changes nothing and returns again what it opened before.
        """

    def run(self, hits: Sequence[Hit], newest: int, revise: Callable[[Hit], Hit] | None = None) -> Iterator[Opening]:
        """Do as `hit`, giving what opens one by one, in the order of the hits; later hits are recorded meanwhile.

        With `revise`, the hits that follow an opening of the same watch are passed through it first.
        """

    def due(self, watermark: int) -> list[Opening]:
        """Return what opens because nothing came in time. Events before `watermark` are not waited for any more."""

    def put_back(self, openings: Sequence[Opening]) -> None:
        """Take back what `due` gave, since it could not be kept: it is due again."""

    def faults(self) -> Counter[tuple[str, str]]:
        """Return what went wrong since this was asked last, by watch and text: it opened nothing."""

    def yielded(self, opening: Opening) -> None:
        """Learn that a finding did not act after all, so that it holds back no action."""

    def progress(self, watch: str, key: str, now: int) -> Progress | None:
        """Return how near a group is to a finding, changing nothing; None for a watch or a group that is not known."""
