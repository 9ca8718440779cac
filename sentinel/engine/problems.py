"""All that is wrong with one expression: every problem, with its place and a hint.

The loader adds the file and the line in which the expression stands.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentinel.core.errors import SentinelError
from sentinel.engine.nodes import Span

_SHOWN = 60


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in `source[offset : offset + length]`; `line` and `column` count from 0."""

    offset: int
    length: int
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"column {self.column + 1}" if self.line == 0 else f"line {self.line + 1}, column {self.column + 1}"
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ExpressionError(SentinelError):
    """A condition that cannot be compiled; `problems` holds every mistake, in the order of the text."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Problems:
    """Collects the problems of one source while it is read."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: set[Problem] = set()

    def add(self, start: int, end: int, message: str, hint: str | None = None) -> None:
        """Record one mistake in `source[start:end]`."""
        start = min(max(start, 0), len(self._source))
        before = self._source[:start]
        line = before.count("\n")
        column = start - (before.rfind("\n") + 1)
        self._found.add(Problem(start, max(end - start, 1), line, column, message, hint))

    def at(self, span: Span, message: str, hint: str | None = None) -> None:
        """Record one mistake in the text of a node."""
        self.add(span.start, span.end, message, hint)

    def quoted(self, span: Span) -> str:
        """Return the text of a node in backticks."""
        return quote(self._source[span.start : span.end])

    def __bool__(self) -> bool:
        return bool(self._found)

    def sorted(self) -> tuple[Problem, ...]:
        """Return what was found in the order of the text."""
        return tuple(sorted(self._found, key=lambda problem: (problem.offset, problem.length, problem.message)))


def quote(text: str) -> str:
    """Return a user's text in backticks, shortened and without what a terminal would obey."""
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "`" + "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown) + "`"


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean …?` for the known word nearest to `word`, or None if none is near."""
    close = difflib.get_close_matches(word[:_SHOWN], list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None
