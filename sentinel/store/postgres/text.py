"""Text as PostgreSQL takes it: it has no NUL character, and senders may send one.

NUL becomes `SUB 0`, and SUB itself `SUB 1`: different texts stay different, and come back as they were.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.types.string import StrDumper, TextLoader

from sentinel.core.text import whole

_SUB = "\x1a"
_ESCAPES = {"\0": "\x1a0", _SUB: "\x1a1"}
_TABLE = str.maketrans(_ESCAPES)
_MEANT = {escaped: plain for plain, escaped in _ESCAPES.items()}
_ESCAPED = re.compile("\x1a[01]")
_IN_JSON = re.compile(r"\\u00(?:00|1a)")
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.decode


def escaped(text: str) -> str:
    """Return a text without NUL, and without half of a surrogate pair, which no database takes."""
    if "\0" in text or _SUB in text:
        text = text.translate(_TABLE)
    return text if text.isascii() else whole(text)  # a call less for nearly every text


def unescaped(text: str) -> str:
    """Return a text as it was."""
    return _ESCAPED.sub(lambda found: _MEANT[found[0]], text) if _SUB in text else text


def escaped_json(text: str) -> str:
    """Return JSON text whose strings hold no NUL."""
    return _encode(_walk(_decode(text), escaped)).decode() if _IN_JSON.search(text) else text


def unescaped_json(text: str) -> str:
    """Return JSON text as it was."""
    return _encode(_walk(_decode(text), unescaped)).decode() if _IN_JSON.search(text) else text


def adapt(connection: Connection[Any]) -> None:
    """Let every text of a connection be escaped on its way in, and be itself again on its way out."""
    connection.adapters.register_dumper(str, _Dumper)
    for name in ("text", "varchar", "name"):
        connection.adapters.register_loader(name, _Loader)


class _Dumper(StrDumper):
    oid = 0  # let the server find out: the parameter may stand for a number or JSON

    def dump(self, obj: str) -> Any:
        return super().dump(escaped(obj))


class _Loader(TextLoader):
    def load(self, data: Any) -> Any:
        text = bytes(data).decode()
        return unescaped(text) if _SUB in text else text


def _walk(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _walk(item, change) for key, item in value.items()}
    return [_walk(item, change) for item in value] if isinstance(value, list) else value
