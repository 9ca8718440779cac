"""The decision list: read as deltas by revision or as pages, changed by people who add and lift decisions by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import starmap
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, select, update

from sentinel.core.decision import Decision, Delta
from sentinel.core.errors import SentinelError
from sentinel.core.record import BY_HAND, KeptDecision, Page
from sentinel.store import changes
from sentinel.store.audit import note
from sentinel.store.database import Database
from sentinel.store.paging import LARGEST, page
from sentinel.store.tables import apps, decisions

_FIELDS = tuple(Decision.__dataclass_fields__)


class Revisions:
    """The revision of each app's list, in memory."""

    def __init__(self, control: Database) -> None:
        with control.read() as connection:
            self._known: dict[str, int] = {
                row.id: row.revision for row in connection.execute(select(apps.c.id, apps.c.revision))
            }

    def of(self, app: str) -> int:
        """Return the revision of an app's list."""
        return self._known.get(app, 0)

    def all(self) -> dict[str, int]:
        """Return the revisions of all lists, by app."""
        return dict(self._known)

    def forget(self) -> None:
        """Know none any more: what is heard next is the truth, however small."""
        self._known = {}

    def hear(self, app: str, revision: int) -> bool:
        """Take over what another process made the revision; say whether that is news."""
        if revision <= self.of(app):
            return False
        self._known[app] = revision
        return True

    def learn(self, change: changes.Change) -> int:
        """Take over what a committed change came to, and return the revision."""
        if change.revision is not None:
            self._known[change.app] = max(change.revision, self.of(change.app))
        return self.of(change.app)


