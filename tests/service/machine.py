"""One server's engine over a store that outlives it: sent events, told the time, begun again as after a crash."""

from __future__ import annotations

from sentinel.service import restore, saving
from sentinel.service.intake import Sending
from sentinel.service.pipeline import Listeners, Pipeline
from sentinel.service.tenant import Tenant
from tests.service.stories import MINUTE, START, events, playbooks, windows


def plain(events):
    """Know nothing of any event."""


class Machine:
    """One server over a store that outlives it."""

    def __init__(self, store, texts, now=START):
        self.store, self.texts, self.now = store, texts, now
        self.boot()

    def boot(self):
        """Begin with nothing but what the store holds."""
        self.pipeline = Pipeline(self.store, self._tenant, lambda app: plain, lambda: self.now, Listeners())
        return self.pipeline.tenant("shop")

    def _tenant(self, app):
        tenant = Tenant(app, playbooks(*self.texts), windows, 10 * MINUTE)
        restore.restore(self.store, tenant, self.now)
        return tenant

    def save(self):
        """Keep what it remembers for the next start."""
        saving.save(self.pipeline, self.pipeline.tenant("shop"), self.now)

    def send(self, *raws):
        given = events(raws)
        self.now = max([self.now, *(event.at for event in given)])
        self.pipeline.process([Sending("shop", given, "sdk")])

    def tick(self, after):
        self.now = START + after
        self.pipeline.tick()

    @property
    def findings(self):
        kept = self.store.findings.since("shop", 0)
        return [(one.finding.key, (one.finding.at - START) // MINUTE, one.finding.acted) for one in kept]

    @property
    def blocked(self):
        page = self.store.decisions.delta("shop", 0, self.now)
        return sorted(one.value for one in page.added)
