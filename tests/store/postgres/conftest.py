"""A database of its own for each test, and two processes' stores over it."""

from __future__ import annotations

import pytest

from sentinel.core.record import App
from sentinel.store.postgres.store import open_postgres
from tests import postgres
from tests.api.served import wait_for
from tests.contract.values import NOW


@pytest.fixture
def database():
    server = postgres.shared()
    name = server.make()
    yield name
    server.drop(name)


@pytest.fixture
def stores(database):
    """Two processes' stores over one database, as far as the database can tell."""
    url = postgres.shared().url(database)
    both = open_postgres(url), open_postgres(url)
    both[0].access.add_app(App("shop", made=NOW), "test", NOW)
    wait_for(lambda: both[1].access.app("shop"))
    yield both
    for store in both:
        store.close()
