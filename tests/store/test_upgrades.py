"""A data folder that any released schema made is opened, and nothing of it is lost or another."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from sentinel.core.record import Filter
from sentinel.store import migrate
from sentinel.store.embedded.backup import CONTROL
from sentinel.store.embedded.store import open_store
from tests.contract.values import NOW, batch, event, finding, put
from tests.store import sampling as samples

SAMPLES = {file.stem: file for file in sorted(samples.FOLDER.glob("*.sql"))}
BIGGEST = 50 << 10
FILLED = (
    "app", "access_key", "one_time_link", "account", "session", "person", "identifier", "link_cut", "label", "finding",
    "decision", "allowance", "outbox", "audit", "setting", "lease", "playbook_version", "journal", "search", "snapshot",
)  # fmt: skip


def revisions():
    config = Config()
    config.set_main_option("script_location", str(migrate._SCRIPTS))
    return {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}


def test_every_schema_has_its_sample_and_none_is_large():
    assert set(SAMPLES) == revisions(), "run `python -m tests.store.sampling`"
    assert all(file.stat().st_size <= BIGGEST for file in SAMPLES.values())


def test_the_newest_sample_is_of_the_tables_as_they_are(tmp_path):
    """A schema that was released does not change: what is new is a migration of its own."""
    samples.make(tmp_path / "data")
    made, kept = samples.dump(tmp_path / "data"), SAMPLES[migrate.HEAD].read_text()
    assert samples.statements(made) == samples.statements(kept), (
        "not released yet? run `python -m tests.store.sampling`"
    )


@pytest.mark.parametrize("version", SAMPLES)
def test_what_an_older_sentinel_kept_is_all_there(tmp_path, version):
    folder = tmp_path / "data"
    samples.restored(SAMPLES[version].read_text(), folder)
    for _ in range(2):  # once upgraded, it is opened as any other
        store = open_store(folder)
        assert store.health().explorer is None and store.health().pending == 0
        found = list(store.events.in_order("shop", 0))
        assert [one.id for one in found] == [f"e{n}" for n in range(samples.EVENTS)]
        assert found[5].properties == {"n": 5, "text": "é\u2028\0"}
        assert store.findings.get("shop", "f").finding == finding("f")
        assert [one.finding.id for one in store.findings.list("shop", severity="high").items] == ["f"]
        assert store.findings.list("shop", severity="critical").items == ()
        assert [one.id for one in store.decisions.delta("shop", 0, NOW).added] == ["d"]
        assert store.decisions.get("shop", "e").lifted_by == "ana"
        assert store.labels.of("shop", "user", "id:1", NOW) == ("vip",)
        assert [one.value for one in store.allow.list("shop")] == ["198.51.100.1"]
        assert [one.key for one in store.outbox.due(NOW)] == ["k"]
        assert [one.name for one in store.access.keys("shop")] == ["a key"]
        assert [one.name for one in store.accounts.list()] == ["ana"]
        assert [one.name for one in store.searches.list("shop")] == ["a search"]
        assert store.playbooks.last("shop") == {"p": "1"}
        assert store.snapshots.load("shop")["w"].state == b"state"
        assert store.settings.get("a.setting") == {"on": True}
        assert "tested" in {one.action for one in store.audit.list("shop").items}
        store.close()
    store = open_store(folder)
    put(store, batch(events=(event("new", NOW + 100),)))
    assert store.events.count("shop", Filter()) == samples.EVENTS + 1
    store.close()


@pytest.mark.parametrize("version", SAMPLES)
def test_a_sample_has_rows_in_the_tables_that_matter(tmp_path, version):
    samples.restored(SAMPLES[version].read_text(), tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / CONTROL)) as connection:
        for name in FILLED:
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0], name


def test_an_upgrade_that_is_cut_off_leaves_the_older_file(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    samples.restored(SAMPLES[migrate.HEAD].read_text(), folder)
    shutil.copytree(folder, tmp_path / "before")

    def broken(connection):
        connection.exec_driver_sql("DROP TABLE audit")
        raise ZeroDivisionError

    monkeypatch.setattr(migrate, "HEAD", "9998")
    monkeypatch.setattr(migrate, "_upgrade", broken)
    with pytest.raises(ZeroDivisionError):
        open_store(folder)
    assert samples.dump(folder) == samples.dump(tmp_path / "before")
