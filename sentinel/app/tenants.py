"""The windows of every app: created, restored at the start, saved, and rebuilt where they were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import structlog

from sentinel.core.errors import SentinelError
from sentinel.core.record import App
from sentinel.engine.playbook import Playbook
from sentinel.engine.windows import Watch
from sentinel.service import restore, saving, shared
from sentinel.service.library import Library
from sentinel.service.overview import Overview
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store
from sentinel.service.tenant import Tenant
from sentinel.settings import Settings
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows

log = structlog.get_logger("sentinel")


class Tenants:
    """Makes the tenants. `link` leads to what keeps windows for several processes, None where memory does.

    `progress` is told what is done at length, and how far it is; it and `wait`, for seconds, may raise to end it.
    """

    def __init__(
        self, settings: Settings, store: Store, library: Library, link: Any, clock: Callable[[], int],
        progress: restore.Progress, wait: Callable[[float], object],
    ) -> None:  # fmt: skip
        self._lateness = settings.lateness
        self._limits = Limits(lateness=settings.lateness, hits=settings.hits_per_group)
        self._never = [str(network) for network in settings.trusted_proxies]
        self._store = store
        self._library = library
        self._link = link
        self._clock = clock
        self._progress = progress
        self._wait = wait

    def draft(self, watches: Iterable[Watch], lateness: int) -> MemoryWindows:
        """Return the windows of a draft that is tried: in memory, and nobody else's."""
        return MemoryWindows(watches, Limits(lateness=lateness, hits=self._limits.hits))

    def empty(self, app: App, playbooks: Iterable[Playbook]) -> Tenant:
        """Return a tenant as it is before its first event."""
        if self._link is not None:
            return _shared(self._link, app, playbooks, self._limits, self._never)
        return Tenant(app, playbooks, partial(MemoryWindows, limits=self._limits), self._lateness, self._never)

    def restored(self, app: App) -> Tenant:
        """Return a tenant whose windows hold what its stored events come to."""
        tenant = self.empty(app, self._library.playbooks)
        if isinstance(tenant, shared.SharedTenant):
            shared.begin(self._store, tenant, self._progress, self._wait)
            return tenant
        for warning in restore.restore(self._store, tenant, self._clock(), self._progress):
            log.warning("trouble", where="restore", error=warning)
        return tenant

    def save(self, pipeline: Pipeline) -> None:
        """Save what windows hold in memory; elsewhere they outlive the process."""
        if self._link is None:
            for tenant in list(pipeline.tenants.values()):
                saving.save(pipeline, tenant, self._clock())

    def look_after(self, pipeline: Pipeline, overview: Overview) -> None:
        """Rebuild shared windows that lost what they held, and learn of what other processes found."""
        try:
            self._look_after(pipeline, overview)
        except SentinelError as error:
            overview.troubled(str(error))
            raise
        overview.troubled(None)

    def _look_after(self, pipeline: Pipeline, overview: Overview) -> None:
        tenants, position = list(pipeline.tenants.values()), self._store.events.decided()
        self._warn(overview, tuple(map(str, self._link.problems())))
        for tenant in (one for one in tenants if isinstance(one, shared.SharedTenant)):
            with pipeline.lock:
                tenant.windows.look()
            if tenant.windows.lost:
                lost = f"windows of `{tenant.app.id}` lost what they held: it is rebuilt"
                log.warning("trouble", where="windows", error=lost)
                overview.progress(f"rebuilding windows of {tenant.app.id}", 0)
                with pipeline.lock:
                    shared.begin(self._store, tenant, self._progress, self._wait)
                overview.ready()
            else:
                shared.refresh(self._store, tenant)
                shared.keep_up(self._store, tenant, self.empty, position)

    def _warn(self, overview: Overview, problems: tuple[str, ...]) -> None:
        """Tell what somebody set there since the start."""
        for problem in problems if problems != overview.warned else ():
            log.warning("trouble", where="windows", error=problem)
        overview.warned = problems


def _shared(
    link: Any, app: App, playbooks: Iterable[Playbook], limits: Limits, never: Iterable[str]
) -> shared.SharedTenant:
    """Return a tenant whose windows and memory lie where other processes see them too."""
    from sentinel.windows import together, valkey

    def memory(windows: Any, protected: Any) -> Any:
        return together.shared_memory(link, app.id, windows.lasting, protected)

    make = partial(valkey.ValkeyWindows, link, app.id, limits=limits)
    return shared.SharedTenant(app, playbooks, make, memory, limits.lateness, never)
