"""The hashes of deleted persons in a file of their own, which stays when a backup is put in place of the databases."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sentinel.core.errors import StoreBusy, StoreError

FILE = "deleted.jsonl"
_FIELDS = {"app": str, "hash": str, "pseudonym": str, "at": int}


class Buried:
    """One such file; without a path none is kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @classmethod
    def named(cls, path: Path) -> Buried:
        """Return the file that somebody named; raises StoreError where it is none, and the deleted would be back."""
        if not path.is_file():
            hint = "is it the folder that was in use? if nobody was deleted there, leave `--deleted` out"
            raise StoreError(f"there is no file `{path}`", hint)
        found = cls(path)
        if path.stat().st_size and next(found.rows(), None) is None:
            raise StoreError(f"`{path}` tells of no deleted person", f"name the `{FILE}` of a data folder")
        return found

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, on disk before it returns; raises StoreBusy where they cannot be."""
        if self._path is None:
            return
        text = "".join(json.dumps({name: row[name] for name in _FIELDS}) + "\n" for row in rows)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    text = f"\n{text}"  # behind a line that was cut short, which else would take the first with it
                file.write(text.encode())
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            what = f"`{self._path.name}` cannot be written: {error.strerror}"
            raise StoreBusy(what, "make room where the server keeps its data", retry_after=10) from error

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give the rows; a line that was cut short is passed over."""
        if self._path is None or not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and {name: type(row.get(name)) for name in _FIELDS} == _FIELDS:
                yield {name: row[name] for name in _FIELDS}
