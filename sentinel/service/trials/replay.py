"""Run past events through the engine: what it would have found and done live, on a clock that the events drive.

Findings are given to the caller in order; nothing is stored, sent or told to anybody from here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from sentinel.core.event import Event
from sentinel.core.finding import Finding, finding_id
from sentinel.engine.emit import made
from sentinel.engine.engine import Engine, Matched
from sentinel.engine.memory import Memory
from sentinel.engine.windows import Absent, Hit, Opening, Windows
from sentinel.service.marks import Marks, matter

EVER = 1 << 62
_watch = attrgetter("watch")


class Retraction(NamedTuple):
    """A finding that is taken back, because of an event that came late."""

    finding: str
    playbook: str
    key: str


Answer = Finding | Retraction


class _Course:
    """The clock at each event of a batch, as (newest event time, now); worked out when it is first asked for."""

    def __init__(self, events: Sequence[Event], newest: int, now: int | None) -> None:
        self._events, self._newest, self._now = events, newest, now
        self._clocks: list[tuple[int, int]] = []
        self._places: dict[tuple[int, str], int] = {}

    def place(self, hit: Hit) -> int:
        """Return the index of the event that a hit is of."""
        self._look()
        return self._places[hit.at, hit.id]

    def clock(self, place: int) -> tuple[int, int]:
        """Return the newest event time and the current time at the event of an index."""
        self._look()
        return self._clocks[place]

    def _look(self) -> None:
        if self._clocks:
            return
        newest = self._newest
        for place, event in enumerate(self._events):
            self._places.setdefault((event.at, event.id), place)
            if event.at > newest and not event.historical:
                newest = event.at
            self._clocks.append((newest, newest if self._now is None else self._now))


def nothing(event: Event) -> None:
    """Take no notice."""


class Replay:
    """An engine with its windows and its memory, fed with events in the order they are to arrive.

    The outcome is the same however the events are cut into batches. `login` is told of each successful login before
    it is learnt from. `matched` counts hits by playbook; `skipped` and `errors` are the engine's. `newest` is the
    newest event time so far, `now` the time of what is being given.
    """

    def __init__(
        self, engine: Engine, windows: Windows, memory: Memory, login: Callable[[Event], None] = nothing
    ) -> None:
        self.engine = engine
        self.windows = windows
        self.memory = memory
        self.newest = self.now = 0
        self.matched: Counter[str] = Counter()
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self._login = login
        self._waits = any(isinstance(watch.detector, Absent) for watch in engine.watches())
        self._found: set[str] = set()
        self._made: list[Event] = []
        self._marks = Marks() if matter(judge.playbook for judge in engine.judges.values()) else None

    def feed(self, events: Sequence[Event], now: int | None = None) -> Iterator[Answer]:
        """Give the findings and retractions that a batch leads to, in order.

        `now`, in microseconds, is the current time for all of the batch; without it that is the newest event time.
        """
        own = [(event.user_labels, event.ip_labels) for event in events] if self._marks else []
        at_once = self._marks is None and not self._waits and not self.engine.emits
        if at_once and not self.memory.ledger.holding:
            yield from self._feed_at_once(events, now)
            return
        first = yield from self._feed(events, now)
        while first < len(events):
            for event, labels in zip(events[first:], own[first:], strict=True):
                event.user_labels, event.ip_labels = labels
            first += yield from self._feed(events[first:], now)

    def _feed_at_once(self, events: Sequence[Event], now: int | None) -> Iterator[Answer]:
        """Do as `feed`, matching all events at once: right where only a guard that trips changes what later ones do."""
        begun, learnt, seen = self.newest, 0, 0
        matched = self.engine.match(events, begun)
        crowded, hits = self.engine.crowded, matched.hits
        course = _Course(events, begun, now)

        def revise(hit: Hit) -> Hit:
            held = hit.acting and self.memory.ledger.tripped(hit.watch, course.clock(course.place(hit))[1])
            return hit._replace(acting=False) if held else hit

        for opening in self.windows.run(matched.hits, matched.newest, revise):
            place = course.place(opening.hit)
            self._learn(events[learnt : place + 1])
            if crowded:
                stop = bisect_right(hits, place, seen, key=course.place)
                self.memory.gather(hits[seen:stop], events[learnt : place + 1], crowded)
                seen = stop
            learnt = place + 1
            self.newest, self.now = course.clock(place)
            yield from self._answer(opening, (events[place],))
        self._learn(events[learnt:])
        self.memory.gather(hits[seen:], events[learnt:], crowded)
        self.newest, self.now = matched.newest, matched.newest if now is None else now
        self._count(matched, len(events))

    def _learn(self, events: Sequence[Event]) -> None:
        """Tell `login` of the successful logins among events, and learn their places."""
        for event in events:
            if event.success and event.name == "auth":
                self._login(event)
                self.memory.familiar.learn(event)

    def _feed(self, events: Sequence[Event], now: int | None) -> Generator[Answer, None, int]:
        """Do as `feed`, event by event, up to the first that a label was put on by; return how many were taken.

        The rest have to be matched again, for they may see the label.
        """
        begun, marks, waits = self.newest, self._marks, self._waits
        labels = marks.changes if marks is not None else 0
        if marks is not None and labels:
            self._show(marks, events, now)
        matched = self.engine.match(events, begun)
        hits = iter(matched.hits)
        hit = next(hits, None)
        newest = begun
        for place, event in enumerate(events):
            if event.at > newest and not event.historical:
                newest = event.at
            login = event.name == "auth" and event.success
            if login or waits or (hit is not None and hit.id is event.id):
                self.newest, self.now = newest, newest if now is None else now
                if waits:
                    yield from self.wait(self.now)
                    if marks is not None and marks.changes != labels:
                        return self._count(self.engine.match(events[:place], begun), place)
                if login:
                    self._login(event)
                    self.memory.familiar.learn(event)
                while hit is not None and hit.id is event.id and hit.at == event.at:
                    yield from self._take(hit, event)
                    hit = next(hits, None)
                yield from self._count_made()
                if marks is not None and marks.changes != labels:
                    return self._count(self.engine.match(events[: place + 1], begun), place + 1)
        self.newest, self.now = newest, newest if now is None else now
        return self._count(matched, len(events))

    def _count(self, matched: Matched, taken: int) -> int:
        self.skipped.update(matched.skipped)
        self.errors.update(matched.errors + self.windows.faults())
        self.matched.update(map(_watch, matched.hits))
        return taken

    def _show(self, marks: Marks, events: Sequence[Event], now: int | None) -> None:
        """Add to each event the labels in force when it comes."""
        newest = self.newest
        for event in events:
            if event.at > newest and not event.historical:
                newest = event.at
            marks.show(event, newest if now is None else now)

    def wait(self, until: int) -> Iterator[Answer]:
        """Let time pass until a moment, EVER for good, and give the findings of waits that are over by then."""
        lateness = self.engine.lateness
        due = self.windows.due(until - lateness) if self._waits else []
        for opening in sorted(due, key=attrgetter("at")):
            self.now = opening.at + lateness
            yield from self._answer(opening, ())
            yield from self._count_made()
        self.errors.update(self.windows.faults())
        self.now = until

    def _take(self, hit: Hit, event: Event) -> Iterator[Answer]:
        if hit.watch in self.engine.crowded:
            self.memory.gather((hit,), (event,), self.engine.crowded)
        for opening in self._hit(hit):
            yield from self._answer(opening, (event,))

    def _count_made(self) -> Iterator[Answer]:
        """Give what the events lead to that findings made, and those made in turn; their depth is bounded."""
        while self._made:
            events, self._made = sorted(self._made, key=attrgetter("at", "id")), []
            for event in events:
                if self._marks:
                    self._marks.show(event, self.now)
                matched = self.engine.match((event,))
                self._count(matched, 0)
                for hit in matched.hits:
                    yield from self._take(hit, event)

    def _hit(self, hit: Hit) -> Sequence[Opening]:
        """Return what one hit opens; they come one by one because a finding may trip the guard that holds the next."""
        if self.memory.ledger.holding and hit.acting and self.memory.ledger.tripped(hit.watch, self.now):
            hit = hit._replace(acting=False)
        return self.windows.hit((hit,), self.newest)

    def _answer(self, opening: Opening, events: Sequence[Event]) -> Iterator[Answer]:
        id = finding_id(self.memory.app, opening.hit.watch, opening.hit.key, opening.at, opening.id)
        if opening.retracted:
            if id in self._found:
                self._found.remove(id)
                yield Retraction(id, opening.hit.watch, opening.hit.key)
        elif id not in self._found:
            self._found.add(id)
            responded = self.engine.respond((opening,), events, self.memory, self.now)
            self.errors.update(responded.errors)
            for finding in responded.findings:
                if any(effect.held == "guard" for effect in finding.effects):
                    self.windows.yielded(opening)
                if self._marks:
                    self._marks.put(finding, self.now)
                yield finding
                if finding.playbook in self.engine.emits:
                    self._made += made((finding,), *events)
