"""What the service asks of the store about people: links, labels, keys, accounts, saved searches, drafts, deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sentinel.core.batch import Label
from sentinel.core.event import Event
from sentinel.core.record import (
    Account,
    App,
    Deletion,
    Draft,
    KeptLabel,
    Key,
    KeyScope,
    Page,
    Person,
    Role,
    SavedSearch,
    Session,
)


class People(Protocol):
    """Which user keys belong to one person."""

    def get(self, app: str, key: str) -> Person | None:
        """Return the person a key belongs to, None where none is known."""

    def keys(self, app: str, key: str) -> tuple[str, ...]:
        """Return all keys linked with this one, the person's own first; the key alone where no person is known."""

    def cut(self, app: str, key: str, by: str, now: int) -> int | None:
        """Unlink a key from its person for good; return the revision of the decision list, None if it was not linked.

        Raises SentinelError for the person's own key.
        """


class Labels(Protocol):
    """Labels: names put on users and addresses. `kind` is `user` or `ip`."""

    def of(self, app: str, kind: str, target: str, now: int) -> tuple[str, ...]:
        """Return the names of the labels in force on a target, sorted; from memory."""

    def any(self, app: str) -> bool:
        """Say whether the app may have any label; from memory."""

    def put(self, app: str, label: Label, by: str, now: int) -> None:
        """Put a label on by hand, in place of the one of that name on the same target."""

    def take(self, app: str, kind: str, target: str, name: str, by: str, now: int) -> bool:
        """Take a label off by hand; say whether it was there."""

    def expire(self, now: int) -> int:
        """Drop the labels that have ended; return how many."""

    def list(
        self, app: str, *, now: int | None = None, kind: str | None = None, target: str | None = None,
        name: str | None = None, limit: int = 50, cursor: str | None = None, counted: bool = False,
    ) -> Page[KeptLabel]:  # fmt: skip
        """Return labels, those put on last first; with `now` only those in force then."""


