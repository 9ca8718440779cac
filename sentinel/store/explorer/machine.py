"""What every question needs: a database, its dialect, and the SQL of fields and metrics in it.

Every question reads `events` through `Machine.made`: the rows of a condition, with the key to group by as `k` and the
number to measure as `x`.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.explore import NUMERIC, Metric, Scalar
from sentinel.core.number import whole
from sentinel.core.record import Filter
from sentinel.engine.fields import FieldSpec, find_field
from sentinel.engine.kinds import Kind
from sentinel.store.explorer.words import Words
from sentinel.store.sql import Sql, sql
from sentinel.store.values import Slot, of_field, written

AT_ONCE = 4
PATIENCE = 10.0  # seconds to wait for a place
SHORTER = "ask for a shorter time, or for fewer values"  # the hint to whoever asks too much
_MARK = "\x01"  # stands before what is no text, among values of any kind
_SOME = 2048  # events
_PLAIN = "ts, seq, name, user_h, ip_h"
_DIGITS = ", ".join(f"'{digit}'" for digit in "-0123456789")


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """SQL for a field to group by. `raw` selects columns of the events, `form` makes the key of those columns.

    `read` makes the field's value of a key. Where `shown` is set, the key is a hash, and `shown` selects the text it is
    the hash of. Making a `costly` key takes so long that it is made once for each distinct `j`, the column in `raw`.
    Of equal ranks those are first whose `order` is least, which is the same in every database.
    """

    raw: Sql
    form: str = "own"
    read: Callable[[Any], Scalar] = _itself
    shown: Sql | None = None
    costly: bool = False
    order: str = "k"


NOTHING = Sql("NULL AS figure")


@dataclass(frozen=True, slots=True)
class Measure:
    """SQL for a metric. `raw` selects columns of the events, `form` makes a number `x` of them, `sum` aggregates it."""

    raw: Sql = NOTHING
    form: str = "figure"
    sum: str = "count(*)"


NO_KEY = Key(Sql("NULL AS own"))
COUNT = Measure()


@dataclass(frozen=True, slots=True)
class Machine:
    """A database of events. `ask` runs a query with its values and returns the rows.

    `where` makes what came in searchable, and returns the condition that an event is of an app and found by a filter.
    `behind` counts the events not searchable yet, `slots` maps an app's promoted properties to their columns. Only so
    many queries run at a time as there are `places`, so that ingest is not held up; one waits `patience` seconds.
    """

    ask: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
    where: Callable[[str, Filter], Sql]
    behind: Callable[[], int]
    slots: Callable[[str], Mapping[str, Slot]]
    words: Words
    places: threading.Semaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    patience: float = PATIENCE

    def rows(self, piece: Sql) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raises StoreBusy where too many others run, and SentinelError as `ask` does."""
        if not self.places.acquire(timeout=self.patience):
            raise StoreBusy("too many questions at once", "try again in a moment", retry_after=5)
        try:
            return self.ask(self.words.dialect.finished(piece), self.words.dialect.given(piece))
        finally:
            self.places.release()

    def made(self, where: Sql, key: Key = NO_KEY, measure: Measure = COUNT) -> Sql:
        """Return a subquery of the events of a condition; its `k` is the key to group by, `x` the number to measure."""
        held = sql(f"SELECT {_PLAIN}, {{}}, {{}} FROM events WHERE {{}}", key.raw, measure.raw, where)
        query = f"(SELECT {_PLAIN}, {braced(key.form)} AS k, {measure.form} AS x FROM ({{}}) AS held) AS made"
        return sql(query, held)

    def texts(self, app: str, hashed: Sql, text: Sql, places: Sequence[int]) -> dict[Any, str]:
        """Return texts by their hashes, read from the events at some positions in the journal."""
        if not places:
            return {}
        listed = ", ".join(f"{place:d}" for place in sorted(set(places)))
        there = sql(self.words.few, Sql(f"app = ? AND seq IN ({listed})", (app,)))
        return dict(self.rows(sql("SELECT {}, {} FROM events WHERE {}", hashed, text, there)))

    def divided(self, what: str, by: int) -> str:
        """Return SQL for a whole number divided by another, without the rest."""
        return self.words.divided.format(what, by)

    def distinct(self, column: str, roughly: bool) -> str:
        """Return SQL that counts a column's distinct values, or with `roughly` estimates them, if the database can."""
        if roughly and self.words.roughly is not None:
            return self.words.roughly.format(column)
        return f"count(DISTINCT {column})"

    def key(self, app: str, path: str, where: Sql, name: str = "group_by") -> Key:
        """Return the key by which a field groups the events of a condition.

        Raises SentinelError for what is no field, and for lists; `name` is the parameter that the error names.
        """
        spec = _spec(name, path)
        if spec.kind is Kind.LIST or spec.attribute == "at":
            raise SentinelError(f"`{name}`: `{path}` cannot be grouped by", "name a field that has one value an event")
        if spec.kind is Kind.ANY:
            return self._any(app, spec, where)
        held = of_field(path, self.words.dialect, {}).part(spec.kind)
        hashed = self.words.dialect.hashed.get(held.text)
        if hashed is not None:
            return Key(Sql(f"{hashed} AS own"), shown=sql("{} AS shown", held), order=self.words.unsigned.format("k"))
        return Key(sql("{} AS own", held), read=_number if spec.kind is Kind.NUMBER else _itself)

    def measure(self, app: str, metric: Metric, roughly: bool) -> Measure:
        """Return the SQL of a metric; raises SentinelError where it lacks its field, or has one it cannot use."""
        if metric.kind in NUMERIC:
            if metric.field is None:
                raise SentinelError(f"`of`: missing: of what is it the {metric.kind}?", "such as `properties.amount`")
            ranked = "percentile_disc(0.95) WITHIN GROUP (ORDER BY x)"
            raw, form = self._figure(app, metric.field)
            return Measure(raw, form, ranked if metric.kind == "p95" else f"{metric.kind}(x)")
        if metric.field is not None:
            raise SentinelError(f"`of`: `{metric.kind}` is of no field", "leave it out, or ask for `sum` or `avg`")
        columns = {"users": "user_h", "ips": "ip_h"}
        return Measure(sum=self.distinct(columns[metric.kind], roughly)) if metric.kind in columns else COUNT

    def _figure(self, app: str, path: str) -> tuple[Sql, str]:
        """Return a numeric field as `Measure.raw` and `Measure.form`."""
        spec = _spec("of", path)
        if spec.kind not in (Kind.NUMBER, Kind.ANY):
            raise SentinelError(f"`of`: `{path}` is not a number")
        slots = self.slots(app)
        if spec.kind is Kind.NUMBER or _promoted(spec, slots) is not None:
            return sql("{} AS figure", of_field(path, self.words.dialect, slots).part(Kind.NUMBER)), "figure"
        raw = sql("{} AS figure", self._read(app, spec))
        return raw, f"CASE WHEN left(figure, 1) IN ({_DIGITS}) THEN {self.words.double.format('figure')} END"

    def _read(self, app: str, spec: FieldSpec) -> Sql:
        """Return SQL for the JSON text of a value; where few documents have its name, it is searched for as text first.

        Parsing a document takes five times as long as that. Whether few have the name is judged by the first events.
        """
        document, keys = _document(spec)
        found = self.words.extract(document, keys)
        named = written(self.words.dialect, Sql(document), f'{keys[-1]}":') if keys else None
        if named is None:
            return found
        first = Sql(f"(SELECT {document} FROM events WHERE app = ? LIMIT {_SOME}) AS first", (app,))
        ((many,),) = self.rows(sql("SELECT count(*) FILTER (WHERE {}) > count(*) * 0.8 FROM {}", named, first))
        return found if many else sql("CASE WHEN {} THEN {} END", named, found)

    def _any(self, app: str, spec: FieldSpec, where: Sql) -> Key:
        """Return the key of a property, whose values may be of any kind, each of which has one text of its own.

        Without a column the key is the JSON text, numbers in one spelling. With a column whose values are all of its
        type, it is the column. Else texts are as they are and all other values have `_MARK` before them.
        """
        odd = (
            f"CASE left(j, 1) WHEN '\"' THEN {_unmarked(self.words.unquoted.format('j'))}"
            f" WHEN 't' THEN '{_MARK}true' WHEN 'f' THEN '{_MARK}false' WHEN '{{' THEN NULL WHEN '[' THEN NULL"
            f" WHEN 'n' THEN NULL ELSE {_spelt(self.words.double.format('j'))} END"
        )
        slot = _promoted(spec, self.slots(app))
        if slot is None:
            number = f"CAST({self.words.double.format('j')} + 0 AS VARCHAR)"
            text = "starts_with(j, '\"') OR j IN ('true', 'false')"
            form = f"CASE WHEN {text} THEN j WHEN left(j, 1) IN ({_DIGITS}) THEN {number} END"
            return Key(sql("{} AS j", self._read(app, spec)), form, _read_json, costly=True)
        if not slot.since and not self.rows(
            sql("SELECT 1 FROM events WHERE {} AND conflicts IS NOT NULL LIMIT 1", where)
        ):
            return Key(Sql(f"{slot.column} AS own"), read=_itself if slot.type == "string" else _number)
        after = f"seq >= {slot.since:d}" if slot.since else "TRUE"
        raw = sql(
            f"CASE WHEN {after} THEN {slot.column} END AS own, "
            f"CASE WHEN conflicts IS NOT NULL OR NOT {after} THEN {{}} END AS j",
            self.words.extract(*_document(spec)),
        )
        own = _unmarked("own") if slot.type == "string" else _spelt("own")
        return Key(raw, f"CASE WHEN own IS NOT NULL THEN {own} WHEN j IS NOT NULL THEN {odd} END", _read_any)


