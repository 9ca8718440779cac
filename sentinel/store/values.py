"""The values of an expression in SQL: for each kind a value may be of, a piece that is NULL if it is not of that kind.

Which column a field is in is known here; operators and functions are in `condition` and `calls`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sentinel.engine.fields import FieldSpec, find_field
from sentinel.engine.kinds import Kind
from sentinel.store.rows import COLUMN_OF
from sentinel.store.sql import FALSE, TRUE, Dialect, Sql, every, some, sql

EXACT = float(1 << 53)  # below, a double tells every whole number from its neighbours
SCALARS = (Kind.TEXT, Kind.NUMBER, Kind.BOOL)
KINDS = (*SCALARS, Kind.LIST, Kind.OBJECT)
_ATTRIBUTES = {"name": "name", "id": "id", "trust": "trust", "user": "user_key", "ip": "ip", "device": "device"}
_LABELS = {"user_labels": "user_key", "ip_labels": "ip"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value as SQL: `parts` has for each kind a piece that is not NULL exactly where the value is of that kind.

    For an event that meets one of `doubts`, none of this may be relied on. A number is a double; `exact` says that it
    is the very number for every event. `literal` is what the author of a condition wrote. `document` is the JSON
    document the value is read from, with the last name of its path. `there` is SQL that holds where there is a value,
    if that is quicker than to ask for each kind.
    """

    parts: Mapping[Kind, Sql] = field(default_factory=dict)
    doubts: tuple[Sql, ...] = ()
    exact: bool = False
    literal: Any = None
    path: str | None = None
    document: tuple[Sql, str] | None = None
    there: Sql | None = None

    def part(self, kind: Kind) -> Sql:
        """Return the piece of one kind, NULL where the value is never of that kind."""
        return self.parts.get(kind, Sql("NULL"))

    def known(self) -> Sql:
        """Return the condition that there is a value."""
        if self.literal is not None:
            return TRUE
        if self.there is not None:
            return self.there
        return some(sql("{} IS NOT NULL", part) for part in self.parts.values())

    def of(self, kind: Kind) -> Sql:
        """Return the condition that the value is of a kind."""
        return sql("{} IS NOT NULL", self.parts[kind]) if kind in self.parts else FALSE

    def inexact(self) -> tuple[Sql, ...]:
        """Return the doubts for a use that needs the very number, not the nearest double."""
        number = self.parts.get(Kind.NUMBER)
        if self.exact or number is None:
            return self.doubts
        return (*self.doubts, sql(f"NOT (abs({{}}) < {EXACT:.0f})", number))


UNKNOWABLE = Value({}, (TRUE,))


class Slot(NamedTuple):
    """The column of a property: it holds the values of one type, of events from the journal position `since` on."""

    column: str
    type: str
    since: int


def literal(dialect: Dialect, value: str | int | float | bool) -> Value:
    """Return the SQL of a literal."""
    if isinstance(value, bool):
        return Value({Kind.BOOL: Sql(str(value).upper())}, literal=value)
    if isinstance(value, str):
        return Value({Kind.TEXT: dialect.constant(Kind.TEXT, value)}, literal=value)
    small = abs(value) < EXACT
    number = dialect.constant(Kind.NUMBER, float(value))
    return Value({Kind.NUMBER: number}, exact=small, literal=value)


def of_field(path: str, dialect: Dialect, slots: Mapping[str, Slot]) -> Value:
    """Return the SQL of a field's value."""
    spec = find_field(tuple(path.split(".")))
    assert isinstance(spec, FieldSpec)
    return _of(spec, dialect, slots, path)


