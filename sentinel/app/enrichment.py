"""The databases and lists that say more about addresses and user agents: loaded, downloaded and kept up to date."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from sentinel.actions.download import Download, download
from sentinel.actions.fetch import Fetcher
from sentinel.enrich.enricher import build
from sentinel.enrich.network import read as read_list
from sentinel.service import lists
from sentinel.service.pipeline import Enrich
from sentinel.service.ports import Store
from sentinel.settings import Settings

log = structlog.get_logger("sentinel")


class Enrichment:
    """The enricher and the files it reads. `go_on` is asked before each download, and raises to prevent it."""

    def __init__(
        self, settings: Settings, store: Store, fetcher: Fetcher, clock: Callable[[], int], go_on: Callable[[], None]
    ) -> None:
        files, copies = lists.files(settings.data, settings.network_lists or {})
        self.enricher = build(settings.geo, files)
        self._lists = lists.Copies(copies, self._download, read_list)
        self._store = store
        self._fetcher = fetcher
        self._clock = clock
        self._go_on = go_on
        self._troubles: set[str] = set()

    def of(self, app: str) -> Enrich:
        """Return what enriches the events of one sending of an app, with the labels of the app."""
        labels, now = self._store.labels, self._clock()
        look = (lambda kind, target: labels.of(app, kind, target, now)) if labels.any(app) else None
        return lambda events: self.enricher.enrich_all(events, look)

    def refresh(self) -> None:
        """Take over what changed on the disk, and say what is newly wrong with it."""
        self.enricher.refresh()
        troubles, told = set(self.enricher.problems()), self._troubles
        self._troubles = troubles
        for trouble in sorted(troubles - told):
            log.warning("trouble", where="enrichment", error=trouble)

    def refresh_lists(self) -> None:
        """Download the lists that are due, and take over what came."""
        try:
            self._lists.refresh(self._clock())
        finally:
            self.refresh()

    def _download(self, url: str, tag: str) -> Download | None:
        self._go_on()
        return download(self._fetcher, url, tag)
