"""Signing in to Seismo: by name and password, or by an identity service's token, for an access token that expires.

A password is the secret of a key, or one whose hash is in the key's settings. An identity service is asked only if the
server's settings name one. Credentials that fit keys of two apps are refused; of keys of one app the newest counts, so
that another can be made and given out before the old one is revoked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from sentinel.compat.adapter import Answer, Call, Request, Shared, checked
from sentinel.compat.naming import sound
from sentinel.core.duration import DAY, HOUR, MINUTE, SECOND, parse_duration
from sentinel.core.errors import SentinelError
from sentinel.core.record import Key
from sentinel.edge.access import Caller
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForm, KeySetting
from sentinel.service import passwords
from sentinel.service.ports import Store

NAME = "seismo"
LIFE = HOUR  # of an access token, unless its key says otherwise
LONGEST = passwords.LONGEST  # characters of a name, a password, a token
MOST_TRIED = 4  # keys that one name may belong to
AT_ONCE = 2  # passwords checked: each takes a tenth of a second of a processor on purpose
_SECRET = "compat.seismo.secret"  # noqa: S105  the name of a setting
_STALE = 5 * SECOND
_MISSING = "username or password missing"


class Keys(NamedTuple):
    """The keys of an app for this protocol, by id, and when they were read."""

    keys: Mapping[str, Key]
    read: int


class Tokens:
    """Makes and reads access tokens: base64 of `app;key;end;HMAC`, by a secret that all servers find in the store."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._secret: str | None = None
        self._asked = 0
        self._keys: dict[str, Keys] = {}

    def make(self, key: Key) -> str:
        """Return a token that stands for a key for as long as the key's settings say."""
        until = self._clock() + int(key.settings.get("ttl", LIFE))
        said = f"{key.app};{key.id};{until}"
        return base64.b64encode(f"{said};{_sign(self._kept(make=True), said)}".encode()).decode()

    def key(self, token: str) -> Key | None:
        """Return the key that a token stands for; None if the token is not ours or has ended, or the key is revoked."""
        try:
            said, _, mac = base64.b64decode(token, validate=True).decode("ascii").rpartition(";")
            app, id, until = said.split(";")
            end = int(until)
        except (ValueError, binascii.Error):
            return None
        if not self._signed(said, mac) or end <= self._clock():
            return None
        found = self._of(app, id).get(id)
        return found if found is not None and found.revoked is None else None

    def _signed(self, said: str, mac: str) -> bool:
        secret = self._kept()
        if secret is not None and hmac.compare_digest(_sign(secret, said), mac):
            return True
        if self._clock() - self._asked < _STALE:
            return False
        self._secret = None  # another process may have made a new one at the same time
        secret = self._kept()
        return secret is not None and hmac.compare_digest(_sign(secret, said), mac)

    def _kept(self, make: bool = False) -> str | None:
        if self._secret is None:
            self._asked = self._clock()
            self._secret = self._store.settings.get(_SECRET)
            if self._secret is None and make:
                self._store.settings.put(_SECRET, secrets.token_hex(32), NAME, self._asked)
                self._secret = self._store.settings.get(_SECRET)
        return self._secret

    def _of(self, app: str, id: str) -> Mapping[str, Key]:
        """Return an app's keys, revoked ones too: one that is not among them was made since they were read."""
        now, held = self._clock(), self._keys.get(app)
        if held is None or not 0 <= now - held.read < _STALE or id not in held.keys:
            keys = self._store.access.keys(app)
            held = self._keys[app] = Keys({key.id: key for key in keys if key.protocol == NAME}, now)
        return held.keys


