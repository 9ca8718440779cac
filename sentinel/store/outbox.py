"""The outbox: what is to be delivered after commits, with the attempts made. How it is delivered is not known here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, or_, select, update

from sentinel.core.batch import Outgoing
from sentinel.core.bundle import KIND, Bound, Lane, Settled
from sentinel.core.record import Delivery, Page
from sentinel.store import bundling
from sentinel.store.audit import note
from sentinel.store.changes import Change, insert_new
from sentinel.store.database import Database
from sentinel.store.paging import page
from sentinel.store.tables import outbox

LONGEST_ERROR = 500


def send(change: Change, rows: Sequence[Outgoing]) -> None:
    """Insert what is to be delivered, once for each key, within a transaction."""
    made = {"app": change.app, "made": change.now, "next_at": change.now}
    insert_new(
        change.connection,
        outbox,
        [
            {**made, "key": row.key, "kind": row.kind, "channel": row.channel, "body": dict(row.body),
             "finding": row.finding, "lane": row.lane}
            for row in rows
        ],
    )  # fmt: skip


class Outbox:
    """The deliveries of all apps."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def due(self, now: int, limit: int = 100, but: Collection[str | None] = ()) -> list[Delivery]:
        """Return what is to be delivered now, longest due first, and nothing to channels of these names.

        What was not tried yet is due whatever the clock of the server says that wrote it. What waits in a lane is not.
        """
        c = outbox.c
        ripe = or_(c.attempts == 0, c.next_at <= now)
        query = select(outbox).where(c.done.is_(None), c.dead.is_(False), c.lane.is_(None), ripe)
        if names := [name for name in but if name is not None]:
            query = query.where(or_(c.channel.is_(None), c.channel.not_in(names)))
        if None in but:
            query = query.where(c.channel.is_not(None))
        with self._control.read() as connection:
            rows = connection.execute(query.order_by(c.next_at, c.id).limit(limit))
            return [_delivery(row) for row in rows]

    def lanes(self, now: int) -> list[Lane]:
        """Return the lanes that `settle` has work in: undecided deliveries, or a bundle whose period is over."""
        with self._control.read() as connection:
            return bundling.lanes(connection, now)

    def settle(self, lane: Lane, bound: Bound | None, now: int) -> Settled:
        """Decide which of a lane's next deliveries go out alone and which are folded into a bundle.

        Without a bound all go out alone. A bundle whose period is over becomes due.
        """
        with self._control.write() as connection:
            return bundling.settle(connection, lane, bound, now)

    def growing(self, app: str) -> list[Delivery]:
        """Return the bundles whose periods are not over yet."""
        query = select(outbox).where(outbox.c.app == app, *bundling.OPEN, outbox.c.kind == KIND)
        with self._control.read() as connection:
            return [_delivery(row) for row in connection.execute(query.order_by(outbox.c.id))]

    def done(self, id: int, now: int) -> None:
        """Note that a delivery succeeded."""
        with self._control.write() as connection:
            values = {"done": now, "attempts": outbox.c.attempts + 1, "error": ""}
            connection.execute(update(outbox).where(outbox.c.id == id).values(**values))

    def failed(self, id: int, error: str, next_at: int | None) -> None:
        """Note a failed attempt, and when to try again; with None the delivery is dead: it is not tried again."""
        values: dict[str, Any] = {"attempts": outbox.c.attempts + 1, "error": error[:LONGEST_ERROR]}
        values |= {"dead": True} if next_at is None else {"next_at": next_at}
        with self._control.write() as connection:
            connection.execute(update(outbox).where(outbox.c.id == id, outbox.c.done.is_(None)).values(**values))

    def list(
        self, app: str, dead: bool | None = None, limit: int = 50, cursor: str | None = None,
        bundle: int | None = None, counted: bool = False,
    ) -> Page[Delivery]:  # fmt: skip
        """Return deliveries, newest first; with `bundle` those that were folded into this one."""
        query = select(outbox).where(outbox.c.app == app)
        if bundle is not None:
            query = query.where(outbox.c.bundle == bundle)
        if dead is not None:
            query = query.where(outbox.c.dead.is_(dead))
        with self._control.read() as connection:
            return page(connection, query, (outbox.c.id,), (int,), limit, cursor, _delivery, counted)

    def revive(self, app: str, id: int, by: str, now: int) -> bool:
        """Make a dead delivery due again; say whether it was dead."""
        mine = (outbox.c.app == app, outbox.c.id == id, outbox.c.dead.is_(True))
        with self._control.write() as connection:
            values = {"dead": False, "attempts": 0, "next_at": now}
            revived = connection.execute(update(outbox).where(*mine).values(**values)).rowcount > 0
            if revived:
                note(connection, app, now, by, "outbox.revive", str(id))
            return revived

    def revive_all(self, app: str, by: str, now: int) -> int:
        """Make all dead deliveries of an app due again; return how many there were."""
        mine = (outbox.c.app == app, outbox.c.dead.is_(True))
        with self._control.write() as connection:
            values = {"dead": False, "attempts": 0, "next_at": now}
            revived = connection.execute(update(outbox).where(*mine).values(**values)).rowcount
            if revived:
                note(connection, app, now, by, "outbox.revive", "all", "", {"number": revived})
            return revived

    def expire(self, before: int) -> int:
        """Drop what was delivered before a time, and what was made before it and is dead; return how many."""
        c = outbox.c
        over = or_(c.done < before, and_(c.dead.is_(True), c.made < before))
        with self._control.write() as connection:
            return connection.execute(delete(outbox).where(over)).rowcount


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._mapping)
