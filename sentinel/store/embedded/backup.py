"""Backups of the embedded store: made while a server runs, checked, and restored into an empty folder.

A backup is a folder: the two databases, the hashes of deleted persons, and `backup.json`, which is written last and has
the length and the SHA-256 of each file. What is in the tables is not known here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import duckdb

from sentinel.core.errors import StoreError
from sentinel.core.record import Backed
from sentinel.store.buried import FILE as BURIED
from sentinel.store.buried import Buried
from sentinel.store.changes import AHEAD
from sentinel.store.folder import LOCK, Folder
from sentinel.store.migrate import check

MANIFEST = "backup.json"
CONTROL, EVENTS = "sentinel.sqlite3", "events.duckdb"
FORM = 1
_PIECE = 1 << 20
DRAFTS = {name: f".{name}.restored" for name in (EVENTS, CONTROL)}  # what the files are called until all are there
_KEPT = {LOCK, BURIED, "lists", *DRAFTS.values()}  # what may lie in a folder that is restored into


def take(source: Path, folder: Path, copy_events: Callable[[Path], None], store: str, now: int) -> Backed:
    """Copy the files of an open store, which must not be checkpointed meanwhile, and check the copies.

    `folder` is there, empty, and its owner's alone; it is emptied again where that fails. `copy_events` copies the
    events, `store` is the store's id. Raises StoreError.
    """
    empty(folder)
    _room(source, folder)
    try:
        copy_events(folder / EVENTS)
        _copy_control(source / CONTROL, folder / CONTROL)
        if (source / BURIED).exists():
            _copy(source / BURIED, folder / BURIED)
        events = _checked(folder, store)
        files = {name: _told(folder / name) for name in (EVENTS, CONTROL, BURIED) if (folder / name).exists()}
        made = Backed(now, events, files, FORM)
        _write(folder / MANIFEST, json.dumps(asdict(made)).encode() + b"\n")
        _sync(folder)
    except (OSError, sqlite3.Error, duckdb.Error, StoreError) as error:
        for name in (MANIFEST, EVENTS, CONTROL, f"{CONTROL}-wal", f"{CONTROL}-shm", BURIED):
            (folder / name).unlink(missing_ok=True)
        raise _failed(f"no backup was made in `{folder}`", error) from error
    return made


def read(folder: Path) -> Backed:
    """Return what a backup says of itself, each file looked at; raises StoreError where it is none or damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(f"`{folder}` is no backup: it has no `{MANIFEST}`", "`sentinel backup` makes one")
    try:
        with path.open("rb") as file:
            raw = json.loads(file.read(_PIECE))
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in raw["files"].items()}
        found = Backed(int(raw["at"]), int(raw["events"]), files, int(raw["form"]))
    except OSError as error:
        raise StoreError(f"`{path}` cannot be read: {error.strerror}") from None
    except (ValueError, ArithmeticError, RecursionError, KeyError, TypeError, AttributeError):
        raise StoreError(f"`{path}` is damaged", "take another backup") from None
    if found.form != FORM or not {CONTROL, EVENTS} <= set(files) <= {CONTROL, EVENTS, BURIED}:
        raise StoreError(f"`{folder}` is a backup of a form that is not known", "restore it with the newest Sentinel")
    for name, told in files.items():
        copied = folder / name
        if not copied.is_file() or copied.stat().st_size != told[0] or _told(copied) != told:  # a long one is not read
            raise StoreError(f"`{copied}` is not what was backed up", "take another backup")
    return found


def put_back(backup: Path, folder: Path, deleted: tuple[Path, ...] = ()) -> Backed:
    """Restore a backup into a folder without a store; `deleted` are further files of deleted persons' hashes.

    Those that lie in the folder stay. Sessions and one-time links are void, and every client asks for the decision
    list anew. Raises StoreError where a server has the folder, or anything else lies in it; then nothing was changed.
    """
    found = read(backup)
    known(backup / CONTROL, "restore it with that one")
    gone = [Buried.named(file) for file in deleted]
    held = Folder(folder)
    try:
        there = {one.name for one in folder.iterdir()}
        if DRAFTS[CONTROL] in there and CONTROL not in there:
            there.discard(EVENTS)  # which a restore that was broken off has put there
        if others := sorted(there - _KEPT):
            hint = "move it away, and name its `deleted.jsonl` with `--deleted`"
            raise StoreError(f"`{folder}` is not empty: it has `{others[0]}`", hint)
        _room(backup, folder)
        _fill(backup, folder, gone)
    finally:
        held.close()
    return found


