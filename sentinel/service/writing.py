"""Save playbooks from the console: files stay the source of truth, and each is replaced whole or not at all.

A file is named as the library names it, or is a new one in a folder that the settings name: no path sent by a client is
ever opened. Whether the text makes sense is checked before, by `workbench`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sentinel.core.batch import Note
from sentinel.core.duration import SECOND
from sentinel.core.errors import Conflict, InputError, SentinelError, StoreBusy
from sentinel.loader.source import LARGEST
from sentinel.service.library import Library, document
from sentinel.service.ports import Store

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\.ya?ml", re.ASCII)
NEW = ""  # the mark of a file that is not there
LEASE = "playbooks"
_HOLD = 10 * SECOND  # a file is written in less; of a server that dies meanwhile nobody waits longer for it


class Sheet(NamedTuple):
    """A file's text. `mark` tells it from every other text; `fixed` says why it cannot be written, None if it can."""

    file: str
    text: str
    mark: str
    fixed: str | None = None


class Writing:
    """Reads and writes the files of a library; `soon` lets them be looked at. From any thread."""

    def __init__(self, library: Library, store: Store, clock: Callable[[], int], soon: Callable[[], None]) -> None:
        self._library = library
        self._store = store
        self._clock = clock
        self._soon = soon
        self._lock = threading.Lock()

    def sheet(self, file: str) -> Sheet:
        """Return a file as it is now; raises InputError where the library has none of that name."""
        if file not in self._library.files:
            raise InputError(f"there is no file `{file[:200]}` of rules or playbooks")
        data = _read(Path(file))
        return Sheet(file, data.decode("utf-8", "replace"), _mark(data), self._fixed(Path(file)))

    def playbook(self, file: str, id: str) -> str | None:
        """Return a playbook's text as its file has it now; None where the engine will not take that over."""
        try:
            text = self.sheet(file).text
            found = self._library.with_text(file, text).playbooks.get(id)
        except SentinelError:
            return None
        return document(text, found) if found and found.place.file == file else None

    def new(self, name: str) -> Sheet:
        """Return the empty sheet of a file that does not exist yet; raises InputError for what is no file's name."""
        if not NAME.fullmatch(name):
            raise InputError(f"`file`: `{name[:80]}` is no file's name", "small letters, digits and `-`, then `.yaml`")
        folder = self.home()
        if folder is None:
            return Sheet(name, "", NEW, "no folder of playbooks is set: `playbooks` in the settings names one")
        return Sheet(str(folder / name), "", NEW, self._fixed(folder / name))

    def home(self) -> Path | None:
        """Return the folder that new files go into, None where nobody named one."""
        return next(iter(self._library.folders), None)

    def place(self, file: str) -> Sheet:
        """Return the sheet of a file the library knows, else of a new one in its folder."""
        return (
            self.sheet(file) if file in self._library.files else self.new(Path(file).name if self._ours(file) else file)
        )

    def write(self, file: str, text: str, mark: str, by: str) -> None:
        """Replace a file's text if it is still the one of the mark, and note it in the audit.

        Raises Conflict where it is another, SentinelError where the file cannot be written.
        """
        data = text.replace("\r\n", "\n").encode("utf-8")
        if len(data) > LARGEST:
            raise SentinelError(f"the file has more than {LARGEST:,} bytes")
        with self._alone():
            before = self.place(file)
            if before.fixed is not None:
                raise SentinelError(f"`{Path(file).name}` cannot be written here: {before.fixed}", "download the text")
            if before.mark != mark:
                raise Conflict("somebody changed this file meanwhile", "compare with the file as it is now")
            self._library.wrote(before.file, data, by)
            _replace(Path(before.file), data, new=before.mark == NEW)
        line = Note(by, "playbook.saved", Path(before.file).name, f"sha256 {_mark(data)[:12]}")
        self._store.audit.write(None, line, self._clock())
        self._soon()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else write meanwhile, nor another server: it may read the same folder."""
        with self._lock:
            now = self._clock()
            lease = self._store.leases.take(LEASE, secrets.token_hex(8), now + _HOLD, now)
            if lease is None:
                raise Conflict("somebody saves a file at this very moment", "save again")
            try:
                yield
            finally:
                with contextlib.suppress(StoreBusy):  # then it ends by itself
                    self._store.leases.release(lease)

    def _ours(self, file: str) -> bool:
        """Say whether a path is that of a file, there or not, right inside the folder that new ones go into."""
        home = self.home()
        return home is not None and file == str(home / Path(file).name)

    def _fixed(self, file: Path) -> str | None:
        """Say why a file must not be written, None if it may: it lies, itself, in a folder that somebody named."""
        try:
            parent = file.parent.resolve(strict=True)
            inside = any(parent.is_relative_to(folder.resolve(strict=True)) for folder in self._library.folders)
        except OSError as error:
            return f"its folder cannot be read ({error.strerror})"
        if not inside:
            return "it lies outside the folders that the settings name"
        if file.is_symlink():
            return "it is a link to a file elsewhere"
        return None if os.access(parent, os.W_OK) else "the server may not write into its folder"


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"`{file.name}` cannot be read: {error.strerror}") from None


def _mark(data: bytes) -> str:
    return sha256(data).hexdigest()


def _replace(file: Path, data: bytes, *, new: bool) -> None:
    """Put a text into a file's place, whole or not at all; a new one never over another."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        mode = 0o644 if new else file.stat().st_mode & 0o777
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:  # noqa: PTH123
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if new:
            os.link(draft, file)
        else:
            draft.replace(file)
    except FileExistsError:
        raise Conflict("somebody made a file of this name meanwhile", "choose another name, or edit theirs") from None
    except OSError as error:
        raise SentinelError(f"`{file.name}` cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
