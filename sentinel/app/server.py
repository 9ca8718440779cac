"""One server: its parts put together in the order in which an event meets them, then started and stopped."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import structlog

from sentinel.actions.channel import channels
from sentinel.actions.deliver import Channels
from sentinel.actions.fetch import Fetcher
from sentinel.actions.target import PRIVATE, Reach
from sentinel.api.events import TOPIC as EVENTS
from sentinel.api.feed import TOPIC as DECISIONS
from sentinel.api.hub import Hub
from sentinel.app import doors, machines
from sentinel.app.enrichment import Enrichment
from sentinel.app.tenants import Tenants
from sentinel.console import site
from sentinel.core.duration import MINUTE, SECOND
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.edge.access import Gate
from sentinel.enrich import agent
from sentinel.service import upkeep
from sentinel.service.accounts import Accounts
from sentinel.service.bans import Bans
from sentinel.service.deleting import Deleter
from sentinel.service.explainer import Explainer
from sentinel.service.figures import Figures, Sample, Soon
from sentinel.service.intake import Intake
from sentinel.service.jobs import Holder, Job, Jobs
from sentinel.service.outbox import Courier
from sentinel.service.overview import Overview
from sentinel.service.pipeline import Listeners, Pipeline
from sentinel.service.ports import Store
from sentinel.service.processes import Processes
from sentinel.service.reload import Reload
from sentinel.service.search import Searches
from sentinel.service.setup import First, first_start
from sentinel.service.switch import Switch
from sentinel.service.trials.workbench import Workbench
from sentinel.service.vitals import Vitals
from sentinel.service.writing import Writing
from sentinel.settings import Settings

AGAIN = 2.0  # seconds until a start that could not be done is tried again

log = structlog.get_logger("sentinel")


def now() -> int:
    """Return the moment, in microseconds since 1970."""
    return time.time_ns() // 1000


class Stopping(SentinelError):
    """The server is told to stop while it still starts."""


class Server:
    """Everything of one server process over one store."""

    def __init__(self, settings: Settings, store: Store, link: Any = None) -> None:
        """`link` leads to the Redis or Valkey that keeps windows, None where memory does."""
        self.settings, self.store, self.link = settings, store, link
        self.token = secrets.token_urlsafe(40)
        self.figures = Figures()
        self._stopping = threading.Event()
        self._judging()
        self._telling()
        self._answering()
        self._working()
        self.front = doors.front(self, self._lifespan)
        store.watch(partial(self.hub.tell, DECISIONS))
        self._restoring = threading.Thread(target=self._restore, name="sentinel-restore", daemon=True)

    def _judging(self) -> None:
        """Make what an event passes: enrichment, windows, the pipeline; and what is known of all that."""
        settings, store = self.settings, self.store
        self.channels = channels(settings.channels)
        self.library = machines.library(settings, self.channels)
        self.fetcher = Fetcher(Reach(PRIVATE if settings.allow_private_webhooks else ()))
        self.enrichment = Enrichment(settings, store, self.fetcher, self.clock, self._go_on)
        self.tenants = Tenants(
            settings, store, self.library, self.link, self.clock, self._progress, self._stopping.wait
        )  # fmt: skip
        self.pipeline = Pipeline(
            store, self.tenants.restored, self.enrichment.of, self.clock, Listeners(
                decisions=lambda app, revision: self.hub.tell(DECISIONS, app),
                events=lambda app, events: self.hub.tell(EVENTS, app),
                outbox=lambda: self.courier.hurry(),
            ),
        )  # fmt: skip
        self.intake = Intake(
            self.pipeline.process, left_out=self.pipeline.left_out, fault=partial(self.fault, "events")
        )  # fmt: skip
        self.overview = Overview(self.pipeline, self.library)

    def _telling(self) -> None:
        """Make what tells SDKs of decisions, and people and programs of findings."""
        store, page = self.store, site.finding_page(self.settings.public_url)
        self.gate = Gate(store.access, self.token, self.settings.metrics_key)
        self.hub = Hub(self._valid)
        self.switch = Switch(store)
        self.processes = Processes(self.clock)
        self.bans = Bans(store.decisions, self.switch.on, self.clock)
        self.holder = Holder(store.leases, self.clock)
        self.overview.sources += [self.intake.trouble, self.holder.trouble]
        bundled = site.bundle_page(self.settings.public_url)
        ways = Channels(self.channels, self.fetcher, self.clock, page, bundled=bundled)
        bounds = {name: channel.most for name, channel in self.channels.items() if channel.most is not None}
        self.courier = Courier(
            store.outbox, ways, self.clock, self.figures, self.holder.mine, partial(self.fault, "outbox"), bounds
        )  # fmt: skip
        self.digests = machines.digests(self.settings, store, self.channels)

    def _answering(self) -> None:
        """Make what the API and the console ask."""
        store = self.store
        self.searches = Searches(lambda: self.library.content)
        self.accounts = Accounts(store, self.clock)
        self.deleter = Deleter(self.pipeline, store)
        self.explainer = Explainer(self.pipeline, store, lambda: self.library.content)
        self.workbench = Workbench(
            self.library, store, self.tenants.draft, self.clock, time.monotonic, self.settings.lateness, agent.add
        )  # fmt: skip
        self.writing = Writing(self.library, store, self.clock, lambda: self.jobs.soon("playbooks"))

    def _working(self) -> None:
        """Make what runs by the clock, and what says how all of it does."""
        settings, store = self.settings, self.store
        self.reload = Reload(
            self.pipeline, self.library, store, self.tenants.empty, self.clock, self._reloaded, self._stopping.is_set
        )
        self.jobs = Jobs(self._jobs(), self.holder, self.figures, self.fault)
        vitals = Vitals(store, self.pipeline, self.overview, self.switch, settings.data, self.clock,
                        files=settings.database is None)  # fmt: skip
        self.figures.sources += [
            self.overview.samples,
            self.reload.samples,
            self._samples,
            vitals.samples,
            Soon(vitals.stored),
        ]

    def clock(self) -> int:
        """Return the moment, in microseconds since 1970, by the clock that all servers share."""
        return now() + self.store.skew()

    def fault(self, where: str, error: BaseException) -> None:
        """Report what went wrong and was got over."""
        if isinstance(error, SentinelError):
            log.warning("trouble", where=where, error=str(error))
        else:
            log.error("fault", where=where, exc_info=error)

    def first(self) -> First | None:
        """Make what a new server needs; return its secrets, once."""
        return first_start(self.store, self.clock())

    def drain(self) -> None:
        """Let every stream go, so that the stop need not wait for them; on the loop."""
        self.hub.close()

    def start(self) -> None:
        """Begin to write, restore what windows held, and only then take events."""
        self.intake.start()
        self._restoring.start()

    def stop(self) -> None:
        """Write what waits, end every thread, save the windows, and close the store."""
        self._stopping.set()
        patience = threading.Timer(self.settings.grace / SECOND, self.store.give_up)
        patience.daemon = True
        patience.start()
        self._restoring.join()
        self.intake.stop(self.settings.grace / SECOND)
        self.jobs.stop()
        self.courier.stop()
        self.gate.close()
        with suppress(SentinelError):
            self._mark_keys()
        if self.overview.starting() is None:
            try:
                self.tenants.save(self.pipeline)
            except SentinelError as error:  # the next start folds the events since the last time
                self.fault("windows", error)
        self.store.close()
        if self.link is not None:
            self.link.close()
        patience.cancel()
        log.info("stopped")

    def _restore(self) -> None:
        began = time.monotonic()
        try:
            told = None
            while (busy := self._restored()) is not None:
                if str(busy) != told:
                    self.fault("restore", busy)
                told = str(busy)
                self.overview.delayed(busy.outside)
                self._stopping.wait(AGAIN)
        except Stopping:
            return
        except Exception as error:  # noqa: BLE001  said at once, and by readyz for as long as it lasts
            self.fault("restore", error)
            self.overview.failed(str(error))
            return
        self.overview.ready()
        self.jobs.start()
        self.courier.start()
        self.jobs.soon("lists")
        log.info("ready", playbooks=len(self.library.playbooks), seconds=round(time.monotonic() - began, 3))

    def _restored(self) -> StoreBusy | None:
        """Let every app's windows hold what they did; return what is in the way for now."""
        self._go_on()
        try:
            for app in self.store.access.apps():
                self.pipeline.tenant(app.id)
                if any(key.protocol and key.revoked is None for key in self.store.access.keys(app.id)):
                    self.bans.table(app.id)  # a bouncer whose first question takes too long gives up
            with suppress(StoreBusy):  # else the jobs do it
                self.reload.begin()
                self.deleter.rename(self.clock())
        except StoreBusy as error:
            return error
        return None

    def _reloaded(self, what: str, text: str) -> None:
        """Say what was taken over from files, or why it was not."""
        if what == "playbook":
            log.info("playbook changed", playbook=text)
        else:
            log.warning("trouble", where="playbooks", error=text)

    def _go_on(self) -> None:
        """Raise Stopping once the server is told to stop."""
        if self._stopping.is_set():
            raise Stopping("the server is stopping")

    def _progress(self, what: str, done: int) -> None:
        self._go_on()
        if self.overview.starting() is not None:
            self.overview.progress(what, done)

    def _valid(self, secret: str) -> bool:
        try:
            self.gate.caller(secret)
        except SentinelError as error:
            return getattr(error, "code", "") != "unauthorized"
        return True

    def _jobs(self) -> Iterator[Job]:
        settings, store = self.settings, self.store
        keep = upkeep.Keep(
            settings.keep_decisions, settings.keep_deliveries, settings.keep_findings, settings.keep_audit
        )  # fmt: skip
        yield Job("project", 0.2, partial(upkeep.project, store), shared=False)
        yield Job("waits", 1, self.pipeline.tick, shared=False)
        yield Job("room", 5, partial(self.intake.look_again, store.room), shared=False)
        yield Job("checkpoint", 60, store.checkpoint, shared=False)
        yield Job("windows", settings.snapshot_every / SECOND, partial(self.tenants.save, self.pipeline), shared=False)
        if self.link is not None:
            look_after = partial(self.tenants.look_after, self.pipeline, self.overview)
            yield Job("shared windows", 1, look_after, shared=False)
        yield Job("playbooks", 2, self.reload.look, shared=False)
        yield Job("keys", 60, self._mark_keys, shared=False)
        yield Job("switch", 2, self.switch.refresh, shared=False)
        yield Job("enrichment", 60, self.enrichment.refresh, shared=False)
        yield Job("lists", 5 * MINUTE / SECOND, self.enrichment.refresh_lists, shared=False)
        yield Job("digest", 10 * MINUTE / SECOND, self._digest)
        yield Job("expiry", 60, lambda: upkeep.expire(store, self.clock(), keep))
        yield Job("deletions", 10 * MINUTE / SECOND, lambda: self.deleter.finish(self.clock()))
        yield Job("properties", 10 * MINUTE / SECOND, partial(upkeep.choose_properties, store), shared=False)
        yield Job("retention", 10 * MINUTE / SECOND, lambda: upkeep.retain(store, self.clock(), settings.retention))

    def _mark_keys(self) -> None:
        """Keep which keys were used since the last time."""
        self.gate.tell_used(partial(self.store.access.mark_used, now=self.clock()))

    def _digest(self) -> None:
        """Put what the last day or week came to into the outbox, where the settings ask for it."""
        if self.digests is not None:
            self.digests.make(self.clock())

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        self.hub.open()
        self.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.stop)

    def _samples(self) -> Iterator[Sample]:
        health = self.store.health()
        yield Sample("sentinel_waiting_requests", (), self.intake.waiting())
        yield Sample("sentinel_journal_pending", (), health.pending)
        yield Sample("sentinel_explorer_up", (), int(health.explorer is None))
        for app in self.store.access.apps():
            yield Sample("sentinel_decision_revision", (app.id,), self.store.decisions.revision(app.id))
            for topic in (DECISIONS, EVENTS):
                yield Sample("sentinel_streams", (app.id, topic), self.hub.count(topic, app.id))
        for step, failed in self.enrichment.enricher.failed.items():
            yield Sample("sentinel_enrichment_failures", (step,), failed)


def open_server(settings: Settings) -> Server:
    """Open the store of the settings and put a server together over it."""
    link = machines.link(settings)
    try:
        store = machines.store(settings)
        try:
            if link is not None:
                link.home = store.installation()
            return Server(settings, store, link)
        except BaseException:
            store.close()
            raise
    except BaseException:
        if link is not None:
            link.close()
        raise
