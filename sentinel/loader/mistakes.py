"""Mistakes in files: where, what is wrong, what to write instead. What belongs in a file is not known here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sentinel.core.errors import SentinelError
from sentinel.engine.playbook import Place

MOST_PER_FILE = 1000
MOST_WITH_HINTS = 100
_SHOWN = 110
_BEFORE = 60


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake; `source` is the line it stands in, `width` how many of its characters are meant."""

    place: Place
    message: str
    hint: str | None
    source: str
    width: int = 1

    def __str__(self) -> str:
        shown, before, width = self._excerpt()
        gap = "".join("\t" if char == "\t" else " " * _cells(char) for char in before)
        carets = "^" * max(sum(map(_cells, width)), 1)
        lines = [f"{self.place}: {self.message}"]
        lines += [f"    {shown}", f"    {gap}{carets}"] if shown.strip() else []
        lines += [f"    hint: {self.hint}"] if self.hint else []
        return "\n".join(lines)

    def _excerpt(self) -> tuple[str, str, str]:
        """Return the part of the line that is shown, of it what stands before the mistake, and the mistake itself."""
        start = self.place.column - 1
        line = "".join(map(_shown, self.source))
        first = 0 if len(line) <= _SHOWN else max(0, min(start - _BEFORE, len(line) - _SHOWN))
        last = first + _SHOWN
        lead, tail = "…" if first else "", "…" if last < len(line) else ""
        return lead + line[first:last] + tail, lead + line[first:start], line[start : min(start + self.width, last)]


class PlaybookErrors(SentinelError):
    """Every mistake of every file, in the order of the files and of their lines."""

    exit_code = 1

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=_order))
        super().__init__("\n\n".join(map(str, self.mistakes)))


class Page:
    """One file's lines and the mistakes found in it so far; not `legible` where a part of it is no YAML."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.legible = True
        self._mistakes: dict[Mistake, None] = {}
        self._more = 0

    def report(self, line: int, column: int, width: int, message: str, hint: str | None = None) -> None:
        """Record a mistake at a line and column counted from 1; places past the file's end move to its end."""
        line = min(max(line, 1), len(self.lines))
        source = self.lines[line - 1]
        column = min(max(column, 1), len(source) + 1)
        mistake = Mistake(Place(self.name, line, column), message, hint, source, width)
        if len(self._mistakes) < MOST_PER_FILE:
            self._mistakes[mistake] = None
        else:
            self._more += 1

    @property
    def crowded(self) -> bool:
        """Whether so much is wrong that suggestions, which cost time to find, are better left out."""
        return len(self._mistakes) >= MOST_WITH_HINTS

    @property
    def count(self) -> int:
        """How many mistakes were found so far."""
        return len(self._mistakes) + self._more

    def mistakes(self) -> Iterator[Mistake]:
        """Yield what was found, and one last line where there was more than anybody reads."""
        yield from self._mistakes
        if self._more:
            end = Place(self.name, len(self.lines), 1)
            yield Mistake(end, f"{self._more} more mistakes in this file are not shown", None, self.lines[-1])


def _order(mistake: Mistake) -> tuple[str, int, int, str]:
    return mistake.place.file, mistake.place.line, mistake.place.column, mistake.message


def _shown(char: str) -> str:
    return char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}"


def _cells(char: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