def _spec(name: str, path: str) -> FieldSpec:
    spec = find_field(tuple(path.split(".")))
    if not isinstance(spec, FieldSpec):
        raise SentinelError(f"`{name}`: {spec.message}", spec.hint)
    return spec


def _promoted(spec: FieldSpec, slots: Mapping[str, Slot]) -> Slot | None:
    return slots.get(".".join(spec.keys)) if spec.attribute == "properties" else None


def _document(spec: FieldSpec) -> tuple[str, tuple[str, ...]]:
    return ("props", spec.keys) if spec.attribute == "properties" else ("params", spec.keys[1:])


def _unmarked(text: str) -> str:
    """Return SQL for a text that no reader of marks mistakes: one that begins with `_MARK` is marked as a text."""
    return f"CASE WHEN left({text}, 1) = '{_MARK}' THEN '{_MARK}\"' || {text} ELSE {text} END"


def _spelt(figure: str) -> str:
    return f"'{_MARK}' || CAST({figure} + 0 AS VARCHAR)"  # a zero has no sign


def braced(text: str) -> str:
    """Return a text with its braces doubled, so that `str.format` leaves it as it was."""
    return text.replace("{", "{{").replace("}", "}}")


def _number(value: float | None) -> Scalar:
    return None if value is None else whole(value)


def _read_json(value: str | None) -> Scalar:
    if value is None:
        return None
    if value[:1] in ('"', "t", "f"):
        return cast(Scalar, json.loads(value))
    found = float(value)
    return whole(found) if math.isfinite(found) else value


def _read_any(value: str | None) -> Scalar:
    if value is None or not value.startswith(_MARK):
        return value
    text = value[1:]
    if text.startswith('"'):
        return text[1:]
    if text in ("true", "false"):
        return text == "true"
    found = float(text)
    return whole(found) if math.isfinite(found) else text
