"""The state of the engine, for people: how far the start has come, and how each playbook is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sentinel.core.errors import StoreBusy
from sentinel.engine.playbook import Playbook
from sentinel.loader.assembly import Content
from sentinel.loader.mistakes import Mistake
from sentinel.service.figures import Sample
from sentinel.service.library import Library
from sentinel.service.pipeline import Pipeline
from sentinel.service.tenant import Tenant

State = Literal["ready", "rebuilding", "off"]


@dataclass(frozen=True, slots=True)
class PlaybookState:
    """One playbook of an app as the engine has it; `groups` is how many groups its windows hold.

    `skipped` counts events that it did not judge, `errors` faults of the playbook itself, both by reason.
    """

    id: str
    title: str
    mode: str
    severity: str
    version: str
    state: State
    rollout: int | float | None = None
    file: str = ""
    groups: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


class Overview:
    """What the pipeline and the library say of themselves; may be asked from any thread."""

    def __init__(self, pipeline: Pipeline, library: Library) -> None:
        self._pipeline = pipeline
        self._library = library
        self._starting: str | None = "the server is starting"
        self._trouble: str | None = None
        self.warned: tuple[str, ...] = ()  # of what keeps windows
        self.sources: list[Callable[[], str | None]] = []  # of what else keeps events from being taken

    def starting(self) -> str | None:
        """Return what has to be done before events are taken, None when all is done."""
        return self._starting

    def trouble(self) -> str | None:
        """Return why no events can be taken although the start is done, None while they can."""
        known = self._pipeline.store.health().down or self._trouble
        return known or next((why for source in self.sources if (why := source()) is not None), None)

    def warnings(self, app: str | None = None) -> tuple[str, ...]:
        """Return what is wrong although events are taken, one line each; with `app` nothing of other apps."""
        nobody = (
            f"`{of}` sends a `user.{name}` that stands for no user, such as `null` or `0`: {number:,} since the start "
            "(leave it out where there is no user, and name who really has it by another identifier as well)"
            for (of, name), number in sorted(self._pipeline.counts.placeholders.items())
            if app in (None, of)
        )
        return (*self._pipeline.store.health().warnings, *self.warned, *nobody)

    def troubled(self, why: str | None) -> None:
        """Note why windows cannot be used, None where they can."""
        self._trouble = why

    def require_windows(self) -> None:
        """Raise StoreBusy until the windows have their state back after the start."""
        if self._starting is not None:
            raise StoreBusy(f"windows are not there yet: {self._starting}", "try again", 5)

    def progress(self, what: str, done: int) -> None:
        """Note how far the start has come: what is being done, and for how many events so far."""
        self._starting = f"{what}: {done:,} events"

    def failed(self, why: str) -> None:
        """Note that the start failed for good."""
        self._starting = f"the server could not start: {why}"

    def delayed(self, why: str) -> None:
        """Note that the start failed for now, and is tried again."""
        self._starting = f"the start is tried again: {why}"

    def ready(self) -> None:
        """Note that events are taken from now on."""
        self._starting = None

    def mistakes(self) -> Sequence[Mistake]:
        """Return what is wrong with files, whose last good version is in use."""
        return self._library.mistakes

    def playbooks(self, app: str) -> list[PlaybookState]:
        """Return the playbooks of an app, by id."""
        tenant = self._pipeline.tenants.get(app)
        groups = dict(tenant.windows.groups()) if tenant else {}
        skipped, errors = self._of(app, self._pipeline.counts.skipped), self._of(app, self._pipeline.counts.errors)
        return [
            PlaybookState(
                one.id, one.title, one.mode, one.severity, one.version, self._state(one, tenant), one.rollout,
                one.place.file, groups.get(one.id, 0), skipped.get(one.id, {}), errors.get(one.id, {}),
            )
            for one in sorted(self._library.playbooks, key=lambda one: one.id)
        ]  # fmt: skip

    def titles(self) -> dict[str, str]:
        """Return the title of each playbook, by id."""
        return {one.id: one.title for one in self._library.playbooks}

    def guarded(self, app: str, now: int) -> dict[str, int]:
        """Return the playbooks that act on nobody now because their guard holds, each with the time until it does."""
        tenant = self._pipeline.tenants.get(app)
        if tenant is None:
            return {}
        ledger = tenant.memory.ledger
        return {id: ledger.held(id) for id in ledger.monitoring(now)}

    def playbook(self, id: str) -> Playbook | None:
        """Return a playbook as it was read, None where there is none of that id."""
        return self._library.content.playbooks.get(id)

    def content(self) -> Content:
        """Return all rules, playbooks and lists in use."""
        return self._library.content

    def samples(self) -> Iterator[Sample]:
        """Give the pipeline's figures."""
        counts = self._pipeline.counts
        for (app, playbook, acted), number in list(counts.findings.items()):
            yield Sample("sentinel_findings", (app, playbook, "yes" if acted else "no"), number)
        for name, counter in (("sentinel_skipped_events", counts.skipped), ("sentinel_playbook_errors", counts.errors)):
            for labels, number in list(counter.items()):
                yield Sample(name, labels, number)
        for of, number in list(counts.placeholders.items()):
            yield Sample("sentinel_placeholder_identifiers", of, number)
        for app, tenant in list(self._pipeline.tenants.items()):
            for playbook, number in tenant.windows.groups().items():
                yield Sample("sentinel_groups", (app, playbook), number)
            for reason, number in tenant.windows.dropped().items():
                yield Sample("sentinel_windows_dropped", (app, reason), number)
            for playbook, number in tenant.windows.merged().items():
                yield Sample("sentinel_windows_merged", (app, playbook), number)

    def _state(self, playbook: Playbook, tenant: Tenant | None) -> State:
        if playbook.mode == "off":
            return "off"
        if tenant is None:
            return "ready" if self._starting is None else "rebuilding"
        judge = tenant.engine.judges.get(playbook.id)
        there = judge is not None and judge.playbook.version == playbook.version
        return "ready" if there and playbook.id not in tenant.rebuilding else "rebuilding"

    def _of(self, app: str, counts: Mapping[tuple[str, str, str], int]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (of, playbook, reason), number in list(counts.items()):
            if of == app:
                found.setdefault(playbook, {})[reason] = number
        return found
