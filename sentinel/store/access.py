"""Apps, their keys, and one-time links. Of a secret only its SHA-256 is kept: 256 random bits need no slow hash."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, insert, or_, select, update

from sentinel.core.errors import Conflict, SentinelError
from sentinel.core.record import KEY_SCOPES, App, Key, KeyScope, Page
from sentinel.store.audit import note
from sentinel.store.changes import add_new, lots, touch
from sentinel.store.database import Database
from sentinel.store.paging import page
from sentinel.store.tables import access_keys, apps, one_time_links

SECRET_BYTES = 40  # 54 characters: some foreign clients refuse fewer than 50
MOST_KEYS = 1000  # of an app, in use
_APP = tuple(App.__dataclass_fields__)
_KEY = tuple(Key.__dataclass_fields__)


class Access:
    """All apps and keys; what is asked often is answered from memory."""

    def __init__(self, control: Database) -> None:
        self._control = control
        self._keys: dict[str, Key] = {}  # another one wherever a key may have ended: see `_read`
        self._apps: dict[str, App] = {}
        self.reload()

    def reload(self) -> None:
        """Read the apps again and forget the keys in memory: each is looked up when it is used next."""
        with self._control.writing(), self._control.read() as connection:
            self._apps = {row.id: _app(row) for row in connection.execute(select(apps).order_by(apps.c.id))}
            self._keys = {}

    def apps(self) -> list[App]:
        """Return every app, by id."""
        return [self._apps[id] for id in sorted(self._apps)]

    def app(self, id: str) -> App | None:
        """Return one app."""
        return self._apps.get(id)

    def add_app(self, app: App, by: str, now: int) -> bool:
        """Add an app; say whether there was none of that id."""
        with self._control.writing():
            with self._control.write() as connection:
                added = _add_app(connection, app, by, now)
            if added:
                self._apps[app.id] = app
        return added

    def change_app(self, id: str, change: Mapping[str, Any], by: str, now: int) -> App | None:
        """Set the fields of an app that `change` names to its JSON values; return the app, None for an unknown id."""
        query = update(apps).where(apps.c.id == id).values(**change).returning(*(apps.c[name] for name in _APP))
        with self._control.writing():
            with self._control.write() as connection:
                row = connection.execute(query).one_or_none()
                if row is None:
                    return None
                touch(connection, id, "access")
                note(connection, id, now, by, "app.change", id, detail=change)
            changed = self._apps[id] = _app(row)
        return changed

    def begin(self, app: App, purpose: str, until: int, by: str, now: int) -> tuple[str, str] | None:
        """Add an app with an SDK key and a one-time link; return both secrets, None where the app is there already.

        One transaction: of several servers that start at once, only one does it.
        """
        key, secret = _new_key(app.id, "sdk", by, now, "first"), secrets.token_urlsafe(SECRET_BYTES)
        with self._control.writing():
            with self._control.write() as connection:
                link = None
                if _add_app(connection, app, by, now):
                    _add_key(connection, key, secret)
                    link = add_link(connection, purpose, until, now)
            self.reload()
        return None if link is None else (secret, link)

    def make_key(
        self, app: str, scope: KeyScope, by: str, now: int, *, name: str = "", protocol: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """Make a key and return it with its secret, which is shown only here.

        Raises Conflict where the app has too many keys.
        """
        if scope not in KEY_SCOPES:
            raise SentinelError(f"`scope`: `{scope}` is none of {', '.join(KEY_SCOPES)}")
        if app not in self._apps:
            raise SentinelError(f"there is no app `{app}`")
        secret = secrets.token_urlsafe(SECRET_BYTES)
        key = _new_key(app, scope, by, now, name, protocol, settings)
        with self._control.write() as connection:
            c = access_keys.c
            in_use = select(func.count()).where(c.app == app, c.revoked.is_(None))
            if connection.execute(in_use).scalar_one() >= MOST_KEYS:
                raise Conflict(f"there are {MOST_KEYS} keys already", "revoke those that nobody needs")
            _add_key(connection, key, secret)
        return key, secret

    def key(self, secret: str) -> Key | None:
        """Return the key of a secret, None where there is none or it was revoked; from memory after the first time."""
        hash = hashed(secret)
        known = self._keys.get(hash) or self._read(hash)
        if known is not None and known.app not in self._apps:
            self.reload()  # another process made it a moment ago
            known = self._read(hash)
        return known

    def _read(self, hash: str) -> Key | None:
        """Read a key and remember it, but not if it was revoked while it was being read."""
        keys = self._keys
        with self._control.read() as connection:
            query = select(access_keys).where(access_keys.c.hash == hash, access_keys.c.revoked.is_(None))
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        known = keys[hash] = _key(row)
        return known

    def remembers(self, secret: str) -> bool:
        """Say whether the key of a secret is in memory, so that `key` answers without the database."""
        return hashed(secret) in self._keys

    def keys(self, app: str) -> list[Key]:
        """Return the keys of an app, revoked ones too, oldest first."""
        c = access_keys.c
        with self._control.read() as connection:
            rows = connection.execute(select(access_keys).where(c.app == app).order_by(c.made, c.id))
            return [_key(row) for row in rows]

    def list_keys(self, app: str, limit: int = 50, cursor: str | None = None) -> Page[Key]:
        """Return one page of an app's keys: those not revoked first, and the newest first among each."""
        c = access_keys.c
        good = case((c.revoked.is_(None), 1), else_=0).label("good")
        query = select(access_keys, good).where(c.app == app)
        with self._control.read() as connection:
            return page(connection, query, (good, c.made, c.id), (int, int, str), limit, cursor, _key, counted=True)

    def revoke(self, app: str, id: str, by: str, now: int) -> bool:
        """Revoke a key; say whether that changed anything."""
        c = access_keys.c
        mine = (c.app == app, c.id == id, c.revoked.is_(None))
        with self._control.write() as connection:
            query = update(access_keys).where(*mine).values(revoked=now).returning(c.hash)
            hash = connection.execute(query).scalar_one_or_none()
            if hash is not None:
                touch(connection, app, "access")
                note(connection, app, now, by, "key.revoke", id)
        if hash is not None:
            self._keys = {one: key for one, key in self._keys.copy().items() if one != hash}
        return hash is not None

    def mark_used(self, ids: Sequence[str], now: int) -> None:
        """Note that the keys of these ids were used at `now`.

        Those that another server is marking are left out: two servers could wait for each other for ever.
        """
        c = access_keys.c
        earlier = or_(c.used.is_(None), c.used < now)
        with self._control.write() as connection:
            for some in lots(ids):
                free = select(c.id).where(c.id.in_(some), earlier).with_for_update(skip_locked=True)
                connection.execute(update(access_keys).where(c.id.in_(free)).values(used=now))

    def good_link(self, purpose: str, secret: str, now: int) -> bool:
        """Say whether a one-time link can be used, without using it up."""
        with self._control.read() as connection:
            query = select(one_time_links.c.hash).where(*_good(purpose, secret, now))
            return connection.execute(query).first() is not None


