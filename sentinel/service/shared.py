"""An app whose windows and memory several processes share: the view of one of them, and how it is rebuilt.

The shared state outlives a process, so a start has nothing to restore. Where it is lost, one process rebuilds all of it
from the store while the others wait, and none of them takes in events.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Set
from contextlib import AbstractContextManager
from typing import Protocol

from sentinel.core.record import App
from sentinel.engine.engine import Engine
from sentinel.engine.memory import LADDER, Memory
from sentinel.engine.playbook import Playbook
from sentinel.engine.windows import Watch
from sentinel.service import restore
from sentinel.service.ports import Store
from sentinel.service.tenant import LocalWindows, Tenant

TURN = 30_000  # milliseconds for which a rebuilding is one process's own, unless it goes on
PAUSE = 0.2  # seconds between two looks at another's


class SharedWindows(LocalWindows, Protocol):
    """Windows that outlive the process, and know whether they are whole."""

    lost: bool

    def begin(self, epoch: bytes) -> None: ...
    def pause(self, epoch: bytes | None = None) -> None: ...
    def lose(self) -> None: ...
    def look(self) -> None: ...
    def ready(self) -> bytes | None: ...
    def lacking(self, epoch: bytes) -> SharedWindows | None: ...
    def apart(self) -> frozenset[str]: ...
    def watched(self) -> Set[str]: ...
    def note(self, epoch: bytes) -> None: ...
    def unmark(self) -> None: ...
    def mark(self, epoch: bytes) -> None: ...
    def turn(self, token: str, lasting: int) -> AbstractContextManager[bool]: ...
    def stay(self, lasting: int) -> None: ...


class Clock(Protocol):
    """The newest event time of all processes."""

    def read(self) -> int: ...
    def advance(self, newest: int) -> None: ...


class Told(Protocol):
    """Memory that collects what it learns, until it is told to send it."""

    def tell(self) -> None: ...


MakeShared = Callable[[Iterable[Watch]], SharedWindows]
MakeMemory = Callable[[SharedWindows, Callable[[str, str, int], str | None]], tuple[Clock, Memory]]


class SharedTenant(Tenant):
    """A tenant whose windows and memory all processes share; `newest` is the newest event time of all of them."""

    windows: SharedWindows

    def __init__(
        self, app: App, playbooks: Iterable[Playbook], make_windows: MakeShared, make_memory: MakeMemory,
        lateness: int, never: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self._clock: Clock | None = None
        self.followed = 0  # the position up to which windows have what other processes were given
        self.apart: frozenset[str] = frozenset()
        super().__init__(app, playbooks, make_windows, lateness, never)
        self._clock, self.memory = make_memory(self.windows, self._protected)

    @property
    def newest(self) -> int:
        """The app's newest event time, of all processes."""
        return 0 if self._clock is None else self._clock.read()

    @newest.setter
    def newest(self, at: int) -> None:
        if self._clock is not None:
            self._clock.advance(at)
            told: Told = self.memory.familiar  # type: ignore[assignment]
            told.tell()


def begin(store: Store, tenant: SharedTenant, progress: restore.Progress, wait: Callable[[float], object]) -> None:
    """Wait until a tenant's windows are whole, or rebuild them, and begin; nothing may be processed meanwhile.

    `wait` pauses for some seconds; it and `progress` may raise, to give up.
    """
    windows = tenant.windows
    windows.pause()
    tenant.followed = store.events.decided()
    try:
        while (epoch := windows.ready()) is None:
            if not _rebuilt(store, tenant, progress):
                progress(f"waiting for another process to rebuild windows of {tenant.app.id}", 0)
                wait(PAUSE)
        _catch_up(store, tenant, epoch, progress)
    except BaseException:
        windows.lose()
        raise
    windows.begin(epoch)
    refresh(store, tenant)


def _rebuilt(store: Store, tenant: SharedTenant, progress: restore.Progress) -> bool:
    """Rebuild what was lost, if no other process does; say whether this one did."""
    with tenant.windows.turn(secrets.token_hex(8), TURN) as mine:
        if mine and tenant.windows.ready() is None:
            epoch = secrets.token_hex(8).encode()
            tenant.windows.unmark()
            store.settle()  # what others have counted already is folded from the store, or fails
            tenant.windows.pause(epoch)
            rebuild(store, tenant, progress)
            tenant.windows.mark(epoch)
    return mine


def _catch_up(store: Store, tenant: SharedTenant, epoch: bytes, progress: restore.Progress) -> None:
    """Count stored events in windows that the shared state lacks: of watches that no other process has as they are."""
    windows, engine = tenant.windows, tenant.engine
    lacking = windows.lacking(epoch)
    if lacking is None:
        return
    tenant.windows = lacking
    tenant.engine = Engine([engine.judges[id].playbook for id in sorted(lacking.watched())], engine.lateness)
    try:
        restore.know(store, tenant)
        _fold(store, tenant, progress)
    finally:
        tenant.windows, tenant.engine = windows, engine
    lacking.note(epoch)


def _fold(store: Store, tenant: SharedTenant, progress: restore.Progress) -> None:
    watches = tenant.engine.watches()
    if watches:
        since = tenant.newest - restore.reach(watches, tenant.engine.lateness)
        restore.fold(tenant, store.events.in_order(tenant.app.id, since), {watch.id for watch in watches}, progress)
        restore.settle(tenant)


def rebuild(store: Store, tenant: SharedTenant, progress: restore.Progress) -> None:
    """Make the shared windows and memory anew from stored events and findings; no finding is opened."""
    app, windows = tenant.app.id, tenant.windows

    def going(what: str, done: int) -> None:
        windows.stay(TURN)
        progress(what, done)

    tenant.newest = restore.newest(store, app)
    restore.know(store, tenant)
    _fold(store, tenant, going)
    restore.learn(tenant, store)
    _climb(store, tenant)
    restore.hold(store, tenant, tenant.newest)


def _climb(store: Store, tenant: SharedTenant) -> None:
    """Record in the ledger which actions were carried out on whom, for targets whose record was lost."""
    ledger, kept = tenant.memory.ledger, dict[tuple[str, str, str], bool]()
    for act in store.findings.acted(tenant.app.id, tenant.newest - LADDER):
        of = act.playbook, act.kind, act.target
        if of not in kept:
            kept[of] = ledger.times(*of, act.at, "") > 0
        if not kept[of]:
            ledger.record(*of, act.at, act.finding)


def keep_up(
    store: Store, tenant: SharedTenant, make_tenant: Callable[[App, Iterable[Playbook]], Tenant], position: int
) -> None:
    """Count, up to a position, the events that were given to processes with other playbooks; called once a second.

    While processes go by different playbooks, those that have a playbook count for it the events of those that do not.
    No finding is opened.
    """
    apart = tenant.windows.apart()
    wanted = [judge.playbook for id, judge in tenant.engine.judges.items() if id in apart | tenant.apart]
    if wanted:
        reached, _ = restore.follow(make_tenant(tenant.app, wanted), store, tenant.followed)
        position = max(position, reached)
    tenant.followed, tenant.apart = position, apart


def refresh(store: Store, tenant: SharedTenant) -> None:
    """Load the findings that other processes opened lately, so that further events count as evidence here too."""
    tenant.opened(kept.finding for kept in store.findings.since(tenant.app.id, tenant.newest - _evidence(tenant)))


def _evidence(tenant: SharedTenant) -> int:
    return max((judge.playbook.cooldown for judge in tenant.engine.judges.values()), default=0)
