"""URLs of databases and caches, which may hold a password: parsed so strictly that no part of one passes for a host.

What a scheme, a path or a query means is not known here. No error repeats any of the URL: a lenient parser finds the
host `:pa` in `redis://:pa/ss@host`, and the first failure to reach it would print half of the password.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from sentinel.core.errors import SentinelError

HINT = "write `/`, `?`, `@` and `%` of a user or password as `%2F`, `%3F`, `%40` and `%25`"
_FORM = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+]*)://(?:(?P<who>[^@/?]*)@)?(?P<places>[^@/?#]*)(?P<path>/[^@?#]*)?(?:\?(?P<query>[^@#]*))?"
)
_PLACE = re.compile(r"(?P<host>(?:[A-Za-z0-9._-]|%2[Ff])+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Place(NamedTuple):
    """A host without brackets, and its port, None where it is not said."""

    host: str
    port: int | None


class Dsn(NamedTuple):
    """The parts of a URL, %-codes decoded; `user` and `password` are None where they are missing or empty."""

    scheme: str
    user: str | None
    password: str | None
    places: tuple[Place, ...]
    path: str
    query: str


def read(url: str, what: str) -> Dsn:
    """Return the parts of a URL. Raises SentinelError, which names it `what` and repeats nothing of it."""
    found = _FORM.fullmatch(url)
    if found is None or not url.isprintable() or _ESCAPES.search(found["who"] or ""):
        raise SentinelError(f"`{what}`: not a URL that can be read", HINT)
    user, _, password = (found["who"] or "").partition(":")
    places = [_place(text, what) for text in found["places"].split(",")] if found["places"] else []
    return Dsn(
        found["scheme"], unquote(user) or None, unquote(password) or None, tuple(places), unquote(found["path"] or ""),
        found["query"] or "",
    )  # fmt: skip


def _place(text: str, what: str) -> Place:
    found = _PLACE.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or port == 0 or (port or 0) > 65_535:
        raise SentinelError(f"`{what}`: the URL has no proper host and port", f"`USER:PASSWORD@HOST:PORT`; {HINT}")
    return Place(unquote(found["host"]).strip("[]"), port)
