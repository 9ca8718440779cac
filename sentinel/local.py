"""What a server and the commands beside it share: the file by which they find it, private files, ports.

Nothing of the server is imported here, so that commands start fast.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from pathlib import Path
from typing import NamedTuple

from sentinel.core.errors import SentinelError

LOCAL = "server.json"


class Local(NamedTuple):
    """Where a server is reached on its own machine, and the token that stands for its administrator."""

    url: str
    token: str


def leave(folder: Path, url: str, token: str) -> None:
    """Leave word for commands run beside the data folder, readable by its owner alone."""
    write_private(folder / LOCAL, json.dumps({"url": url, "token": token, "pid": os.getpid()}) + "\n")


def take_back(folder: Path) -> None:
    """Remove the word that was left."""
    with contextlib.suppress(OSError):
        (folder / LOCAL).unlink()


def find(folder: Path) -> Local | None:
    """Return what a server left in its data folder, None where none runs; raises SentinelError for a damaged file."""
    path = folder / LOCAL
    try:
        found = json.loads(path.read_text("utf-8"))
        return Local(str(found["url"]), str(found["token"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise SentinelError(f"`{path}` cannot be read: only the server's own user may") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise SentinelError(f"`{path}` is damaged", "restart the server") from None


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises OSError, whose text does not go on with the address as the system's does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise OSError(getattr(error, "errno", None), reason) from None


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody but its owner can read, whole or not at all; raises SentinelError where it cannot be."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        hint = "make room on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise SentinelError(f"`{path}` cannot be written: {error.strerror}", hint) from None