def _of(spec: FieldSpec, dialect: Dialect, slots: Mapping[str, Slot], path: str) -> Value:
    if spec.attribute == "at":
        late = Sql(f"NOT (abs(ts) < {EXACT:.0f})")
        return Value({Kind.NUMBER: Sql("CAST(ts AS DOUBLE PRECISION) / 1000000")}, (late,), exact=True, path=path)
    if spec.attribute == "success":
        return Value({Kind.BOOL: Sql("success")}, path=path)
    if spec.attribute in _ATTRIBUTES:
        return Value({Kind.TEXT: Sql(_ATTRIBUTES[spec.attribute])}, path=path)
    if spec.attribute == "ip_site":
        return Value({Kind.TEXT: Sql(dialect.words["site"])}, path=path, there=Sql("ip IS NOT NULL"))
    if spec.attribute in _LABELS:
        column, owner = spec.attribute, _LABELS[spec.attribute]
        return Value({Kind.LIST: Sql(f"coalesce({column}, CASE WHEN {owner} IS NOT NULL THEN '[]' END)")}, path=path)
    if spec.attribute == "identifiers":
        document = Sql("identifiers")
        text = _json(dialect, document, spec.keys)[Kind.TEXT]
        return Value({Kind.TEXT: text}, path=path, document=(document, spec.keys[-1]))
    if spec.attribute == "properties":
        return _property(spec.keys, dialect, slots.get(".".join(spec.keys)), path)
    return _of_part(spec, dialect, path)


def written(dialect: Dialect, document: Sql, text: str) -> Sql | None:
    """Return the condition that a document's JSON contains a text, None where a database does not keep it as written.

    Give a text that begins with a letter: searching for one that begins with a quotation mark is slow.
    """
    return dialect.says("written", document, Sql("?", (text,)))


def _json(dialect: Dialect, document: Sql, keys: Sequence[str]) -> dict[Kind, Sql]:
    """Return the value at a path of a document, by kind; documents that do not contain its last name are not parsed."""
    place = dialect.place(document, keys)
    parts = {kind: sql(dialect.parts[kind], place) for kind in KINDS}
    named = written(dialect, document, f'{keys[-1]}":') if keys else None
    return parts if named is None else {kind: sql("CASE WHEN {} THEN {} END", named, parts[kind]) for kind in parts}


def _of_document(dialect: Dialect, document: Sql, keys: Sequence[str], path: str) -> Value:
    parts = _json(dialect, document, keys)
    there = dialect.says("there", dialect.place(document, keys))
    named = written(dialect, document, f'{keys[-1]}":') if keys else None
    there = there if there is None or named is None else every((named, there))
    return Value(parts, path=path, document=(document, keys[-1]) if keys else None, there=there)


def _property(keys: Sequence[str], dialect: Dialect, slot: Slot | None, path: str) -> Value:
    if slot is None:
        return _of_document(dialect, Sql("props"), keys, path)
    found = _json(dialect, Sql("props"), keys)
    own = Kind.TEXT if slot.type == "string" else Kind.NUMBER
    parts = {kind: sql("CASE WHEN conflicts IS NOT NULL THEN {} END", part) for kind, part in found.items()}
    parts[own] = Sql(slot.column)
    if slot.since:
        test = f"CASE WHEN seq >= {slot.since:d} THEN {{}} ELSE {{}} END"
        parts = {kind: sql(test, part, found[kind]) for kind, part in parts.items()}
    return Value(parts, path=path)


def _of_part(spec: FieldSpec, dialect: Dialect, path: str) -> Value:
    """Return the value of a field of `request`, `geo`, `network` or `agent`; what has no column is in `more`."""
    key, *deeper = spec.keys
    column = COLUMN_OF.get((spec.attribute, key))
    rest = _json(dialect, Sql("more"), (spec.attribute, *spec.keys))
    if column is None:
        return Value(rest, path=path)
    name, kind = column
    if kind is dict:
        return _of_document(dialect, Sql(name), deeper, path)
    own = {str: Kind.TEXT, bool: Kind.BOOL}.get(kind, Kind.NUMBER)
    held = (
        Sql(name) if own is not Kind.NUMBER else sql("coalesce(CAST({} AS DOUBLE PRECISION), {})", Sql(name), rest[own])
    )
    return Value(rest | {own: held}, path=path)
