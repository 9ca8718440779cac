"""How commands find the rules and playbooks they work on, and how they print mistakes in the files."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import typer

from sentinel import settings
from sentinel.cli.terminal import many, plain
from sentinel.engine.playbook import Playbook, Rule
from sentinel.loader.assembly import Content
from sentinel.loader.content import homes, load
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


def with_company(
    content: Content, paths: Collection[Path] | None, rules: Collection[Path] | None, more: Collection[str] | None
) -> Content:
    """Return a content with the playbooks that its tests run with, out of a folder `playbooks` above its files.

    As it is where none is lacking, or that folder has mistakes.
    """
    named = {id for one in content.playbooks.values() for test in one.tests for id in test.beside}
    above = {home for path in paths or () for home in homes(path)}
    if not above or named <= content.playbooks.keys():
        return content
    try:
        return load_content([*(paths or ()), *sorted(above)], rules, more)
    except PlaybookErrors:
        return content


def within(content: Content, paths: Collection[Path] | None) -> Content:
    """Return of a content what lies in the paths themselves, without the rules that were found for it elsewhere."""
    if not paths:
        return content
    named = [_whole(path) for path in paths]

    def there(one: Rule | Playbook) -> bool:
        return any(_whole(Path(one.place.file)).is_relative_to(path) for path in named)

    return replace(
        content, rules={id: one for id, one in content.rules.items() if there(one)},
        playbooks={id: one for id, one in content.playbooks.items() if there(one)},
    )  # fmt: skip


def _whole(path: Path) -> Path:
    """Return a path from the root, without `..`; a link is where it lies, not what it leads to."""
    return Path(os.path.normpath(path.absolute()))


def report(errors: PlaybookErrors) -> None:
    """Print all mistakes to standard error, each with its place at the start of a line, and then how many there are."""
    print(plain(str(errors)), file=sys.stderr)  # noqa: T201
    print(f"\n{many(len(errors.mistakes), 'mistake')}", file=sys.stderr)  # noqa: T201
