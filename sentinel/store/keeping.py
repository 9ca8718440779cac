"""What the server keeps for itself: snapshots of windows, the lease of the jobs, settings, texts of playbooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import zstandard
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from sentinel.core.batch import Note
from sentinel.core.record import Lease, Page, PlaybookVersion, Snapshot
from sentinel.store.audit import note
from sentinel.store.changes import insert_new, put
from sentinel.store.database import Database
from sentinel.store.paging import page
from sentinel.store.tables import apps, leases, playbook_versions, settings, snapshots


class Snapshots:
    """States of windows, opaque here; packed by zstd, for all of them come to a hundred megabytes.

    `went_back` says whether the database is of an earlier time than this process: then no state is kept any more.
    """

    def __init__(self, control: Database, went_back: Callable[[Connection], bool] = lambda connection: False) -> None:
        self._control = control
        self._went_back = went_back
        self._ended = False

    def end(self) -> None:
        """Keep no state from here on: what this process counted is of a time from which the database went back."""
        self._ended = True

    def save(self, app: str, state: Snapshot) -> None:
        """Keep a snapshot, in place of the one kept for the same watch."""
        if self._ended:
            return
        row = {name: getattr(state, name) for name in Snapshot.__dataclass_fields__}
        packed = zstandard.ZstdCompressor(level=1).compress(state.state)
        with self._control.write() as connection:
            if self._went_back(connection):  # and nobody has noticed yet
                self.end()
                return
            put(connection, snapshots, {**row, "app": app, "state": packed})

    def load(self, app: str) -> dict[str, Snapshot]:
        """Return the snapshots kept, by watch."""
        with self._control.read() as connection:
            rows = connection.execute(select(snapshots).where(snapshots.c.app == app)).all()
        return {row.watch: Snapshot(row.watch, row.position, row.shape, _unpacked(row.state), row.made) for row in rows}

    def forget(self, app: str, watch: str) -> None:
        """Drop the snapshot of a watch."""
        with self._control.write() as connection:
            connection.execute(delete(snapshots).where(snapshots.c.app == app, snapshots.c.watch == watch))


def _unpacked(state: bytes) -> bytes:
    """Return the bytes of a state; as they are where they were kept before states were packed, or are damaged."""
    try:
        return zstandard.ZstdDecompressor().decompress(state)
    except zstandard.ZstdError:
        return state


class Leases:
    """Who runs the jobs. A holder that lost its lease is told by a larger `fence`."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def take(self, name: str, holder: str, until: int, now: int) -> Lease | None:
        """Take or extend a lease; None while another holds it.

        One that ends later than anybody's may was taken while the clock was ahead: nobody is held off by it.
        """
        latest = until + (until - now)
        with self._control.write() as connection:
            insert_new(connection, leases, [{"name": name, "holder": "", "fence": 0, "until": 0}])
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one()
            if row.holder != holder and now < row.until <= latest:
                return None
            fence = row.fence if row.holder == holder and row.until > now else row.fence + 1
            put(connection, leases, {"name": name, "holder": holder, "fence": fence, "until": until})
        return Lease(name, holder, fence, until)

    def holds(self, lease: Lease, now: int) -> bool:
        """Say whether a lease has neither ended nor been taken by another since."""
        with self._control.read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == lease.name)).one_or_none()
        return row is not None and (row.holder, row.fence) == (lease.holder, lease.fence) and row.until > now

    def release(self, lease: Lease) -> None:
        """Give a lease back before its end."""
        mine = (leases.c.name == lease.name, leases.c.holder == lease.holder, leases.c.fence == lease.fence)
        with self._control.write() as connection:
            connection.execute(update(leases).where(*mine).values(until=0))


def _setting(name: str, app: str | None) -> Select[tuple[Any]]:
    return select(settings.c.value).where(settings.c.app == (app or ""), settings.c.name == name)


def setting(connection: Connection, name: str, app: str | None = None) -> Any:
    """Return a value that is set within a transaction, None where none is."""
    return connection.execute(_setting(name, app)).scalar_one_or_none()


