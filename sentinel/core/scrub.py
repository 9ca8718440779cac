"""Prepare values to leave the process: bounded, plain JSON, with secrets removed by the names and the forms of values.

Every value that an application hands over is copied here during the call, so later changes to it are not seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from heapq import nsmallest
from itertools import islice
from typing import Any

REDACTED = "<redacted>"
CUT = "<cut>"
SECRETS = (
    "password", "passwd", "passphrase", "pwd", "secret", "authorization", "credentials", "api_key", "apikey",
    "private_key", "access_token", "token", "jwt", "session_id", "sessionid", "cookie", "card", "cvv", "cvc", "otp",
)  # fmt: skip
TOP = 16
_BUDGET = 32 * 1024 - 256  # bytes of properties, of which a server refuses more; the rest is for what is cut
_PARAMETERS = 16 * 1024  # bytes: a server refuses a request of more than 32 KiB, in which there is also a path
_EACH = 12  # bytes a value and its name take beside their texts
_NODES = 2000
_DEPTH = 12
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
_CARD = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11,16}|35[0-9]{14,17}|(?:5[06-9]|6[0-9])[0-9]{11,17}"
)
_LARGEST = 2**63


class Scrubber:
    """Redacts the values of secret names: SECRETS and `more`, whatever their case and separators."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        names = [words for words in map(_words, (*SECRETS, *more)) if words]
        self._long = tuple(name for name in map("".join, names) if len(name) >= 6)
        self._from: dict[str, list[list[str]]] = {}  # by first word: strangers may send names of many words
        for words in names:
            self._from.setdefault(words[0], []).append(words)
        self._secret = lru_cache(maxsize=4096)(self._is_secret)

    def properties(self, given: Mapping[Any, Any] | None) -> tuple[dict[str, Any], int, list[str]]:
        """Return at most TOP properties fit to be sent, their size in bytes, and the names of those left out."""
        if not given:
            return {}, 0, []
        left = _Left(_BUDGET)
        named = {name_of(name): value for name, value in given.items()}
        first = nsmallest(TOP, named)  # of a million, which a stranger may send, sorting all takes seconds
        names = {name: key(name) for name in first}
        left.bytes -= sum(map(_size, names.values()))
        kept = {names[name]: self._value(name, named.pop(name), left, _DEPTH) for name in first}
        return kept, _BUDGET - left.bytes, list(named)

    def mapping(self, given: Mapping[Any, Any]) -> dict[str, Any]:
        """Return request parameters fit to be sent."""
        left = _Left(_PARAMETERS)
        found = {}
        for name, value in list(islice(given.items(), 64)):
            if left.bytes <= 0:
                break
            plain = key(name)
            left.bytes -= _size(plain)
            found[plain] = self._value(name_of(name), value, left, 3)
        return found

    def is_secret(self, name: str) -> bool:
        """Say whether values under a name are secrets."""
        return self._secret(name if len(name) <= 256 else f"{name[:128]} {name[-128:]}")

    def _value(self, name: str, value: Any, left: _Left, depth: int) -> Any:
        left.nodes -= 1
        left.bytes -= _EACH
        if name and self.is_secret(name):
            return REDACTED
        if left.nodes <= 0 or left.bytes <= 0:
            return CUT
        kind = type(value)
        if kind is str:  # the usual cases, without a call more
            return self._text(value, left)
        if kind is bool or value is None:
            return value
        try:
            return self._plain(value, left, depth)
        except Exception:  # noqa: BLE001  a stranger's code; the event is worth more than one value in it
            return f"<{type(value).__name__}>"

    def _plain(self, value: Any, left: _Left, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value, left)
        if isinstance(value, int):
            number = _integer(value)
            left.bytes -= len(number) if type(number) is str else 0
            return number
        if isinstance(value, float):
            return _fraction(value)
        if isinstance(value, Mapping):
            return self._object(value, left, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(value, left, depth)
        return self._text(_other(value), left)

    def _object(self, value: Mapping[Any, Any], left: _Left, depth: int) -> Any:
        if depth <= 1:
            return CUT
        found = {}
        for name, inner in _some(value.items, left.nodes):
            if left.nodes <= 0 or left.bytes <= 0:
                break
            whole = name_of(name)
            plain = text(whole, 128)
            left.bytes -= _size(plain)
            found[plain] = self._value(whole, inner, left, depth - 1)
        return found

    def _list(self, value: Iterable[Any], left: _Left, depth: int) -> Any:
        if depth <= 1:
            return CUT
        found = []
        for inner in _some(lambda: value, left.nodes):
            if left.nodes <= 0 or left.bytes <= 0:
                break
            found.append(self._value("", inner, left, depth - 1))
        return found

    def _text(self, value: str, left: _Left) -> str:
        plain = text(value, max(left.bytes, 0))
        size = _size(plain)
        if size > left.bytes:
            plain = plain.encode()[: left.bytes].decode(errors="ignore")
        left.bytes -= size
        return plain

    def _is_secret(self, name: str) -> bool:
        words = _words(name)
        joined = "".join(words)
        if any(secret in joined for secret in self._long) or joined.endswith("token"):
            return True
        begun = ((at, secret) for at, word in enumerate(words) for secret in self._from.get(word, ()))
        return any(words[at : at + len(secret)] == secret for at, secret in begun)


class _Left:
    """How many bytes and values of one event may still be filled."""

    __slots__ = ("bytes", "nodes")

    def __init__(self, most: int) -> None:
        self.bytes = most
        self.nodes = _NODES


def _size(plain: str) -> int:
    """Return the bytes of a text without lone surrogates."""
    return len(plain) if plain.isascii() else len(plain.encode())


def text(value: str, longest: int) -> str:
    """Return a text without card numbers and lone surrogates, cut to a length."""
    if type(value) is not str:
        value = str.__str__(value)  # a subclass may answer whatever it likes
    if len(value) > longest:
        value = value[:longest]
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return _DIGITS.sub(_card, value) if len(value) >= 13 else value


def has_card(value: str) -> bool:
    """Say whether a text holds a card number."""
    return len(value) >= 13 and any(_is_card(found[0]) for found in _DIGITS.finditer(value))


def _card(found: re.Match[str]) -> str:
    return REDACTED if _is_card(found[0]) else found[0]


def _is_card(written: str) -> bool:
    digits = written.replace(" ", "").replace("-", "")
    return _CARD.fullmatch(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(int(digit) for digit in digits[-1::-2]) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


def _integer(value: int) -> int | str:
    if type(value) is not int:
        value = int.__index__(value)  # a subclass may answer whatever it likes
    if -_LARGEST <= value < _LARGEST:
        return REDACTED if value >= 10**12 and _is_card(str(value)) else int(value)
    return CUT if value.bit_length() > 512 else str(value)


def _fraction(value: float) -> float | str | None:
    if not math.isfinite(value):
        return None
    whole = 1e12 <= value < 1e19 and value.is_integer()  # as tables make of a column of numbers with a gap
    return REDACTED if whole and _is_card(str(int(value))) else value


def key(name: object) -> str:
    """Return a key as it may be sent."""
    if type(name) is str and name.isascii() and len(name) < 13:  # the usual case
        return name
    return text(name_of(name), 128)


def name_of(name: object) -> str:
    """Return a key as text; one that cannot say what it is goes by its type."""
    if type(name) is str:
        return name
    try:
        return str.__str__(name) if isinstance(name, str) else str(name)
    except Exception:  # noqa: BLE001  a stranger's code; the value is kept
        return f"<{type(name).__name__}>"


def _some(items: Callable[[], Iterable[Any]], most: int) -> list[Any]:
    """Return the first items of a collection that may be huge, change meanwhile or fail; none where it fails."""
    try:
        return list(islice(items(), max(most, 0)))
    except Exception:  # noqa: BLE001  a stranger's code; the event is worth more than one value in it
        return []


def _other(value: Any) -> str:
    if isinstance(value, (datetime, date)) or type(value).__name__ in ("UUID", "Decimal"):
        return name_of(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    return f"<{type(value).__name__}>"


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
