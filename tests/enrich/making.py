"""Databases, files and events for the tests of this room."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from sentinel.core.event import Event, read

Table = Mapping[str, Mapping[str, Any]]
_later = itertools.count(2_000_000_000, 10)


def event(**fields: Any) -> Event:
    """Return a checked event with these fields of the wire."""
    return read({"event": "page.viewed", "id": "1", "timestamp": 1_767_571_200, **fields})


def database(path: Path, table: Table, kind: str = "Test-City", version: int = 6) -> Path:
    """Write a database of networks and records the way a careful operator does: by renaming it into place."""
    writer = MMDBWriter(version, kind, languages=["en"], description="test", ipv4_compatible=version == 6)
    for network, record in table.items():
        writer.insert_network(IPSet([network]), dict(record))
    new = path.with_suffix(".new")
    writer.to_db_file(str(new))
    return touched(new).replace(path)


def touched(path: Path) -> Path:
    """Make a file look newly written, however coarse the disk's clock."""
    stamp = next(_later)
    os.utime(path, (stamp, stamp))
    return path