class Decisions:
    """The decision lists of all apps."""

    def __init__(self, control: Database, revisions: Revisions) -> None:
        self._control = control
        self._revisions = revisions

    def revision(self, app: str) -> int:
        """Return the revision of the list; from memory."""
        return self._revisions.of(app)

    def delta(self, app: str, since: int, now: int) -> Delta:
        """Return what changed since a revision; everything in force, with `reset`, where that is not known."""
        c = decisions.c
        alive = select(*(c[name] for name in _FIELDS)).where(c.app == app, *changes.in_force(now))
        with self._control.read() as connection:
            state = connection.execute(select(apps.c.revision, apps.c.floor).where(apps.c.id == app)).one_or_none()
            revision, floor = state or (0, 0)
            if not floor <= since <= revision or since <= 0:
                rows = connection.execute(alive.order_by(c.added, c.id)).all()
                return Delta(revision, tuple(starmap(Decision, rows)), reset=True)
            rows = connection.execute(alive.where(c.added > since).order_by(c.added, c.id)).all()
            gone = select(c.id).where(c.app == app, c.removed > since, c.added <= since).order_by(c.removed, c.id)
            return Delta(revision, tuple(starmap(Decision, rows)), tuple(connection.execute(gone).scalars()))

    def get(self, app: str, id: str) -> KeptDecision | None:
        """Return one decision with what became of it; a repeat for a linked key stands for what it repeats."""
        with self._control.read() as connection:
            row = connection.execute(_meant(app, id)).one_or_none()
        return None if row is None else _kept(row)

    def list(
        self, app: str, *, now: int | None = None, kind: str | None = None, scope: str | None = None,
        value: str | None = None, values: Collection[str] | None = None, playbook: str | None = None,
        maker: str | None = None, finding: str | None = None, users: Collection[str] | None = None, limit: int = 50,
        cursor: str | None = None, counted: bool = False,
    ) -> Page[KeptDecision]:  # fmt: skip
        """Return decisions, newest first; with `now` only those in force then, with `users` those on any of these.

        `maker` is who made them by hand, BY_HAND whoever did.
        """
        c = decisions.c
        query = _own(app)
        order: tuple[ColumnElement[Any], ...] = (c.made, c.id)
        wanted = {"kind": kind, "scope": scope, "value": value, "playbook": playbook, "finding": finding}
        for name, what in wanted.items():
            if what is not None:
                query = query.where(c[name] == what)
        query = query.where(*_made(maker))
        if values is not None:
            query = query.where(c.value.in_(values))
        if now is not None:
            query = query.where(*changes.in_force(now))
        if users is not None:  # theirs first, then the order: by itself SQLite goes through all of the app's in order
            theirs = query.where(c.subject.in_(users)).cte().prefix_with("MATERIALIZED")
            query, order = select(theirs), (theirs.c.made, theirs.c.id)
        with self._control.read() as connection:
            return page(connection, query, order, (int, str), limit, cursor, _kept, counted)

    def on(self, app: str, scopes: Collection[str], values: Collection[str], now: int) -> Sequence[KeptDecision]:
        """Return the decisions in force on any of these values in any of these scopes, in no order."""
        c = decisions.c
        mine = (c.app == app, c.value.in_(changes.SOME), c.scope.in_(scopes), *changes.in_force(now))
        query = select(decisions).where(*mine)
        with self._control.read() as connection:
            lots = changes.lots(tuple(values))
            return tuple(_kept(row) for some in lots for row in connection.execute(query, {"some": some}))

    def tally(self, app: str, since: int, until: int) -> dict[str, int]:
        """Return how many decisions were made in a period, by kind; one on a person counts once for all their keys."""
        c = decisions.c
        number = func.count().label("number")
        query = select(c.kind, number).where(c.app == app, c.made >= since, c.made < until, c.parent.is_(None))
        with self._control.read() as connection:
            return {row.kind: row.number for row in connection.execute(query.group_by(c.kind))}

    def standing(self, app: str, now: int) -> dict[str, int]:
        """Return how many decisions are in force, by kind; one on a person counts once for all their keys."""
        c = decisions.c
        mine = (c.app == app, c.parent.is_(None), *changes.in_force(now))
        query = select(c.kind, func.count().label("number")).where(*mine).group_by(c.kind)
        with self._control.read() as connection:
            return {row.kind: row.number for row in connection.execute(query)}

    def by_hand(self, app: str, now: int) -> Sequence[KeptDecision]:
        """Return what people decided and is in force, the newest of it; what is on a person, on each of their keys."""
        c = decisions.c
        mine = select(decisions).where(c.app == app, c.playbook.is_(None), *_made(BY_HAND), *changes.in_force(now))
        with self._control.read() as connection:
            return tuple(map(_kept, connection.execute(mine.order_by(c.made.desc(), c.id.desc()).limit(LARGEST))))

    def makers(self, app: str, now: int) -> Sequence[str]:
        """Return the actors who made the decisions in force by hand, as the audit names them, in alphabetical order."""
        c = decisions.c
        query = select(c.by).distinct().where(c.app == app, *_made(BY_HAND), *changes.in_force(now))
        with self._control.read() as connection:
            return tuple(connection.execute(query.order_by(c.by).limit(LARGEST)).scalars())

    def add(self, app: str, decision: Decision, by: str, now: int) -> int:
        """Add a decision by hand and return the revision; raises SentinelError for an id in use."""
        with self._control.write() as connection:
            change = changes.Change(connection, app, now)
            changes.add(change, [decision])
            if change.revision is None:
                raise SentinelError(f"decision `{decision.id}` is known already", "choose another id")
            target = f"{decision.scope} {decision.value}"
            detail = {"decision": decision.id, "kind": decision.kind, "until": decision.until}
            note(connection, app, now, by, "decision.add", target, decision.reason, detail)
        return self._revisions.learn(change)

    def lift(self, app: str, id: str, by: str, why: str, now: int) -> int | None:
        """End a decision by hand, for good; return the revision, None if there is none of that id."""
        with self._control.write() as connection:
            row = connection.execute(_meant(app, id)).one_or_none()
            if row is None:
                return None
            change = changes.Change(connection, app, now)
            if changes.lift(change, [row.id], by, why):
                note(connection, app, now, by, "decision.lift", f"{row.scope} {row.value}", why, {"decision": row.id})
        return self._revisions.learn(change)

    def lift_these(self, app: str, ids: Sequence[str], by: str, why: str, now: int) -> int:
        """End the decisions of these ids for good, in one transaction; return the revision."""
        with self._control.write() as connection:
            change = changes.Change(connection, app, now)
            lift_these(change, ids, by, why)
        return self._revisions.learn(change)

    def lift_all(
        self, app: str, by: str, why: str, now: int, *, playbook: str | None = None, maker: str | None = None,
        kind: str | None = None,
    ) -> tuple[int, int]:  # fmt: skip
        """End for good all decisions in force of a playbook, a maker and a kind, each where given.

        Return the revision and how many there were.
        """
        c = decisions.c
        query = select(c.id).where(c.app == app, c.parent.is_(None), *_made(maker), *changes.in_force(now))
        for column, what in ((c.playbook, playbook), (c.kind, kind)):
            query = query if what is None else query.where(column == what)
        told = {"playbook": playbook, "by": maker, "kind": kind}
        target = " ".join(f"{name} {what}" for name, what in told.items() if what is not None)
        with self._control.write() as connection:
            change = changes.Change(connection, app, now)
            ids = list(connection.execute(query).scalars())
            for some in changes.lots(ids):
                changes.lift(change, some, by, why)
            if ids:
                note(connection, app, now, by, "decision.lift", target, why, {"number": len(ids)})
        return self._revisions.learn(change), len(ids)

    def expire(self, now: int, keep: int) -> int:
        """Drop decisions that ended `keep` microseconds ago or earlier; return how many.

        Whoever asks for what changed since a revision before that gets the whole list.
        """
        c, edge = decisions.c, now - keep
        gone = 0
        with self._control.write() as connection:
            for over in (c.until <= edge, c.lifted <= edge):
                newest = select(c.app, func.max(c.removed)).where(over, c.removed.is_not(None)).group_by(c.app)
                for app, removed in connection.execute(newest).all():
                    floor = update(apps).where(apps.c.id == app, apps.c.floor < removed).values(floor=removed)
                    connection.execute(floor)
                gone += connection.execute(delete(decisions).where(over)).rowcount
        return gone


