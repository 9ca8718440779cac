"""The digest: what happened in the last whole day or week, put into the outbox for people who do not look every day.

How it is worded in a mail is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sentinel.core import moment
from sentinel.core.batch import Batch, Outgoing
from sentinel.core.duration import DAY, MINUTE
from sentinel.core.explore import Sums
from sentinel.core.record import Filter
from sentinel.service.about import in_force
from sentinel.service.ports import Store

Every = Literal["daily", "weekly"]
KIND = "digest"
SETTLE = 15 * MINUTE  # after the end: events may still come
LATE = DAY  # after the end: it is left out then, so that the outbox knows for long enough which ones were made
LENGTHS: Mapping[Every, int] = {"daily": DAY, "weekly": 7 * DAY}
_MONDAY = 4 * DAY  # 1970-01-05
_MOST_DEAD = 100


def last(every: Every, now: int) -> tuple[int, int]:
    """Return when the last whole day or week began and ended, in UTC; weeks begin on Mondays."""
    length = LENGTHS[every]
    first = _MONDAY % length
    until = (now - first) // length * length + first
    return until - length, until


class Digests:
    """Makes each digest once: the outbox knows which it has, and this process which it need not reckon again."""

    def __init__(self, store: Store, every: Every, channel: str) -> None:
        self._store = store
        self._every = every
        self._channel = channel
        self._made = 0

    def make(self, now: int) -> int:
        """Put the digest of each app in which anything happened into the outbox; return of how many apps.

        What goes wrong with one app keeps no other's back. It is raised then, and the next call makes what is missing.
        """
        since, until = last(self._every, now)
        if until <= self._made or not until + SETTLE <= now < until + LATE:
            return 0
        made, failed = 0, None
        for app in self._store.access.apps():
            try:
                made += self._digest(app.id, since, until, now)
            except Exception as error:  # noqa: BLE001  raised below
                failed = failed or error
        if failed is not None:
            raise failed
        self._made = until
        return made

    def _digest(self, app: str, since: int, until: int, now: int) -> bool:
        """Put an app's digest into the outbox; say whether there is any."""
        found = digest(self._store, app, since, until, now)
        if found is None:
            return False
        body = {"severity": "info", "period": self._every, **found}
        row = Outgoing(f"digest:{self._every}:{until}", KIND, self._channel, body)
        with self._store.unit() as unit:
            unit.commit([Batch(app, now, outbox=(row,))])
        return True


def digest(store: Store, app: str, since: int, until: int, now: int) -> dict[str, Any] | None:
    """Return what a period came to beside the one before, None where nothing happened in either."""
    sums, before = (_sums(store, app, end - (until - since), end) for end in (until, since))
    findings, decisions = store.findings.tally(app, since, until), store.decisions.tally(app, since, until)
    if not (sums.events or before.events or findings or decisions):
        return None
    standing = in_force(store, app, now)
    return {
        "since": moment.to_text(since),
        "until": moment.to_text(until),
        "events": sums.events,
        "events_before": before.events,
        "users": sums.users,
        "ips": sums.ips,
        "approximate": sums.approximate,
        "findings": dict(sorted(findings.items(), key=lambda one: (-one[1], one[0]))),
        "decisions": dict(sorted(decisions.items())),
        "in_force": dict(sorted(standing.kinds.items())),
        "overruled": standing.overruled,
        "undelivered": len(store.outbox.list(app, dead=True, limit=_MOST_DEAD).items),
    }


def _sums(store: Store, app: str, since: int, until: int) -> Sums:
    return store.explorer.sums(app, Filter(since=since, until=until))
