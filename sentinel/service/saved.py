"""Searches that people save: how many there may be, and who may change one. They are run by `search`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sentinel.core.errors import Conflict, Forbidden
from sentinel.core.record import SavedSearch
from sentinel.service.ports import Store

MOST = 1000  # of an app


def keep(
    store: Store, app: str, name: str, q: str, filters: Mapping[str, str], by: str, now: int
) -> SavedSearch:  # fmt: skip
    """Keep a search whose condition was checked; raises Conflict where there are too many."""
    if len(store.searches.list(app)) >= MOST:
        raise Conflict(f"there are {MOST} searches already", "remove one that nobody needs")
    made = SavedSearch(secrets.token_hex(8), name, q, filters, by, now, now)
    store.searches.put(app, made, by, now)
    return made


def own(store: Store, app: str, id: str, by: str, admin: bool) -> SavedSearch | None:
    """Return a search that somebody may change, None where there is none of that id; raises Forbidden."""
    found = store.searches.get(app, id)
    if found is not None and found.owner != by and not admin:
        raise Forbidden("the search is another's", "keep one of your own, or ask an administrator")
    return found
