"""`sentinel functions`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sentinel.cli.options import AsFormat, Format
from sentinel.cli.terminal import say, say_json
from sentinel.engine.functions import FUNCTIONS, signature


def functions(format: AsFormat = Format.text) -> None:
    """List the functions that conditions may call."""
    if format is Format.json:
        rows = [
            {"name": name, "signature": signature(name), "doc": function.doc, "example": function.example}
            for name, function in FUNCTIONS.items()
        ]
        say_json(rows, indent=2)
    elif sys.stdout.isatty():
        _draw()
    else:
        for name, function in FUNCTIONS.items():
            say(f"{signature(name)}\n    {function.doc}\n    {function.example}")


def _draw() -> None:
    table = Table(
        *(Column(head, overflow="fold") for head in ("function", "what it gives", "example")), show_lines=True
    )
    for name, function in FUNCTIONS.items():
        table.add_row(Text(signature(name)), Text(function.doc), Text(function.example))
    Console().print(table)
