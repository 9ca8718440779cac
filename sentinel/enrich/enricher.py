"""All steps of enrichment for an event. A step that fails is counted and skipped: no event is lost for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock

from sentinel.core.errors import fault
from sentinel.core.event import Event
from sentinel.enrich import agent
from sentinel.enrich.geo import Geo
from sentinel.enrich.network import NetworkLists

Step = Callable[[Event], None]
LabelsOf = Callable[[str, str], Sequence[str]]


class Enricher:
    """Fill in what the server knows of an event; what the event carries already is left alone.

    `steps` may be given to replace the usual ones, by name.
    """

    def __init__(
        self, geo: Geo | None = None, networks: NetworkLists | None = None, steps: Mapping[str, Step] | None = None
    ) -> None:
        self._geo = geo or Geo(())
        self._networks = networks or NetworkLists()
        usual = {"network": self._network, "geo": self._place, "agent": agent.add}
        self._steps = tuple((usual if steps is None else steps).items())
        self._failed: Counter[str] = Counter()
        self._last: dict[str, str] = {}
        self._refreshing = Lock()
        agent.warm()

    def enrich(self, event: Event, labels: LabelsOf | None = None) -> None:
        """Add geo, network, agent and device to an event, and its labels.

        `labels(kind, target)` gives the labels in force of a user key (`user`), of an address or network (`ip`).
        """
        self.enrich_all((event,), labels)

    def enrich_all(self, events: Sequence[Event], labels: LabelsOf | None = None) -> None:
        """Add to each event what `enrich` adds."""
        for name, step in self._steps:
            self._take(name, step, events)
        if labels is not None:
            self._take("labels", lambda event: _label(event, labels), events)

    def _take(self, name: str, step: Step, events: Sequence[Event]) -> None:
        for event in events:
            try:
                step(event)
            except Exception as error:  # noqa: BLE001 - counted by step and shown; the event goes on without it
                self._failed[name] += 1
                self._last[name] = fault(error)[:200]

    def refresh(self) -> bool:
        """Take over databases and lists that changed on the disk; say whether any did. Not on the events' thread."""
        with self._refreshing:
            return any([self._geo.refresh(), self._networks.refresh()])

    def problems(self) -> list[str]:
        """Return what is wrong with databases, lists and steps, one line each."""
        failed = [f"{name}: {count} events without it, last {self._last[name]}" for name, count in self._failed.items()]
        return [*self._geo.problems(), *self._networks.problems(), *failed]

    @property
    def failed(self) -> dict[str, int]:
        """How many times each step failed; geo also where one database did and the others were asked."""
        return dict(self._failed + Counter(geo=self._geo.failed))

    def _network(self, event: Event) -> None:
        if (ip := event.ip) and not event.network:
            event.network = self._networks.of(ip)

    def _place(self, event: Event) -> None:
        if (ip := event.ip) and not event.geo and (found := self._geo.of(ip)):
            event.geo = found


def build(databases: Sequence[Path] = (), lists: Mapping[str, Sequence[Path]] | None = None) -> Enricher:
    """Return an Enricher over geo databases and lists of networks by kind.

    A file that cannot be read is among its `problems`; raises InputError for a kind of list that does not exist.
    """
    return Enricher(Geo(databases), NetworkLists(lists))


def _label(event: Event, labels: LabelsOf) -> None:
    if event.user:
        event.user_labels = _joined(event.user_labels, labels("user", event.user))
    if event.ip:
        found = labels("ip", event.ip)
        network = event.network_ip
        if network and network != event.ip:
            found = (*found, *labels("ip", network))
        event.ip_labels = _joined(event.ip_labels, found)


def _joined(old: tuple[str, ...], new: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({*old, *new})) if new else old
