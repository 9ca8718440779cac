"""A person deleted everywhere: from what is stored, and from what the engine remembers of them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sentinel.core.record import Deletion
from sentinel.service import hand, saving
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store


class Deleter:
    """Deletes persons, from any thread."""

    def __init__(self, pipeline: Pipeline, store: Store) -> None:
        self._pipeline = pipeline
        self._store = store

    def delete(self, app: str, key: str, by: str, why: str, now: int) -> Deletion:
        """Delete the person a key belongs to; raises StoreBusy where it is to be done again.

        Raises SentinelError for a key that strangers share.
        """
        hand.one_user("key", key)
        done = self._store.deletions.delete(app, key, by, why, now)
        with self._pipeline.lock:
            tenant = self._pipeline.tenant(app)
            for room in (tenant.windows, tenant.memory.familiar, tenant.memory.crowd):
                room.rename(done.names)
        saving.save(self._pipeline, tenant, now, only=self._forget(app, done.names))
        return done

    def _forget(self, app: str, names: Iterable[str]) -> set[str]:
        """Drop the states of a time before the deletion that name them; return whose they were."""
        told = [
            text for name in names for text in (name.encode("utf-8", "surrogatepass"), json.dumps(name)[1:-1].encode())
        ]
        with self._pipeline.saving:  # what was taken before the deletion is kept by now
            kept = self._store.snapshots.load(app)
            found = {of for of, snapshot in kept.items() if any(text in snapshot.state for text in told)}
            for of in found:
                self._store.snapshots.forget(app, of)
        return found
