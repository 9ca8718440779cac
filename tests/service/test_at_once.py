"""Two who change one thing at once: neither undoes what the other did."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from sentinel.core.record import App
from sentinel.service import upkeep
from sentinel.service.switch import NAME, Switch
from sentinel.store.embedded.store import open_store

NOW = 1_750_000_000_000_000
A_WHILE = 0.2  # seconds in which whoever is not held up is long done


@pytest.fixture
def store(tmp_path):
    with closing(open_store(tmp_path)) as opened:
        opened.access.add_app(App("shop"), "test", NOW)
        yield opened


class Held:
    """Settings of a store whose first answer is held up until `go`, once it is known."""

    def __init__(self, settings):
        self._settings = settings
        self.read, self.go = threading.Event(), threading.Event()

    def get(self, name, app=None):
        value = self._settings.get(name, app)
        if not self.read.is_set():
            self.read.set()
            assert self.go.wait(60)
        return value

    def put(self, *setting):
        self._settings.put(*setting)


def at_once(held, first, second):
    """Do the first, and the second while what the first has read is held up."""
    threads = [threading.Thread(target=one) for one in (first, second)]
    threads[0].start()
    assert held.read.wait(60)
    threads[1].start()
    threads[1].join(A_WHILE)
    held.go.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_switch_that_was_turned_is_not_as_somebody_read_it_before(store, monkeypatch):
    store.settings.put(NAME, "off", "ana", NOW)
    switch, held = Switch(store), Held(store.settings)
    monkeypatch.setattr(store, "settings", held)
    at_once(held, switch.refresh, lambda: switch.turn(None, True, "ana", "over", NOW))
    assert switch.on("shop")


def test_of_two_properties_that_are_pinned_at_once_both_are(store, monkeypatch):
    monkeypatch.setattr(upkeep, "_property", lambda *of: of)
    monkeypatch.setattr(store.schema, "promote", lambda *of: None)
    held = Held(store.settings)
    monkeypatch.setattr(store, "settings", held)

    def pin(path):
        upkeep.pin(store, "shop", path, True, "ana", NOW)

    at_once(held, lambda: pin("plan"), lambda: pin("amount"))
    assert sorted(upkeep.pinned(store, "shop")) == ["amount", "plan"]
