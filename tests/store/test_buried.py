"""A deletion that a crash broke off is finished, and a backup of before does not undo it; in PostgreSQL, too."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import update

from sentinel.core.batch import Label
from sentinel.core.errors import StoreBusy
from sentinel.core.record import App, Filter
from sentinel.store import buried
from sentinel.store.buried import FILE
from sentinel.store.embedded.store import open_store
from sentinel.store.postgres.store import open_postgres
from sentinel.store.tables import tombstones
from tests import postgres
from tests.api.served import wait_for
from tests.contract.conftest import migrated
from tests.contract.values import NOW, batch, event, finding, put


def opened(folder):
    store = open_store(folder)
    store.access.add_app(App("shop"), "test", NOW)
    return store


def fill(store) -> None:
    events = tuple(event(f"e{number}", NOW + number, user={"id": str(number % 2), "email": f"u{number % 2}@x.example"})
                   for number in range(4))  # fmt: skip
    labels = (Label("user", "id:1", "vip"),)
    put(store, batch(events=events, findings=(finding("f"),), labels=labels))


def ids(store) -> list[str]:
    return [kept.event.id for kept in store.events.search("shop", Filter()).items]


def test_a_backup_of_before_does_not_bring_a_deleted_person_back(tmp_path):
    store = opened(tmp_path / "data")
    fill(store)
    store.close()
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    store = opened(tmp_path / "data")
    done = store.deletions.delete("shop", "id:1", "ann", "id:1 asked", NOW + 5)
    assert f"{done.pseudonym} asked" in {line.reason for line in store.audit.list("shop").items}
    store.close()
    for file in (tmp_path / "backup").iterdir():
        shutil.copy(file, tmp_path / "data" / file.name)
    again = opened(tmp_path / "data")
    assert ids(again) == ["e2", "e0"]
    assert again.findings.get("shop", "f").finding.user == done.pseudonym
    assert again.deletions.owed("shop") == {"id:1": done.pseudonym}, "windows of before name them again"
    assert again.labels.of("shop", "user", "id:1", NOW) == ()
    assert again.deletions.concerns("shop", event("z", NOW, user={"email": "u1@x.example"})) is False
    assert again.deletions.concerns("shop", event("z", NOW, user={"id": "1"}))
    again.close()


def test_a_deletion_that_was_broken_off_is_finished_at_the_next_start(tmp_path):
    store = opened(tmp_path / "data")
    fill(store)
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    with store._control.write() as connection:
        connection.execute(update(tombstones).values(erased=False))
    put(store, batch(events=(event("left", NOW, user={"id": "1"}),)))
    assert "left" in ids(store)
    store.close()
    again = opened(tmp_path / "data")
    assert ids(again) == ["e2", "e0"]
    again.close()


def test_what_was_deleted_again_after_the_backup_stays_deleted(tmp_path):
    store = opened(tmp_path / "data")
    fill(store)
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    put(store, batch(events=(event("later", NOW + 9, user={"id": "1"}),)))
    store.close()
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    store = opened(tmp_path / "data")
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 10)
    store.close()
    for file in (tmp_path / "backup").glob("[!d]*"):
        shutil.copy(file, tmp_path / "data" / file.name)
    shutil.copy(tmp_path / "backup" / "events.duckdb", tmp_path / "data")
    again = opened(tmp_path / "data")
    assert ids(again) == ["e2", "e0"]
    assert again.deletions.concerns("shop", event("z", NOW + 9, user={"id": "1"}))
    again.close()


def test_a_damaged_line_of_the_file_is_passed_over(tmp_path):
    store = opened(tmp_path / "data")
    fill(store)
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    store.close()
    file = tmp_path / "data" / FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert "u1" not in file.read_text()
    file.write_text(file.read_text() + '{"app": "shop", "hash": 3}\n{"app": "sh')
    again = opened(tmp_path / "data")
    assert ids(again) == ["e2", "e0"]
    again.close()


def test_a_line_that_was_cut_short_takes_none_behind_it_with_it(tmp_path):
    """A crash may leave half a line: who was deleted next was back with the next backup."""
    store = opened(tmp_path / "data")
    fill(store)
    store.close()
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "data" / FILE).write_text('{"app": "shop", "hash": "ab')
    store = opened(tmp_path / "data")
    store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    store.close()
    for file in (tmp_path / "backup").iterdir():
        shutil.copy(file, tmp_path / "data" / file.name)
    again = opened(tmp_path / "data")
    assert ids(again) == ["e2", "e0"]
    again.close()


def test_where_the_disk_is_full_nothing_is_half_deleted_and_it_can_be_done_again(tmp_path, monkeypatch):
    store = opened(tmp_path / "data")
    fill(store)
    with monkeypatch.context() as full:
        full.setattr(buried.os, "pread", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        (tmp_path / "data" / FILE).write_text("{")
        with pytest.raises(StoreBusy, match="cannot be written: No space left on device"):
            store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    assert store.deletions.owed("shop") == {}
    assert store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    assert ids(store) == ["e2", "e0"]
    store.close()


@pytest.fixture
def databases():
    """Make databases: as migrated, or as another one is now."""
    server, made = postgres.shared(), []

    def make(like=None):
        made.append(server.make(like or migrated()))
        return made[-1]

    make.url = server.url
    yield make
    for name in made:
        server.drop(name)


def opened_postgres(databases, name, folder):
    store = open_postgres(databases.url(name), folder=folder)
    store.access.add_app(App("shop"), "test", NOW)
    return store


class TestPostgres:
    def test_an_earlier_state_of_the_database_does_not_bring_a_deleted_person_back(self, databases, tmp_path):
        name = databases()
        store = opened_postgres(databases, name, tmp_path)
        fill(store)
        store.close()
        earlier = databases(like=name)
        store = opened_postgres(databases, name, tmp_path)
        done = store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
        store.close()
        again = opened_postgres(databases, earlier, tmp_path)
        assert ids(again) == ["e2", "e0"]
        assert again.findings.get("shop", "f").finding.user == done.pseudonym
        assert again.labels.of("shop", "user", "id:1", NOW) == ()
        assert again.people.get("shop", "id:1") is None
        assert again.deletions.concerns("shop", event("z", NOW, user={"id": "1"}))
        again.close()

    def test_a_person_whom_only_events_name_stays_deleted(self, databases, tmp_path):
        name, odd = databases(), "a\0b\x1ac"
        store = opened_postgres(databases, name, tmp_path)
        put(store, batch(events=(event("odd", user={"id": "9", "username": odd}), event("other", user={"id": "8"}))))
        store.close()
        earlier = databases(like=name)
        store = opened_postgres(databases, name, tmp_path)
        store.deletions.delete("shop", f"username:{odd}", "ann", "", NOW + 5)
        store.close()
        again = opened_postgres(databases, earlier, tmp_path)
        assert ids(again) == ["other"]
        again.close()

    def test_every_servers_file_has_what_any_of_them_deleted(self, databases, tmp_path):
        name, files = databases(), [tmp_path / server / FILE for server in "abc"]
        stores = [opened_postgres(databases, name, file.parent) for file in files[:2]]
        fill(stores[0])
        stores[0].deletions.delete("shop", "id:1", "ann", "", NOW + 5)
        wait_for(lambda: files[1].exists() and sorted(files[1].read_text()) == sorted(files[0].read_text()))
        opened_postgres(databases, name, files[2].parent).close()
        assert sorted(files[2].read_text()) == sorted(files[0].read_text()) != []
        for store in stores:
            store.close()

    def test_a_deletion_that_was_broken_off_is_finished_by_the_next_server(self, databases, tmp_path):
        name = databases()
        store = opened_postgres(databases, name, tmp_path)
        fill(store)
        store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
        put(store, batch(events=(event("left", NOW, user={"id": "1"}),)))
        with store._control.write() as connection:
            connection.execute(update(tombstones).values(erased=False))
        store.close()
        again = opened_postgres(databases, name, None)
        assert ids(again) == ["e2", "e0"]
        again.close()
