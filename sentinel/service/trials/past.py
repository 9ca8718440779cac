"""Past events in the order of time, from files or from a store, for whoever judges them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from sentinel.core.event import Event
from sentinel.engine.playbook import Playbook
from sentinel.service.eventfiles import order
from sentinel.service.eventfiles.reading import Account, Batch, Options, events
from sentinel.service.eventfiles.streams import Stream


def nothing() -> None:
    """Take no notice."""


class Reading(Protocol):
    """Which playbooks are judged, and how files are read."""

    @property
    def playbooks(self) -> Sequence[Playbook]: ...
    @property
    def arrival_order(self) -> bool: ...
    @property
    def strict(self) -> bool: ...
    @property
    def options(self) -> Options: ...


class Run(ABC):
    """One run over past events; a kind gives `begin`, which lets it start anew, and `judge`.

    `account` says what was read, `sorting` and `order` in which order.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._anew()

    @abstractmethod
    def begin(self) -> None:
        """Start anew, as if nothing had been judged."""

    @property
    def playbooks(self) -> Sequence[Playbook]:
        """The playbooks, as far as it matters which events they need."""
        return self._reading.playbooks

    @abstractmethod
    def judge(self, batches: Iterable[list[Event]]) -> None:
        """Judge all events there are."""

    def run(self, streams: Sequence[Stream], progress: Callable[[], None] = nothing) -> None:
        """Judge the events of files in the order of time, and call `progress` now and then.

        Raises InputError for files without events. Files that are not in order are read again and sorted.
        """
        batches = self._read(streams, progress)
        if self._reading.arrival_order:
            self.judge(order.as_they_came(batches, self.sorting))
            return
        try:
            self.judge(order.in_order(batches, self.sorting))
        except order.Disorder:
            self._anew()
            self.judge(order.sort(self._read(streams, progress), self.sorting, self._reading.options.identifiers))
            self.order = "sorted on disk" if self.sorting.pieces else "sorted in memory"

    def run_stored(self, batches: Iterable[list[Event]]) -> None:
        """Judge events that a store gives in order, each once."""
        self.order = "as in the store"
        self.judge(self._counted(batches))

    def among(self, events: int, oldest: int, newest: int) -> None:
        """Note how many events there were in all, and their first and last time: only those that matter were judged."""
        self.account.events = events

    def _counted(self, batches: Iterable[list[Event]]) -> Iterator[list[Event]]:
        for batch in batches:
            self.account.events += len(batch)
            yield batch

    def _anew(self) -> None:
        self.account = Account(self._reading.strict)
        self.sorting = order.Sorting()
        self.order = "as they arrived" if self._reading.arrival_order else "as in the files"
        self.begin()

    def _read(self, streams: Sequence[Stream], progress: Callable[[], None]) -> Iterator[Batch]:
        for batch in events(streams, self.account, self._reading.options):
            progress()
            yield batch
