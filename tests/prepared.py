"""Data folders whose tables are made already: the migrations take longer than most tests of a store."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sentinel.store.embedded.backup import CONTROL
from sentinel.store.embedded.control import Control
from sentinel.store.migrate import migrate


def prepared(folder: Path) -> Path:
    """Make a data folder as a first start leaves it before anything is kept in it, and return it."""
    folder.mkdir(mode=0o700)
    (folder / CONTROL).write_bytes(_tables())
    return folder


@cache
def _tables() -> bytes:
    with TemporaryDirectory() as home:
        control = Control(Path(home) / CONTROL)
        with control.write() as connection:
            migrate(connection, home)
        control.close()
        return control.path.read_bytes()
