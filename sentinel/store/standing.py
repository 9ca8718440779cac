"""Labels on users and addresses, and allowances, by which nobody acts on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, or_, select

from sentinel.core.batch import Label
from sentinel.core.decision import place
from sentinel.core.record import Allowance, KeptLabel, Page
from sentinel.store.audit import note
from sentinel.store.changes import Change, in_force, lots, put, touch
from sentinel.store.database import Database
from sentinel.store.decisions import Revisions, lift_these
from sentinel.store.paging import page
from sentinel.store.tables import allowances, apps, decisions, labels

_Held = dict[tuple[str, str, str], dict[str, int | None]]


class Carried(NamedTuple):
    """A label that went from a user key to the person the key joined; `label` is on the person's key."""

    key: str
    label: Label


class Labels:
    """The labels of all apps, read once and kept in memory."""

    def __init__(self, control: Database) -> None:
        self._control = control
        self._held: _Held = {}
        self.reload()

    def reload(self, app: str | None = None) -> None:
        """Read again what is kept, of one app or of all."""
        mine = [] if app is None else [labels.c.app == app]
        with self._control.writing(), self._control.read() as connection:
            held: _Held = {key: on for key, on in self._held.items() if app is not None and key[0] != app}
            for row in connection.execute(select(labels).where(*mine)):
                held.setdefault((row.app, row.kind, row.target), {})[row.name] = row.until
            self._held = held
            self._apps = {place[0] for place in held}

    def of(self, app: str, kind: str, target: str, now: int) -> tuple[str, ...]:
        """Return the names of the labels in force on a target, sorted; from memory."""
        held = self._held.get((app, kind, target))
        if held is None:
            return ()
        return tuple(sorted(name for name, until in held.items() if until is None or now < until))

    def any(self, app: str) -> bool:
        """Say whether the app may have any label; from memory."""
        return app in self._apps

    def put(self, app: str, label: Label, by: str, now: int) -> None:
        """Put a label on by hand, in place of the one of that name on the same target."""
        with self._control.writing():
            with self._control.write() as connection:
                write_labels(Change(connection, app, now), [label])
                note(connection, app, now, by, "label.put", f"{label.kind} {label.target}", detail={"name": label.name})
            self.learn(app, [label])

    def take(self, app: str, kind: str, target: str, name: str, by: str, now: int) -> bool:
        """Take a label off by hand; say whether it was there."""
        c = labels.c
        mine = (c.app == app, c.kind == kind, c.target == target, c.name == name)
        with self._control.writing():
            with self._control.write() as connection:
                there = connection.execute(delete(labels).where(*mine)).rowcount > 0
                if there:
                    touch(connection, app, "labels")
                    note(connection, app, now, by, "label.take", f"{kind} {target}", detail={"name": name})
            self._drop(app, kind, target, name)
            return there

    def expire(self, now: int) -> int:
        """Drop the labels that have ended; return how many."""
        over = labels.c.until <= now
        with self._control.writing():
            with self._control.write() as connection:
                rows = connection.execute(delete(labels).where(over).returning(*labels.c)).all()
                for app in sorted({row.app for row in rows}):
                    touch(connection, app, "labels")
            for row in rows:
                self._drop(row.app, row.kind, row.target, row.name)
        return len(rows)

    def list(
        self, app: str, *, now: int | None = None, kind: str | None = None, target: str | None = None,
        name: str | None = None, limit: int = 50, cursor: str | None = None, counted: bool = False,
    ) -> Page[KeptLabel]:  # fmt: skip
        """Return labels, those put on last first; with `now` only those in force then."""
        c = labels.c
        query = select(labels).where(c.app == app)
        wanted = {c.kind: kind, c.target: target, c.name: name}
        query = query.where(*(column == value for column, value in wanted.items() if value is not None))
        if now is not None:
            query = query.where(or_(c.until.is_(None), c.until > now))
        order = (c.made, c.kind, c.target, c.name)
        with self._control.read() as connection:
            return page(connection, query, order, (int, str, str, str), limit, cursor, _label, counted)

    def learn(self, app: str, put: Sequence[Label]) -> None:
        """Take in labels that were committed."""
        for label in put:
            held = self._held.get((app, label.kind, label.target), {})
            self._held[app, label.kind, label.target] = {**held, label.name: label.until}
            self._apps.add(app)

    def carry(self, app: str, carried: Sequence[Carried]) -> None:
        """Take in labels that went over to persons, as was committed."""
        for key, label in carried:
            self._drop(app, "user", key, label.name)
        self.learn(app, [label for _, label in carried])

    def _drop(self, app: str, kind: str, target: str, name: str) -> None:
        held = dict(self._held.get((app, kind, target), {}))
        held.pop(name, None)
        if held:
            self._held[app, kind, target] = held
        else:
            self._held.pop((app, kind, target), None)