def _fill(backup: Path, folder: Path, gone: Sequence[Buried]) -> None:
    """Copy the files under other names and rename them at the end, so that a restore broken off leaves no store."""
    drafts = {name: folder / draft for name, draft in DRAFTS.items()}
    try:
        for name, draft in drafts.items():
            draft.unlink(missing_ok=True)
            _copy(backup / name, draft)
        _renew(drafts[CONTROL])
        buried = Buried(folder / BURIED)
        for file in (Buried(backup / BURIED), *gone):
            buried.add(file.rows())
        for name, draft in drafts.items():
            draft.replace(folder / name)
        _sync(folder)
    except (OSError, sqlite3.Error, StoreError) as error:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
        raise _failed(f"`{folder}` could not be filled", error) from error


def empty(folder: Path) -> None:
    """Raise StoreError unless a folder is there, empty, and nobody's but this user's."""
    try:
        state, found = folder.stat(), next(folder.iterdir(), None)
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        reason = getattr(error, "strerror", None) or "not a path"
        hint = "name an empty folder"
        raise StoreError(f"`{str(folder)[:200]}` cannot take a backup: {reason}", hint) from None
    if found is not None:
        raise StoreError(f"`{folder}` cannot take a backup: it is not empty", "name an empty folder")
    if state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise StoreError(f"`{folder}` cannot take a backup: others may look into it", f"run `chmod 700 {folder}`")


def _copy_control(source: Path, target: Path) -> None:
    """Copy an SQLite file as it is at one moment, while others write to it."""
    _write(target, b"")
    with _connected(source, "mode=ro") as reading, _connected(target) as writing:
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
    _sync(target)


def _checked(folder: Path, store: str) -> int:
    """Open both copies, and return how many events there are; raises StoreError where one is not sound."""
    with duckdb.connect(str(folder / EVENTS), read_only=True) as events:
        found = events.execute("SELECT value FROM meta WHERE name = 'store'").fetchall()
        ((mark,),) = events.execute("SELECT coalesce(max(journal), 0) FROM watermark").fetchall()
        ((count,),) = events.execute("SELECT count(*) FROM events").fetchall()
    with _connected(folder / CONTROL, "mode=ro&immutable=1") as copy:
        (answer,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise StoreError(f"the copy of `{CONTROL}` is damaged: {answer.splitlines()[-1]}")
        (first,) = copy.execute("SELECT coalesce(min(id), 0) FROM journal").fetchone()
        (later,) = copy.execute("SELECT coalesce(sum(events), 0) FROM journal WHERE id > ?", (mark,)).fetchone()
    if found != [(store,)] or (first and first > mark + 1):
        raise StoreError("the copies do not fit together", "try again")
    return int(count + later)


def known(control: Path, hint: str) -> None:
    """Raise StoreError for tables of a newer Sentinel, which this one could not open."""
    try:
        with _connected(control, "mode=ro&immutable=1") as copy:
            (found,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError):
        return  # what else it may be is found when it is filled in
    check(str(found), f"`{control}`", hint)


def _renew(control: Path) -> None:
    """Delete sessions, one-time links and leases, and move the decision list on: every client reads all of it anew."""
    with _connected(control) as copy:
        for table in ("session", "one_time_link", "lease"):
            copy.execute(f"DELETE FROM {table}")  # noqa: S608  one of these three
        copy.execute("UPDATE app SET revision = revision + ?, floor = revision + ?", (AHEAD, AHEAD))
    _sync(control)


def _connected(file: Path, how: str = "mode=rw") -> closing[sqlite3.Connection]:
    uri = f"{file.absolute().as_uri()}?{how}"
    return closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5))


def _room(source: Path, folder: Path) -> None:
    needed = sum((source / name).stat().st_size for name in (EVENTS, CONTROL) if (source / name).exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(f"`{folder}` has room for {free >> 20} MiB, {needed >> 20} MiB are needed", "make room there")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading:
        _write(target, b"")
        with target.open("wb") as writing:
            shutil.copyfileobj(reading, writing, _PIECE)
    _sync(target)


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest


def _failed(what: str, error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return StoreError(f"{what}: {error.message}", error.hint)
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return StoreError(f"{what}: {reason}")
