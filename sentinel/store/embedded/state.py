"""Check whether the files of a data folder could be used, without changing anything."""

from __future__ import annotations

from pathlib import Path

from sentinel.core.errors import StoreError
from sentinel.store.embedded.backup import CONTROL, DRAFTS, EVENTS, known
from sentinel.store.embedded.control import check, translated
from sentinel.store.tables import journal


def look(folder: Path) -> None:
    """Raise StoreError where a server would refuse a folder that nobody has open."""
    refuse_lost(folder)
    path = folder / CONTROL
    if path.exists():
        with translated(path):
            check(path, journal.name)
        known(path, "run that one, or restore the backup made before it was installed")


def refuse_lost(folder: Path) -> None:
    """Raise StoreError where events are there, or a part of a backup, and what they belong to is not."""
    path, events = folder / CONTROL, folder / EVENTS
    if _size(path) + _size(folder / f"{CONTROL}-wal"):
        return
    if any((folder / draft).exists() for draft in DRAFTS.values()):
        raise StoreError(f"a restore into `{folder}` was broken off", "do it again: `sentinel restore`")
    if _size(events):
        raise StoreError(
            f"`{path}` is missing or empty, but `{events}` is there",
            "move the data folder away, then `sentinel restore` a backup, or begin anew without the events",
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