def write_labels(change: Change, wanted: Sequence[Label]) -> None:
    """Write labels within a transaction, each in place of the one of its name."""
    if wanted:
        touch(change.connection, change.app, "labels")
    for label in wanted:
        row = {
            "app": change.app, "kind": label.kind, "target": label.target, "name": label.name, "made": change.now,
            "until": label.until, "finding": label.finding, "by": label.by,
        }  # fmt: skip
        put(change.connection, labels, row)


def carry_labels(change: Change, persons: Mapping[str, str]) -> list[Carried]:
    """Put the labels of keys on the persons they are of, whom alone events name; of one name the later end holds.

    `persons` maps each key of these persons to theirs, which is among them.
    """
    c = labels.c
    rows: list[Label] = []
    for some in lots(list(persons)):
        query = select(labels).where(c.app == change.app, c.kind == "user", c.target.in_(some))
        rows += [_label(row).label for row in change.connection.execute(query)]
    by_end = sorted(rows, key=lambda one: (one.until is None, one.until))
    longest = {(persons[one.target], one.name): one for one in by_end}
    carried = []
    for one in rows:
        person = persons[one.target]
        if one.target != person:
            mine = (c.app == change.app, c.kind == "user", c.target == one.target, c.name == one.name)
            change.connection.execute(delete(labels).where(*mine))
            carried.append(Carried(one.target, replace(longest[person, one.name], target=person)))
    write_labels(change, [label for _, label in carried])
    return carried


class Concerned(NamedTuple):
    """The decisions that allowances end, by allowance, as they were at a revision of the list."""

    revision: int
    ids: Mapping[str, Sequence[str]]


