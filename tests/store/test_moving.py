"""A data folder copied into PostgreSQL: all of it, once, compared; never one that a server uses."""

from __future__ import annotations

import json
import signal

import pytest

from sentinel.cli.program import run
from sentinel.core.errors import StoreError
from sentinel.core.record import App, Filter
from sentinel.store import moving
from sentinel.store.embedded.store import open_store
from sentinel.store.postgres.store import open_postgres
from tests import postgres
from tests.acceptance.test_two_servers import fails, local
from tests.api.whole import whole
from tests.process import Forked


@pytest.fixture
def url():
    server = postgres.shared()
    name = server.make()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def folder(tmp_path):
    """A folder with two apps, findings, decisions, accounts, labels, odd texts and numbers."""
    with whole(tmp_path) as server:
        for n in range(30):
            odd = {"text": f"a\0b\x1a{n}é", "big": 2**63 - n - 1, "small": 1e-300, "nested": {"z": [1, None], "a": "é"}}
            server.fail(f"203.0.113.{n}", user=f"u{n}", times=4, properties=odd)
        server.fail("198.51.100.1", app="two")
        server.using("admin").post("/v1/decisions", {"kind": "block", "scope": "user", "value": "x", "reason": "r\0"})
        server.local.post("/v1/accounts", {"name": "ana@example.com", "role": "admin", "apps": ["*"]})
    return tmp_path / "data"


def test_everything_is_copied_and_compares(folder, url):
    moved = {one.what: one.sum.rows for one in moving.move(folder, url)}
    assert moved["events of one"] == 120 and moved["events of two"] == 3
    assert moved["finding"] > 30 and moved["decision"] > 30 and moved["account"] == 1 and moved["audit"] > 10
    here = open_store(folder)
    there = open_postgres(url)
    for app in ("one", "two"):
        before = here.decisions.delta(app, 0, 1)
        assert there.decisions.delta(app, 0, 1) == before
        assert there.decisions.revision(app) == here.decisions.revision(app) > 0
        assert _events(here, app) == _events(there, app)
    assert there.audit.list("one", limit=1).items
    there.access.change_app("one", {"name": "One"}, "test", 5)  # whose line in the audit needs a number of its own
    for store in (here, there):
        store.close()


def test_what_was_interrupted_goes_on_and_copies_nothing_twice(folder, url, monkeypatch):
    monkeypatch.setattr(moving, "LUMP", 50)

    def cut(what, done):
        if what == "events of one" and done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.move(folder, url, cut)
    with pytest.raises(StoreError, match="holds half of a data folder"):
        open_postgres(url)
    moved = {one.what: one.sum.rows for one in moving.move(folder, url)}
    assert moved["events of one"] == 120
    open_postgres(url).close()


def test_a_difference_is_told_and_the_database_stays_refused(folder, url, monkeypatch):
    real = moving._plain
    monkeypatch.setattr(moving, "_plain", lambda kept: {**real(kept), "at": id(kept)})
    with pytest.raises(StoreError, match="`events of one` differs: 120 rows"):
        moving.move(folder, url)
    with pytest.raises(StoreError, match="holds half"):
        open_postgres(url)


def test_a_database_that_holds_something_else_is_refused(folder, url):
    store = open_postgres(url)
    store.access.add_app(App("other", made=1), "test", 1)
    store.close()
    with pytest.raises(StoreError, match="holds another server's data"):
        moving.move(folder, url)


def test_whoever_moves_a_second_time_is_told_that_it_is_done(folder, url):
    moving.move(folder, url)
    with pytest.raises(StoreError, match=r"holds what this folder held already, .*start servers on it"):
        moving.move(folder, url)


def test_a_folder_that_is_none_is_refused(tmp_path, url):
    with pytest.raises(StoreError, match="holds no data"):
        moving.move(tmp_path / "nothing", url)
    assert not (tmp_path / "nothing").exists()


def test_a_folder_in_use_is_refused_and_a_moved_one_is_served_with_its_keys(tmp_path, url, capsys):
    server = Forked(tmp_path)
    try:
        key = server.first_key
        assert server.client.using(key).post("/v1/events", fails("203.0.113.9", "u", "u", "u")).status == 200
        assert run(["migrate", "--data", str(server.data), "--database", url]) == 2
        assert "is in use by process" in capsys.readouterr().err
    finally:
        server.end()
    assert run(["migrate", "--data", str(server.data), "--database", url]) == 0
    assert "same  events of default: 3 rows" in capsys.readouterr().out
    again = Forked(tmp_path, "--database", url)
    try:
        told = again.client.using(key).get("/v1/feed").json["added"]
        assert [one["value"] for one in told] == ["203.0.113.9"]
        assert len(local(again).get("/v1/events").json["items"]) == 3
    finally:
        again.end(signal.SIGKILL)


def _events(store, app):
    return [json.dumps(vars(one.event), sort_keys=True, default=str) for one in store.events.matching(app, Filter())]
