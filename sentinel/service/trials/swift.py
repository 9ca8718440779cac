"""Judge playbooks on stored events by reading few of them: the findings equal those over all events.

Which events are needed is decided by `needs`, and they are selected by the store. Where it matters who logged in where,
events are judged twice: first to learn which groups are found at all, which no login changes, and then with the logins
of the users and addresses in them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from sentinel.core.candidates import Candidates
from sentinel.core.errors import StoreBusy
from sentinel.core.event import Event
from sentinel.core.record import KeptEvent
from sentinel.engine.emit import emits
from sentinel.engine.playbook import Playbook
from sentinel.service.marks import matter
from sentinel.service.ports.events import Events
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.needs import LOGIN, asks_familiarity, logins, needs
from sentinel.service.trials.past import Run

LOT = 500
MOST = 200_000  # events held at a time

Gone = Callable[[], bool]


class Cut(Exception):
    """No more events are read: the time is over, or nobody waits for the answer."""


def never() -> bool:
    """Say that whoever asked still waits."""
    return False


@dataclass(slots=True)
class Reading:
    """What was read: how many events, and up to which time they were judged, None where all were."""

    events: int = 0
    judged_until: int | None = None
    partial: bool = False
    newest: int | None = field(default=None, repr=False)


class Swift:
    """One app's stored events of a time, for judging playbooks. Times are microseconds, `until` exclusive."""

    def __init__(self, events: Events, app: str, since: int, until: int, gone: Gone = never) -> None:
        self._events = events
        self._app = app
        self._since, self._until = since, until
        self._gone = gone
        self.reading = Reading()

    def judge(self, run: Backtest) -> Reading:
        """Let a run judge what it would have found among all events; partial where the time did not suffice."""
        plan = run.plan
        active = [one for one in plan.playbooks if one.mode != "off"]
        events = list(self._cut(self._merged(needs(active, self._since, self._until))))
        self.reading.events = len(events)
        if any(map(asks_familiarity, active)) and events:
            events = self._with_logins(plan, active, events)
        self._judged(run, events)
        return self.reading

    def measure(self, run: Run) -> Reading:
        """Let a run that asks how high groups came see all that its playbooks match; partial where time was short."""
        events = list(self._cut(self._matched(run.playbooks)))
        self.reading.events = len(events)
        self._judged(run, events)
        return self.reading

    def whole(self, playbooks: Sequence[Playbook]) -> Iterator[list[Event]]:
        """Give every event that playbooks match, and all logins where these matter, in the order of time."""
        events = (kept.event for kept in self._matched(playbooks))
        while lot := list(islice(events, LOT)):
            yield lot

    def _matched(self, playbooks: Sequence[Playbook]) -> Iterator[KeptEvent]:
        active = [one for one in playbooks if one.mode != "off"]
        wanted = needs(active, self._since, self._until, every=True)
        if any(map(asks_familiarity, active)):
            wanted.append(logins(self._since, self._until, None, frozenset()))
        return self._merged(wanted)

    def _with_logins(self, plan: Plan, active: Sequence[Playbook], events: list[KeptEvent]) -> list[KeptEvent]:
        """Return events with the logins that the findings among them ask about, of the same time."""
        users, ips = self._found(plan, active, events)
        if not users and not ips:
            return events
        until = self._until if self.reading.judged_until is None else self.reading.judged_until
        try:
            wanted = logins(self._since, until, users, ips)
            return list(_once(heapq.merge(events, self._asked(wanted), key=_place)))
        except StoreBusy:
            if not self._gone():
                raise
            self.reading.partial, self.reading.judged_until = True, self._since
            return []

    def _found(
        self, plan: Plan, active: Sequence[Playbook], events: Sequence[KeptEvent]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return the users and addresses of the groups that have findings."""
        about: Iterable[Event] = (kept.event for kept in events)
        if not matter(active) and not any(map(emits, active)):  # else all may come to be in a group
            with closing(Backtest(plan)) as trial:
                try:
                    trial.run_stored(self._lots(events))
                except Cut:
                    return frozenset(), frozenset()
                about = list(_of_groups(trial, events, trial.findings.groups.keys()))
        pairs = [(event.user, event.network_ip) for event in about]
        return frozenset(user for user, _ in pairs if user), frozenset(ip for _, ip in pairs if ip)

    def _judged(self, run: Run, events: Sequence[KeptEvent]) -> None:
        try:
            run.run_stored(self._lots(events))
        except Cut:
            self.reading.partial = True
            self.reading.judged_until = self.reading.newest or self._since

    def _lots(self, events: Sequence[KeptEvent]) -> Iterator[list[Event]]:
        """Give events lot by lot, as they are read: a judge may change what lies in one."""
        for first in range(0, len(events), LOT):
            if self._gone():
                raise Cut
            lot = [kept.event for kept in events[first : first + LOT]]
            yield lot
            self.reading.newest = lot[-1].at
        if self.reading.partial:
            raise Cut  # what did not come may come behind what was read

    def _merged(self, wanted: Sequence[Candidates]) -> Iterator[KeptEvent]:
        """Give the events that anything wants, each once, in (time, id) order."""
        return _once(heapq.merge(*map(self._asked, wanted), key=_place))

    def _asked(self, wanted: Candidates) -> Iterator[KeptEvent]:
        for kept in self._events.candidates(self._app, wanted, self._gone):
            kept.event.historical = False
            yield kept

    def _cut(self, events: Iterator[KeptEvent]) -> Iterator[KeptEvent]:
        """Give at most MOST events, while somebody waits; say where it was cut."""
        newest: int | None = None
        try:
            for number, kept in enumerate(events):
                if number == MOST:
                    self.reading.partial = True
                    break
                newest = kept.event.at
                yield kept
        except StoreBusy:
            if not self._gone():
                raise
        if self._gone() or self.reading.partial:
            self.reading.partial, self.reading.judged_until = True, newest or self._since


def concerned(playbooks: Sequence[Playbook], names: Iterable[str]) -> frozenset[str]:
    """Return which names of events playbooks match, with logins where it matters who logged in where."""
    active = [one for one in playbooks if one.mode != "off"]
    wanted = [one for candidates in needs(active, 0, 1, every=True) for one in candidates.selections]
    if any(map(asks_familiarity, active)):
        wanted.append(LOGIN)
    return frozenset(name for name in names if any(one.named(name) for one in wanted))


def _place(kept: KeptEvent) -> tuple[int, str, int]:
    return kept.event.at, kept.event.id, kept.position


def _once(events: Iterable[KeptEvent]) -> Iterator[KeptEvent]:
    before = -1
    for kept in events:
        if kept.position != before:
            before = kept.position
            yield kept


def _of_groups(trial: Backtest, events: Sequence[KeptEvent], found: Iterable[tuple[str, str]]) -> Iterator[Event]:
    """Give the events that count for one of some groups."""
    known = frozenset(found)
    for kept in events if known else ():
        if any((hit.watch, hit.key) in known for hit in trial.engine.match((kept.event,)).hits):
            yield kept.event
