"""`sentinel backup` and `sentinel restore`. What a backup consists of is the store's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sentinel import local, settings
from sentinel.cli.client import Data, connect
from sentinel.cli.terminal import many, say
from sentinel.core import moment
from sentinel.core.batch import Note
from sentinel.core.errors import SentinelError
from sentinel.service.upkeep import BACKED
from sentinel.store.buried import FILE, Buried
from sentinel.store.embedded.backup import put_back
from sentinel.store.embedded.store import open_store

TIMEOUT = 6 * 3600.0  # seconds; copying and checking take as long as they take
ACTOR = "local administrator"


def backup(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="FOLDER")],
    data: Data = None,
) -> None:
    """Back up everything into a folder and check the copy; the server may go on running."""
    place = data or settings.read().data
    made = not folder.exists()
    _make(folder)
    try:
        if local.find(place) is not None:
            events, size = _asked(place, folder.absolute())
        else:
            events, size = _alone(place, folder.absolute())
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    say(f"backed up {many(events, 'event')} and everything else to {folder}: {size / (1 << 20):.1f} MiB, checked")


def restore(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A folder made by `sentinel backup`; not with --database.", metavar="BACKUP"),
    ] = None,
    data: Data = None,
    deleted: Annotated[
        list[Path] | None,
        typer.Option(
            "--deleted",
            help="`deleted.jsonl` of the folder that is replaced, so that deleted persons stay deleted.",
            metavar="FILE",
        ),
    ] = None,
    database: Annotated[str | None, typer.Option(help="A PostgreSQL URL.", metavar="URL")] = None,
) -> None:
    """Restore a backup into an empty data folder, or finish the restore of a PostgreSQL database."""
    known = settings.read({"database": database} if database else None)
    place = data or known.data
    if local.find(place) is not None:
        raise SentinelError(f"a server runs with the data folder `{place}`", "stop it, and move the folder away")
    if known.database is not None:
        if folder is not None:
            hint = "restore the database by its own tools, then call this without a backup"
            raise SentinelError("`database` is set, and a backup of `sentinel backup` is of a data folder", hint)
        _finish(known.database, place, deleted or ())
        return
    if folder is None:
        raise SentinelError("no backup is named", "name the folder that `sentinel backup` made")
    found = put_back(folder, place, tuple(deleted or ()))
    store = open_store(place)  # finishes deletions, and shows that all can be used
    try:
        trouble = store.health().explorer
        store.audit.write(None, Note(ACTOR, "restore", str(folder)), time.time_ns() // 1000)
    finally:
        store.close()
    if trouble is not None:
        raise SentinelError(f"`{place}` was restored, but events cannot be searched: {trouble}")
    say(f"restored {place} as it was at {moment.to_text(found.at)}")
    say("keys and accounts are those of that time: revoke again what was revoked since; everybody signs in anew")


def _finish(database: str, place: Path, deleted: Sequence[Path]) -> None:
    """Delete again who was deleted before a database was put back, and let nothing go on from what is gone."""
    from sentinel.store.postgres.store import open_postgres  # of an extra: `main` says what to install

    gone = [Buried.named(file) for file in deleted]
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in gone:
        Buried(place / FILE).add(file.rows())
    store = open_postgres(database, alone=True, folder=place)
    try:
        store.renew()
        store.audit.write(None, Note(ACTOR, "restore", "the database"), time.time_ns() // 1000)
    finally:
        store.close()
    say("deleted persons are deleted again, everybody signs in anew, and every SDK takes the whole decision list anew")
    say("revoke again what was revoked since; empty the Redis or Valkey of `windows` before a server starts")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise SentinelError(f"`{folder}` cannot be made: {reason}") from None


def _asked(place: Path, folder: Path) -> tuple[int, int]:
    """Let the running server do it."""
    client = connect(None, None, None, place)
    client.timeout = TIMEOUT
    made = client.ask("POST", "/v1/backup", {"folder": str(folder)})
    return int(made["events"]), int(made["bytes"])


def _alone(place: Path, folder: Path) -> tuple[int, int]:
    """Do it in this process."""
    if not place.exists():
        raise SentinelError(f"there is no data folder `{place}`", "name it with `--data`")
    store = open_store(place)
    try:
        now = time.time_ns() // 1000
        made = store.backup(folder, now)
        store.settings.put(BACKED, now, ACTOR, now)
    finally:
        store.close()
    return made.events, made.size
