"""How users and addresses stand: labels put on them, and allowances by which nobody acts on them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, insert, or_, select

from sentinel.core.batch import Label
from sentinel.core.record import Allowance
from sentinel.store.audit import note
from sentinel.store.changes import Change, put
from sentinel.store.control import Control
from sentinel.store.tables import allowances, labels

_Held = dict[tuple[str, str, str], dict[str, int | None]]


class Labels:
    """The labels of all apps, read once and kept in memory."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._held: _Held = {}
        with control.read() as connection:
            for row in connection.execute(select(labels)):
                self._held.setdefault((row.app, row.kind, row.target), {})[row.name] = row.until

    def of(self, app: str, kind: str, target: str, now: int) -> tuple[str, ...]:
        """Return the labels in force, by name; from memory."""
        held = self._held.get((app, kind, target))
        if held is None:
            return ()
        return tuple(sorted(name for name, until in held.items() if until is None or now < until))

    def put(self, app: str, label: Label, by: str, now: int) -> None:
        """Put a label on by hand."""
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
                    note(connection, app, now, by, "label.take", f"{kind} {target}", detail={"name": name})
            self._drop(app, kind, target, name)
            return there

    def expire(self, now: int) -> int:
        """Drop the labels that are over; return how many."""
        over = labels.c.until <= now
        with self._control.writing():
            with self._control.write() as connection:
                rows = connection.execute(delete(labels).where(over).returning(*labels.c)).all()
            for row in rows:
                self._drop(row.app, row.kind, row.target, row.name)
        return len(rows)

    def learn(self, app: str, put: list[Label] | tuple[Label, ...]) -> None:
        """Take in labels that were committed."""
        for label in put:
            held = self._held.get((app, label.kind, label.target), {})
            self._held[app, label.kind, label.target] = {**held, label.name: label.until}

    def _drop(self, app: str, kind: str, target: str, name: str) -> None:
        held = dict(self._held.get((app, kind, target), {}))
        held.pop(name, None)
        if held:
            self._held[app, kind, target] = held
        else:
            self._held.pop((app, kind, target), None)


def write_labels(change: Change, wanted: list[Label] | tuple[Label, ...]) -> None:
    """Write labels within a transaction, each in place of the one of its name."""
    for label in wanted:
        row = {
            "app": change.app, "kind": label.kind, "target": label.target, "name": label.name, "made": change.now,
            "until": label.until, "finding": label.finding, "by": label.by,
        }  # fmt: skip
        put(change.connection, labels, row)


class Allow:
    """Whom nobody acts on, in all apps."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def list(self, app: str, now: int | None = None) -> list[Allowance]:
        """Return the allowances, oldest first; with `now` only those in force then."""
        c = allowances.c
        query = select(allowances).where(c.app == app).order_by(c.made, c.id)
        if now is not None:
            query = query.where(or_(c.until.is_(None), c.until > now))
        with self._control.read() as connection:
            return [_allowance(row) for row in connection.execute(query)]

    def add(self, app: str, allowance: Allowance, by: str, now: int) -> None:
        """Add one, or replace the one of the same id."""
        c = allowances.c
        row: dict[str, Any] = {name: getattr(allowance, name) for name in Allowance.__dataclass_fields__}
        with self._control.write() as connection:
            connection.execute(delete(allowances).where(c.app == app, c.id == allowance.id))
            connection.execute(insert(allowances).values(**row, app=app))
            target = f"{allowance.scope} {allowance.value}"
            note(connection, app, now, by, "allow.add", target, allowance.reason, {"until": allowance.until})

    def remove(self, app: str, id: str, by: str, why: str, now: int) -> bool:
        """Remove one; say whether it was there."""
        mine = (allowances.c.app == app, allowances.c.id == id)
        with self._control.write() as connection:
            row = connection.execute(select(allowances).where(*mine)).one_or_none()
            if row is None:
                return False
            connection.execute(delete(allowances).where(*mine))
            note(connection, app, now, by, "allow.remove", f"{row.scope} {row.value}", why, {"allowance": id})
            return True


def _allowance(row: Row[Any]) -> Allowance:
    return Allowance(**{name: row._mapping[name] for name in Allowance.__dataclass_fields__})
