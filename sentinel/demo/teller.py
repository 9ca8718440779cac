"""The output of the demo: headings, facts and lines, on a terminal or in a file. What they say is in `story`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH = 100
_LABEL = 12
_INDENT = (0, 0, 0, 3)
STYLES = {"good": "green", "bad": "bold red", "soft": "dim", "plain": "", "strong": "bold"}


class Teller:
    """Writes to the standard output, at most 100 columns wide, and moves nothing that is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(highlight=False, markup=False, emoji=False)
        console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
        self._console = console
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begin a numbered part."""
        self._chapter += 1
        self._console.print()
        self._console.print(Text(f"{self._chapter}  {title}", style="bold"))

    def say(self, text: str, kind: str = "plain") -> None:
        """Write a paragraph."""
        self._console.print(Padding(Text(text, style=STYLES[kind]), _INDENT, expand=False))

    def fact(self, label: str, text: str, kind: str = "plain") -> None:
        """Write a labelled line."""
        line = Table.grid(padding=(0, 1))
        line.add_column(width=_LABEL)
        line.add_column()
        line.add_row(Text(label, style=STYLES["soft"]), Text(text, style=STYLES[kind]))
        self._console.print(Padding(line, _INDENT, expand=False))

    def command(self, text: str) -> None:
        """Write something to copy, on one line however long."""
        self._console.print(Text(f"   {text}"), soft_wrap=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for head in heads:
            table.add_column(head, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(Padding(table, _INDENT, expand=False))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is under way: a spinner on a terminal, nothing elsewhere."""
        if self._console.is_terminal:
            with self._console.status(Text(text)):
                yield
        else:
            yield
