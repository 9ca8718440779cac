"""Lists of networks that are named by a URL: the local copy of each, and how it is kept up to date.

How to download, and what makes a list a good one, is passed in; how a list is used is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from sentinel.core.duration import HOUR
from sentinel.core.errors import SentinelError

FOLDER = "lists"
EVERY = HOUR


class Downloaded(Protocol):
    """What a URL held, and the tag by which to ask next time whether it changed."""

    @property
    def body(self) -> bytes: ...
    @property
    def tag(self) -> str: ...


class Copy(NamedTuple):
    """A file that is to hold what a URL holds."""

    url: str
    path: Path

    @property
    def host(self) -> str:
        """Whom it is from; the rest of the URL may be a secret and is in no message."""
        return urlsplit(self.url).hostname or ""


def files(data: Path, named: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[Path]], list[Copy]]:
    """Return the files of lists by kind, and which of them are copies, from paths and URLs by kind."""
    found: dict[str, list[Path]] = {}
    copies: dict[str, Copy] = {}
    for kind, places in named.items():
        for place in places:
            if "://" in place:
                copies[place] = Copy(place, data / FOLDER / _name(place))
            found.setdefault(kind, []).append(copies[place].path if place in copies else Path(place).expanduser())
    return found, list(copies.values())


def _name(url: str) -> str:
    host = re.sub(r"[^a-z0-9.-]", "_", urlsplit(url).hostname or "")[:80]
    return f"{host}-{sha256(url.encode()).hexdigest()[:16]}.txt"


class Copies:
    """Keeps copies up to date: each is asked for every hour, one that failed at the next call.

    `download(url, tag)` returns None where nothing changed since the tag was given; `check` raises SentinelError for a
    file that is not what it should be.
    """

    def __init__(
        self, copies: Sequence[Copy], download: Callable[[str, str], Downloaded | None], check: Callable[[Path], object]
    ) -> None:
        self._copies = copies
        self._download = download
        self._check = check
        self._due: dict[str, int] = {}

    def refresh(self, now: int) -> int:
        """Return how many changed; raises SentinelError after all were tried."""
        changed, failures = 0, []
        for copy in self._copies:
            if now < self._due.get(copy.url, now):
                continue
            try:
                changed += self._renew(copy)
                self._due[copy.url] = now + EVERY
            except (SentinelError, OSError) as error:
                failures.append(f"list from `{copy.host}`: {error}")
        if failures:
            raise SentinelError("; ".join(failures))
        return changed

    def _renew(self, copy: Copy) -> bool:
        """Put what is new in place of the old, once it is known to be good; say whether there was any."""
        path, tag, draft = copy.path, copy.path.with_suffix(".tag"), copy.path.with_suffix(".new")
        known = tag.read_text("utf-8") if path.exists() and tag.exists() else ""
        found = self._download(copy.url, known)
        if found is None:
            return False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            draft.write_bytes(found.body)
            self._check(draft)
            changed = not path.exists() or path.read_bytes() != found.body
            tag.unlink(missing_ok=True)  # an old tag must never stand beside a new body
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        tag.write_text(found.tag, "utf-8")
        return changed