class Access(Protocol):
    """Apps, their keys, and the one-time link of the first administrator. Only hashes of secrets are kept."""

    def apps(self) -> list[App]:
        """Return every app, by id."""

    def app(self, id: str) -> App | None:
        """Return one app."""

    def add_app(self, app: App, by: str, now: int) -> bool:
        """Add an app; say whether there was none of that id."""

    def change_app(self, id: str, change: Mapping[str, Any], by: str, now: int) -> App | None:
        """Set the fields of an app that `change` names to its JSON values; return the app, None for an unknown id."""

    def begin(self, app: App, purpose: str, until: int, by: str, now: int) -> tuple[str, str] | None:
        """Add an app with an SDK key and a one-time link; return both secrets, None where the app is there already.

        One transaction: of several servers that start at once, only one does it.
        """

    def make_key(
        self, app: str, scope: KeyScope, by: str, now: int, *, name: str = "", protocol: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """Make a key and return it with its secret, which is shown only here.

        Raises Conflict where the app has too many keys.
        """

    def key(self, secret: str) -> Key | None:
        """Return the key of a secret, None where there is none or it was revoked; from memory after the first time."""

    def remembers(self, secret: str) -> bool:
        """Say whether the key of a secret is in memory, so that `key` answers without the database."""

    def keys(self, app: str) -> list[Key]:
        """Return the keys of an app, revoked ones too, oldest first."""

    def list_keys(self, app: str, limit: int = 50, cursor: str | None = None) -> Page[Key]:
        """Return one page of an app's keys: those not revoked first, and the newest first among each."""

    def revoke(self, app: str, id: str, by: str, now: int) -> bool:
        """Revoke a key; say whether that changed anything."""

    def mark_used(self, ids: Sequence[str], now: int) -> None:
        """Note that the keys of these ids were used at `now`."""

    def good_link(self, purpose: str, secret: str, now: int) -> bool:
        """Say whether a one-time link can be used, without using it up."""


class Accounts(Protocol):
    """Accounts of the console and their sessions. Only hashes of passwords and tokens are kept."""

    def list(self) -> list[Account]:
        """Return every account, by name."""

    def get(self, id: str) -> Account | None:
        """Return one account."""

    def named(self, name: str) -> tuple[Account, str | None] | None:
        """Return the account of a name and its password's hash (None before one is chosen); None for no account."""

    def invite(self, account: Account, until: int, by: str, now: int) -> str:
        """Add an account with a one-time link that ends at `until`, in one transaction; return the link's secret.

        Raises Conflict for a name in use.
        """

    def change(
        self, id: str, by: str, now: int, *, role: Role | None = None, apps: Sequence[str] | None = None
    ) -> Account | None:
        """Set an account's role and apps, each where it is not None; return the account, None for an unknown id.

        Raises SentinelError where nobody would be left to administer the server.
        """

    def accept(self, purpose: str, secret: str, account: Account, hash: str, until: int, now: int) -> str | None:
        """Use up a one-time link, set the account's password and begin a session, in one transaction.

        Return the session's token, None where the link cannot be used (any more). By a link that is not the account's
        own (see `account_link`) the account is added. Raises Conflict for a name in use.
        """

    def set_password(self, id: str, hash: str, by: str, now: int, old: str | None = None) -> bool:
        """Set the hash of a password, where it is `old` still; end every session and void the links.

        Say whether there was an account of that id with the hash `old` (None: with no password).
        """

    def rehash(self, id: str, old: str, new: str) -> None:
        """Replace a password's hash by another of the same password, where it is `old` still."""

    def reset(self, id: str, until: int, by: str, now: int) -> tuple[Account, str] | None:
        """Remove the password, end every session, void the links and make one that ends at `until`, all at once.

        Return the account and the link's secret, None for an unknown id.
        """

    def remove(self, id: str, by: str, now: int) -> bool:
        """Remove an account with its sessions and links; say whether there was one.

        Raises SentinelError where nobody would be left to administer the server.
        """

    def begin(self, id: str, hash: str | None, until: int, now: int) -> str | None:
        """Begin a session and return its token, which is shown only here.

        None for an unknown id, or where the password's hash is not `hash` any more. Of too many sessions those used
        longest ago end.
        """

    def session(self, token: str, now: int, idle: int) -> Session | None:
        """Return the session of a token; None where it is over or was last used over `idle` microseconds ago."""

    def touch(self, token: str, now: int) -> None:
        """Note that a session was used at `now`."""

    def end(self, token: str, by: str, now: int) -> bool:
        """End a session; say whether there was one."""

    def expire(self, now: int, idle: int) -> int:
        """Drop the sessions that are over or were not used for `idle` microseconds; return how many."""


class Searches(Protocol):
    """Saved searches."""

    def list(self, app: str) -> list[SavedSearch]:
        """Return an app's searches, by name."""

    def get(self, app: str, id: str) -> SavedSearch | None:
        """Return one search."""

    def put(self, app: str, search: SavedSearch, by: str, now: int) -> None:
        """Save a search, in place of the one of its id."""

    def remove(self, app: str, id: str, by: str, now: int) -> bool:
        """Remove a search; say whether it was there."""


class Drafts(Protocol):
    """Unfinished changes of playbook files, each seen by its own account only."""

    def list(self, account: str) -> list[Draft]:
        """Return an account's drafts, those changed last first."""

    def get(self, account: str, file: str) -> Draft | None:
        """Return one draft."""

    def put(self, account: str, draft: Draft) -> None:
        """Keep a draft, in place of the one of its file; of too many those changed longest ago are dropped."""

    def remove(self, account: str, file: str) -> bool:
        """Drop a draft; say whether it was there."""


class Deletions(Protocol):
    """Deleted persons. Of each of their user keys only a keyed hash is kept."""

    def concerns(self, app: str, event: Event) -> bool:
        """Say whether an event is about a deleted person and from before the deletion; from memory."""

    def delete(self, app: str, key: str, by: str, why: str, now: int) -> Deletion:
        """Delete the events, links and labels of the person with a key; elsewhere a pseudonym replaces their names.

        Decisions in force keep the name until they end. Raises StoreBusy where the call has to be repeated.
        """

    def finish(self) -> int:
        """Repeat deletions that were interrupted, in any process; return how many events were deleted."""

    def owed(self, app: str) -> Mapping[str, str]:
        """Return names of deleted persons that windows may still hold, with the pseudonym that replaces each."""

    def renamed(self, app: str, names: Mapping[str, str]) -> None:
        """Forget names of `owed`: no window holds them any more, and no snapshot of one."""

    def sweep(self, now: int) -> int:
        """Replace the names of deleted persons in decisions that have ended; return in how many."""