class Entrance:
    """Answers `POST /auth`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._few = asyncio.Semaphore(AT_ONCE)

    async def sign_in(self, call: Call) -> Answer:
        """Answer an access token to whoever proves who they are; every failure gets the same answer."""
        said = await call.json()
        given = said if type(said) is dict else {}
        name, password, token = (sound(given.get(field), LONGEST) for field in ("username", "password", "token"))
        ask = self._shared.identity
        async with self._few:
            if name and password:
                key = await asyncio.to_thread(self._by_password, name, password)
            elif token and ask is not None:
                key = await asyncio.to_thread(self._by_token, ask, token)
            else:
                return Answer(400, {"message": _MISSING})
            if key is None:
                return Answer(401, {"message": f"user {name[:80]} is not authorized" if name else "not authorized"})
            return Answer(200, {"token": await asyncio.to_thread(_tokens(self._shared).make, key)})

    def _by_password(self, name: str, password: str) -> Key | None:
        found = [key for key in self._every() if key.settings.get("username") == name and "password" in key.settings]
        found = _in_turns(found)[:MOST_TRIED]
        hashes: list[str | None] = [str(key.settings["password"]) for key in found]
        tried = [passwords.verify(password, hash) for hash in hashes or [None]]
        mine = [key for key, (right, _) in zip(found, tried, strict=False) if right]
        return _newest(mine) or self._by_secret(password)

    def _by_secret(self, secret: str) -> Key | None:
        key = self._shared.store.access.key(secret) if secret.isascii() else None
        return key if key is not None and key.protocol == NAME and key.revoked is None else None

    def _by_token(self, ask: Callable[[str], str | None], token: str) -> Key | None:
        try:
            login = ask(token)
        except SentinelError as error:
            self._shared.trouble("compat seismo", error)
            raise ApiError("unavailable", "the identity service cannot be asked", "try again later", 30) from None
        if not login:
            return None
        return _newest([key for key in self._every() if login.casefold() in key.settings.get("logins", ())])

    def _every(self) -> list[Key]:
        access = self._shared.store.access
        found = [key for app in access.apps() for key in _own(access.keys(app.id))]
        return sorted(found, key=lambda key: key.made, reverse=True)


def caller(request: Request, shared: Shared) -> Caller:
    """Return who asks, by an access token or a key itself; raises the refusal where it is neither."""
    given = request.headers.all(b"x-access-token")
    if request.method == "POST" and "access_token" in request.query:
        given.append(request.query["access_token"])
    secret = checked(given, "send it as `X-Access-Token`")
    key = _tokens(shared).key(secret)
    if key is None:
        return shared.gate.caller(secret, protocol=NAME)
    return Caller(key.app, key.scope, key.id, f"key:{key.id}", settings=key.settings)


def read_name(value: Any) -> str:
    """Read the name that signs in."""
    if type(value) is not str or not 0 < len(value) <= 100 or not value.isprintable():
        raise SentinelError("not a text of 1 to 100 printable characters")
    return value


def read_password(value: Any) -> str:
    """Read a password and return what is kept of it: a hash."""
    if type(value) is not str or len(sound(value, LONGEST)) < passwords.SHORTEST:
        raise SentinelError(f"not a text of {passwords.SHORTEST} to {LONGEST} characters")
    return passwords.hashed(value)


def read_logins(value: Any) -> list[str]:
    """Read the logins that may sign in by a token: a list, or a text with commas."""
    given = value.split(",") if type(value) is str else value
    if type(given) is not list or not all(type(one) is str for one in given):
        raise SentinelError("not a list of logins", "write `octocat,hubot`")
    found = [one.strip().casefold() for one in given if one.strip()]
    if not 0 < len(found) <= 100 or max(map(len, found)) > 100:
        raise SentinelError("not 1 to 100 logins of at most 100 characters")
    return found


def read_life(value: Any) -> int:
    """Read how long an access token lasts."""
    micros = parse_duration(value if type(value) is str else "")
    if not MINUTE <= micros <= 365 * DAY:
        raise SentinelError(f"`{value}` is not between 1m and 365d")
    return micros


FORM = KeyForm(
    ("sdk", "ingest", "read"),
    {
        "username": KeySetting(read_name, "the name that signs in with `password`"),
        "password": KeySetting(read_password, "the password beside the key itself; kept as a hash", hidden=True),
        "logins": KeySetting(read_logins, "who may sign in by a token, where `seismo_identity` is set"),
        "ttl": KeySetting(read_life, "how long an access token lasts; an hour without"),
    },
)


def _tokens(shared: Shared) -> Tokens:
    found = shared.kept.get(NAME)
    if found is None:
        found = shared.kept[NAME] = Tokens(shared.store, shared.door.clock)
    return found


def _own(keys: Iterable[Key]) -> list[Key]:
    return [key for key in keys if key.protocol == NAME and key.revoked is None]


def _in_turns(keys: Iterable[Key]) -> list[Key]:
    """Return keys so that each app's first come before any app's second: no neighbour's keep one from being tried."""
    seen: Counter[str] = Counter()
    turns = []
    for key in keys:
        turns.append((seen[key.app], key))
        seen[key.app] += 1
    return [key for _, key in sorted(turns, key=itemgetter(0))]


def _newest(found: list[Key]) -> Key | None:
    """Return the first of keys of one app; None where they are of several: nobody may sign in to a neighbour's."""
    return found[0] if len({key.app for key in found}) == 1 else None


def _sign(secret: str | None, said: str) -> str:
    return hmac.digest((secret or "").encode(), said.encode(), "sha256").hex()
