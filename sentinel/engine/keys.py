"""Values as texts that tell them apart: the keys of groups, and the values that `distinct` counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from operator import attrgetter
from typing import Any

from sentinel.core.event import Event
from sentinel.core.scrub import REDACTED
from sentinel.engine.expression import compile_field

LONGEST_KEY = 256
_LENGTH = re.compile("([0-9]{1,3}):")
_USER = attrgetter("user")  # costs half of a function that returns it
_NETWORK_IP = attrgetter("network_ip")


def group_value(field: str) -> Callable[[Event], Any]:
    """Return the reader of a group field; an address is its network where it is IPv6."""
    if field == "ip":
        return _NETWORK_IP
    return compile_field(field)


def key_text(value: object) -> str | None:
    """Return a scalar as text, different for different values (`42` is not 42); None for anything else.

    Numbers that are equal have one text. Long texts are hashed: a key's size is no sender's choice. What an SDK left
    out as a secret is no value: else all who have one would be one group.
    """
    if type(value) is str:
        if value == REDACTED:
            return None
        if len(value) > LONGEST_KEY:
            return "\0h" + blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return "\0s" + value if value[:1] == "\0" else value
    if type(value) is bool:
        return "\0true" if value else "\0false"
    if type(value) is int or (type(value) is float and isfinite(value)):
        return f"\0n{int(value) if value == int(value) else value!r}"
    return None


def shown_key(text: str) -> object:
    """Return the value behind a text of `key_text`, for people; of what was hashed its hash."""
    kind, value = text[1:2], text[2:]
    if text[:1] != "\0":
        return text
    if kind == "s":
        return value
    if kind == "n":
        return float(value) if not value.lstrip("-").isdecimal() else int(value)
    return text == "\0true" if text in ("\0true", "\0false") else f"a long text, hashed: {value}"


def key_of(fields: tuple[str, ...], values: Mapping[str, object]) -> str | None:
    """Return the key of the group with these values, an address already its network; None where one cannot be."""
    if fields in (("user",), ("ip",)):
        value = values[fields[0]]
        return value if isinstance(value, str) else None
    texts = [key_text(values[field]) for field in fields]
    if None in texts:
        return None
    return texts[0] if len(texts) == 1 else "".join(f"{len(text or '')}:{text}" for text in texts)


@lru_cache(maxsize=1024)
def group_key(fields: tuple[str, ...]) -> Callable[[Event], str | None]:
    """Return the function that names an event's group: one text, injective; None where a field is missing.

    It is the same function for the same fields, so that one key need be made but once an event.
    """
    if not fields:
        return lambda event: ""
    if fields == ("user",):
        return _USER
    if fields == ("ip",):
        return _NETWORK_IP
    readers = [group_value(field) for field in fields]
    if len(readers) == 1:
        only = readers[0]
        return lambda event: key_text(only(event))

    def key(event: Event) -> str | None:
        texts = [key_text(reader(event)) for reader in readers]
        if None in texts:
            return None
        return "".join(f"{len(text or '')}:{text}" for text in texts)

    return key


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return JSON values with users renamed: in texts that are a user's name, and in group keys that hold one."""
    if isinstance(value, str):
        return _renamed(value, names)
    if isinstance(value, dict):
        return {_renamed(key, names): renamed(item, names) for key, item in value.items()}
    return [renamed(item, names) for item in value] if isinstance(value, list) else value


def _renamed(text: str, names: Mapping[str, str]) -> str:
    if text in names:
        return names[text]
    parts = _parts(text)
    if names.keys().isdisjoint(parts):
        return text
    return "".join(f"{len(part)}:{part}" for part in (names.get(part, part) for part in parts))


def _parts(key: str) -> list[str]:
    """Return the texts that make the key of a group of several fields, none for any other text."""
    parts, at = [], 0
    while found := _LENGTH.match(key, at):
        at = found.end() + int(found[1])
        parts.append(key[found.end() : at])
    return parts if at == len(key) else []
