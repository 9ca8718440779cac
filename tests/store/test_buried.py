"""A deletion that a crash broke off is finished, and a backup of before does not undo it."""

from __future__ import annotations

import shutil

from sqlalchemy import update

from sentinel.core.batch import Label
from sentinel.core.record import App, Filter
from sentinel.store.buried import FILE
from sentinel.store.embedded import open_store
from sentinel.store.tables import tombstones
from tests.contract.values import NOW, batch, event, finding, put


def opened(folder):
    store = open_store(folder)
    store.access.put_app(App("shop"), "test", NOW)
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
    store._projector.deleted = lambda app, event: False
    put(store, batch(events=(event("left", NOW, user={"id": "1"}),)))
    store.project()
    assert "left" in ids(store)
    store.close()
    again = opened(tmp_path / "data")
    assert ids(again) == ["e2", "e0"]
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
