"""How a process hears what others changed, so that nothing it remembers is out of date for long.

The database is the truth: every `EVERY` seconds the versions of all rooms are compared with those remembered, and what
differs is read again. A notification after each change only speeds that up, to a few milliseconds. So keys, apps,
labels, allowances, links and the revisions of decision lists are at most `EVERY` seconds old while the database
answers; a look that takes long is followed by a pause ten times as long, of two seconds at most.

No version ever goes down by itself. Where one did, the database was restored to an earlier time, or a standby took over
that lacked the last moments: then everything is read again, and clients' places in decision lists are voided.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, select

from sentinel.core.errors import StoreError
from sentinel.store.changes import Touched
from sentinel.store.decisions import Revisions
from sentinel.store.postgres.control import Control, connect
from sentinel.store.postgres.patient import SILENT, Patient
from sentinel.store.postgres.place import Place
from sentinel.store.tables import apps, room_versions

EVERY = 1.0  # seconds between two looks without news
_PAUSE, _LONGEST = 10, 2.0  # times as long as a look took; seconds at most: a key that was revoked must not last
SKEWED = 5_000_000  # microseconds by which a clock may differ from the database's and nobody is told
_ANSWER = 15.0  # seconds for one statement: longer than anybody waits for a lock
_LEAVING, _AGAIN = 5.0, 0.1  # seconds: how long a server that was killed may still seem there; between two tries

CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

PUT_BACK = (
    "went back to an earlier time while this server ran: SDKs take their lists anew; empty the Redis or Valkey of "
    "`windows`, and start every server anew: until then findings that are gone hold back others, and who was deleted "
    "since is back"
)
Reload = Callable[[str], None]
Renew = Callable[[Mapping[str, int]], None]


def _now() -> int:
    return time.time_ns() // 1000


class News:
    """A thread that listens. `rooms` says how each is read again, for one app.

    `renew` voids the places of clients in lists of lesser revisions than these. The thread's connection says that this
    process is there: with `alone` no other may be.
    """

    def __init__(
        self, control: Control, revisions: Revisions, place: Place, rooms: Mapping[str, Reload], renew: Renew,
        alone: bool,
    ) -> None:  # fmt: skip
        self._control = control
        self._renew = renew
        self._put_back = False
        self._revisions = revisions
        self._place = place
        self._rooms = rooms
        self._seen: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wall: Callable[[], int] = _now
        self.skew = 0  # microseconds by which the database's clock is ahead of this machine's
        self._trouble: str | None = None  # why the database could not be used
        self._answered = time.monotonic()
        self._heard: list[Callable[[str], None]] = []
        self._alone = alone
        self._teller = control.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._channel = f"sentinel_{control.schema}"[:63]
        with control.read() as connection:
            self._set_by(connection)
            self._seen.update(_versions(connection)[1])
        control.committed = self.tell
        with control.translated():
            self._own: Patient | None = self._connected(time.monotonic() + _LEAVING)
        control.pulse.take()
        self._thread = threading.Thread(target=self._run, name="sentinel-news", daemon=True)
        self._thread.start()

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call with the app whenever another process changed a decision list."""
        self._heard.append(changed)

    def trouble(self) -> str | None:
        """Say why the database cannot be used; None while it answers."""
        if self._trouble is not None:
            return self._trouble
        silent, stuck = time.monotonic() - self._answered, self._control.stuck()
        if silent > SILENT:
            return f"{self._control.where} has not answered for {silent:.0f} s"
        return f"{self._control.where} has been writing for {stuck:.0f} s" if stuck else None

    def warnings(self) -> tuple[str, ...]:
        """Return what is wrong and goes on all the same, one line each."""
        way = "behind" if self.skew > 0 else "ahead of"
        clock = f"this machine's clock is {abs(self.skew) / 1e6:.0f} s {way} the database's: keep both by NTP"
        back = f"{self._control.where} {PUT_BACK}"
        return (clock,) * (abs(self.skew) > SKEWED) + (back,) * self._put_back

    def tell(self, touched: Touched) -> None:
        """Let other processes hear of a commit of this one; what it did itself, it need not read again."""
        with self._lock:
            for of, version in touched.items():
                if of[1] != "decisions" and self._seen.get(of, 0) == version - 1:
                    self._seen[of] = version
        lost = contextlib.suppress(StoreError, psycopg.Error)  # they look by themselves, too
        with lost, self._control.translated(), self._teller.connect() as connection:
            connection.exec_driver_sql("SELECT pg_notify(%s, '')", (self._channel,))

    def look(self) -> None:
        """Read again what others changed."""
        known, seen = self._known()
        with self._control.read(_ANSWER) as connection:
            position = self._place.decided(connection)
            self._set_by(connection)
        with self._control.read(_ANSWER) as connection:
            lists, rooms = _versions(connection)
        self._place.hear(position)
        if _is_less(lists, known) or _is_less(rooms, seen):
            self._begin_anew(known)
            self.look()
            return
        for (app, room), version in rooms.items():
            if self._seen.get((app, room)) != version and self._newer((app, room), version):
                self._rooms[room](app)
        for app, revision in lists.items():
            if self._revisions.hear(app, revision):
                for changed in self._heard:
                    changed(app)

    def went_back(self, connection: Connection) -> bool:
        """Say whether the database knows less than this process has seen of it, which the next look notices."""
        known, seen = self._known()
        lists, rooms = _versions(connection)
        return _is_less(lists, known) or _is_less(rooms, seen)

    def _known(self) -> tuple[Mapping[str, int], Mapping[tuple[str, str], int]]:
        with self._lock:
            return self._revisions.all(), dict(self._seen)

    def _begin_anew(self, known: Mapping[str, int]) -> None:
        """Forget what the database may not know any more."""
        self._renew(known)
        self._put_back = True
        with self._lock:
            forgotten, self._seen = self._seen, {}
        self._revisions.forget()
        for app, room in forgotten:
            if room in self._rooms:
                self._rooms[room](app)

    def _set_by(self, connection: Connection) -> None:
        """Learn how far the database's clock is ahead: what was known goes on for as long as it may be right."""
        before = self._wall()
        there = int(connection.exec_driver_sql(CLOCK).scalar_one())
        after = self._wall()
        self.skew = min(max(self.skew, there - after), there - before)

    def _newer(self, of: tuple[str, str], version: int) -> bool:
        """Note a version before what it says is read; a commit of this process may have come in between."""
        with self._lock:
            if self._seen.get(of, 0) >= version:
                return False
            self._seen[of] = version
            return of[1] in self._rooms

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self.tell({})  # which wakes it
        self._thread.join()
        self._control.pulse.taken = False
        if self._own is not None:
            self._own.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._control.translated():
                    self._own = self._own or self._connected()
                    self._listen(self._own)
            except (psycopg.Error, StoreError) as error:
                known = isinstance(error, StoreError)
                self._trouble = str(error) if known else f"{self._control.where} does not answer"
                if self._own is not None:
                    self._own.close()
                    self._own = None
                self._stopping.wait(EVERY)

    def _connected(self, until: float = 0) -> Patient:
        """Return a connection that listens, and tells others that we are here; waits for who is just leaving."""
        own = connect(self._control.parts, self._control.pulse, _ANSWER)
        try:
            own.autocommit = True
            own.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            kind = "" if self._alone else "_shared"
            take = f"SELECT pg_try_advisory_lock{kind}(%s)"
            while own.execute(take.encode(), (self._control.key("servers"),)).fetchone() != (True,):
                if time.monotonic() >= until:
                    raise StoreError(
                        f"{self._control.where} is in use by another server",
                        "stop it; only servers whose `windows` is the same Redis or Valkey URL run beside each other",
                    )
                time.sleep(_AGAIN)
        except BaseException:
            own.close()
            raise
        return own

    def _listen(self, own: Patient) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self.look()
            self._trouble, self._answered = None, time.monotonic()
            pause = min(_PAUSE * (time.monotonic() - began), _LONGEST)
            if pause > EVERY:
                self._stopping.wait(pause)
            own.listen(EVERY)


def _versions(connection: Connection) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Return the revisions of all lists, by app, and the versions of all rooms, by app and room."""
    revisions = connection.execute(select(apps.c.id, apps.c.revision)).all()
    versions = connection.execute(select(room_versions)).all()
    return {row.id: row.revision for row in revisions}, {(row.app, row.room): row.version for row in versions}


def _is_less(now: Mapping[Any, int], before: Mapping[Any, int]) -> bool:
    return any(now.get(of, 0) < known for of, known in before.items())