def put_setting(connection: Connection, name: str, value: Any, app: str | None = None) -> None:
    """Set a value within a transaction; None unsets it."""
    if value is None:
        connection.execute(delete(settings).where(settings.c.app == (app or ""), settings.c.name == name))
    else:
        put(connection, settings, {"app": app or "", "name": name, "value": value})


def set_once(control: Database, name: str, value: Any) -> Any:
    """Set a value for all apps unless one is set, by whichever process; return the one that is."""
    with control.write() as connection:
        insert_new(connection, settings, [{"app": "", "name": name, "value": value}])
        return setting(connection, name)


class Settings:
    """What is set at run time, as JSON values."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def get(self, name: str, app: str | None = None) -> Any:
        """Return a value, None where none is set."""
        with self._control.read() as connection:
            return setting(connection, name, app)

    def put(
        self, name: str, value: Any, by: str, now: int, app: str | None = None, line: Note | None = None
    ) -> None:  # fmt: skip
        """Set a value, or unset it with None. `line` is the audit's line; without it the line is `setting.put`."""
        with self._control.write() as connection:
            put_setting(connection, name, value, app)
            line = line or Note(by, "setting.put", name)
            note(connection, app, now, line.actor, line.action, line.target, line.reason)

    def change(self, name: str, how: Callable[[Any], Any], by: str, now: int, app: str | None = None) -> Any:
        """Replace a value by `how(value)` and return the new one; `how` is given None where none is set.

        No other thread or process can set it in between. Where `how` raises, the value stays.
        """
        with self._control.write() as connection:
            insert_new(connection, settings, [{"app": app or "", "name": name, "value": None}])
            value = how(connection.execute(_setting(name, app).with_for_update()).scalar_one())
            put_setting(connection, name, value, app)
            note(connection, app, now, by, "setting.put", name)
        return value


class Playbooks:
    """The texts of playbooks as they changed."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def keep(self, app: str, versions: Sequence[PlaybookVersion], lines: Mapping[str, Note] | None = None) -> None:
        """Keep those whose version is not the last one kept, with their lines."""
        with self._control.write() as connection:
            connection.execute(select(apps.c.id).where(apps.c.id == app).with_for_update())  # one at a time
            last = _last(connection, app)
            for one in versions:
                if last.get(one.playbook) == one.version:
                    continue
                row = {name: getattr(one, name) for name in PlaybookVersion.__dataclass_fields__}
                connection.execute(insert(playbook_versions).values(**row, app=app))
                line = (lines or {}).get(one.playbook)
                if line is not None:
                    note(connection, app, one.made, line.actor, line.action, line.target, line.reason, line.detail)

    def last(self, app: str) -> dict[str, str]:
        """Return the version kept last, by playbook; removed playbooks are left out."""
        with self._control.read() as connection:
            return {playbook: version for playbook, version in _last(connection, app).items() if version}

    def history(
        self, app: str, playbook: str, limit: int = 50, cursor: str | None = None, *, version: str | None = None
    ) -> Page[PlaybookVersion]:
        """Return the versions of a playbook, newest first; with `version` only the times when it was that one."""
        c = playbook_versions.c
        query = select(playbook_versions).where(c.app == app, c.playbook == playbook)
        if version is not None:
            query = query.where(c.version == version)
        with self._control.read() as connection:
            return page(connection, query, (c.id,), (int,), limit, cursor, _version, counted=True)


def _last(connection: Connection, app: str) -> dict[str, str]:
    """Return the version of each playbook that was kept last, empty where it was removed."""
    c = playbook_versions.c
    newest = select(func.max(c.id)).where(c.app == app).group_by(c.playbook)
    rows = connection.execute(select(c.playbook, c.version).where(c.id.in_(newest)))
    return {row.playbook: row.version for row in rows}


def _version(row: Row[Any]) -> PlaybookVersion:
    return PlaybookVersion(row.playbook, row.version, row.source, row.made, row.by)
