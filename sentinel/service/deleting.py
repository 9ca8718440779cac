"""Delete a person everywhere: from what is stored, and from what the engine remembers."""

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
        self._rename(app, now)
        return done

    def finish(self, now: int) -> int:
        """Do again what was broken off, by whichever process; return how many events went."""
        gone = self._store.deletions.finish()
        self.rename(now)
        return gone

    def rename(self, now: int) -> None:
        """Let no app's windows name anybody who was deleted: a crash, or a backup put back, may have left it so."""
        for app in self._store.access.apps():
            self._rename(app.id, now)

    def _rename(self, app: str, now: int) -> None:
        """Let windows count deleted persons on under their pseudonyms, and no state of them that is kept name one.

        Their names are kept until then: after a crash nothing else would tell whom windows name.
        """
        names = self._store.deletions.owed(app)
        if not names:
            return
        with self._pipeline.lock:
            tenant = self._pipeline.tenant(app)
            tenant.rename(names)
        saving.save(self._pipeline, tenant, now, only=self._forget(app, names))
        self._store.deletions.renamed(app, names)

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
