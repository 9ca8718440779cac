"""Which deliveries are sent alone and which in a bundle: decided in order, a lot of them in one transaction.

At every moment a delivery is undecided, sent alone, or in one bundle, whose counts are those of all deliveries in it.
The limits of channels are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, or_, select, update

from sentinel.core.bundle import KIND, Bound, Lane, Settled, fold
from sentinel.store.changes import LOT, insert_new
from sentinel.store.tables import outbox, periods

_c, _p = outbox.c, periods.c
OPEN = (_c.lane.is_not(None), _c.done.is_(None), _c.dead.is_(False))  # an older server beside this one knows no lanes


def lanes(connection: Connection, now: int) -> list[Lane]:
    """Return the lanes that `settle` has work in: undecided deliveries, or a bundle whose period is over."""
    asked = or_(_c.kind != KIND, _c.next_at <= now)
    query = select(_c.app, _c.channel, _c.lane).where(*OPEN, asked).distinct()
    return [Lane(*row) for row in connection.execute(query)]


def settle(connection: Connection, lane: Lane, bound: Bound | None, now: int) -> Settled:
    """Decide the next lot of a lane: as many deliveries as the bound leaves go out alone, the others into a bundle.

    A period that is over is closed before that, and the next one begins. So it is if the clock was set back: else what
    waits would wait until the clock is there again.
    """
    since, told, bundle = _period(connection, lane, now)
    over = bound is None or not told or not since <= now < since + bound.per
    if over:
        _close(connection, bundle, now)
        since, told, bundle = now, 0, None
    waiting = _waiting(connection, lane)
    free = len(waiting) if bound is None else max(0, bound.most - told)
    alone, rest = waiting[:free], waiting[free:]
    connection.execute(update(outbox).where(_c.id.in_([row.id for row in alone])).values(lane=None))
    if rest and bound is not None:
        bundle = _fold(connection, lane, rest, bundle, since + bound.per, now)
    if waiting or over:
        values = {"since": since, "told": told + len(alone), "bundle": bundle}
        connection.execute(update(periods).where(*_of(_p, lane)).values(**values))
    return Settled(len(alone), len(rest), len(waiting) == LOT)


def _of(columns: Any, lane: Lane) -> tuple[Any, ...]:
    return columns.app == lane.app, columns.channel == lane.channel, columns.lane == lane.name


def _period(connection: Connection, lane: Lane, now: int) -> tuple[int, int, int | None]:
    """Return when a lane's period began, how many went out alone in it, and its bundle; the lane is locked."""
    key = {"app": lane.app, "channel": lane.channel, "lane": lane.name}
    insert_new(connection, periods, [{**key, "since": now, "told": 0, "bundle": None}])
    query = select(_p.since, _p.told, _p.bundle).where(*_of(_p, lane)).with_for_update()
    row = connection.execute(query).one()
    return row.since, row.told, row.bundle


def _waiting(connection: Connection, lane: Lane) -> Sequence[Row[Any]]:
    query: Select[Any] = select(_c.id, _c.key, _c.body).where(*_of(_c, lane), *OPEN, _c.kind != KIND)
    return connection.execute(query.order_by(_c.id).limit(LOT)).all()


def _close(connection: Connection, bundle: int | None, now: int) -> None:
    """Make a bundle due; nothing more is folded into it."""
    if bundle is not None:
        connection.execute(update(outbox).where(_c.id == bundle, *OPEN).values(lane=None, next_at=now))


def _fold(
    connection: Connection, lane: Lane, rest: Sequence[Row[Any]], bundle: int | None, until: int, now: int
) -> int:
    """Fold deliveries into a bundle and return its id; without one a new one is made, which is due at `until`."""
    body = None
    if bundle is not None:
        growing = select(_c.body).where(_c.id == bundle, *OPEN)
        body = connection.execute(growing).scalar_one_or_none()
    told = fold(body or {}, [row.body for row in rest])
    if bundle is None or body is None:
        made = {"app": lane.app, "channel": lane.channel, "lane": lane.name, "made": now, "next_at": until}
        made |= {"key": f"{KIND}:{rest[0].key}", "kind": KIND, "body": told}
        bundle = int(connection.execute(insert(outbox).values(**made).returning(_c.id)).scalar_one())
    else:
        connection.execute(update(outbox).where(_c.id == bundle).values(body=told))
    folded = {"lane": None, "bundle": bundle, "done": now}
    connection.execute(update(outbox).where(_c.id.in_([row.id for row in rest])).values(**folded))
    return bundle
