"""CSV with a header as JSON of events: dotted columns are nested, cells are typed by the field they fill.

A cell of a known field has that field's type. A property is what JSON would read (`12`, `-0.5`, `true`, `null`) and
text otherwise, so `0123` and `+49` stay as they are. An empty cell is no value.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from math import isfinite
from typing import Any, NamedTuple

from sentinel.core.errors import InputError
from sentinel.service.eventfiles.streams import Chunk

ROWS = 500
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", re.ASCII)
_DIGITS = 18  # a longer integer is a name, not a quantity
_BOOLEANS = {
    "true": True, "t": True, "yes": True, "y": True, "1": True,
    "false": False, "f": False, "no": False, "n": False, "0": False,
}  # fmt: skip
_WORDS = {word: value for value in (True, False) for word in (str(value), str(value).lower(), str(value).upper())}


class Fault(NamedTuple):
    """Why a line is no event: a reason that is counted with others like it, and what is told of this one."""

    reason: str
    told: str = ""

    @property
    def text(self) -> str:
        """What is told."""
        return self.told or self.reason


SAVE = "save it as UTF-8"
NO_UTF_8 = Fault("not UTF-8", f"not UTF-8 ({SAVE})")
Rows = tuple[Sequence[int], list[Any]]  # lines' numbers, and what each holds: JSON values, or a Fault


def is_table(start: bytes, name: str) -> bool:
    """Say whether a file is CSV: by its name, or because its first line names fields and is no JSON."""
    stem = name.lower().removesuffix(".gz").removesuffix(".zst")
    if stem.endswith((".csv", ".tsv")):
        return True
    header = start.partition(b"\n")[0].decode("utf-8", "replace").strip()
    cells = {cell.strip().strip('"') for cell in re.split(r"[,;\t]", header)}
    return not header.startswith("{") and bool(cells & {"event", "timestamp"})


def text(cell: str) -> str:
    """Return a cell as it is."""
    return cell


def number(cell: str) -> Any:
    """Return a cell as a number if JSON would, else as it is."""
    digits = cell.strip()
    if not _NUMBER.fullmatch(digits):
        return cell
    if digits.lstrip("-").isdigit():
        return int(digits) if len(digits) <= _DIGITS else cell
    value = float(digits)
    return value if isfinite(value) else cell


def boolean(cell: str) -> Any:
    """Return a cell as true or false if it says so in any usual way, else as it is."""
    return _BOOLEANS.get(cell.strip().lower(), cell)


def scalar(cell: str) -> Any:
    """Return a cell as JSON would read it, None for null, else as it is."""
    if cell.strip() in ("null", "Null", "NULL", "~"):
        return None
    return _WORDS[cell] if cell in _WORDS else number(cell)


def whole(cell: str) -> Any:
    """Return a cell that holds JSON, as it is if it does not."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


Convert = Callable[[str], Any]
Column = tuple[tuple[str, ...], Convert] | None  # the keys of the field it fills and what types its cells
COLUMNS: Mapping[str, Convert] = {
    "event": text, "id": text, "timestamp": number, "success": boolean, "user": text, "ip": text, "device": text,
    "properties": whole, "historical": boolean, "trust": text,
    "received": text, "identifiers": whole, "user_labels": whole, "ip_labels": whole,  # as exports have them
    "request.method": text, "request.path": text, "request.route": text, "request.host": text,
    "request.status": number, "request.user_agent": text, "request.accept_language": text, "request.referer": text,
    "request.params": whole,
}  # fmt: skip
# Below these any name will do.
OPEN: Mapping[str, Convert] = {
    "user": text, "properties": scalar, "request.params": scalar, "geo": scalar, "network": scalar, "agent": scalar,
}  # fmt: skip


def convert_for(path: str) -> Convert | None:
    """Return what types the cells of a field, None for a path that is no field."""
    if path in COLUMNS:
        return COLUMNS[path]
    for namespace, convert in OPEN.items():
        if path.startswith(f"{namespace}.") and all(path.split(".")):
            return convert
    return None


class Table:
    """One CSV file. `columns` says which field a column fills."""

    def __init__(self, name: str, columns: Mapping[str, str]) -> None:
        self._name = name
        self._columns = columns
        self._number = 0
        self._faults: list[tuple[int, Fault]] = []

    def rows(self, chunks: Iterable[Chunk]) -> Iterator[Rows]:
        """Give rows as events' JSON, with the number of the line each ends in."""
        lines = self._lines(chunks)
        header = next(lines, "")
        if self._faults:
            raise InputError(f"the header of `{self._name}` is not UTF-8", SAVE)
        delimiter = max(",;\t", key=header.count)
        fields = self._fields(next(csv.reader([header], delimiter=delimiter)))
        found = self._events(csv.reader(lines, delimiter=delimiter), fields)
        while lot := list(islice(found, ROWS)):
            yield [number for number, _ in lot], [raw for _, raw in lot]

    def _events(self, reader: Iterator[list[str]], fields: Sequence[Column]) -> Iterator[tuple[int, Any]]:
        for cells in self._cells(reader):
            yield from self._faults
            self._faults.clear()
            if isinstance(cells, Fault):
                yield self._number, cells
            elif cells and len(cells) != len(fields):
                told = f"{len(cells)} cells, the header has {len(fields)}"
                yield self._number, Fault("not as many cells as the header", told)
            elif cells:
                yield self._number, _nested(zip(fields, cells, strict=True))
        yield from self._faults

    def _lines(self, chunks: Iterable[Chunk]) -> Iterator[str]:
        for chunk in chunks:
            for self._number, line in enumerate(io.BytesIO(chunk.text), chunk.first):
                try:
                    yield line.decode()
                except UnicodeDecodeError:
                    self._faults.append((self._number, NO_UTF_8))

    def _cells(self, reader: Iterator[list[str]]) -> Iterator[list[str] | Fault]:
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Fault("not CSV", f"not CSV: {error}")

    def _fields(self, header: list[str]) -> list[Column]:
        """Return what each column fills: the keys of its field and what types its cells, None for nothing."""
        names = [name.strip() for name in header]
        self._check_columns(names)
        paths = [self._columns.get(name, name) for name in names]
        strange = [name for name, path in zip(names, paths, strict=True) if path and convert_for(path) is None]
        if strange:
            raise self._strange(strange)
        filled = sorted(filter(None, paths))
        for path in filled:
            if filled.count(path) > 1 or any(other.startswith(f"{path}.") for other in filled):
                raise InputError(f"`{self._name}` fills `{path}` twice", "a field has one column")
        return [(tuple(path.split(".")), convert) if (convert := convert_for(path)) else None for path in paths]

    def _check_columns(self, names: list[str]) -> None:
        for name in self._columns:
            if name not in names:
                close = get_close_matches(name, names, n=1)
                hint = f"did you mean `{close[0]}`?" if close else "it has " + ", ".join(f"`{one}`" for one in names)
                raise InputError(f"`{self._name}` has no column `{name}`", hint)

    def _strange(self, names: list[str]) -> InputError:
        listed = ", ".join(f"`{name}`" for name in names[:10])
        hint = f"map them, `--map {names[0]}=properties.{names[0]}`, or leave them out, `--map {names[0]}=`"
        return InputError(f"`{self._name}` has columns that are no fields of an event: {listed}", hint)


def _nested(cells: Iterable[tuple[Column, str]]) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for field, cell in cells:
        if field is not None and cell:
            keys, convert = field
            inner = raw
            for key in keys[:-1]:
                inner = inner.setdefault(key, {})
            inner[keys[-1]] = convert(cell)
    return raw
