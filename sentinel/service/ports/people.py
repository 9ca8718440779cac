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
    """Who is who: links between user keys."""

    def get(self, app: str, key: str) -> Person | None:
        """Return the person a key belongs to."""

    def keys(self, app: str, key: str) -> tuple[str, ...]:
        """Return every key linked with this one, the person's first; the key alone where nothing is known."""

    def cut(self, app: str, key: str, by: str, now: int) -> int | None:
        """Part a linked key from its person for good; return the revision, None if it is not linked.

        Raises SentinelError for the person's own key.
        """


class Labels(Protocol):
    """Names put on users and addresses."""

    def of(self, app: str, kind: str, target: str, now: int) -> tuple[str, ...]:
        """Return the labels in force, by name; from memory."""

    def any(self, app: str) -> bool:
        """Say whether any label may be on; from memory."""

    def put(self, app: str, label: Label, by: str, now: int) -> None:
        """Put a label on by hand."""

    def take(self, app: str, kind: str, target: str, name: str, by: str, now: int) -> bool:
        """Take a label off by hand; say whether it was there."""

    def expire(self, now: int) -> int:
        """Drop the labels that are over; return how many."""

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
        """Change some fields of an app and leave the others; return it as it is then, None where there is none.

        `change` holds them by name, as JSON values.
        """

    def begin(self, app: App, purpose: str, until: int, by: str, now: int) -> tuple[str, str] | None:
        """Add an app with a key for its SDK and a one-time link, and return both secrets; None where the app is there.

        All of it or nothing: of servers that begin at once, one does.
        """

    def make_key(
        self, app: str, scope: KeyScope, by: str, now: int, *, name: str = "", protocol: str | None = None,
        settings: Mapping[str, Any] | None = None, secret: str | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """Make a key and return it with its secret, which nothing can show again; `secret` sets it.

        Raises Conflict where the app has too many.
        """

    def key(self, secret: str) -> Key | None:
        """Return the unrevoked key of a secret; from memory after the first time."""

    def remembers(self, secret: str) -> bool:
        """Say whether the key of a secret is in memory, so that `key` asks nobody."""

    def keys(self, app: str) -> list[Key]:
        """Return the keys of an app, revoked ones too, oldest first."""

    def list_keys(self, app: str, limit: int = 50, cursor: str | None = None) -> Page[Key]:
        """Return the keys of an app, those in use first, the newest of them first."""

    def revoke(self, app: str, id: str, by: str, now: int) -> bool:
        """Revoke a key; say whether it was in use."""

    def mark_used(self, ids: Sequence[str], now: int) -> None:
        """Keep that keys of these ids were used a moment ago."""

    def good_link(self, purpose: str, secret: str, now: int) -> bool:
        """Say whether a one-time link is good, and leave it so."""


class Accounts(Protocol):
    """Who may sign in to the console, and who has. Only hashes of passwords and tokens are kept."""

    def list(self) -> list[Account]:
        """Return every account, by name."""

    def get(self, id: str) -> Account | None:
        """Return one account."""

    def named(self, name: str) -> tuple[Account, str | None] | None:
        """Return the account of a name with the hash of its password, None where no password was chosen."""

    def invite(self, account: Account, until: int, by: str, now: int) -> str:
        """Add an account with a one-time link that is good until then; return its secret. All of it or nothing.

        Raises Conflict for a name in use.
        """

    def change(
        self, id: str, by: str, now: int, *, role: Role | None = None, apps: Sequence[str] | None = None
    ) -> Account | None:
        """Give an account another role or other apps, and leave what is None; return it as it is then.

        None where there is none. Raises SentinelError where nobody would be left to administer the server.
        """

    def accept(self, purpose: str, secret: str, account: Account, hash: str, until: int, now: int) -> str | None:
        """Use a one-time link up, set the password and begin a session; return its token. All of it or nothing.

        The link is the account's own, or the account is added by it. None where the link is not good (any more).
        Raises Conflict for a name in use.
        """

    def set_password(self, id: str, hash: str, by: str, now: int, old: str | None = None) -> bool:
        """Set a password in place of the one of the hash `old`, None of none; end every session and void the links.

        Say whether there is such an account.
        """

    def rehash(self, id: str, old: str, new: str) -> None:
        """Put another hash of the same password in the place of the old one."""

    def reset(self, id: str, until: int, by: str, now: int) -> tuple[Account, str] | None:
        """Take the password away, end every session, void the links and make one that is good until then.

        All of it or nothing. Return the account and the link's secret, None where there is no such account.
        """

    def remove(self, id: str, by: str, now: int) -> bool:
        """Remove an account with its sessions and links; say whether there was one.

        Raises SentinelError where nobody would be left to administer the server.
        """

    def begin(self, id: str, hash: str | None, until: int, now: int) -> str | None:
        """Begin a session and return its token, which nothing can show again; of too many those used longest ago end.

        None where there is no such account, or its password's hash is not `hash` any more.
        """

    def session(self, token: str, now: int, idle: int) -> Session | None:
        """Return the session of a token that is not over and was used within `idle` microseconds."""

    def touch(self, token: str, now: int) -> None:
        """Note that a session is in use."""

    def end(self, token: str, by: str, now: int) -> bool:
        """End a session; say whether there was one."""

    def expire(self, now: int, idle: int) -> int:
        """Drop the sessions that are over; return how many."""


class Searches(Protocol):
    """Searches that people keep."""

    def list(self, app: str) -> list[SavedSearch]:
        """Return an app's searches, by name."""

    def get(self, app: str, id: str) -> SavedSearch | None:
        """Return one search."""

    def put(self, app: str, search: SavedSearch, by: str, now: int) -> None:
        """Keep a search, in place of the one of its id."""

    def remove(self, app: str, id: str, by: str, now: int) -> bool:
        """Remove a search; say whether it was there."""


class Drafts(Protocol):
    """What people are writing into files of playbooks; nobody sees another's."""

    def list(self, account: str) -> list[Draft]:
        """Return an account's drafts, the newest first."""

    def get(self, account: str, file: str) -> Draft | None:
        """Return one draft."""

    def put(self, account: str, draft: Draft) -> None:
        """Keep a draft, in place of the one of its file; of too many those changed longest ago go."""

    def remove(self, account: str, file: str) -> bool:
        """Drop a draft; say whether it was there."""


class Deletions(Protocol):
    """Persons who were deleted. What is kept of them is a keyed hash."""

    def of(self, app: str, key: str) -> Deletion | None:
        """Return the deletion that a user key is known by, None if there was none."""

    def concerns(self, app: str, event: Event) -> bool:
        """Say whether an event is of the time before its person was deleted; from memory."""

    def delete(self, app: str, key: str, by: str, why: str, now: int) -> Deletion:
        """Delete the person a key belongs to: their events, links and labels; whatever else told of them keeps a hash.

        Decisions in force keep the name until they end. Raises StoreBusy where it is to be done again.
        """

    def finish(self) -> int:
        """Do again what was broken off, by whichever process; return how many events went."""

    def owed(self, app: str) -> Mapping[str, str]:
        """Return the names of deleted persons that windows may still have, each with the pseudonym in its place."""

    def renamed(self, app: str, names: Mapping[str, str]) -> None:
        """Let go of names that no window has any more, nor a state of one that is kept."""

    def sweep(self, now: int) -> int:
        """Take the names out of decisions that are over by now; return how many."""
