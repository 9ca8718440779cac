"""Playbooks that change while the server runs: what is kept, what is rebuilt, and the moment of the change.

Files are checked again and again. A playbook that would find the same keeps its windows; for any other, new windows are
folded from the stored events while the old version goes on, and take its place between two batches. No event is missed:
the last of them are folded under the pipeline's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from sentinel.core.batch import Note
from sentinel.core.errors import StoreBusy
from sentinel.core.record import App, PlaybookVersion
from sentinel.engine.judge import prepare
from sentinel.engine.playbook import MODES, Playbook
from sentinel.service import restore
from sentinel.service.figures import Sample
from sentinel.service.library import Library
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store
from sentinel.service.tenant import Tenant

BY = "files"
REMOVED = ""  # the version of a playbook that is in no file any more
NEAR = 500  # events behind at which the pipeline may wait for the rest

MakeTenant = Callable[[App, Iterable[Playbook]], Tenant]


class Changed(Exception):
    """The files changed again: what is being rebuilt may be out of date."""


class Reload:
    """Brings every app's engine to what the library holds. For one thread.

    `make_tenant` gives an empty tenant of some playbooks; `told` hears of each
    playbook that changed and of each mistake; `stopping` says that the server ends.
    """

    def __init__(
        self, pipeline: Pipeline, library: Library, store: Store, make_tenant: MakeTenant, clock: Callable[[], int],
        told: Callable[[str, str], None], stopping: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._pipeline = pipeline
        self._library = library
        self._store = store
        self._make_tenant = make_tenant
        self._clock = clock
        self._told = told
        self._stopping = stopping
        self._kept: dict[str, Sequence[Playbook]] = {}
        self._mistakes: set[str] = set()

    def begin(self) -> None:
        """Keep the texts that every app begins with: the files may change at once."""
        for app in self._store.access.apps():
            self._keep(app.id, self._library.playbooks)

    def look(self) -> None:
        """Look at the files and take over what changed; returns when every app goes by it."""
        again = True
        while again and not self._stopping():
            self.begin()  # of apps made since the last look
            before = {one.id: one.version for one in self._library.playbooks}
            self._library.look()
            self._tell_changes(before)
            again = not self._spread()

    def samples(self) -> Iterator[Sample]:
        """Give how many mistakes files have, and how many playbooks are rebuilding."""
        yield Sample("sentinel_playbook_mistakes", (), len(self._library.mistakes))
        for app, tenant in list(self._pipeline.tenants.items()):
            yield Sample("sentinel_playbooks_rebuilding", (app,), len(tenant.rebuilding))

    def _tell_changes(self, before: dict[str, str]) -> None:
        """Say which playbooks are others than before."""
        after = {one.id: one.version for one in self._library.playbooks}
        for id in sorted(before.keys() | after.keys()):
            if before.get(id) != after.get(id):
                self._told("playbook", f"{id}: {_change(before.get(id), after.get(id))}")

    def _tell_mistakes(self, more: set[str]) -> None:
        """Say what is newly wrong, with files or with what keeps them from being taken over."""
        mistakes = {str(mistake) for mistake in self._library.mistakes} | more
        for mistake in sorted(mistakes - self._mistakes):
            self._told("mistake", mistake)
        self._mistakes = mistakes

    def _spread(self) -> bool:
        """Bring every app to what the library holds; False where the files changed meanwhile."""
        wanted = self._library.playbooks
        for app in self._store.access.apps():
            self._keep(app.id, wanted)
        try:
            for tenant in list(self._pipeline.tenants.values()):
                self._bring(tenant, wanted)
        except Changed:
            return False
        except StoreBusy as error:  # the next look tries again
            self._tell_mistakes({f"playbooks go on as they were: {error}"})
            return True
        self._tell_mistakes(set())
        return True

    def _keep(self, app: str, wanted: Sequence[Playbook]) -> None:
        """Keep the texts of new versions, with who owns their files, and note the change in the audit.

        A start compares with what was kept before it: files may have changed meanwhile.
        """
        if self._kept.get(app) == wanted:
            return
        now, old = self._clock(), self._store.playbooks.last(app)
        versions = {
            one.id: PlaybookVersion(one.id, one.version, self._library.source(one), now, self._writer(one))
            for one in wanted
        }
        gone = {id: PlaybookVersion(id, REMOVED, "", now, BY) for id in sorted(old.keys() - versions.keys())}
        versions |= gone
        known = old or app in self._kept  # else it is the very first start
        lines = {id: _line(one, old.get(id)) for id, one in versions.items()} if known else {}
        self._store.playbooks.keep(app, list(versions.values()), lines)
        self._kept[app] = wanted

    def _writer(self, playbook: Playbook) -> str:
        """Return who wrote a playbook: whoever did so here, else who owns its file."""
        return self._library.author(playbook) or _owner(playbook.place.file)

    def _bring(self, tenant: Tenant, wanted: Sequence[Playbook]) -> None:
        if tenant.goes_by(wanted) and not tenant.rebuilding:
            return
        anew = [one for one in wanted if one.mode != "off" and prepare(one).watch != tenant.watch_of(one.id)]
        with self._pipeline.lock:
            gone = tenant.take(_meanwhile(tenant, wanted, {one.id for one in anew}))
            tenant.rebuilding = frozenset(one.id for one in anew)
        with self._pipeline.saving:
            for watch in gone - tenant.rebuilding:
                self._store.snapshots.forget(tenant.app.id, watch)
        if anew:
            self._rebuild(tenant, anew, wanted)

    def _rebuild(self, tenant: Tenant, anew: Sequence[Playbook], wanted: Sequence[Playbook]) -> None:
        """Fold what windows of changed playbooks need, then let them take their place."""
        fresh = self._make_tenant(tenant.app, anew)
        fresh.newest = tenant.newest
        position, done, before = self._fold(fresh), NEAR, NEAR + 1
        while NEAR <= done < before:  # unless they come faster than they are folded: then they wait
            before = done
            position, done = restore.follow(fresh, self._store, position, self._heed)
        with self._pipeline.lock:
            fresh.newest = tenant.newest
            restore.follow(fresh, self._store, position)
            restore.settle(fresh)
            fresh.windows.unlearn()
            restore.know(self._store, fresh)
            for watch in fresh.engine.watches():
                tenant.windows.take_over(watch.id, fresh.windows.hand_over(watch.id))
            tenant.memory.crowd.take_over(fresh.memory.crowd)
            tenant.take(wanted)
            tenant.rebuilding = frozenset()

    def _fold(self, fresh: Tenant) -> int:
        """Fold the stored events that can matter, each once; return the journal position that is not folded yet."""
        store, app = self._store, fresh.app.id
        watches = fresh.engine.watches()
        since = fresh.newest - restore.reach(watches, fresh.engine.lateness)
        start = store.events.position()
        source = store.events.in_order(app, since)
        first = next(source, None)  # from here on it is fixed which events are given
        late = {(kept.event.id, kept.event.at) for kept in store.events.after(app, start)}
        events = chain([first] if first else [], source)
        given = (event for event in events if (event.id, event.at) not in late)
        restore.fold(fresh, given, {watch.id for watch in watches}, lambda what, done: self._heed())
        return start

    def _heed(self) -> None:
        """Give up where the server stops or the files have changed again."""
        if self._stopping() or self._library.changed():
            raise Changed


def _meanwhile(tenant: Tenant, wanted: Sequence[Playbook], anew: set[str]) -> list[Playbook]:
    """Return what an app goes by until its windows are rebuilt: what changed as it was, in the milder of both modes."""
    before = {judge.playbook.id: judge.playbook for judge in tenant.engine.judges.values()}
    kept = [one for one in wanted if one.id not in anew]
    old = [(before[one.id], one) for one in wanted if one.id in anew and one.id in before]
    return kept + [replace(was, mode=min(was.mode, now.mode, key=MODES.index)) for was, now in old]


def _line(version: PlaybookVersion, before: str | None) -> Note:
    """Return what the audit says of a playbook that changed: by whom, where somebody signed in wrote it here."""
    by = version.by if version.by is not None and version.by.startswith("account:") else BY
    return Note(by, "playbook.changed", version.playbook, _change(before, version.version))


def _change(before: str | None, after: str | None) -> str:
    if not after:
        return "removed"
    return f"version {after}" + (f" instead of {before}" if before else "")


def _owner(file: str) -> str:
    """Return whose a file is, as the system calls them."""
    try:
        return Path(file).owner()
    except (OSError, KeyError):
        return BY
