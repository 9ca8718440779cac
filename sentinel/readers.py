"""How the value of a setting is read, from a text (a flag, a variable) or from what a TOML file holds.

Each reader returns the value, or raises ValueError with what is wrong and, in brackets, what would be right. No setting
is named here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sentinel.core import address
from sentinel.core.duration import format_duration, parse_duration

T = TypeVar("T")
_ON, _OFF = ("on", "yes", "true", "1"), ("off", "no", "false", "0")


def text(value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("not a text of printable characters")
    return value.strip()


def path(value: Any) -> Path:
    """Read the path of a file or folder; `~` is the home folder."""
    return Path(text(value)).expanduser()


def number(least: int, most: int) -> Callable[[Any], int]:
    """Read a whole number within bounds, both included."""

    def reader(value: Any) -> int:
        digits = value.strip().replace("_", "") if isinstance(value, str) else value
        if isinstance(digits, str) and digits.isascii() and digits.isdigit() and len(digits) < 20:
            digits = int(digits)
        if type(digits) is not int or not least <= digits <= most:
            raise ValueError(f"`{str(value)[:40]}` is not a whole number from {least} to {most}")
        return digits

    return reader


def boolean(value: Any) -> bool:
    """Read yes or no."""
    word = str(value).strip().lower()
    if word not in _ON + _OFF:
        raise ValueError(f"`{word[:40]}` is neither `yes` nor `no`")
    return word in _ON


def choice(*words: str) -> Callable[[Any], str]:
    """Read one of several words."""

    def reader(value: Any) -> str:
        if value not in words:
            raise ValueError(f"`{str(value)[:40]}` is none of {', '.join(f'`{word}`' for word in words)}")
        return str(value)

    return reader


def header(*names: str) -> Callable[[Any], str]:
    """Read one of several names of headers, in small letters or capitals."""
    one = choice(*names)
    return lambda value: one(text(value).lower())


def duration(least: str, most: str = "3650d") -> Callable[[Any], int]:
    """Read a duration such as `10m`, within bounds, as microseconds."""

    def reader(value: Any) -> int:
        micros = parse_duration(text(value) if isinstance(value, str) else str(value))
        if not parse_duration(least) <= micros <= parse_duration(most):
            raise ValueError(f"`{format_duration(micros)}` is out of bounds (from {least} to {most})")
        return micros

    return reader


def optional(inner: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Read what `inner` reads, or `none`."""
    return lambda value: None if value == "none" else inner(value)


def listed(inner: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """Read a list of what `inner` reads; as a text its parts are separated by commas."""

    def reader(value: Any) -> tuple[T, ...]:
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(parts, list):
            raise ValueError("not a list")
        return tuple(inner(part) for part in parts if part != "")

    return reader


def network(value: Any) -> address.Network:
    """Read an address or a network."""
    try:
        return address.network(text(value))
    except ValueError:
        given = str(value)[:64]
        count = "an SDK takes how many proxies there are, a server their networks: " if given.isdecimal() else ""
        raise ValueError(f"`{given}` is not a network ({count}write `10.0.0.0/8`)") from None


def secret(value: Any) -> str:
    """Read a secret that is sent as a bearer key; no error repeats any of it."""
    if not isinstance(value, str) or not 20 <= len(value) <= 512 or not all("!" <= one <= "~" for one in value):
        raise ValueError("not 20 to 512 characters of ASCII without a space (`openssl rand -hex 32` makes one)")
    return value


def url(value: Any) -> str:
    """Read a web address without a trailing slash."""
    found = text(value)
    if not _is_web(found):
        shown = f"`{found[:64]}` is not" if "@" not in found else "not"  # before an `@` stands a password
        raise ValueError(f"{shown} a web address (write `https://sentinel.example`)")
    return found.rstrip("/")


def _is_web(found: str) -> bool:
    try:
        parts = urlsplit(found)
        whole = bool(parts.hostname) and parts.port != 0 and "@" not in parts.path
    except ValueError:
        return False
    return whole and parts.scheme in ("http", "https") and not parts.query and not parts.fragment


def guard(value: Any) -> tuple[int, int]:
    """Read `50/1h`: at most so many targets in such a time."""
    most, slash, per = text(value).partition("/")
    if not slash:
        raise ValueError(f"`{str(value)[:40]}` is not a guard (write `1000/1h`, or `none`)")
    return number(1, 10**9)(most), duration("1s", "30d")(per)


def channels(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """Read channels: a table each, by name; as a text they are a JSON object."""
    value = _decoded(value, '{"security": {"kind": "webhook", "url": "https://…"}}')
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise ValueError("not a table of tables (write `[channels.security]` above a channel's own values)")
    return value


def lists(value: Any) -> Mapping[str, tuple[str, ...]]:
    """Read lists by kind: paths or URLs, one or several each; as a text they are a JSON object."""
    value = _decoded(value, '{"tor": ["/etc/sentinel/tor.txt"]}')
    if not isinstance(value, dict):
        raise ValueError('not a table (write `{tor = ["/etc/sentinel/tor.txt"]}`)')
    return {kind: _files(found) for kind, found in value.items()}


def _files(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise ValueError("not a list of files and URLs")
    return tuple(_place(text(one)) for one in found)


def _place(found: str) -> str:
    """Return a path as it is, a URL if it can be asked."""
    if "://" in found:
        parts = urlsplit(found)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError(f"`{parts.scheme[:20]}://…` is not a web address (write `https://lists.example/tor.txt`)")
    return found


def _decoded(value: Any, example: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"not JSON (write `{example}`)") from None
