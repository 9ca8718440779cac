"""The engine: events in, hits out; openings in, findings out. What happens in between is done by windows.

`match` says what counts for which group, windows say what opens, `respond` says what it amounts to and what should be
done. Live, tests, backtest and replay all call these two, in this order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from sentinel.core.errors import StoreError, fault
from sentinel.core.event import Event, read
from sentinel.core.finding import Finding, finding_id
from sentinel.engine.emit import emits
from sentinel.engine.judge import Condition, prepare
from sentinel.engine.memory import Memory
from sentinel.engine.metrics import Skipped
from sentinel.engine.playbook import Playbook
from sentinel.engine.remembered import Remembered
from sentinel.engine.respond import crowded, everywhere, respond
from sentinel.engine.rollout import Share
from sentinel.engine.select import NAMES
from sentinel.engine.windows import Hit, Opening, Watch

_new = tuple.__new__  # makes a hit in half the time of its own constructor


class Ready(NamedTuple):
    """What `match` reads of a judge for each event, side by side; `fixed` are its values where they never differ."""

    name: str
    trusting: bool
    admits: Condition | None
    fixed: tuple[Any, ...] | None
    values: Callable[[Event, Skipped], tuple[Any, ...] | None]
    key: Callable[[Event], str | None]
    acts: bool
    share: Share | None


Table = tuple[tuple[Condition | None, list[Ready]], ...]


@dataclass(slots=True)
class Matched:
    """What a batch amounts to before windows: hits in order of arrival, what was passed over, what went wrong.

    `newest` is the app's newest event time after the batch; `errors` counts playbooks that raised, by (playbook, text).
    """

    newest: int
    hits: list[Hit] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class Responded:
    """Openings, each with its finding; `errors` counts playbooks that raised, by (playbook, text)."""

    found: list[tuple[Opening, Finding]] = field(default_factory=list)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def findings(self) -> list[Finding]:
        """The findings alone."""
        return [finding for _, finding in self.found]


class Engine:
    """Playbooks made ready for one app. `lateness` in microseconds; `mode` overrides every playbook's own."""

    def __init__(self, playbooks: Iterable[Playbook], lateness: int = 600_000_000, mode: str | None = None) -> None:
        self.judges = {playbook.id: prepare(playbook) for playbook in playbooks if playbook.mode != "off"}
        self.lateness = lateness
        self.acting = {name: (mode or judge.playbook.mode) == "enforce" for name, judge in self.judges.items()}
        rollouts = {name: judge.playbook.rollout for name, judge in self.judges.items() if mode is None}
        self._shares = {name: Share(name, percent) for name, percent in rollouts.items() if percent is not None}
        self._by_name: Remembered[str, Table] = Remembered(self._look_up, NAMES)
        self.crowded = {
            name: everywhere(judge.playbook) for name, judge in self.judges.items() if crowded(judge.playbook)
        }
        self.emits = frozenset(name for name, judge in self.judges.items() if emits(judge.playbook))

    def watches(self) -> list[Watch]:
        """Return what windows must watch."""
        return [judge.watch for judge in self.judges.values()]

    def acts(self, name: str, key: str) -> bool:
        """Say whether a playbook acts on a group, as far as its mode and its roll-out say."""
        return self.acting[name] and (name not in self._shares or self._shares[name].holds(key))

    def match(
        self, events: Sequence[Event], newest: int = 0, monitoring: Collection[str] = (), *, however_late: bool = False
    ) -> Matched:
        """Return the hits of a batch; `newest` is the app's newest event time so far.

        An event more than the lateness behind the newest is marked historical: it counts, and acts on nobody. With
        `however_late` none is. Playbooks in `monitoring` act on nobody either: their guard holds.
        """
        matched = Matched(newest)
        skipped, add, tables, oldest = matched.skipped, matched.hits.append, self._by_name, newest - self.lateness
        for event in events:
            at = event.at
            if at > newest and not event.historical:
                newest, oldest = at, at - self.lateness
            elif at < oldest and not however_late:
                event.historical = True
            table = tables[event.name]
            if not table:
                continue
            claimed, live = event.trust == "browser", not event.historical
            keyed: Callable[[Event], str | None] | None = None
            key: str | None = None
            for condition, ready in table:
                try:
                    if condition is not None and not condition(event):
                        continue
                except Exception as error:  # noqa: BLE001 - some playbooks' fault is no other's: counted and reported
                    matched.errors.update((one.name, fault(error)) for one in ready)
                    continue
                for name, trusting, admits, fixed, values_of, key_of, acts, share in ready:
                    if claimed and not trusting:
                        continue
                    try:
                        if admits is not None and not admits(event):
                            continue
                        values = fixed or values_of(event, skipped)
                        if values is None:
                            continue
                        if key_of is not keyed:
                            keyed, key = key_of, key_of(event)
                        if key is None:
                            skipped[name, "a group field is missing"] += 1
                            continue
                    except Exception as error:  # noqa: BLE001 - one playbook's fault is no other's
                        matched.errors[name, fault(error)] += 1
                        continue
                    acting = acts and live and (not monitoring or name not in monitoring)
                    if acting and share is not None:
                        acting = share.holds(key)
                    add(_new(Hit, (name, key, at, event.id, values, acting, event.ip)))
        matched.newest = newest
        return matched

    def _look_up(self, name: str) -> Table:
        """Return the playbooks that look at events of a name, by their first condition: it is asked once for all."""
        table: dict[Condition | None, list[tuple[tuple[str, ...], Ready]]] = {}
        for id, judge in self.judges.items():
            if judge.names(name):
                ready = Ready(
                    id, judge.playbook.trust == "any", judge.admits, judge.prepared.fixed, judge.values, judge.key,
                    self.acting[id], self._shares.get(id),
                )  # fmt: skip
                table.setdefault(judge.condition, []).append((judge.playbook.group_by, ready))
        return tuple(
            (condition, [ready for _, ready in sorted(ones, key=itemgetter(0))])  # those of one key beside each other
            for condition, ones in table.items()
        )

    def respond(self, openings: Sequence[Opening], events: Sequence[Event], memory: Memory, now: int) -> Responded:
        """Return the findings of openings, with what should be done about each at `now`.

        `events` holds at least the events that were delivered with the openings' hits; a wait that is over
        remembers its own. What is retracted is passed over: see `retracted`. Raises StoreError where the memory does.
        """
        wanted = {opening.hit.id for opening in openings}
        by_id = {(event.id, event.at): event for event in events if event.id in wanted} if wanted else {}
        responded = Responded()
        for opening in openings:
            if opening.retracted:
                continue
            hit = opening.hit
            try:
                event = by_id.get((hit.id, hit.at)) or _remembered(hit)
                acting = self.acts(hit.watch, hit.key)
                finding = respond(self.judges[hit.watch], opening, event, memory, now, acting=acting)
            except StoreError:  # what servers share is no playbook's fault: all of it is done again
                raise
            except Exception as error:  # noqa: BLE001 - one playbook's fault is no other's
                responded.errors[hit.watch, fault(error)] += 1
            else:
                responded.found.append((opening, finding))
        return responded


def retracted(openings: Sequence[Opening], app: str) -> list[str]:
    """Return the ids of the findings that are taken back and do not open again afterwards."""
    if not any(one.retracted for one in openings):
        return []
    last = {finding_id(app, one.hit.watch, one.hit.key, one.at, one.id): one.retracted for one in openings}
    return [id for id, gone in last.items() if gone]


def _remembered(hit: Hit) -> Event:
    """Return the event that began a wait."""
    plain, user = hit.values[2]
    event = read(plain | {"id": "x"}, enriched=True, reserved=True)
    event.id, event.user = hit.id, user  # an id of a browser's is longer than a sender's may be
    return event
