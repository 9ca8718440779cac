"""Drafts of playbooks' files that people have not saved yet. The files themselves are not known here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, select

from sentinel.core.record import Draft
from sentinel.store.changes import put
from sentinel.store.database import Database
from sentinel.store.tables import drafts

MOST = 50  # of one account


class Drafts:
    """The drafts of all accounts."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def list(self, account: str) -> list[Draft]:
        """Return an account's drafts, those changed last first."""
        c = drafts.c
        with self._control.read() as connection:
            query = select(drafts).where(c.account == account).order_by(c.changed.desc(), c.file)
            return [_draft(row) for row in connection.execute(query).all()]

    def get(self, account: str, file: str) -> Draft | None:
        """Return one draft."""
        c = drafts.c
        with self._control.read() as connection:
            row = connection.execute(select(drafts).where(c.account == account, c.file == file)).one_or_none()
        return None if row is None else _draft(row)

    def put(self, account: str, draft: Draft) -> None:
        """Keep a draft, in place of the one of its file; of too many those changed longest ago are dropped."""
        c = drafts.c
        row = {name: getattr(draft, name) for name in Draft.__dataclass_fields__}
        with self._control.write() as connection:
            put(connection, drafts, {**row, "account": account})
            known = select(c.file).where(c.account == account).order_by(c.changed.desc(), c.file).offset(MOST)
            over = [file for (file,) in connection.execute(known.limit(1_000)).all()]
            connection.execute(delete(drafts).where(c.account == account, c.file.in_(over)))

    def remove(self, account: str, file: str) -> bool:
        """Drop a draft; say whether it was there."""
        c = drafts.c
        with self._control.write() as connection:
            return connection.execute(delete(drafts).where(c.account == account, c.file == file)).rowcount > 0


def _draft(row: Row[Any]) -> Draft:
    return Draft(**{name: row._mapping[name] for name in Draft.__dataclass_fields__})
