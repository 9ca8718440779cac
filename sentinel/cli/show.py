"""How commands print what a server answered: a line an item for people, a JSON object a line for programs.

Columns have headings on a terminal only, so that files and pipes hold nothing but items.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from sentinel.cli.options import Format
from sentinel.cli.terminal import say, say_json


def items(found: Iterable[Any], format: Format, columns: Sequence[str], *, heads: bool = True) -> None:
    """Write items, their columns aligned."""
    rows = list(found)
    if format is Format.json:
        for row in rows:
            say_json(row)
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if rows and heads and sys.stdout.isatty():
        cells.insert(0, [column.replace("_", " ").upper() for column in columns])
    widths = [max((len(line[index]) for line in cells), default=0) for index in range(len(columns))]
    for line in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def one(found: Any, format: Format, text: str) -> None:
    """Write one answer."""
    if format is Format.json:
        say_json(found)
    else:
        say(text)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(str(part) for part in value) or "-"
    return str(value).replace("\n", " ").replace("\t", " ")