class Allow:
    """Whom nobody acts on, in all apps, read once and kept in memory."""

    def __init__(self, control: Database, revisions: Revisions) -> None:
        self._control = control
        self._revisions = revisions
        self._held: dict[str, tuple[Allowance, ...]] = {}
        self.reload()

    def reload(self, app: str | None = None) -> None:
        """Read again what is kept, of one app or of all."""
        mine = [] if app is None else [allowances.c.app == app]
        with self._control.writing(), self._control.read() as connection:
            held: dict[str, list[Allowance]] = {}
            for row in connection.execute(select(allowances).where(*mine)):
                held.setdefault(row.app, []).append(_allowance(row))
            others = {other: some for other, some in self._held.items() if app is not None and other != app}
            self._held = others | {one: _ordered(some) for one, some in held.items()}

    def list(self, app: str, now: int | None = None) -> list[Allowance]:
        """Return the allowances, oldest first; with `now` only those in force then; from memory."""
        held = self._held.get(app, ())
        return [one for one in held if now is None or one.until is None or now < one.until]

    def page(
        self, app: str, *, now: int | None = None, values: Collection[str] | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Allowance]:  # fmt: skip
        """Return allowances, newest first; with `now` those in force then, with `values` those for any of these."""
        c = allowances.c
        query = select(allowances).where(c.app == app)
        if values is not None:
            query = query.where(c.value.in_(values))
        if now is not None:
            query = query.where(or_(c.until.is_(None), c.until > now))
        with self._control.read() as connection:
            return page(connection, query, (c.made, c.id), (int, str), limit, cursor, _allowance, counted=True)

    def add(self, app: str, allowance: Allowance, by: str, now: int, *, lift: bool = False) -> bool:
        """Add one, or replace the one of the same id; with `lift` end what playbooks decided about them.

        Say whether there was anything to end.
        """
        concerned = self.concerned(app, [allowance] if lift else [], now)
        with self._control.writing():
            with self._control.write() as connection:
                change = Change(connection, app, now)
                write_allowances(change, [allowance], by, concerned)
            self.learn(app, [allowance])
        self._revisions.learn(change)
        return change.revision is not None

    def concerned(self, app: str, some: Sequence[Allowance], now: int) -> Concerned:
        """Return what allowances end, before anybody who writes has to wait: there may be very many decisions."""
        with self._control.read() as connection:
            revision = connection.execute(select(apps.c.revision).where(apps.c.id == app)).scalar_one_or_none()
            return Concerned(revision or 0, {one.id: _ending(connection, app, one, now) for one in some})

    def learn(self, app: str, some: Sequence[Allowance]) -> None:
        """Take in allowances that were committed."""
        ids = {one.id for one in some}
        self._held[app] = _ordered([*(one for one in self._held.get(app, ()) if one.id not in ids), *some])

    def remove(self, app: str, id: str, by: str, why: str, now: int) -> bool:
        """Remove an allowance; say whether it was there."""
        mine = (allowances.c.app == app, allowances.c.id == id)
        with self._control.writing():
            gone = [one for one in self._held.get(app, ()) if one.id == id]
            if gone:
                with self._control.write() as connection:
                    connection.execute(delete(allowances).where(*mine))
                    touch(connection, app, "allow")
                    target = f"{gone[0].scope} {gone[0].value}"
                    note(connection, app, now, by, "allow.remove", target, why, {"allowance": id})
                self._held[app] = tuple(one for one in self._held[app] if one.id != id)
            return bool(gone)


def write_allowances(change: Change, some: Sequence[Allowance], by: str, concerned: Concerned) -> None:
    """Write allowances within a transaction, each in place of the one of its id, and end what they concern."""
    for one in some:
        row = {name: getattr(one, name) for name in Allowance.__dataclass_fields__}
        put(change.connection, allowances, {**row, "app": change.app})
        target, detail = f"{one.scope} {one.value}", {"until": one.until}
        note(change.connection, change.app, change.now, by, "allow.add", target, one.reason, detail)
        if one.id in concerned.ids:
            since = _ending(change.connection, change.app, one, change.now, concerned.revision)
            lift_these(change, [*concerned.ids[one.id], *since], by, f"allowlisted: {one.reason}")
    if some:
        touch(change.connection, change.app, "allow")


def _ending(connection: Connection, app: str, allowance: Allowance, now: int, since: int = 0) -> list[str]:
    """Return the decisions of playbooks in force that an allowance ends, of those added since a revision.

    Where the app grouped IPv6 addresses otherwise before, blocks are of networks around this one, or within it.
    """
    c, scope, value = decisions.c, allowance.scope, allowance.value
    single = scope == "user" or "/" not in value
    scopes = {"user": ["user"], "ip": ["ip"] if single else ["network"], "network": ["ip", "network"]}[scope]
    query = select(func.coalesce(c.parent, c.id), c.value).where(
        c.app == app, c.added > since, c.scope.in_(scopes), c.playbook.is_not(None), *in_force(now)
    )
    if single:
        query = query.where(c.value == value)
    found = connection.execute(query).all()
    if scope == "user":
        return [id for id, _ in found]
    wanted = place(value)
    return [id for id, held in found if wanted.meets(place(held))]  # no playbook would decide it now


def _label(row: Row[Any]) -> KeptLabel:
    return KeptLabel(Label(**{name: row._mapping[name] for name in Label.__dataclass_fields__}), row.made)


def _ordered(some: Iterable[Allowance]) -> tuple[Allowance, ...]:
    return tuple(sorted(some, key=lambda one: (one.made, one.id)))


def _allowance(row: Row[Any]) -> Allowance:
    return Allowance(**{name: row._mapping[name] for name in Allowance.__dataclass_fields__})
