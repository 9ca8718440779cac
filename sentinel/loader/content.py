"""Which files are read for a path: playbooks, the rules they use, and the lists those use.

- A folder is read with everything below it (`*.yaml`, `*.yml`); names that start with a dot are skipped.
- Rules that the paths do not contain come from `rules=`; else from a folder `rules` inside or beside the path, or
  beside the folder `playbooks` it lies in; where there is none, from those the product ships.
- Lists are the `*.txt` of the folders `lists` inside or beside each of these folders, and of those beside any file that
  is read; the shipped ones are there too wherever the shipped rules are.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from hashlib import sha256
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
Stamps = Mapping[str, tuple[int, ...]]
PLAYBOOKS, RULES, LISTS = "playbooks", "rules", "lists"


def load(
    paths: Collection[str | Path] = (),
    *,
    rules: Collection[str | Path] = (),
    channels: Iterable[str] | None = None,
) -> Content:
    """Return the content of files and folders, the shipped ones if none are given.

    `rules` are files or folders of rules and stand in for those found beside the paths. `channels` are the names
    actions may tell; None takes any name, for where nobody has set channels up. Where a path is a file, or lies in a
    folder `playbooks`, the playbooks that its tests run with may lie elsewhere. Raises PlaybookErrors with every
    mistake of every file, InputError where a path does not exist.
    """
    partly = any(not Path(path).is_dir() or next(homes(Path(path)), None) for path in paths)
    return gather(paths, rules=rules).assembled(channels, frozenset() if partly else None)


def homes(path: Path) -> Iterator[Path]:
    """Give the folders named `playbooks` that a file or folder lies in, the innermost first."""
    return (one for one in path.absolute().parents if one.name == PLAYBOOKS)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was read for paths, not yet looked into: files and lists by name, and what stands behind them.

    `mistakes` are files that cannot be read; `digest` is a hash of the names and bytes of all that was read.
    """

    files: Mapping[str, bytes]
    lists: Mapping[str, ListValues]
    base: Content
    mistakes: tuple[Mistake, ...]
    digest: bytes

    def assembled(self, channels: Iterable[str] | None = None, tested: Container[str] | None = None) -> Content:
        """Return the content, or raise PlaybookErrors with every mistake; `tested` is as in `assemble`."""
        names = None if channels is None else frozenset(channels)
        tested = frozenset() if self.mistakes else tested
        try:
            found = assemble(dict(self.files), dict(self.lists), base=self.base, channels=names, tested=tested)
        except PlaybookErrors as errors:
            raise PlaybookErrors([*self.mistakes, *errors.mistakes]) from None
        if self.mistakes:
            raise PlaybookErrors(self.mistakes)
        return found

    def mended(self, other: Gathered, bad: Set[str]) -> Gathered:
        """Return this reading with the files `bad` as they were in `other`, or left out where they were not in it."""
        before = {name: other.files[name] for name in bad if name in other.files}
        files = {name: data for name, data in self.files.items() if name not in bad} | before
        lists = self.lists if bad <= self.files.keys() else other.lists
        return replace(self, files=files, lists=lists, mistakes=())


def gather(paths: Collection[str | Path] = (), *, rules: Collection[str | Path] = ()) -> Gathered:
    """Return what the files of paths hold, as `load` takes them."""
    given, ruled = _places(paths, rules)
    taken = Taken()
    files, lists = taken.files([*given, *ruled]), taken.lists([*given, *ruled])
    base = EMPTY if ruled or not paths else shipped_rules()
    return Gathered(files, lists, base, tuple(taken.mistakes), taken.digest.digest())


def stamps(paths: Collection[str | Path] = (), *, rules: Collection[str | Path] = ()) -> Stamps:
    """Return what tells cheaply that a file of paths has changed: times and sizes, by name."""
    given, ruled = _places(paths, rules)
    places = [*given, *ruled]
    files = [*(file for path in places for file in below(path)), *_list_files(places)]
    return {str(file): _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _places(paths: Collection[str | Path], rules: Collection[str | Path]) -> tuple[list[Path], list[Path]]:
    given = [_existing(Path(path)) for path in paths] or [_plain(folder(PLAYBOOKS)), _plain(folder(RULES))]
    return given, [_existing(Path(path)) for path in rules] or list(_beside(given))


def shipped_rules() -> Content:
    """Return the rules and lists that the product ships."""
    taken = Taken()
    place = [_plain(folder(RULES))]
    return assemble(taken.files(place), taken.lists(place))


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"there is no file or folder `{path}`")
    return path


def _beside(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders of rules that belong to paths."""
    for path in paths:
        home = path if path.is_dir() else path.parent
        above = [home, *homes(home)]
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
        self.digest = sha256()
        self._seen: set[Path] = set()

    def files(self, paths: Iterable[Path]) -> dict[str, bytes]:
        """Return the rules' and playbooks' files of paths, by name."""
        found = (file for path in paths for file in below(path))
        return {str(file): data for file in found if (data := self._take(file, LARGEST)) is not None}

    def lists(self, paths: Iterable[Path]) -> dict[str, ListValues]:
        """Return the lists of the folders that belong to paths, by name."""
        found: dict[str, ListValues] = {}
        for file in _list_files(paths):
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
        self.digest.update(f"{file}\0{len(data)}\0".encode("utf-8", "surrogatepass") + data)
        if len(data) > largest == LARGEST_LIST:
            self._refuse(file, f"the list has more than {largest:,} bytes")
            return None
        return data

    def _refuse(self, file: Path, message: str, hint: str | None = None, line: int = 1) -> None:
        self.mistakes.append(Mistake(Place(str(file), line, 1), message, hint, ""))


def _list_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of the lists that belong to paths."""
    for place in dict.fromkeys(_plain(home / LISTS) for path in paths for home in _list_homes(path)):
        try:
            files = sorted(place.iterdir())
        except NotADirectoryError:
            continue
        except OSError as error:
            _unreadable(error)
            continue
        yield from (file for file in files if file.suffix == ".txt" and file.is_file())


def _list_homes(path: Path) -> Iterator[Path]:
    """Yield the folders that lists may lie in: a path's own, the one above it, and below it those with files."""
    home = path if path.is_dir() else path.parent
    yield from (home, home / "..")
    for file in below(path) if home is path else ():
        yield from (one for one in file.parents if one.is_relative_to(home))


def below(path: Path) -> list[Path]:
    """Return a file itself, or the files of YAML in a folder, sorted; raises InputError for one that cannot be read."""
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for place, folders, names in os.walk(path, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
    return sorted(file for file in found if file.is_file())


def _unreadable(error: OSError) -> None:
    """Refuse a folder whose files would be passed over in silence."""
    if not isinstance(error, FileNotFoundError):  # it went while it was looked through
        raise InputError(f"the folder `{error.filename}` cannot be read: {error.strerror}")
