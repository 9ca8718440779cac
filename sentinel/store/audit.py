"""The audit: one line for everything a person changes, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select

from sentinel.core.batch import Note
from sentinel.core.record import BY_HAND, AuditEntry, Page
from sentinel.store.database import Database
from sentinel.store.paging import during, page
from sentinel.store.tables import audit


def note(
    connection: Connection, app: str | None, now: int, actor: str, action: str, target: str, reason: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Add a line to the audit within a transaction."""
    connection.execute(
        insert(audit).values(
            at=now, app=app, actor=actor, action=action, target=target, reason=reason, detail=dict(detail or {})
        )
    )


class Audit:
    """The audit as it is read."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def write(self, app: str | None, line: Note, now: int) -> None:
        """Add a line of its own."""
        with self._control.write() as connection:
            note(connection, app, now, line.actor, line.action, line.target, line.reason, line.detail)

    def expire(self, before: int, now: int) -> int:
        """Drop the lines older than a time, add a line that says so, and return how many were dropped."""
        with self._control.write() as connection:
            gone = connection.execute(delete(audit).where(audit.c.at < before)).rowcount
            if gone:
                note(connection, None, now, "sentinel", "audit.expire", "", "", {"lines": gone, "before": before})
            return gone

    def list(
        self, app: str | None, limit: int = 50, cursor: str | None = None, counted: bool = False, *,
        by: str | None = None, action: str | None = None, target: str | None = None, since: int | None = None,
        until: int | None = None,
    ) -> Page[AuditEntry]:  # fmt: skip
        """Return the lines of an app, newest first, as `service.ports.Audit` says."""
        c = audit.c
        wanted = [c.app == app]
        if by is not None:
            wanted.append(c.actor.not_like("playbook:%") if by == BY_HAND else c.actor == by)
        if action is not None:
            wanted.append(or_(c.action == action, c.action.startswith(f"{action}.", autoescape=True)))
        if target is not None:
            wanted.append(c.target == target)
        wanted += during(c.at, since, until)
        with self._control.read() as connection:
            return page(connection, select(audit).where(*wanted), (c.id,), (int,), limit, cursor, _entry, counted)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)
