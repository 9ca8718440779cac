"""What the rooms need of their database, SQLite's file or PostgreSQL: transactions, and who may write.

Rooms use SQLAlchemy's expressions. Where that costs too much, `look` takes SQL in which `:app` stands for the app and
`:among` for being one of the keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection

_GLANCE = 0.2  # seconds between two looks at whether somebody still waits


class Database(Protocol):
    """One database, as this process uses it: a single writer, and readers beside it."""

    def writing(self) -> AbstractContextManager[None]:
        """Hold this process's right to write, over several transactions if need be."""

    def write(self) -> AbstractContextManager[Connection]:
        """Give the connection of one transaction: all of it is kept afterwards, or, with an error, none."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees one moment."""

    def look(self, query: str, app: str, keys: Sequence[str]) -> list[Any]:
        """Return rows as the writer sees them: for those who hold the right to write, and cannot wait."""

    def alone(self, app: str) -> bool:
        """Be the only one who links keys of an app until the transaction ends.

        Say whether another process may have linked some before that: then what was read is to be read again.
        """


@contextmanager
def interrupted(interrupt: Callable[[], object], gone: Callable[[], bool]) -> Iterator[None]:
    """Interrupt what is asked of a database meanwhile, once nobody waits for it any more."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_GLANCE):
            if gone():
                interrupt()

    watcher = threading.Thread(target=watch, name="sentinel-export", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
