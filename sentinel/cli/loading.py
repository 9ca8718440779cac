"""How commands that work on rules and playbooks are told which, and what their user reads where files have mistakes."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import typer

from sentinel import settings
from sentinel.cli.terminal import plain
from sentinel.loader.assembly import Content
from sentinel.loader.content import load
from sentinel.loader.mistakes import PlaybookErrors

# Names that need no setting up: what the shipped playbooks tell, and the server's own log.
CHANNELS = frozenset({"security", "log"})


def load_content(
    paths: Collection[Path] | None, rules: Collection[Path] | None, more: Collection[str] | None
) -> Content:
    """Return what paths hold; raises PlaybookErrors with every mistake."""
    return load(paths or (), rules=rules or (), channels=CHANNELS | {*(settings.read().channels or ()), *(more or ())})


def loaded(paths: Collection[Path] | None, rules: Collection[Path] | None, more: Collection[str] | None) -> Content:
    """Return what paths hold; where there are mistakes, print them all to standard error and end with exit code 1."""
    try:
        return load_content(paths, rules, more)
    except PlaybookErrors as errors:
        report(errors)
        raise typer.Exit(errors.exit_code) from None


def report(errors: PlaybookErrors) -> None:
    """Print all mistakes to standard error, each with its place at the start of a line, and then how many there are."""
    number = len(errors.mistakes)
    print(plain(str(errors)), file=sys.stderr)  # noqa: T201
    print(f"\n{number} mistake{'s' if number != 1 else ''}", file=sys.stderr)  # noqa: T201
