"""Every backend of the store passes this suite. A backend says how it is opened, and opened again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sentinel.core.record import App
from sentinel.service.ports import Store
from sentinel.store.embedded.store import open_store
from sentinel.store.postgres.store import open_postgres
from tests import postgres
from tests.prepared import prepared

NOW = 1_795_210_200_000_000


class Embedded:
    """The embedded store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.store: Store = open_store(prepared(self.folder), recent=50)

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


class Postgres:
    """The PostgreSQL store in a database of its own."""

    def __init__(self, _folder: Path) -> None:
        self.server = postgres.shared()
        self.database = self.server.make(migrated())
        self.store: Store = open_postgres(self.server.url(self.database))

    def reopen(self) -> Store:
        """Close the store and open it again."""
        self.store.close()
        self.store = open_postgres(self.server.url(self.database))
        return self.store

    def twice(self) -> Iterator[Store]:
        """Give the store as it is, then opened again."""
        yield self.store
        yield self.reopen()

    def close(self) -> None:
        self.store.close()
        self.server.drop(self.database)


@cache
def migrated() -> str:
    """Return a database whose tables are made, to be copied."""
    server = postgres.shared()
    name = server.make()
    open_postgres(server.url(name)).close()
    return name


BACKENDS = {"embedded": Embedded, "postgres": Postgres}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Embedded | Postgres]:
    """A backend whose store has the apps `shop` and `blog`."""
    made = BACKENDS[request.param](tmp_path)
    for app in ("shop", "blog"):
        made.store.access.add_app(App(app, made=NOW), "test", NOW)
    yield made
    made.close()


@pytest.fixture
def store(backend: Embedded | Postgres) -> Store:
    """Its store."""
    return backend.store
