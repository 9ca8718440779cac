"""The composition root: the one place where concrete parts are named and put together, started and stopped.

What a part does is its own; what can be set is `settings`'.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog

from sentinel.actions.channel import channels
from sentinel.actions.deliver import Channels
from sentinel.actions.download import Download, download
from sentinel.actions.fetch import Fetcher
from sentinel.actions.identity import login_of
from sentinel.actions.target import PRIVATE, Reach
from sentinel.api import metrics, program, sdks
from sentinel.api.context import Context
from sentinel.api.events import TOPIC as EVENTS
from sentinel.api.feed import TOPIC as DECISIONS
from sentinel.api.feed import Feed
from sentinel.api.given import Given
from sentinel.api.hub import Hub
from sentinel.api.ingest import Ingest
from sentinel.compat.adapter import Shared
from sentinel.compat.adapters import ADAPTERS, KEY_FORMS
from sentinel.compat.frame import Compat
from sentinel.console import site
from sentinel.console.assets import Assets
from sentinel.console.context import Context as ConsoleContext
from sentinel.console.guard import Console
from sentinel.core.duration import MINUTE, SECOND
from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.proxies import Proxies
from sentinel.core.record import App
from sentinel.edge.access import Gate
from sentinel.edge.door import BURST, Door
from sentinel.edge.limits import Buckets
from sentinel.edge.wire import Budget
from sentinel.engine.playbook import Guard, Playbook
from sentinel.engine.windows import Watch
from sentinel.enrich.enricher import Enricher
from sentinel.enrich.enricher import build as build_enricher
from sentinel.enrich.network import read as read_list
from sentinel.service import lists, restore, shared, upkeep
from sentinel.service.accounts import Accounts
from sentinel.service.bans import Bans
from sentinel.service.deleting import Deleter
from sentinel.service.digest import Digests
from sentinel.service.explainer import Explainer
from sentinel.service.figures import Figures, Sample
from sentinel.service.intake import Intake
from sentinel.service.jobs import Holder, Job, Jobs
from sentinel.service.library import Library
from sentinel.service.outbox import Courier
from sentinel.service.overview import Overview
from sentinel.service.pipeline import Listeners, Pipeline
from sentinel.service.ports import Store
from sentinel.service.processes import Processes
from sentinel.service.reload import Reload
from sentinel.service.search import Searches
from sentinel.service.setup import First, first_start
from sentinel.service.switch import Switch
from sentinel.service.tenant import Tenant
from sentinel.service.vitals import Vitals
from sentinel.service.workbench import Workbench
from sentinel.service.writing import Writing
from sentinel.settings import Settings
from sentinel.store.buried import FILE as DELETED
from sentinel.store.embedded import open_store
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows

DOWNLOAD = 30.0  # seconds for one list; a stop may have to wait for it

log = structlog.get_logger("sentinel")


def now() -> int:
    """Return the moment, in microseconds since 1970."""
    return time.time_ns() // 1000


class Stopping(SentinelError):
    """The server is told to stop while it still starts."""


class _Enriching:
    """The enricher as the pipeline asks it for the events of one sending: with the labels of their app."""

    def __init__(self, enricher: Enricher, store: Store, app: str) -> None:
        self._enrich = enricher.enrich
        at, of = now(), store.labels.of
        any_on = store.labels.any(app)
        self._labels = (lambda kind, target: of(app, kind, target, at)) if any_on else None

    def enrich(self, event: Event) -> None:
        self._enrich(event, self._labels)


class Server:
    """Everything of one server process over one store."""

    def __init__(self, settings: Settings, store: Store, link: Any = None) -> None:
        """`link` leads to the Redis or Valkey that keeps windows, None where memory does."""
        self.settings = settings
        self.store = store
        self.link = link
        self.token = secrets.token_urlsafe(40)
        self.figures = Figures()
        self.channels = channels(settings.channels)
        self.library = _library(settings, self.channels)
        files, copies = lists.files(settings.data, settings.network_lists or {})
        self.enricher = build_enricher(settings.geo, files)
        self.lists = lists.Copies(copies, self._download, read_list)
        self._troubles: set[str] = set()
        self._stopping = threading.Event()
        self.switch = Switch(store)
        self.gate = Gate(store.access, self.token)
        self.hub = Hub(self._valid)
        self.processes = Processes(now)
        self.pipeline = Pipeline(
            store, self._tenant, partial(_Enriching, self.enricher, store), now, Listeners(
                decisions=lambda app, revision: self.hub.tell(DECISIONS, app),
                events=lambda app, events: self.hub.tell(EVENTS, app),
                outbox=lambda: self.courier.hurry(),
            ),
        )  # fmt: skip
        self.intake = Intake(self.pipeline.process)
        self.bans = Bans(store.decisions, self.switch.on, now)
        self.overview = Overview(self.pipeline, self.library)
        self.searches = Searches(lambda: self.library.content)
        self.accounts = Accounts(store, now)
        self.explainer = Explainer(self.pipeline, store, lambda: self.library.content)
        self.holder = Holder(store.leases, now)
        self.fetcher = Fetcher(Reach(PRIVATE if settings.allow_private_webhooks else ()))
        self.courier = Courier(
            store.outbox, Channels(self.channels, self.fetcher, now, site.finding_page(settings.public_url)), now,
            self.figures, self.holder.mine, partial(self.fault, "outbox"),
        )  # fmt: skip
        self.reload = Reload(
            self.pipeline, self.library, store, self._empty, now, self._reloaded, self._stopping.is_set
        )
        self.digests = _digests(settings, store, self.channels)
        self.jobs = Jobs(self._jobs(), self.holder, self.figures, self.fault)
        self.workbench = Workbench(
            self.library, store, partial(_windows, hits=settings.hits_per_group), now, time.monotonic, settings.lateness
        )
        self.writing = Writing(self.library, store, now, partial(self.jobs.soon, "playbooks"))
        vitals = Vitals(store, self.pipeline, self.overview, self.switch, settings.data, now,
                        files=settings.database is None)  # fmt: skip
        self.figures.sources += [self.overview.samples, self.reload.samples, self._samples, vitals.samples]
        self.front = self._front()
        store.watch(partial(self.hub.tell, DECISIONS))
        self._restoring = threading.Thread(target=self._restore, name="sentinel-restore", daemon=True)

    def fault(self, where: str, error: BaseException) -> None:
        """Report what went wrong and was got over."""
        if isinstance(error, SentinelError):
            log.warning("trouble", where=where, error=str(error))
        else:
            log.error("fault", where=where, exc_info=error)

    def first(self) -> First | None:
        """Make what a new server needs; return its secrets, once."""
        return first_start(self.store, now())

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
        self._restoring.join()
        self.intake.stop(self.settings.grace / SECOND)
        self.jobs.stop()
        self.courier.stop()
        if self.overview.starting() is None:
            try:
                self._save_windows()
            except SentinelError as error:  # the next start folds the events since the last time
                self.fault("windows", error)
        self.store.close()
        if self.link is not None:
            self.link.close()
        log.info("stopped")

    def _restore(self) -> None:
        began = time.monotonic()
        try:
            for app in self.store.access.apps():
                self.pipeline.tenant(app.id)
                if any(key.protocol and key.revoked is None for key in self.store.access.keys(app.id)):
                    self.bans.table(app.id)  # a bouncer whose first question takes too long gives up
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

    def _empty(self, app: App, playbooks: Iterable[Playbook]) -> Tenant:
        settings = self.settings
        never = [str(network) for network in settings.trusted_proxies]
        limits = Limits(lateness=settings.lateness, hits=settings.hits_per_group)
        if self.link is not None:
            return _shared(self.link, app, playbooks, limits, never)
        return Tenant(app, playbooks, partial(MemoryWindows, limits=limits), settings.lateness, never)

    def _reloaded(self, what: str, text: str) -> None:
        """Say what was taken over from files, or why it was not."""
        if what == "playbook":
            log.info("playbook changed", playbook=text)
        else:
            log.warning("trouble", where="playbooks", error=text)

    def _tenant(self, app: App) -> Tenant:
        tenant = self._empty(app, self.library.playbooks)
        if isinstance(tenant, shared.SharedTenant):
            shared.begin(self.store, tenant, self._progress, self._stopping.wait)
            return tenant
        for warning in restore.restore(self.store, tenant, now(), self._progress):
            log.warning("trouble", where="restore", error=warning)
        return tenant

    def _changed(self, app: App) -> None:
        """Let the next events of an app be judged as the app is now."""
        with self.pipeline.lock:
            if app.id in self.pipeline.tenants:
                self.pipeline.tenants[app.id].app = app

    def _progress(self, what: str, done: int) -> None:
        if self._stopping.is_set():
            raise Stopping("the server is stopping")
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
        yield Job("checkpoint", 60, store.checkpoint, shared=False)
        yield Job("windows", settings.snapshot_every / SECOND, self._save_windows, shared=False)
        if self.link is not None:
            yield Job("shared windows", 1, self._look_after_shared, shared=False)
        yield Job("playbooks", 2, self.reload.look, shared=False)
        yield Job("switch", 2, self.switch.refresh, shared=False)
        yield Job("enrichment", 60, self._refresh_enrichment, shared=False)
        yield Job("lists", 5 * MINUTE / SECOND, self._refresh_lists, shared=False)
        yield Job("digest", 10 * MINUTE / SECOND, self._digest)
        yield Job("expiry", 60, lambda: upkeep.expire(store, now(), keep))
        yield Job("properties", 10 * MINUTE / SECOND, partial(upkeep.choose_properties, store), shared=False)
        yield Job("retention", 10 * MINUTE / SECOND, lambda: upkeep.retain(store, now(), settings.retention))

    def _digest(self) -> None:
        """Put what the last day or week came to into the outbox, where the settings ask for it."""
        if self.digests is not None:
            self.digests.make(now())

    def _refresh_lists(self) -> None:
        try:
            self.lists.refresh(now())
        finally:
            self._refresh_enrichment()

    def _refresh_enrichment(self) -> None:
        """Take over what changed on the disk, and say what is newly wrong with it."""
        self.enricher.refresh()
        troubles, told = set(self.enricher.problems()), self._troubles
        self._troubles = troubles
        for trouble in sorted(troubles - told):
            log.warning("trouble", where="enrichment", error=trouble)

    def _download(self, url: str, tag: str) -> Download | None:
        if self._stopping.is_set():
            raise Stopping("the server is stopping")
        return download(self.fetcher, url, tag, timeout=DOWNLOAD)

    def _look_after_shared(self) -> None:
        """Rebuild windows that lost what they held, and learn of what other processes found."""
        for tenant in list(self.pipeline.tenants.values()):
            if isinstance(tenant, shared.SharedTenant) and tenant.windows.lost:
                self.overview.progress(f"rebuilding windows of {tenant.app.id}", 0)
                with self.pipeline.lock:
                    shared.begin(self.store, tenant, self._progress, self._stopping.wait)
                self.overview.ready()
            elif isinstance(tenant, shared.SharedTenant):
                shared.refresh(self.store, tenant)

    def _save_windows(self) -> None:
        if self.link is not None:
            return  # they outlive the process
        upkeep.save_windows(self.pipeline, now())

    def _front(self) -> program.Front:
        settings, budget = self.settings, Budget()
        context = Context(
            self.store, self.gate, self.hub, self.overview, self.switch, now,
            lambda app: metrics.text(self.figures.samples(), app), partial(self.hub.tell, DECISIONS),
            self._changed, self.explainer, self.processes, self.bans, KEY_FORMS,
            self.searches, Deleter(self.pipeline, self.store), self.accounts, self.workbench,
            never=tuple(map(str, settings.trusted_proxies)),
        )  # fmt: skip
        fault = partial(self.fault, "events")
        door = Door(
            self.intake, self.store.decisions.revision, self.figures, now, time.monotonic,
            Buckets(settings.rate, settings.rate * BURST), Buckets(settings.browser_rate / 60, settings.browser_rate),
            Proxies(settings.trusted_proxies), budget, not_yet=self.overview.starting,
        )  # fmt: skip
        heard = partial(sdks.listen, self.processes)
        ingest = Ingest(self.gate, door, fault, heard)
        feed = Feed(self.gate, self.hub, self.store.decisions, now, self.switch.on, heard=heard)
        rest = program.build(context, partial(self.fault, "api"), self._lifespan)
        service = settings.seismo_identity
        identity = partial(login_of, self.fetcher, service) if service else None
        shared = Shared(self.gate, door, self.store, self.bans, self.switch.on, self.fault, identity)
        return program.Front(ingest, feed, rest, budget, Compat(ADAPTERS, shared), self._console())

    def _console(self) -> Console:
        settings = self.settings
        context = ConsoleContext(
            self.store, self.accounts, self.overview, self.explainer, self.switch, now,
            partial(self.hub.tell, DECISIONS), self.hub.tell_all, self._changed,
            self.processes, partial(self.fault, "console"), partial(self.figures.count, "sentinel_sign_ins"),
            {name: channel.kind for name, channel in sorted(self.channels.items())},
            settings.public_url, Proxies(settings.trusted_proxies), searches=self.searches,
            deleter=Deleter(self.pipeline, self.store), workbench=self.workbench, writing=self.writing,
            given=Given(self.hub, self.store.events, self.store.findings, self.token), key_forms=KEY_FORMS,
        )  # fmt: skip
        assets = Assets()
        if assets.missing():
            missing = ", ".join(assets.missing())
            log.warning("trouble", where="console", error=f"pages do without {missing}: not built (`make frontend`)")
        return site.build(context, assets)

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
        yield Sample("sentinel_outbox_due", (), len(self.store.outbox.due(now(), 1000)))
        yield Sample("sentinel_journal_pending", (), health.pending)
        yield Sample("sentinel_explorer_up", (), int(health.explorer is None))
        for app in self.store.access.apps():
            yield Sample("sentinel_decision_revision", (app.id,), self.store.decisions.revision(app.id))
            for topic in (DECISIONS, EVENTS):
                yield Sample("sentinel_streams", (app.id, topic), self.hub.count(topic, app.id))
        for step, failed in self.enricher.failed.items():
            yield Sample("sentinel_enrichment_failures", (step,), failed)


def _windows(watches: Iterable[Watch], lateness: int, hits: int) -> MemoryWindows:
    return MemoryWindows(watches, Limits(lateness=lateness, hits=hits))


def open_server(settings: Settings) -> Server:
    """Open the store of the settings and put a server together over it."""
    link = _link(settings.windows)
    try:
        store = _store(settings)
        try:
            return Server(settings, store, link)
        except BaseException:
            store.close()
            raise
    except BaseException:
        if link is not None:
            link.close()
        raise


def _store(settings: Settings) -> Store:
    if settings.database is None:
        return open_store(settings.data)
    try:
        from sentinel.store.postgres.store import open_postgres
    except ImportError as error:
        hint = "pip install 'sentinel-playbooks[server,postgres]'"
        raise SentinelError(f"`database`: PostgreSQL needs another package: {error}", hint) from error
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open_postgres(settings.database, alone=settings.windows == "memory", buried=settings.data / DELETED)


def _digests(settings: Settings, store: Store, known: Iterable[str]) -> Digests | None:
    if settings.digest is None:
        return None
    if settings.digest_channel not in known:
        there_is_none = f"`digest_channel`: there is no channel `{settings.digest_channel}`"
        raise SentinelError(there_is_none, "name one of `channels`")
    return Digests(store, settings.digest, settings.digest_channel)


def _shared(
    link: Any, app: App, playbooks: Iterable[Playbook], limits: Limits, never: Iterable[str]
) -> shared.SharedTenant:
    """Return a tenant whose windows and memory lie where other processes see them too."""
    from sentinel.windows import together, valkey

    def memory(windows: Any, protected: Any) -> Any:
        return together.shared_memory(link, app.id, windows.lasting, protected)

    make = partial(valkey.ValkeyWindows, link, app.id, limits=limits)
    return shared.SharedTenant(app, playbooks, make, memory, limits.lateness, never)


def _link(url: str) -> Any:
    """Return the way to the Redis or Valkey of the settings, None where windows are kept in memory."""
    if url == "memory":
        return None
    try:
        from sentinel.windows.link import open_link
    except ImportError as error:
        hint = "pip install 'sentinel-playbooks[redis]'"
        raise SentinelError(f"`windows`: Redis and Valkey need a package that is not there: {error}", hint) from error
    return open_link(url)


def _library(settings: Settings, known: Iterable[str]) -> Library:
    """Return the rules and playbooks of the settings' folders, with the default guard where they have none."""
    guard = None if settings.guard is None else Guard(*settings.guard)
    return Library(settings.playbooks, settings.rules, known, guard)
