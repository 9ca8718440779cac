"""A store with an app, for whoever does not make their own."""

from __future__ import annotations

import pytest

from sentinel.core.record import App
from sentinel.store.embedded.store import open_store
from tests.prepared import prepared
from tests.service.stories import START


@pytest.fixture
def store(tmp_path):
    made = open_store(prepared(tmp_path / "data"))
    made.access.add_app(App("shop", made=START), "test", START)
    yield made
    made.close()
