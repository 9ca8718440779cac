"""Which files are read for a path: playbooks, the rules they use, the lists those ask.

- A folder is read with everything below it (`*.yaml`, `*.yml`); names that start with a dot are passed over.
- Rules that the paths do not hold themselves come from `rules=`; else from a folder `rules` inside or beside the path,
  or beside the folder `playbooks` it lies in; where there is none, from those the product ships.
- Lists are the `*.txt` of the folders `lists` inside or beside each of these folders; the shipped ones are there too
  wherever the shipped rules are.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sentinel.content import folder
from sentinel.core.errors import InputError
from sentinel.engine.expression import ListValues, parse_list
from sentinel.engine.playbook import Place
from sentinel.loader.assembly import EMPTY, Content, assemble
from sentinel.loader.mistakes import Mistake, PlaybookErrors
from sentinel.loader.source import LARGEST

SUFFIXES = (".yaml", ".yml")
LARGEST_LIST = 16 << 20
PLAYBOOKS, RULES, LISTS = "playbooks", "rules", "lists"


def load(
    paths: Collection[str | Path] = (),
    *,
    rules: Collection[str | Path] = (),
    channels: Iterable[str] | None = None,
) -> Content:
    """Return the content of files and folders, the shipped ones if none are given.

    `rules` are files or folders of rules and stand in for those found beside the paths. `channels` are the names
    actions may tell; None takes any name, for where nobody has set channels up. Raises PlaybookErrors with every
    mistake of every file, InputError where a path does not exist.
    """
    given = [_existing(Path(path)) for path in paths] or [_plain(folder(PLAYBOOKS)), _plain(folder(RULES))]
    ruled = [_existing(Path(path)) for path in rules] or list(_beside(given))
    base = EMPTY if ruled or not paths else shipped_rules()
    taken = Taken()
    files = taken.files([*given, *ruled])
    lists = taken.lists([*given, *ruled])
    if taken.mistakes:
        raise PlaybookErrors([*taken.mistakes, *_mistakes(files, lists, base, channels)])
    return assemble(files, lists, base=base, channels=_names(channels))


def shipped_rules() -> Content:
    """Return the rules and lists that the product ships."""
    taken = Taken()
    place = [_plain(folder(RULES))]
    return assemble(taken.files(place), taken.lists(place))


def _names(channels: Iterable[str] | None) -> frozenset[str] | None:
    return None if channels is None else frozenset(channels)


def _mistakes(
    files: dict[str, bytes], lists: dict[str, ListValues], base: Content, channels: Iterable[str] | None
) -> Iterator[Mistake]:
    try:
        assemble(files, lists, base=base, channels=_names(channels))
    except PlaybookErrors as errors:
        yield from errors.mistakes


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"there is no file or folder `{path}`")
    return path


def _beside(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders of rules that belong to paths."""
    for path in paths:
        home = path if path.is_dir() else path.parent
        above = [home, *(one for one in home.absolute().parents if one.name == PLAYBOOKS)]
        candidates = [home / RULES, *(one / ".." / RULES for one in above)]
        yield from (place for place in map(_plain, candidates) if place.is_dir())


def _plain(path: Path) -> Path:
    """Return a path without `..`, relative where it lies below the current folder."""
    plain = Path(os.path.normpath(path))
    here = Path.cwd()
    return plain.relative_to(here) if plain.is_absolute() and plain.is_relative_to(here) else plain


class Taken:
    """Files taken so far, each once however it is reached, and what could not be read."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._seen: set[Path] = set()

    def files(self, paths: Iterable[Path]) -> dict[str, bytes]:
        """Return the rules' and playbooks' files of paths, by name."""
        found = (file for path in paths for file in _below(path))
        return {str(file): data for file in found if (data := self._take(file, LARGEST)) is not None}

    def lists(self, paths: Iterable[Path]) -> dict[str, ListValues]:
        """Return the lists of the folders that belong to paths, by name."""
        homes = (path if path.is_dir() else path.parent for path in paths)
        folders = (_plain(place) for home in homes for place in (home / LISTS, home / ".." / LISTS))
        found: dict[str, ListValues] = {}
        for file in (file for place in folders for file in sorted(place.glob("*.txt"))):
            data = self._take(file, LARGEST_LIST)
            if data is not None:
                self._list(file, data, found)
        return found

    def _list(self, file: Path, data: bytes, found: dict[str, ListValues]) -> None:
        if file.stem in found:
            self._refuse(file, f"there is a list `{file.stem}` already")
            return
        try:
            found[file.stem] = parse_list(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            self._refuse(file, "the file is not UTF-8", "save the file as UTF-8", data.count(b"\n", 0, error.start) + 1)

    def _take(self, file: Path, largest: int) -> bytes | None:
        """Return a file's bytes, at most one more than the largest; None if it was taken before or cannot be read."""
        try:
            real = file.resolve()
            if real in self._seen:
                return None
            self._seen.add(real)
            with file.open("rb") as stream:
                data = stream.read(largest + 1)
        except OSError as error:
            self._refuse(file, f"the file cannot be read: {error.strerror or error}")
            return None
        if len(data) > largest == LARGEST_LIST:
            self._refuse(file, f"the list has more than {largest:,} bytes")
            return None
        return data

    def _refuse(self, file: Path, message: str, hint: str | None = None, line: int = 1) -> None:
        self.mistakes.append(Mistake(Place(str(file), line, 1), message, hint, ""))


def _below(path: Path) -> list[Path]:
    """Return a file itself, or the rules' and playbooks' files of a folder, sorted."""
    if not path.is_dir():
        return [path]
    found = (one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
    return sorted(one for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts))
