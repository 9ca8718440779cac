"""Every backend of the store passes this suite. A backend says how it is opened, and opened again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.core.record import App
from sentinel.service.ports import Store
from sentinel.store.embedded import open_store

NOW = 1_795_210_200_000_000


class Embedded:
    """The embedded store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.store: Store = open_store(self.folder, recent=50)

    def reopen(self) -> Store:
        """Close the store and open it again."""
        self.store.close()
        self.store = open_store(self.folder, recent=50)
        return self.store

    def twice(self) -> Iterator[Store]:
        """Give the store as it is, then opened again."""
        yield self.store
        yield self.reopen()

    def close(self) -> None:
        self.store.close()


BACKENDS = {"embedded": Embedded}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Embedded]:
    """A backend whose store has the apps `shop` and `blog`."""
    made = BACKENDS[request.param](tmp_path)
    for app in ("shop", "blog"):
        made.store.access.put_app(App(app, made=NOW), "test", NOW)
    yield made
    made.close()


@pytest.fixture
def store(backend: Embedded) -> Store:
    """Its store."""
    return backend.store
