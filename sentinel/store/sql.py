"""Pieces of SQL with their values, and the differences between databases.

No value ever gets into a text: where one stands there is a `?`, which becomes the database's own placeholder at the
very end. What the pieces ask is up to `condition`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sentinel.engine.kinds import Kind

_FIELD = re.compile(r"\{(\d*)\}")


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values its marks stand for, in their order."""

    text: str
    values: tuple[Any, ...] = ()


TRUE, FALSE = Sql("TRUE"), Sql("FALSE")


def sql(form: str, *parts: Sql) -> Sql:
    """Return a piece made of others, each in the places of its `{}`, or of its `{0}`, `{1}`, …."""
    text = form.format(*(part.text for part in parts))
    return Sql(text, tuple(value for index in _order(form) for value in parts[index].values))


@lru_cache(maxsize=1 << 10)
def _order(form: str) -> tuple[int, ...]:
    """Return the parts a template names, in the order of its text."""
    return tuple(int(name) if name else place for place, name in enumerate(_FIELD.findall(form)))


def every(parts: Iterable[Sql]) -> Sql:
    """Return that all of these hold."""
    found = [part for part in dict.fromkeys(parts) if part != TRUE]
    return FALSE if FALSE in found else _joined(found, " AND ", TRUE)


def some(parts: Iterable[Sql]) -> Sql:
    """Return that one of these holds."""
    found = [part for part in dict.fromkeys(parts) if part != FALSE]
    return TRUE if TRUE in found else _joined(found, " OR ", FALSE)


def _joined(parts: Sequence[Sql], word: str, none: Sql) -> Sql:
    if len(parts) < 2:
        return parts[0] if parts else none
    return sql("(" + word.join("{}" for _ in parts) + ")", *parts)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database says what conditions are made of: templates, whose `{}` are pieces of SQL.

    `words` names what is done; what a database cannot say exactly as Python means it is left out, and looked at
    event by event afterwards. `parts` gives, of a place in a JSON document, the value if it is of the kind.
    `place` names a place in a document; `hashed` are columns with the hash of another's text beside it.
    """

    mark: str
    types: Mapping[Kind, str]
    place: Callable[[Sql, Sequence[str]], Sql]
    parts: Mapping[Kind, str]
    words: Mapping[str, str]
    hashed: Mapping[str, str]

    def says(self, word: str, *parts: Sql) -> Sql | None:
        """Return a piece in this database's words, None where it has none."""
        form = self.words.get(word)
        return None if form is None else sql(form, *parts)

    def constant(self, kind: Kind, value: Any) -> Sql:
        """Return a value of a kind."""
        return Sql(f"CAST(? AS {self.types[kind]})", (value,))

    def finished(self, piece: Sql) -> str:
        """Return the text of a piece with the database's own marks."""
        return piece.text if self.mark == "?" else piece.text.replace("%", "%%").replace("?", self.mark)

    def given(self, piece: Sql) -> list[Any]:
        """Return the values of a piece as they are handed over."""
        return [list(value) if isinstance(value, tuple) else value for value in piece.values]
