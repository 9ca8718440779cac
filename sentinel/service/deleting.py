"""A person deleted everywhere: from what is stored, and from what the engine remembers of them."""

from __future__ import annotations

from sentinel.core.record import Deletion
from sentinel.service import saving
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store


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
            for room in (tenant.windows, tenant.memory.familiar, tenant.memory.crowd):
                room.rename(done.names)
        saving.save(self._pipeline, tenant, now)  # in the place of one that names them
        return done
