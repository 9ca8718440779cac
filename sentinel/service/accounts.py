"""Accounts of the console: signing in, inviting, setting a password. Who may, and how often, is not known here."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from sentinel.core.duration import DAY, HOUR
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import EVERY_APP, ROLES, Account, Role, Session, account_link
from sentinel.service import passwords
from sentinel.service.ports import Store
from sentinel.service.setup import ADMINISTRATOR

IDLE = 2 * HOUR
LONGEST = 12 * HOUR  # a session, however busy
INVITED = 3 * DAY
_TOUCH = 60_000_000  # how much older the time of last use may be than it says
_NAME = re.compile(r"[a-z0-9][a-z0-9._+@-]{0,99}", re.ASCII)


class Invitation(NamedTuple):
    """An account, and the code of the link by which its owner chooses a password."""

    account: Account
    code: str


class Accounts:
    """What accounts can do, from any thread."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def sign_in(self, name: str, password: str) -> str | None:
        """Return the token of a new session, None where name or password is wrong; both take the same time."""
        found = self._store.accounts.named(folded(name))
        account, hash = found if found is not None else (None, None)
        right, better = passwords.verify(password, hash)
        if account is None or hash is None or not right:
            return None
        if better is not None:
            self._store.accounts.rehash(account.id, hash, better)
        return self._begin(account, better or hash)

    def session(self, token: str, *, busy: bool = True) -> Session | None:
        """Return the session of a token, None for none; `busy` prolongs it, which pages that refresh do not."""
        now = self._clock()
        found = self._store.accounts.session(token, now, IDLE)
        if found is not None and busy and now - found.seen > _TOUCH:
            with suppress(StoreBusy):  # a full disk must not close the console
                self._store.accounts.touch(token, now)
        return found

    def sign_out(self, token: str, by: str) -> None:
        """End a session."""
        self._store.accounts.end(token, by, self._clock())

    def invite(self, name: str, role: Role, apps: Sequence[str], by: str) -> Invitation:
        """Add an account; its owner chooses the password by the link."""
        now = self._clock()
        account = Account(secrets.token_hex(6), _checked(name), _known(role), self._reach(apps), now, by)
        return _invitation(account, self._store.accounts.invite(account, now + INVITED, by, now))

    def change(self, id: str, role: Role | None, apps: Sequence[str] | None, by: str) -> Account | None:
        """Set an account's role and apps, each where it is not None; return the account, None for an unknown id."""
        if role is None and apps is None:
            return self._store.accounts.get(id)
        role, apps = None if role is None else _known(role), None if apps is None else self._reach(apps)
        return self._store.accounts.change(id, by, self._clock(), role=role, apps=apps)

    def reset(self, id: str, by: str) -> Invitation | None:
        """Remove an account's password, end its sessions and return it with a new link; None for an unknown id."""
        now = self._clock()
        found = self._store.accounts.reset(id, now + INVITED, by, now)
        return None if found is None else _invitation(*found)

    def accept(self, code: str, name: str, password: str) -> str:
        """Use a link up: set the password, and for the first administrator the name too; return a session's token.

        Raises SentinelError for a link that is not good (any more), and for a name or password that will not do.
        """
        id, dot, rest = code.strip().partition(".")
        purpose, secret = (account_link(id), rest) if dot else (ADMINISTRATOR, id)
        account = self._store.accounts.get(id) if dot else None
        now = self._clock()
        if (dot and account is None) or not self._store.access.good_link(purpose, secret, now):
            raise _not_good()  # before any word about names: strangers would learn who has an account
        name = account.name if account is not None else _checked(name)
        passwords.check(password, name)
        hash = passwords.hashed(password)  # which takes long: a reset in between voids the link
        if account is None:
            account = Account(secrets.token_hex(6), name, "admin", made=now, by="one-time link")
        token = self._store.accounts.accept(purpose, secret, account, hash, now + LONGEST, now)
        if token is None:
            raise _not_good()
        return token

    def change_password(self, account: Account, old: str, new: str) -> str:
        """Set a new password where the old one is right, end every session and return a new one's token.

        Raises SentinelError also where it is another one by now: whose account was reset meanwhile stays outside.
        """
        found = self._store.accounts.named(account.name)
        kept = found[1] if found is not None else None
        right, _ = passwords.verify(old, kept)
        if not right:
            raise SentinelError("`old`: not the password you have now")
        passwords.check(new, account.name)
        hash = passwords.hashed(new)
        changed = self._store.accounts.set_password(account.id, hash, account.actor, self._clock(), kept)
        token = self._begin(account, hash) if changed else None
        if token is None:
            raise SentinelError("the account was changed meanwhile", "sign in again")
        return token

    def _begin(self, account: Account, hash: str) -> str | None:
        now = self._clock()
        return self._store.accounts.begin(account.id, hash, now + LONGEST, now)

    def _reach(self, apps: Sequence[str]) -> tuple[str, ...]:
        for app in apps:
            if app != EVERY_APP and self._store.access.app(app) is None:
                raise SentinelError(f"`apps`: there is no app `{app[:80]}`", "`sentinel apps list` shows them")
        if not apps:
            raise SentinelError("`apps`: none is chosen", f"name some, or `{EVERY_APP}` for every app")
        return (EVERY_APP,) if EVERY_APP in apps else tuple(sorted(set(apps)))


def _invitation(account: Account, secret: str) -> Invitation:
    return Invitation(account, f"{account.id}.{secret}")


def _known(role: Role) -> Role:
    if role not in ROLES:
        raise SentinelError(f"`role`: `{str(role)[:40]}` is none of {', '.join(ROLES)}")
    return role


def _not_good() -> SentinelError:
    return SentinelError("the link is used up, over or not complete", "ask for a new one")


def folded(name: str) -> str:
    """Return a name in the one spelling accounts are known by."""
    return unicodedata.normalize("NFKC", name[:200]).strip().casefold()[:200]  # one letter may become eighteen


def _checked(name: str) -> str:
    known = folded(name)
    if not known:
        raise SentinelError("`name`: none was chosen", "such as `ana` or `ana@example.com`")
    if not _NAME.fullmatch(known):
        hint = "such as `ana` or `ana@example.com`: letters, digits and `._+@-`"
        raise SentinelError(f"`name`: `{name[:40]}` cannot be a name", hint)
    return known
