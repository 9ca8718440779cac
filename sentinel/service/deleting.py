"""A person deleted everywhere: from what is stored, and from what the engine remembers of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from sentinel.core.record import Deletion
from sentinel.engine.keys import renamed
from sentinel.service import restore
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store
from sentinel.service.tenant import Tenant


@runtime_checkable
class Renames(Protocol):
    """Windows, or another room of memory, that can call persons otherwise."""

    def rename(self, names: Mapping[str, str]) -> None: ...


class Deleter:
    """Deletes persons, from any thread."""

    def __init__(self, pipeline: Pipeline, store: Store) -> None:
        self._pipeline = pipeline
        self._store = store

    def delete(self, app: str, key: str, by: str, why: str, now: int) -> Deletion:
        """Delete the person a key belongs to; raises StoreBusy where it is to be done again."""
        done = self._store.deletions.delete(app, key, by, why, now)
        with self._pipeline.lock:
            tenant = self._pipeline.tenant(app)
            _rename(tenant, done.names)
            restore.save(self._store, tenant, now)  # in the place of one that names them
        return done


def _rename(tenant: Tenant, names: Mapping[str, str]) -> None:
    if isinstance(tenant.windows, Renames):
        tenant.windows.rename(names)
    for room in (tenant.memory.familiar, tenant.memory.crowd):
        if isinstance(room, Renames):
            room.rename(names)
            continue
        data = room.dump()
        if any(json.dumps(name)[1:-1].encode() in data for name in names):
            room.load(json.dumps(renamed(json.loads(data), names)).encode())
