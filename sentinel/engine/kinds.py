"""The kinds of value that an expression knows, as far as they can be told before any event is seen."""

from __future__ import annotations

import enum

NUMBERS = (int, float)
LISTS = (list, tuple)


class Kind(enum.Flag):
    """What a value may be; several together where it cannot be told."""

    TEXT = enum.auto()
    NUMBER = enum.auto()
    BOOL = enum.auto()
    LIST = enum.auto()
    OBJECT = enum.auto()
    ANY = TEXT | NUMBER | BOOL | LIST | OBJECT

    def __str__(self) -> str:
        if self is Kind.ANY:
            return "anything"
        return " or ".join(words for kind, words in _WORDS.items() if kind & self)


_WORDS = {
    Kind.TEXT: "text",
    Kind.NUMBER: "a number",
    Kind.BOOL: "true or false",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
}


def kind_of_value(value: object) -> Kind:
    """Return the kind of one plain value; a boolean is no number."""
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, str):
        return Kind.TEXT
    if isinstance(value, NUMBERS):
        return Kind.NUMBER
    return Kind.LIST if isinstance(value, LISTS) else Kind.OBJECT
