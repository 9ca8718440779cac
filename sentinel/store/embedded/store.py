"""The embedded store: one folder, one process. SQLite takes every commit, DuckDB is what events are searched in.

Only how its parts are put together, and recovered after a crash, is here.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from sentinel.core.errors import StoreBusy
from sentinel.core.record import Backed, Health
from sentinel.core.repeats import Identity
from sentinel.store.buried import FILE, Buried
from sentinel.store.deletions import Deletions
from sentinel.store.embedded import backup
from sentinel.store.embedded.backup import CONTROL, EVENTS
from sentinel.store.embedded.control import Control
from sentinel.store.embedded.duck import Duck
from sentinel.store.embedded.events import Events, drained, stored
from sentinel.store.embedded.formatter import Formatter
from sentinel.store.embedded.journal import Journal
from sentinel.store.embedded.projector import Projector, prepare
from sentinel.store.embedded.questions import explorer
from sentinel.store.embedded.recent import GENERATION, Recent, Seen
from sentinel.store.embedded.schema import Schema
from sentinel.store.embedded.state import refuse_lost
from sentinel.store.embedded.unit import Machine, Unit
from sentinel.store.folder import Folder
from sentinel.store.keeping import set_once
from sentinel.store.migrate import migrate
from sentinel.store.rooms import ROOM, Rooms
from sentinel.store.tables import journal


def open_store(folder: Path, recent: int = GENERATION) -> Embedded:
    """Open the store of a data folder; it is made where there is none, and recovered where it was not closed.

    At least the `recent` newest ids of each app are held in memory, to recognise repeats. Raises StoreError where
    another server has the folder, or a file in it cannot be used; then nothing was changed.
    """
    with ExitStack() as undo:
        held = Folder(folder)
        undo.callback(held.close)
        control = _control(folder)
        undo.callback(control.close)
        store = Embedded(held, control, recent)
        undo.pop_all()
        return store


class Embedded(Rooms):
    """The store of one data folder; see `sentinel.service.ports.Store`."""

    def __init__(self, folder: Folder, control: Control, recent: int) -> None:
        super().__init__(control)
        self._folder = folder
        self._control = self.control = control
        self._recent = recent
        self._closed = False
        self._id = self.id = str(set_once(control, "store.id", secrets.token_hex(8)))
        self._journal = Journal(control)
        self.schema = Schema(control)
        self._duck = Duck(folder.path / EVENTS, partial(prepare, store=self._id))
        self._formatter = Formatter(folder.path)
        self._projector = Projector(control, self._journal, self.schema, self._duck, stored, self._formatter)
        self._machine = Machine(control, self._journal, self, self._ask, recent)
        self.events = Events(self._journal, self._duck, self._projector, self.schema)
        self.explorer = explorer(self._duck, self.events, self._projector, self.schema)
        self.deletions = Deletions(
            control, self.people, self.known, self.labels, self.allow, self.events.erase,
            self.events.named, Buried(folder.path / FILE),
        )  # fmt: skip
        self._projector.deleted = self.deletions.concerns
        self._recover()
        with suppress(StoreBusy):
            self.deletions.recover()

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Begin a transaction; another one waits until this one is left."""
        with self._control.writing():
            yield Unit(self._machine)

    def installation(self) -> str:
        """Return a text that is this installation's alone, for names in a Redis or Valkey that several share."""
        return self.deletions.installation()

    def skew(self) -> int:
        """Return 0: there is no other clock."""
        return 0

    def room(self) -> None:
        """Raise StoreBusy where the disk has no room for a batch of events."""
        try:
            with tempfile.TemporaryFile(dir=self._folder.path) as file:
                file.write(os.urandom(ROOM))
        except OSError as error:
            raise StoreBusy(f"`{self._folder.path}` has no room: {error.strerror}", outside="no room") from error

    def settle(self) -> None:
        """Do nothing: there is no other process."""

    def watch(self, _changed: Callable[[str], None]) -> None:
        """Do nothing: there is no other process."""

    def project(self) -> int:
        """Make the next lump of events searchable and return how many; never raises."""
        return self._projector.project()

    def checkpoint(self) -> None:
        """Make what was projected durable and let go of the journal before it."""
        self._projector.checkpoint()

    def health(self) -> Health:
        """Return what waits, what went wrong, and what cannot be used now."""
        return Health(
            pending=self._projector.pending(),
            explorer=self._duck.failure,
            warnings=(*self._duck.warnings, *self._projector.warnings, *self._formatter.warnings),
        )

    def backup(self, folder: Path, now: int) -> Backed:
        """Copy all that is kept into an empty folder, while events come in, and check the copy; return what it is.

        Raises StoreError where that cannot be done; then the folder is empty again.
        """
        with self._projector.still():
            self._projector.project()
            self._projector.checkpoint()
            with self._duck.cursor() as own:
                own.execute("CHECKPOINT").fetchall()  # what retention deleted, and the tables of a new file
            return backup.take(self._folder.path, folder, self._duck.copy, self._id, now)

    def give_up(self) -> None:
        """Do nothing: a disk of this machine's is waited for."""

    def close(self) -> None:
        """Project and check-point what is left, and close; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        while self._duck.failure is None and self.project():
            pass
        self.checkpoint()
        self._formatter.close()
        self._duck.close()
        self._control.close()
        self._folder.close()

    def _recover(self) -> None:
        """Make the journal searchable, and remember which events came in last."""
        self._projector.open()
        while self._duck.failure is None and self.project():
            pass
        self.checkpoint()
        for app in self.access.apps():
            self._machine.recent[app.id] = self._remembered(app.id)

    def _remembered(self, app: str) -> Recent:
        """Return the newest identities of an app, and for which times there are older ones."""
        recent = Recent(self._recent)
        try:
            with self._duck.cursor() as own:
                newest = "SELECT seq, ts + ahead, id FROM events WHERE app = ? ORDER BY seq DESC LIMIT ?"
                found = drained(own.execute(newest, [app, self._recent]))
                recent.learn(Seen(sent, id) for _, sent, id in reversed(found))
                if len(found) == self._recent:
                    older = "SELECT min(ts + ahead), max(ts + ahead) FROM events WHERE app = ? AND seq < ?"
                    days = f"{older} AND ahead IS NOT NULL GROUP BY (ts + ahead) // 86400000000"
                    for first, last in drained(own.execute(days, [app, found[-1][0]])):
                        recent.forget(first, last)
        except StoreBusy:
            recent.complete = False
            recent.learn(self._journal.events(app))
        return recent

    def _ask(self, app: str, sent: Sequence[tuple[int, str]]) -> set[Identity] | None:
        """Return which of these are stored; None where too much cannot be searched yet, or nothing can."""
        if self._projector.pending() >= self._recent:
            return None
        try:
            with self._duck.cursor() as own:
                return stored(own, app, sent)
        except StoreBusy:
            return None


def _control(folder: Path) -> Control:
    refuse_lost(folder)
    path = folder / CONTROL
    control = Control(path, journal.name)
    try:
        with control.write() as connection:
            migrate(connection, f"`{path}`")
    except BaseException:
        control.close()
        raise
    return control
