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
    """A piece of SQL, and the values that its `?` stand for, in their order."""

    text: str
    values: tuple[Any, ...] = ()


TRUE, FALSE = Sql("TRUE"), Sql("FALSE")


def sql(form: str, *parts: Sql) -> Sql:
    """Return a template filled with pieces: in order for `{}`, by number for `{0}`, `{1}` …, which may be repeated."""
    text = form.format(*(part.text for part in parts))
    return Sql(text, tuple(value for index in _order(form) for value in parts[index].values))


@lru_cache(maxsize=1 << 10)
def _order(form: str) -> tuple[int, ...]:
    """Return the numbers of the parts in the order in which a template names them."""
    return tuple(int(name) if name else place for place, name in enumerate(_FIELD.findall(form)))


def every(parts: Iterable[Sql]) -> Sql:
    """Return the conjunction of some conditions, TRUE for none."""
    found = [part for part in dict.fromkeys(parts) if part != TRUE]
    return FALSE if FALSE in found else _joined(found, " AND ", TRUE)


def some(parts: Iterable[Sql]) -> Sql:
    """Return the disjunction of some conditions, FALSE for none."""
    found = [part for part in dict.fromkeys(parts) if part != FALSE]
    return TRUE if TRUE in found else _joined(found, " OR ", FALSE)


def _joined(parts: Sequence[Sql], word: str, none: Sql) -> Sql:
    if len(parts) < 2:
        return parts[0] if parts else none
    return sql("(" + word.join("{}" for _ in parts) + ")", *parts)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL of one database for conditions; templates have `{}` in the place of other SQL.

    - `mark`: the placeholder of values
    - `types`: the name of the type of each kind
    - `place`: the SQL of a path in a JSON document
    - `parts`: the value at such a path where it is of a kind, else NULL
    - `words`: templates by name; one is left out where the database would not answer exactly as Python does, and then
      events are evaluated one by one
    - `hashed`: the column with a hash of a column's text, by column
    """

    mark: str
    types: Mapping[Kind, str]
    place: Callable[[Sql, Sequence[str]], Sql]
    parts: Mapping[Kind, str]
    words: Mapping[str, str]
    hashed: Mapping[str, str]

    def says(self, word: str, *parts: Sql) -> Sql | None:
        """Return the template of a name filled with pieces, None where this database has none."""
        form = self.words.get(word)
        return None if form is None else sql(form, *parts)

    def constant(self, kind: Kind, value: Any) -> Sql:
        """Return the SQL of a value of a kind."""
        return Sql(f"CAST(? AS {self.types[kind]})", (value,))

    def finished(self, piece: Sql) -> str:
        """Return the text of a piece with the database's own placeholders."""
        return piece.text if self.mark == "?" else piece.text.replace("%", "%%").replace("?", self.mark)

    def given(self, piece: Sql) -> list[Any]:
        """Return the values of a piece as the driver takes them."""
        return [list(value) if isinstance(value, tuple) else value for value in piece.values]
