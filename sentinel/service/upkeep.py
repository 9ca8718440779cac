"""The server's maintenance, as plain functions. `jobs` decides when each runs and what happens when it fails.

Times are in microseconds; every function may be called again at any time and does nothing twice.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from sentinel.core.duration import DAY
from sentinel.core.record import Property
from sentinel.service.accounts import IDLE
from sentinel.service.ports import Store

BACKED = "backed_up"  # the setting that says when a backup was made last
PINNED = "promoted"  # the setting that names them
_PINNING = threading.Lock()  # what was pinned is read and written again: of two at once one would be lost
_LUMPS = 10  # in one call: others want their turn
_LARGE = 10_000  # events in a lump: what is left after a smaller one waits, for many small ones cost twice as much


def project(store: Store) -> int:
    """Make what came in searchable; return how many events were. What comes in meanwhile may wait for the next call."""
    total = 0
    for _ in range(_LUMPS):
        lump = store.project()
        total += lump
        if lump < _LARGE:
            break
    return total


class Keep(NamedTuple):
    """How long things are kept once they are over, in microseconds, None for ever."""

    decisions: int
    deliveries: int = 30 * DAY
    findings: int | None = None
    audit: int | None = None


def expire(store: Store, now: int, keep: Keep) -> int:
    """Drop what has been over for longer than it is kept, and labels and sessions that are over; return how many."""
    store.deletions.sweep(now)
    total = store.decisions.expire(now, keep.decisions) + store.outbox.expire(now - keep.deliveries)
    total += store.labels.expire(now) + store.accounts.expire(now, IDLE)
    if keep.findings is not None:
        total += store.findings.expire(now - keep.findings)
    if keep.audit is not None:
        total += store.audit.expire(now - keep.audit, now)
    return total


def retain(store: Store, now: int, default: int | None) -> int:
    """Delete events older than their app's retention, or `default` for apps without one; return how many."""
    total = 0
    for app in store.access.apps():
        keep = app.retention if app.retention is not None else default
        if keep is not None:
            total += store.events.forget(app.id, now - keep)
    return total


def choose_properties(store: Store) -> int:
    """Give the properties that are asked for most columns of their own; return how many were chosen."""
    apps = [app.id for app in store.access.apps()]
    return sum(store.schema.choose(app, pinned(store, app)) is not None for app in apps)


def pinned(store: Store, app: str) -> list[str]:
    """Return the properties that were promoted by hand."""
    return list(store.settings.get(PINNED, app) or ())


def pin(store: Store, app: str, path: str, on: bool, by: str, now: int) -> Property | None:
    """Promote a property by hand, or with `on` False no longer; return it, None for an unknown path.

    Raises SentinelError where it cannot have a column.
    """
    if _property(store, app, path) is None:
        return None
    with _PINNING:
        others = [one for one in pinned(store, app) if one != path]
        if on:
            store.schema.promote(app, path, others)
            others.append(path)
        store.settings.put(PINNED, others, by, now, app)
    return _property(store, app, path)


def _property(store: Store, app: str, path: str) -> Property | None:
    return next((one for one in store.schema.properties(app) if one.path == path), None)
