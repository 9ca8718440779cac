"""Events as a Parquet file, written by DuckDB from a table of its own that lasts as long as the export."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import duckdb

from sentinel.core.record import KeptEvent
from sentinel.store import rows

_LOT = 2_000
_PIECE = 1 << 18  # bytes of the file at a time
_COLUMNS = ", ".join(f'"{name}" {kind}' for name, kind in rows.COLUMNS.items())


def written(app: str, events: Iterable[KeptEvent], gone: Callable[[], bool]) -> Iterator[bytes]:
    """Give the bytes of a file of an app's events; stop where `gone` says so."""
    source = iter(events)
    with tempfile.TemporaryDirectory(prefix="sentinel-export-") as folder:
        file = Path(folder) / "events.parquet"
        with duckdb.connect(str(Path(folder) / "events.duckdb")) as table:
            table.execute(f"CREATE TABLE events ({_COLUMNS})")
            appender = table.appender("events", columns=list(rows.COLUMNS))
            while lot := list(islice(source, _LOT)):
                if gone():
                    return
                appender.append_rows([rows.write(app, kept, (), rows.EMPTY_SLOTS) for kept in lot])
            appender.flush()
            appender.clear()
            shown = f"SELECT {rows.SHOWN} FROM events"  # noqa: S608
            table.execute(f"COPY ({shown}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
        with file.open("rb") as made:
            while piece := made.read(_PIECE):
                yield piece
