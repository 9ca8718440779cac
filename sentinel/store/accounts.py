"""Accounts of the console and their sessions. Of a session's token only the SHA-256 is kept, of a password its Argon2.

How a password is hashed, and who may ask, is not known here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    LABEL_STYLE_TABLENAME_PLUS_COL,
    ColumnElement,
    Connection,
    Row,
    delete,
    insert,
    or_,
    select,
    update,
)

from sentinel.core.errors import Conflict, SentinelError
from sentinel.core.record import Account, Role, Session, account_link
from sentinel.store.access import add_link, hashed, use_link
from sentinel.store.audit import note
from sentinel.store.database import Database
from sentinel.store.tables import accounts, drafts, one_time_links, sessions

TOKEN_BYTES = 32
MOST_SESSIONS = 32  # of an account: those used last
_COLUMNS = ("id", "name", "role", "made", "by", "seen")


class Accounts:
    """All accounts, with those who are signed in."""

    def __init__(self, control: Database) -> None:
        self._control = control

    def list(self) -> list[Account]:
        """Return every account, by name."""
        with self._control.read() as connection:
            return [_account(row) for row in connection.execute(select(accounts).order_by(accounts.c.name))]

    def get(self, id: str) -> Account | None:
        """Return one account."""
        with self._control.read() as connection:
            row = connection.execute(select(accounts).where(accounts.c.id == id)).one_or_none()
        return None if row is None else _account(row)

    def named(self, name: str) -> tuple[Account, str | None] | None:
        """Return the account of a name and its password's hash (None before one is chosen); None for no account."""
        with self._control.read() as connection:
            row = connection.execute(select(accounts).where(accounts.c.name == name)).one_or_none()
        return None if row is None else (_account(row), row.password)

    def invite(self, account: Account, until: int, by: str, now: int) -> str:
        """Add an account with a one-time link that ends at `until`, in one transaction; return the link's secret.

        Raises Conflict for a name in use.
        """
        with self._control.write() as connection:
            _add(connection, account, by, now)
            return add_link(connection, account_link(account.id), until, now)

    def change(
        self, id: str, by: str, now: int, *, role: Role | None = None, apps: Sequence[str] | None = None
    ) -> Account | None:
        """Set an account's role and apps, each where it is not None; return the account, None for an unknown id.

        Raises SentinelError where nobody would be left to administer the server.
        """
        given = {name: value for name, value in {"role": role, "apps": apps}.items() if value is not None}
        mine = update(accounts).where(accounts.c.id == id).values(**given).returning(*accounts.c)
        with self._control.write() as connection:
            before = _administrators(connection, held=True)
            row = connection.execute(mine).one_or_none()
            if row is None:
                return None
            _someone_left(connection, before)
            account = _account(row)
            detail = {"role": account.role, "apps": list(account.apps)}
            note(connection, None, now, by, "account.put", account.name, detail=detail)
        return account

    def accept(self, purpose: str, secret: str, account: Account, hash: str, until: int, now: int) -> str | None:
        """Use up a one-time link, set the account's password and begin a session, in one transaction.

        Return the session's token, None where the link cannot be used (any more). By a link that is not the account's
        own (see `account_link`) the account is added. Raises Conflict for a name in use.
        """
        with self._control.write() as connection:
            held = select(accounts.c.id).where(accounts.c.id == account.id).with_for_update()
            connection.execute(held)  # before the link: whoever shuts an account out holds it first, too
            if not use_link(connection, purpose, secret, now):
                return None
            if purpose != account_link(account.id):
                _add(connection, account, account.actor, now)
            _put_password(connection, account.id, hash, "account.password", account.actor, now)
            return _begin(connection, account.id, hash, until, now)

    def set_password(self, id: str, hash: str, by: str, now: int, old: str | None = None) -> bool:
        """Set the hash of a password, where it is `old` still; end every session and void the links.

        Say whether there was an account of that id with the hash `old` (None: with no password).
        """
        still = accounts.c.password.is_not_distinct_from(old)
        with self._control.write() as connection:
            return _put_password(connection, id, hash, "account.password", by, now, still)

    def rehash(self, id: str, old: str, new: str) -> None:
        """Replace a password's hash by another of the same password, where it is `old` still."""
        mine = (accounts.c.id == id, accounts.c.password == old)
        with self._control.write() as connection:
            connection.execute(update(accounts).where(*mine).values(password=new))

    def reset(self, id: str, until: int, by: str, now: int) -> tuple[Account, str] | None:
        """Remove the password, end every session, void the links and make one that ends at `until`, all at once.

        Return the account and the link's secret, None for an unknown id.
        """
        with self._control.write() as connection:
            if not _put_password(connection, id, None, "account.reset", by, now):
                return None
            row = connection.execute(select(accounts).where(accounts.c.id == id)).one()
            return _account(row), add_link(connection, account_link(id), until, now)

    def remove(self, id: str, by: str, now: int) -> bool:
        """Remove an account with its sessions and links; say whether there was one.

        Raises SentinelError where nobody would be left to administer the server.
        """
        with self._control.write() as connection:
            before = _administrators(connection, held=True)
            gone = delete(accounts).where(accounts.c.id == id).returning(accounts.c.name)
            name = connection.execute(gone).scalar_one_or_none()
            if name is not None:
                _someone_left(connection, before)
                _shut(connection, id, now)
                connection.execute(delete(drafts).where(drafts.c.account == id))
                note(connection, None, now, by, "account.remove", name)
        return name is not None

    def begin(self, id: str, hash: str | None, until: int, now: int) -> str | None:
        """Begin a session and return its token, which is shown only here.

        None for an unknown id, or where the password's hash is not `hash` any more. Of too many sessions those used
        longest ago end.
        """
        with self._control.write() as connection:
            return _begin(connection, id, hash, until, now)

    def session(self, token: str, now: int, idle: int) -> Session | None:
        """Return the session of a token; None where it is over or was last used over `idle` microseconds ago."""
        s = sessions.c
        query = select(sessions, accounts).join(accounts, accounts.c.id == s.account)
        query = query.where(s.hash == hashed(token), s.until > now, s.seen > now - idle)
        query = query.set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
        with self._control.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        found = {name: row[f"account_{name}"] for name in (*_COLUMNS, "apps", "password")}
        return Session(_read(found), row["session_made"], row["session_seen"], row["session_until"])

    def touch(self, token: str, now: int) -> None:
        """Note that a session was used at `now`."""
        with self._control.write() as connection:
            connection.execute(update(sessions).where(sessions.c.hash == hashed(token)).values(seen=now))

    def end(self, token: str, by: str, now: int) -> bool:
        """End a session; say whether there was one."""
        with self._control.write() as connection:
            ended = connection.execute(delete(sessions).where(sessions.c.hash == hashed(token))).rowcount > 0
            if ended:
                note(connection, None, now, by, "session.end", by.partition(":")[2])
        return ended

    def expire(self, now: int, idle: int) -> int:
        """Drop the sessions that are over or were not used for `idle` microseconds; return how many."""
        over = or_(sessions.c.until <= now, sessions.c.seen <= now - idle)
        with self._control.write() as connection:
            return connection.execute(delete(sessions).where(over)).rowcount


