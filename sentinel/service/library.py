"""The rules and playbooks that a server uses: read from their files, checked for changes, with what is wrong with them.

A file with a mistake never replaces the version before it. What the engine does about a change is in `reload`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from sentinel.core.errors import SentinelError
from sentinel.engine.playbook import Guard, Place, Playbook
from sentinel.loader.assembly import Content
from sentinel.loader.content import Gathered, gather, stamps
from sentinel.loader.mistakes import Mistake, PlaybookErrors

_MARK = "---"


class Library:
    """What files and folders hold; raises PlaybookErrors at first, and never again.

    `guard` is that of playbooks without one. `content` is what was taken over last, `mistakes` what is wrong with files
    as they are now.
    """

    def __init__(
        self, paths: Collection[Path], rules: Collection[Path], channels: Iterable[str], guard: Guard | None
    ) -> None:
        self._paths, self._rules = paths, rules
        self._channels = frozenset(channels)
        self._guard = guard
        self.mistakes: tuple[Mistake, ...] = ()
        self._authors: dict[str, tuple[bytes, str]] = {}
        self._stamps = stamps(paths, rules=rules)
        self._taken = self._found = gather(paths, rules=rules)
        self._seen = self._taken.digest
        self.content = self._guarded(self._taken)

    @property
    def playbooks(self) -> list[Playbook]:
        """Return the playbooks taken over."""
        return list(self.content.playbooks.values())

    @property
    def files(self) -> list[str]:
        """Return the names of the files as they are now, those with a mistake too."""
        return sorted(self._found.files)

    @property
    def folders(self) -> list[Path]:
        """Return the folders that playbooks and rules are read from, as somebody named them; none where nobody did."""
        return [path for path in (*self._paths, *self._rules) if path.is_dir()]

    def with_text(self, file: str, text: str) -> Content:
        """Return what there would be with another text in a file; raises PlaybookErrors with every mistake."""
        taken = self._taken
        files = {**taken.files, file: text.encode("utf-8", "replace")}
        return self._guarded(replace(taken, files=files, mistakes=()), frozenset({file}))

    def wrote(self, file: str, data: bytes, by: str) -> None:
        """Remember who wrote what into a file."""
        self._authors[file] = data, by

    def author(self, playbook: Playbook) -> str | None:
        """Return who wrote the file of a playbook here, None where it was written otherwise."""
        data, by = self._authors.get(playbook.place.file, (None, None))
        return by if data is not None and data == self._taken.files.get(playbook.place.file) else None

    def look(self) -> bool:
        """Look at the files again; say whether anything was taken over."""
        try:
            found = stamps(self._paths, rules=self._rules)
            if found == self._stamps:
                return False
            self._stamps = found  # of before the reading: what changes meanwhile is seen the next time
            now = gather(self._paths, rules=self._rules)
        except (SentinelError, OSError) as error:
            self._stamps, self._seen = {}, b""
            self.mistakes = (Mistake(Place(str(next(iter(self._paths), "")), 1, 1), str(error), None, ""),)
            return False
        if now.digest == self._seen:
            return False
        self._seen, self._found = now.digest, now
        return self._take(now)

    def changed(self) -> bool:
        """Say whether files look other than when they were read."""
        try:
            return stamps(self._paths, rules=self._rules) != self._stamps
        except (SentinelError, OSError):
            return False

    def source(self, playbook: Playbook) -> str:
        """Return the text of a playbook's own document."""
        return document(self._taken.files.get(playbook.place.file, b"").decode("utf-8", "replace"), playbook)

    def _take(self, now: Gathered) -> bool:
        """Take over what is sound: of a file with a mistake what it said before; nothing where that does not fit."""
        try:
            content, taken, self.mistakes = self._guarded(now), now, ()
        except PlaybookErrors as errors:
            self.mistakes = errors.mistakes
            taken = now.mended(self._taken, {mistake.place.file for mistake in errors.mistakes})
            try:
                content = self._guarded(taken)
            except PlaybookErrors:
                return False
        self.content, self._taken = content, taken
        return True

    def _guarded(self, found: Gathered, tested: frozenset[str] = frozenset()) -> Content:
        """Return content as it is enforced; that a test names a playbook keeps nobody from removing that."""
        content = found.assembled(self._channels, tested)
        guarded = {id: one if one.guard else replace(one, guard=self._guard) for id, one in content.playbooks.items()}
        return replace(content, playbooks=guarded)


def document(text: str, playbook: Playbook) -> str:
    """Return of a file's text the document that a playbook was read from."""
    lines = text.splitlines()
    first = last = min(playbook.place.line - 1, len(lines))
    while first and not lines[first - 1].startswith(_MARK):
        first -= 1
    while last < len(lines) and not lines[last].startswith(_MARK):
        last += 1
    return "\n".join(lines[first:last]).strip() + "\n"
