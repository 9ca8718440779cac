"""Make other people's text harmless for the place where it is shown: a log, a chat, a mail."""

from __future__ import annotations

import re
from collections.abc import Callable

from sentinel.core.text import legible

LONGEST = 200  # characters of one value in a message

Show = Callable[[object], str]

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])", re.ASCII)
_DOT = re.compile(r"\.(?=[^\W\d])")


def printable(value: object) -> str:
    """Return a value as one line of at most LONGEST characters, which steers no terminal, log or writing direction.

    Line breaks and what `legible` does not leave become `\\n`, `\\x1b`, `\\u202e` and so on.
    """
    text = value if isinstance(value, str) else str(value)
    if not text.isprintable():
        text = legible(text[:LONGEST])
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def defanged(value: object) -> str:
    """Return a value as `printable` does, written so that no chat program makes a link or calls somebody.

    `http://evil.example/` becomes `http[:]//evil[.]example/`, `@everyone` becomes `[@]everyone`.
    """
    return _DOT.sub("[.]", printable(value).replace("@", "[@]").replace("://", "[:]//"))


def markdown(text: str) -> str:
    """Return text with every sign that Markdown could read as its own escaped."""
    return _PUNCTUATION.sub(r"\\\1", text)


def size(text: str) -> int:
    """Return how long a text is as most services count: in units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def link(url: object) -> str | None:
    """Return a URL that may be shown as a link: http or https, printable, without what ends one in Markdown."""
    if isinstance(url, str) and re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", url, re.ASCII | re.IGNORECASE):
        return url
    return None
