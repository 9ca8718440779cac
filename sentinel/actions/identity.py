"""Ask an identity service, such as GitHub's API, whom a token belongs to."""

from __future__ import annotations

import base64
import json

from sentinel.actions.fetch import Fetcher, FetchError


def login_of(fetcher: Fetcher, service: str, token: str) -> str | None:
    """Return the login that a service knows a token by, None where it knows none; raises FetchError."""
    if not token.isascii() or not token.isprintable():
        return None
    given = base64.b64encode(f"{token}:x-oauth-basic".encode()).decode()
    found = fetcher.fetch(f"{service}/user", headers={"Authorization": f"Basic {given}", "Accept": "application/json"})
    if found.status in (401, 403, 404):
        return None
    if found.status != 200 or not found.whole:
        raise FetchError(f"the identity service answered {found.status}")
    try:
        said = json.loads(found.body)
    except (ValueError, RecursionError):
        raise FetchError("the identity service does not answer in JSON") from None
    login = said.get("login") if type(said) is dict else None
    return login if type(login) is str and login else None