def lift_these(change: changes.Change, ids: Sequence[str], by: str, why: str) -> None:
    """End decisions of these ids within a transaction, for good, with a line of the audit for each."""
    c = decisions.c
    for some in changes.lots(ids):
        ended = changes.lift(change, some, by, why)
        query = select(c.id, c.scope, c.value).where(c.app == change.app, c.id.in_(ended)).order_by(c.id)
        for row in change.connection.execute(query):
            target, detail = f"{row.scope} {row.value}", {"decision": row.id}
            note(change.connection, change.app, change.now, by, "decision.lift", target, why, detail)


def _made(maker: str | None) -> tuple[ColumnElement[bool], ...]:
    c = decisions.c
    if maker is None:
        return ()
    by_hand = c.by.is_not(None)  # said of one maker, too: the index is of these alone
    return (by_hand,) if maker == BY_HAND else (by_hand, c.by == maker)


def _own(app: str) -> Select[Any]:
    return select(decisions).where(decisions.c.app == app, decisions.c.parent.is_(None))


def _meant(app: str, id: str) -> Select[Any]:
    """Return the query for the decision of an id that somebody was told, which may be a repeat's."""
    c = decisions.c
    repeated = select(c.parent).where(c.app == app, c.id == id).scalar_subquery()
    return _own(app).where(c.id == func.coalesce(repeated, id))


def _kept(row: Row[Any]) -> KeptDecision:
    decision = Decision(**{name: row._mapping[name] for name in _FIELDS})
    return KeptDecision(decision, row.added, row.removed, row.lifted, row.lifted_by, row.lifted_why)
