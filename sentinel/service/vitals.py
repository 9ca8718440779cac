"""The server's own condition as metrics: resources of its process, space on its disk, and what it holds back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from sentinel.core.duration import SECOND
from sentinel.service.figures import Sample
from sentinel.service.overview import Overview
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store
from sentinel.service.switch import Switch
from sentinel.service.upkeep import BACKED

MOST_DUE = 1000  # deliveries that are counted
MOST_DEAD = 100  # dead deliveries of an app that are counted
_PROCESS = Path("/proc/self")


class Vitals:
    """Looks when it is asked, from any thread.

    `folder` lies on the disk that may fill up; `files` says that the store is files, which nobody else backs up.
    """

    def __init__(
        self, store: Store, pipeline: Pipeline, overview: Overview, switch: Switch, folder: Path,
        clock: Callable[[], int], files: bool = True,
    ) -> None:  # fmt: skip
        self._store = store
        self._pipeline = pipeline
        self._overview = overview
        self._switch = switch
        self._folder = folder
        self._clock = clock
        self._files = files

    def samples(self) -> Iterator[Sample]:
        """Give the figures."""
        ready = self._overview.starting() is None and self._overview.trouble() is None
        yield Sample("sentinel_ready", (), int(ready))
        yield Sample("sentinel_disk_free_bytes", (), shutil.disk_usage(self._folder).free)
        yield from _process()
        now = self._clock()
        for name, tenant in list(self._pipeline.tenants.items()):
            for playbook in sorted(tenant.memory.ledger.monitoring(now)):
                yield Sample("sentinel_guard_holds", (name, playbook), 1)

    def stored(self) -> Iterator[Sample]:
        """Give what only the store knows, while it answers."""
        if self._store.health().down is not None:
            return
        yield Sample("sentinel_outbox_due", (), len(self._store.outbox.due(self._clock(), MOST_DUE)))
        if self._files:
            yield Sample("sentinel_last_backup_seconds", (), (self._store.settings.get(BACKED) or 0) // SECOND)
        for app in self._store.access.apps():
            dead = len(self._store.outbox.list(app.id, dead=True, limit=MOST_DEAD).items)
            yield Sample("sentinel_outbox_dead", (app.id,), dead)
            yield Sample("sentinel_enforcement_on", (app.id,), int(self._switch.on(app.id)))


def _process() -> Iterator[Sample]:
    """Give what the process takes, where the system tells."""
    try:
        resident = int((_PROCESS / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        files = sum(1 for _ in (_PROCESS / "fd").iterdir())
        threads = sum(1 for _ in (_PROCESS / "task").iterdir())
    except OSError:
        return
    yield Sample("sentinel_memory_bytes", (), resident)
    yield Sample("sentinel_open_files", (), files)
    yield Sample("sentinel_threads", (), threads)
