"""The backends that the settings choose: the store, where windows are kept, the files of playbooks, the digests.

Each is opened here and used elsewhere. Where a choice needs a package that is not installed, the error names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sentinel.core.errors import SentinelError
from sentinel.engine.playbook import Guard
from sentinel.service.digest import Digests
from sentinel.service.library import Library
from sentinel.service.ports import Store
from sentinel.settings import Settings
from sentinel.store.embedded.store import open_store


def store(settings: Settings) -> Store:
    """Open the store."""
    if settings.database is None:
        return open_store(settings.data)
    try:
        from sentinel.store.postgres.store import open_postgres
    except ImportError as error:
        hint = "pip install 'sentinel-playbooks[server,postgres]'"
        raise SentinelError(f"`database`: PostgreSQL needs another package: {error}", hint) from error
    return open_postgres(settings.database, alone=settings.windows == "memory", folder=settings.data)


def link(settings: Settings) -> Any:
    """Return the way to the Redis or Valkey of the settings, None where windows are kept in memory."""
    if settings.windows == "memory":
        return None
    try:
        from sentinel.windows.link import open_link
    except ImportError as error:
        hint = "pip install 'sentinel-playbooks[redis]'"
        raise SentinelError(f"`windows`: Redis and Valkey need a package that is not there: {error}", hint) from error
    return open_link(settings.windows)


def library(settings: Settings, known: Iterable[str]) -> Library:
    """Return the rules and playbooks of the folders, with the default guard where they have none."""
    guard = None if settings.guard is None else Guard(*settings.guard)
    return Library(settings.playbooks, settings.rules, known, guard)


def digests(settings: Settings, opened: Store, known: Iterable[str]) -> Digests | None:
    """Return what makes digests for one of the `known` channels, None where nobody wants any."""
    if settings.digest is None:
        return None
    if settings.digest_channel not in known:
        there_is_none = f"`digest_channel`: there is no channel `{settings.digest_channel}`"
        raise SentinelError(there_is_none, "name one of `channels`")
    return Digests(opened, settings.digest, settings.digest_channel)
