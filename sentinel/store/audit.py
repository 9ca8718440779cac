"""The audit: one line for everything a person changes, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from sentinel.core.batch import Note
from sentinel.core.record import AuditEntry, Page
from sentinel.store.database import Database
from sentinel.store.paging import page
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
        """Drop lines of before a time, and say so in a line; return how many."""
        with self._control.write() as connection:
            gone = connection.execute(delete(audit).where(audit.c.at < before)).rowcount
            if gone:
                note(connection, None, now, "sentinel", "audit.expire", "", "", {"lines": gone, "before": before})
            return gone

    def list(
        self, app: str | None, limit: int = 50, cursor: str | None = None, counted: bool = False
    ) -> Page[AuditEntry]:
        """Return the lines of an app (None: of the whole server), newest first."""
        with self._control.read() as connection:
            return page(connection, select(audit).where(audit.c.app == app), (audit.c.id,), (int,),
                        limit, cursor, _entry, counted)  # fmt: skip


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)
