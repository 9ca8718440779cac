"""Labels in memory: what findings put on users and addresses, and which events see them.

For replays, and within a commit: a label that one event leads to is seen by the events after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sentinel.core.event import Event
from sentinel.core.finding import Finding
from sentinel.engine.emit import DEPTH
from sentinel.engine.engine import Engine
from sentinel.engine.expression import Expression
from sentinel.engine.judge import Judge
from sentinel.engine.playbook import Playbook
from sentinel.engine.remembered import Remembered
from sentinel.engine.select import NAMES, selectors
from sentinel.service.sparing import Whose

FIELDS = frozenset({"user.labels", "ip.labels"})


class Marks:
    """The labels on users and addresses, by target, with their ends; `changes` counts how often one was put on."""

    def __init__(self) -> None:
        self.changes = 0
        self._on: dict[tuple[str, str], dict[str, int | None]] = {}

    def put(self, finding: Finding, now: int) -> None:
        """Put on the labels of a finding's effects; one that is on already gets the new end."""
        for effect in finding.effects:
            if effect.held is None and effect.label is not None and effect.target is not None:
                whom = "user" if effect.kind == "label_user" else "ip", effect.target
                self.changes += 1
                self._on.setdefault(whom, {})[effect.label] = None if effect.length is None else now + effect.length

    def show(self, event: Event, now: int) -> None:
        """Add to an event the labels in force on its user, its address and its address's network."""
        if event.user and (found := self._of("user", event.user, now)):
            event.user_labels = tuple(sorted({*event.user_labels, *found}))
        if event.ip and (seen := self._of("ip", event.ip, now) + self._of("ip", event.network_ip or "", now)):
            event.ip_labels = tuple(sorted({*event.ip_labels, *seen}))

    def _of(self, kind: str, target: str, now: int) -> list[str]:
        known = self._on.get((kind, target))
        return [name for name, until in known.items() if until is None or now < until] if known else []


def borne(finding: Finding, whose: Whose) -> Finding:
    """Return a finding whose labels are on the persons' own keys: an effect may name a person by any key.

    `whose` returns the person of each key, None for a key of nobody.
    """
    effects = tuple(
        replace(effect, target=whose([effect.target])[0] or effect.target)
        if effect.kind == "label_user" and effect.target not in (None, finding.user)
        else effect
        for effect in finding.effects
    )
    return finding if effects == finding.effects else replace(finding, effects=effects)


class Turns:
    """Which events may lead to a label, and which ask for labels: these must be judged one after the other."""

    def __init__(self, engine: Engine) -> None:
        acting = [judge for name, judge in engine.judges.items() if engine.acting[name]]
        asking = [judge for judge in engine.judges.values() if _asks(judge.playbook)]
        putting = [judge for judge in acting if _puts(judge.playbook)]
        for _ in range(DEPTH):  # what leads to them by events that findings make
            makers = [judge for judge in acting if judge not in putting and _makes_for(judge.playbook, putting)]
            putting += makers
        self.needed = bool(putting and asking)
        targets = {one.target for judge in putting for one in judge.playbook.actions if one.label is not None}
        self._others = not targets <= {None, "user", "ip"}  # on somebody an event names elsewhere
        self._puts = Remembered[str, bool](lambda name: any(judge.names(name) for judge in putting), NAMES)
        self._asks = Remembered[str, bool](lambda name: any(judge.names(name) for judge in asking), NAMES)

    def cuts(self, events: Sequence[Event]) -> frozenset[int]:
        """Return the indexes of the events before which a batch has to be cut.

        Such an event asks for a label of somebody on whom an event before it, since the last cut, may have put one.
        """
        found: list[int] = []
        marked: set[str | None] = set()
        for place, event in enumerate(events if self.needed else ()):
            asks, puts = self._asks[event.name] and bool(marked), self._puts[event.name] and not event.historical
            if asks or puts:
                whom = {event.user, event.network_ip} - {None}
                if asks and (self._others or whom & marked):
                    found.append(place)
                    marked = set()
                if puts:
                    marked |= whom or {None}
        return frozenset(found)


def matter(playbooks: Iterable[Playbook]) -> bool:
    """Say whether labels are both put on and asked for, so that a finding can change what the next event matches."""
    known = list(playbooks)
    return any(map(_puts, known)) and any(map(_asks, known))


def _makes_for(playbook: Playbook, others: Iterable[Judge]) -> bool:
    made = [action.event for action in playbook.actions if action.event is not None]
    return any(other.names(name) for name in made for other in others)


def _puts(playbook: Playbook) -> bool:
    return any(action.label is not None for action in playbook.actions)


def _asks(playbook: Playbook) -> bool:
    return any(FIELDS & set(where.fields) for where in _conditions(playbook))


def _conditions(playbook: Playbook) -> Iterator[Expression]:
    """Yield every condition of a playbook."""
    for selector in selectors(playbook):
        yield from selector.wheres
    yield from (metric.where for metric in playbook.when if metric.where is not None)
    yield from (one.where for one in playbook.exceptions)