def add_link(connection: Connection, purpose: str, until: int, now: int) -> str:
    """Make a one-time link within a transaction and return its secret."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = {"hash": hashed(secret), "purpose": purpose, "made": now, "until": until}
    connection.execute(insert(one_time_links).values(**row))
    return secret


def use_link(connection: Connection, purpose: str, secret: str, now: int) -> bool:
    """Use up a one-time link within a transaction; say whether it could be used."""
    query = update(one_time_links).where(*_good(purpose, secret, now)).values(used=now)
    used = connection.execute(query).rowcount > 0
    if used:
        note(connection, None, now, "one-time link", "link.use", purpose)
    return used


def _row(app: App) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(app, name) for name in _APP}
    return row | {"identifiers": list(app.identifiers), "settings": dict(app.settings)}


def _add_app(connection: Connection, app: App, by: str, now: int) -> bool:
    added = add_new(connection, apps, {**_row(app), "revision": 0, "floor": 0})
    if added:
        touch(connection, app.id, "access")
        note(connection, app.id, now, by, "app.add", app.id)
    return added


def _new_key(
    app: str, scope: KeyScope, by: str, now: int, name: str, protocol: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Key:  # fmt: skip
    return Key(secrets.token_hex(6), app, scope, name, now, by, None, protocol, dict(settings or {}))


def _add_key(connection: Connection, key: Key, secret: str) -> None:
    row: dict[str, Any] = {field: getattr(key, field) for field in _KEY}
    connection.execute(insert(access_keys).values(**row, hash=hashed(secret)))
    note(connection, key.app, key.made, key.by or "", "key.add", key.id, detail={"scope": key.scope, "name": key.name})


def _good(purpose: str, secret: str, now: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the link of a secret that can be used."""
    c = one_time_links.c
    return c.hash == hashed(secret), c.purpose == purpose, c.used.is_(None), c.until > now


def hashed(secret: str) -> str:
    """Return the hash by which a random secret is stored."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _app(row: Row[Any]) -> App:
    found = {name: row._mapping[name] for name in _APP}
    return App(**found | {"identifiers": tuple(row.identifiers)})


def _key(row: Row[Any]) -> Key:
    return Key(**{name: row._mapping[name] for name in _KEY})
