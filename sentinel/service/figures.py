"""The server's metrics about itself: one table of them, and their samples. How they are shown is not known here."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sentinel.core.errors import StoreBusy
from sentinel.service.intake import Receipt

SOON = 2.0  # seconds: who scrapes waits ten, and asks again
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Figure(NamedTuple):
    """A figure's kind, its help text, and the names of its labels."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


FIGURES: Mapping[str, Figure] = {
    "sentinel_events": Figure("counter", "Events that came in, by outcome", ("app", "outcome")),
    "sentinel_ingest_seconds": Figure(
        "histogram", "From a request's head to its answer, which follows the commit", ("app",)
    ),
    "sentinel_refused_requests": Figure("counter", "Requests with events that were refused, by code", ("code",)),
    "sentinel_findings": Figure("counter", "Findings, and whether they acted", ("app", "playbook", "acted")),
    "sentinel_skipped_events": Figure("counter", "Events a playbook skipped, by reason", ("app", "playbook", "reason")),
    "sentinel_placeholder_identifiers": Figure(
        "counter", "Identifiers that stand for no user, such as `null`", ("app", "identifier")
    ),
    "sentinel_playbook_errors": Figure("counter", "Errors inside playbooks", ("app", "playbook", "error")),
    "sentinel_groups": Figure("gauge", "Groups whose windows are held", ("app", "playbook")),
    "sentinel_windows_dropped": Figure("counter", "What windows dropped, by reason", ("app", "reason")),
    "sentinel_windows_merged": Figure(
        "counter", "Hits past `hits_per_group` that were merged: tallies are approximate", ("app", "playbook")
    ),
    "sentinel_decision_revision": Figure("gauge", "The decision list's revision", ("app",)),
    "sentinel_streams": Figure("gauge", "Open streams", ("app", "topic")),
    "sentinel_waiting_requests": Figure("gauge", "Requests with events that wait to be written"),
    "sentinel_journal_pending": Figure("gauge", "Events that are stored and cannot be searched yet"),
    "sentinel_explorer_up": Figure("gauge", "Whether events can be searched"),
    "sentinel_enrichment_failures": Figure("counter", "Events for which a step of enrichment failed", ("step",)),
    "sentinel_outbox_due": Figure("gauge", "Deliveries that are due, counted up to 1,000"),
    "sentinel_deliveries": Figure("counter", "Attempts to deliver notifications and webhooks", ("outcome",)),
    "sentinel_deliveries_bundled": Figure(
        "counter", "Deliveries above a channel's bound, folded into one", ("channel",)
    ),
    "sentinel_playbook_mistakes": Figure("gauge", "Mistakes in files whose last good version is in use"),
    "sentinel_playbooks_rebuilding": Figure("gauge", "Playbooks whose windows are being rebuilt", ("app",)),
    "sentinel_sign_ins": Figure("counter", "Attempts to sign in to the console", ("outcome",)),
    "sentinel_jobs": Figure("counter", "Runs of the server's own jobs", ("job", "outcome")),
    "sentinel_jobs_late": Figure("gauge", "Jobs that have been running for two minutes or more"),
    "sentinel_ready": Figure("gauge", "Whether events are taken"),
    "sentinel_enforcement_on": Figure("gauge", "Whether decisions are carried out", ("app",)),
    "sentinel_guard_holds": Figure(
        "gauge", "Playbooks that only monitor now because their guard holds", ("app", "playbook")
    ),
    "sentinel_outbox_dead": Figure("gauge", "Deliveries that were given up, counted up to 100", ("app",)),
    "sentinel_last_backup_seconds": Figure(
        "gauge", "When the data folder was backed up last, in seconds since 1970; 0 is never"
    ),
    "sentinel_disk_free_bytes": Figure("gauge", "Free space on the disk of the data folder"),
    "sentinel_memory_bytes": Figure("gauge", "Memory the process holds"),
    "sentinel_open_files": Figure("gauge", "Files and connections the process has open"),
    "sentinel_threads": Figure("gauge", "Threads of the process"),
}


class Histogram(NamedTuple):
    """How many observations lie at or below each of BUCKETS, and in all; and their sum."""

    below: tuple[int, ...]
    observed: int
    total: float


class Sample(NamedTuple):
    """One figure's value; `labels` in the order of its table."""

    name: str
    labels: tuple[str, ...]
    value: float | Histogram


Samples = Callable[[], Iterator[Sample]]


class Soon:
    """A source that asks the store, and is waited for a bounded time only, so that all other figures are seen."""

    def __init__(self, source: Samples, longest: float = SOON) -> None:
        self._source = source
        self._longest = longest
        self._lock = threading.Lock()
        self._asked: Future[list[Sample]] | None = None

    def __call__(self) -> Iterator[Sample]:
        """Give its samples; none where it has them not in time, or the store is busy."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._ask, args=(self._asked,), name="sentinel-figures", daemon=True).start()
            asked = self._asked
        with suppress(TimeoutError, StoreBusy):
            yield from asked.result(self._longest)

    def _ask(self, asked: Future[list[Sample]]) -> None:
        try:
            asked.set_result(list(self._source()))
        except BaseException as error:  # noqa: BLE001  raised to whoever waits
            asked.set_exception(error)


@dataclass(slots=True)
class _Spread:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


class Figures:
    """Counters anybody may add to, from any thread, and the sources of everything that is counted elsewhere."""

    def __init__(self) -> None:
        self.sources: list[Samples] = []
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._spreads: dict[tuple[str, tuple[str, ...]], _Spread] = {}

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name, labels] += by

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        with self._lock:
            spread = self._spreads.setdefault((name, labels), _Spread())
            spread.counts[bisect_left(BUCKETS, value)] += 1
            spread.total += value

    def ingested(self, app: str, receipt: Receipt, rejected: int, seconds: float) -> None:
        """Count a request with events that was answered."""
        outcomes = {
            "accepted": receipt.accepted,
            "duplicate": receipt.duplicates,
            "rejected": rejected,
            "fault": len(receipt.faults),
        }
        for outcome, number in outcomes.items():
            self.count("sentinel_events", app, outcome, by=number)
        self.observe("sentinel_ingest_seconds", seconds, app)

    def refused(self, code: str) -> None:
        """Count a request with events that was refused."""
        self.count("sentinel_refused_requests", code)

    def samples(self) -> Iterator[Sample]:
        """Give every figure's samples."""
        with self._lock:
            counts = list(self._counts.items())
            spreads = [(*key, list(spread.counts), spread.total) for key, spread in self._spreads.items()]
        for (name, labels), value in counts:
            yield Sample(name, labels, value)
        for name, labels, below, total in spreads:
            summed = tuple(sum(below[: index + 1]) for index in range(len(BUCKETS)))
            yield Sample(name, labels, Histogram(summed, sum(below), total))
        for source in self.sources:
            yield from source()
