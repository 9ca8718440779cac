"""Past events through the engine: what live would have found and done, on a clock that the events drive.

What was found is given to the caller in order; nothing is stored, sent or told to anybody from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from sentinel.core.event import Event
from sentinel.core.finding import Finding, finding_id
from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.engine.windows import Hit, Opening, Windows


def nothing(event: Event) -> None:
    """Take no notice."""


class Replay:
    """An engine with its windows and its memory, fed with events in the order they are to arrive.

    The outcome is the same however the events are cut into batches. `login` is told of each successful login before
    it is learnt from. `matched` counts hits by playbook; `skipped` and `errors` are the engine's.
    """

    def __init__(
        self, engine: Engine, windows: Windows, memory: Memory, login: Callable[[Event], None] = nothing
    ) -> None:
        self.engine = engine
        self.windows = windows
        self.memory = memory
        self.newest = 0
        self.matched: Counter[str] = Counter()
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self._login = login
        self._found: set[str] = set()

    def feed(self, events: Sequence[Event], now: int | None = None) -> Iterator[Finding]:
        """Give the findings of a batch as they open, each once.

        It is `now`, in microseconds, for all of the batch; without it, the time of the newest event so far.
        """
        matched = self.engine.match(events, self.newest)
        self.skipped.update(matched.skipped)
        self.errors.update(matched.errors)
        hits = iter(matched.hits)
        hit = next(hits, None)
        for event in events:
            if event.at > self.newest and not event.historical:
                self.newest = event.at
            if event.success:
                self._login(event)
                self.memory.familiar.learn(event)
            while hit is not None and hit.id is event.id and hit.at == event.at:
                self.matched[hit.watch] += 1
                yield from self._hit(hit, event, self.newest if now is None else now)
                hit = next(hits, None)

    def _hit(self, hit: Hit, event: Event, now: int) -> Iterator[Finding]:
        """Give what one hit opens. One at a time, because a finding may trip the guard that holds back the next."""
        if hit.acting and self.memory.ledger.tripped(hit.watch, now):
            hit = hit._replace(acting=False)
        for opening in self.windows.hit((hit,), self.newest):
            if self._is_new(opening):
                (finding,) = self.engine.respond((opening,), (event,), self.memory, now)
                if any(effect.held == "guard" for effect in finding.effects):
                    self.windows.yielded(opening)
                yield finding

    def _is_new(self, opening: Opening) -> bool:
        id = finding_id(self.memory.app, opening.hit.watch, opening.hit.key, opening.at, opening.id)
        fresh = id not in self._found
        self._found.add(id)
        return fresh