def _add(connection: Connection, account: Account, by: str, now: int) -> None:
    row = {name: getattr(account, name) for name in ("id", "name", "role", "made", "by")}
    _administrators(connection, held=True)  # first: whoever adds one of that name is waited for
    if connection.execute(select(accounts.c.id).where(accounts.c.name == account.name)).first():
        raise Conflict(f"`name`: there is an account `{account.name}` already", "choose another name")
    connection.execute(insert(accounts).values(**row, apps=list(account.apps)))
    detail = {"role": account.role, "apps": list(account.apps)}
    note(connection, None, now, by, "account.put", account.name, detail=detail)


def _put_password(
    connection: Connection, id: str, hash: str | None, action: str, by: str, now: int, *still: ColumnElement[bool]
) -> bool:
    mine = update(accounts).where(accounts.c.id == id, *still).values(password=hash)
    name = connection.execute(mine.returning(accounts.c.name)).scalar_one_or_none()
    if name is not None:
        _shut(connection, id, now)
        note(connection, None, now, by, action, name)
    return name is not None


def _begin(connection: Connection, id: str, hash: str | None, until: int, now: int) -> str | None:
    token, c = secrets.token_urlsafe(TOKEN_BYTES), accounts.c
    mine = update(accounts).where(c.id == id, c.password.is_not_distinct_from(hash))
    name = connection.execute(mine.values(seen=now).returning(c.name)).scalar_one_or_none()
    if name is None:
        return None
    _make_room(connection, id)
    row = {"hash": hashed(token), "account": id, "made": now, "seen": now, "until": until}
    connection.execute(insert(sessions).values(**row))
    note(connection, None, now, f"account:{name}", "session.begin", name)
    return token


def _make_room(connection: Connection, id: str) -> None:
    """End the sessions of an account that one more would be too many with."""
    s = sessions.c
    kept = select(s.hash).where(s.account == id).order_by(s.seen.desc(), s.hash).limit(MOST_SESSIONS - 1)
    connection.execute(delete(sessions).where(s.account == id, s.hash.not_in(kept)))


def _shut(connection: Connection, id: str, now: int) -> None:
    """End every session of an account, and void its links."""
    connection.execute(delete(sessions).where(sessions.c.account == id))
    links = (one_time_links.c.purpose == account_link(id), one_time_links.c.used.is_(None))
    connection.execute(update(one_time_links).where(*links).values(used=now))


def _administrators(connection: Connection, held: bool = False) -> int:
    """Return how many can sign in and administer the whole server; `held`, they stay so until the transaction ends."""
    query = select(accounts).where(accounts.c.role == "admin", accounts.c.password.is_not(None))
    if held:  # or two servers let two of them go at once, and each thinks that the other stays
        query = query.order_by(accounts.c.id).with_for_update()
    return sum(_account(row).server for row in connection.execute(query))


def _someone_left(connection: Connection, before: int) -> None:
    if before and not _administrators(connection):
        raise SentinelError("nobody would be left to administer the server", "make another administrator first")


def _account(row: Row[Any]) -> Account:
    return _read(dict(row._mapping))


def _read(found: dict[str, Any]) -> Account:
    columns = {name: found[name] for name in _COLUMNS}
    return Account(**columns, apps=tuple(found["apps"]), ready=found["password"] is not None)
