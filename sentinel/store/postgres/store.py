"""The PostgreSQL store put together from its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, delete, false, or_, select, true, update

from sentinel.core.errors import StoreBusy, StoreError
from sentinel.core.record import Backed, Health
from sentinel.store.buried import FILE, Buried
from sentinel.store.changes import AHEAD
from sentinel.store.deletions import Deletions
from sentinel.store.folder import Folder
from sentinel.store.keeping import Snapshots
from sentinel.store.migrate import migrate
from sentinel.store.postgres.control import Control
from sentinel.store.postgres.erasing import erase, named
from sentinel.store.postgres.events import Events
from sentinel.store.postgres.learning import Learning
from sentinel.store.postgres.news import News
from sentinel.store.postgres.partitions import Partitions
from sentinel.store.postgres.patient import TAKING
from sentinel.store.postgres.place import Place
from sentinel.store.postgres.questions import explorer
from sentinel.store.postgres.unit import Machine, Unit
from sentinel.store.rooms import ROOM, Rooms
from sentinel.store.tables import apps, leases, one_time_links, sessions, settings

MOVING = "moving"  # the setting that says a data folder is being copied here
_TRIED = "CREATE UNLOGGED TABLE sentinel_room AS SELECT repeat('x', 1000) AS filler FROM generate_series(1, %s)"


def open_postgres(url: str, alone: bool = False, moving: bool = False, folder: Path | None = None) -> Postgres:
    """Open the store in a PostgreSQL database, its tables made where there are none.

    One into which a data folder was copied by half is refused, but for `moving`. `folder` is this process's own, with
    the file that remembers deleted persons where the database is put back to an earlier time.

    `alone` refuses every other server: what this one holds in memory cannot be shared. Raises StoreError where the
    database cannot be reached or used; the password is in no text.
    """
    with ExitStack() as undo:
        held = None if folder is None else Folder(folder, private=False)
        if held is not None:
            undo.callback(held.close)
        control = Control(url)
        undo.callback(control.close)
        with control.write(longest=None) as connection:
            lock = (control.key("migrations"),)
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", lock)
            if (encoding := connection.exec_driver_sql("SHOW server_encoding").scalar_one()) != "UTF8":
                hint = "make it with ENCODING 'UTF8', and name that in `database`"
                raise StoreError(f"{control.where} is in {encoding}, which cannot hold every text", hint)
            migrate(connection, control.where)
            if not moving and connection.execute(select(settings.c.app).where(settings.c.name == MOVING)).first():
                raise StoreError(f"{control.where} holds half of a data folder", "run `sentinel migrate` again")
        store = Postgres(control, alone, held)
        undo.pop_all()
        return store


class Postgres(Rooms):
    """The store of one database, as this process uses it; see `sentinel.service.ports.Store`."""

    def __init__(self, control: Control, alone: bool, folder: Folder | None) -> None:
        super().__init__(control, Snapshots(control, lambda connection: self._news.went_back(connection)))
        self._folder = folder
        self._control = self.control = control
        self._closed = False
        self._place = Place(control)
        self._partitions = Partitions(control)
        self.schema = Learning(control)
        self._machine = Machine(control, self._place, self._partitions, self.schema, self)
        self.events = Events(control, self._place, self._partitions)
        self.explorer = explorer(control, self.events)
        self.deletions = Deletions(
            control, self.people, self.known, self.labels, self.allow, partial(erase, control), partial(named, control),
            Buried(None if folder is None else folder.path / FILE),
        )  # fmt: skip
        self._news = News(control, self.revisions, self._place, {
            "access": lambda app: self.access.reload(), "labels": self.labels.reload, "allow": self.allow.reload,
            "people": self._forget_people,
            "deletions": self._deleted_elsewhere,
        }, self._renew_behind, alone)  # fmt: skip
        try:
            with suppress(StoreBusy):
                self.deletions.recover()
            self._deleted_elsewhere("")
        except BaseException:
            self._news.stop()
            raise

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Begin a transaction; a second one of this process waits until the first is left."""
        with self._control.begin(TAKING) as connection:
            yield Unit(self._machine, connection)

    def room(self) -> None:
        """Raise StoreBusy where a batch of events could not be written: a table as large is made, and not kept."""
        with self._control.beside() as connection:
            connection.exec_driver_sql(_TRIED, (ROOM // 1000,))
            connection.rollback()

    def settle(self) -> None:
        """Return once every transaction that has begun, in whichever process, is over and can be read."""
        self._place.settle(self._control)

    def prepare(self, days: Iterable[int], now: int) -> None:
        """Make partitions for days of which many events are about to come."""
        self._partitions.seen(days)
        self._partitions.ready(now)

    def installation(self) -> str:
        """Return a text that is this installation's alone, for names in a Redis or Valkey that several share."""
        return self.deletions.installation()

    def skew(self) -> int:
        """Return by how many microseconds the database's clock, which all servers share, is ahead of this machine's."""
        return self._news.skew

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call with the app whenever another process changed a decision list."""
        self._news.watch(changed)

    def project(self) -> int:
        """Learn from the next lump of events, and make the partitions that are wanted; return how many events."""
        with suppress(StoreError):
            if self.schema.now:
                self._partitions.ready(self.schema.now)
        return self.schema.project()

    def checkpoint(self) -> None:
        """Keep what was learnt of properties."""
        with suppress(StoreBusy):
            self.schema.keep()

    def health(self) -> Health:
        """Return what waits, what went wrong, and what cannot be used now."""
        down = self._news.trouble()
        return Health(
            pending=self.schema.pending(), explorer=down,
            warnings=(*self.schema.warnings(), *self._news.warnings()), down=down,
        )  # fmt: skip

    def backup(self, folder: Path, now: int) -> Backed:
        """Refuse: the database has tools of its own."""
        raise StoreError(f"{self._control.where} is not backed up here", "use `pg_dump`, or the database's own backups")

    def renew(self) -> None:
        """Void what must not come back with an earlier state, and let no client's place in a decision list be known."""
        with self._control.write() as connection:
            _renew(connection, true())

    def _renew_behind(self, known: Mapping[str, int]) -> None:
        """Do so where lists lie behind what was known of them: of several servers the first does that."""
        self.snapshots.end()
        behind = ((apps.c.id == app) & (apps.c.revision < revision) for app, revision in known.items())
        with self._control.beside() as connection:
            _renew(connection, or_(false(), *behind))

    def give_up(self) -> None:
        """Let nobody wait for the database any more: what it has not answered in half a second is given up."""
        self._control.pulse.over = True

    def close(self) -> None:
        """Keep what was learnt, and close; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        while self.project():
            pass
        self.checkpoint()
        self._news.stop()
        self._control.close()
        if self._folder is not None:
            self._folder.close()

    def _forget_people(self, app: str) -> None:
        with self._control.writing():
            self.known.forget(app)

    def _deleted_elsewhere(self, _app: str) -> None:
        self.deletions.reload()
        with suppress(OSError, StoreBusy):  # another process's file has them
            self.deletions.keep()


def _renew(connection: Connection, which: ColumnElement[bool]) -> None:
    far = apps.c.revision + AHEAD
    if connection.execute(update(apps).where(which).values(revision=far, floor=far)).rowcount:
        for table in (sessions, one_time_links, leases):
            connection.execute(delete(table))
