"""Backups: of one moment while events come in, private, checked; and what restoring one brings back, and what not."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sentinel.core.errors import StoreError
from sentinel.core.record import Account, Filter
from sentinel.store import migrate
from sentinel.store.buried import FILE
from sentinel.store.embedded import backup
from sentinel.store.embedded.backup import CONTROL, EVENTS, MANIFEST, put_back
from sentinel.store.embedded.store import open_store
from tests.contract.values import NOW, batch, decision, event, put


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "backup"
    folder.mkdir(mode=0o700)
    return folder


def lot(number, size=20):
    people = ({"id": str(n % 3), "email": f"u{n % 3}@x.example"} for n in range(size))
    return tuple(event(f"{number}.{n}", NOW + number, user=user) for n, user in enumerate(people))


def fill(store, numbers):
    for number in numbers:
        put(store, batch(events=lot(number), decisions=(decision(f"d{number}", f"id:{number}"),)))


def ids(store):
    return sorted(kept.id for kept in store.events.in_order("shop", 0))


def test_everything_comes_back_from_a_backup(store, target, tmp_path):
    fill(store, range(5))
    store.project()
    fill(store, range(5, 8))
    made = store.backup(target, NOW + 9)
    assert made.events == 8 * 20
    assert put_back(target, tmp_path / "again") == made
    again = open_store(tmp_path / "again")
    assert ids(again) == ids(store)
    assert [one.id for one in again.decisions.delta("shop", 0, NOW).added] == [f"d{n}" for n in range(8)]
    assert again.health().explorer is None
    again.close()


def test_a_backup_is_of_one_moment_however_much_comes_in_meanwhile(store, target, tmp_path):
    """Events and decisions of one commit are both in it or both not, and all that was acknowledged before is."""
    fill(store, range(10))
    store.project()
    over, done = threading.Event(), []

    def press():
        for number in range(10, 400):
            if over.is_set():
                return
            fill(store, [number])
            done.append(number)
            if number % 7 == 0:
                store.project()
            if number % 31 == 0:
                store.checkpoint()

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        while len(done) < 5:
            os.sched_yield()
        before = len(done)
        store.backup(target, NOW)
    finally:
        over.set()
        pressing.join()
    put_back(target, tmp_path / "again")
    again = open_store(tmp_path / "again")
    found, numbers = ids(again), {int(id.partition(".")[0]) for id in ids(again)}
    assert found == sorted(f"{number}.{n}" for number in numbers for n in range(20))
    assert numbers == set(range(len(numbers))) and len(numbers) >= 10 + before
    assert {one.id for one in again.decisions.delta("shop", 0, NOW).added} == {f"d{n}" for n in numbers}
    again.close()


def test_nobody_else_can_read_a_backup_or_what_was_restored(store, target, tmp_path):
    mask = os.umask(0)
    try:
        fill(store, [1])
        store.deletions.delete("shop", "id:0", "ann", "asked", NOW)
        store.backup(target, NOW)
        put_back(target, tmp_path / "again")
    finally:
        os.umask(mask)
    assert {file.name for file in target.iterdir()} == {CONTROL, EVENTS, FILE, MANIFEST}
    for folder in (target, tmp_path / "again"):
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_backup_does_not_bring_back_whom_it_is_told_to_be_deleted_since(store, target, tmp_path):
    fill(store, [1])
    store.backup(target, NOW)
    store.deletions.delete("shop", "id:0", "ann", "asked", NOW + 100)
    put_back(target, tmp_path / "again", (tmp_path / "data" / FILE,))
    again = open_store(tmp_path / "again")
    assert ids(again) == ids(store) and len(ids(again)) == 13
    assert again.deletions.concerns("shop", event("late", NOW, user={"id": "0"}))
    again.close()


def test_deletions_of_before_the_backup_and_in_the_folder_stay(store, target, tmp_path):
    fill(store, [1])
    store.deletions.delete("shop", "id:0", "ann", "asked", NOW + 100)
    store.backup(target, NOW)
    store.deletions.delete("shop", "id:1", "ann", "asked", NOW + 101)
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "data" / FILE, tmp_path / "again" / FILE)
    put_back(target, tmp_path / "again")
    again = open_store(tmp_path / "again")
    assert len(ids(again)) == 6
    again.close()


def test_every_client_asks_for_the_list_anew_and_everybody_signs_in_anew_after_a_restore(store, target, tmp_path):
    """Else an SDK that saw a later revision would take the next ones for changes of what it has."""
    fill(store, range(3))
    store.accounts.invite(Account("a1", "ann", "admin"), NOW + 10, "test", NOW)
    token = store.accounts.begin("a1", None, NOW + 10**12, NOW)
    store.backup(target, NOW)
    seen = store.decisions.revision("shop") + 50
    put_back(target, tmp_path / "again")
    again = open_store(tmp_path / "again")
    assert again.accounts.session(token, NOW, 10**12) is None
    assert again.decisions.revision("shop") > seen
    assert again.decisions.delta("shop", seen, NOW).reset
    again.close()


def test_a_folder_with_a_store_or_a_running_server_is_refused(store, target, tmp_path):
    fill(store, [1])
    store.backup(target, NOW)
    with pytest.raises(StoreError, match="is in use by process"):
        put_back(target, tmp_path / "data")
    store.close()
    before = (tmp_path / "data" / CONTROL).read_bytes()
    with pytest.raises(StoreError, match="is not empty") as error:
        put_back(target, tmp_path / "data")
    assert "--deleted" in str(error.value)
    assert (tmp_path / "data" / CONTROL).read_bytes() == before


@pytest.mark.parametrize("name", [CONTROL, EVENTS])
def test_a_damaged_backup_is_refused_before_anything_is_made(store, target, tmp_path, name):
    fill(store, [1])
    store.backup(target, NOW)
    data = bytearray((target / name).read_bytes())
    data[len(data) // 2] ^= 1
    (target / name).write_bytes(data)
    with pytest.raises(StoreError, match=rf"{name}` is not what was backed up"):
        put_back(target, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_file_of_another_length_is_not_read_through(store, target, tmp_path, monkeypatch):
    """One that is made a terabyte long by its holes alone would take an hour."""
    fill(store, [1])
    store.backup(target, NOW)
    monkeypatch.setattr(backup, "_told", lambda path: pytest.fail(f"{path} was read"))
    for name in (CONTROL, EVENTS):
        os.truncate(target / name, (target / name).stat().st_size + 1)
    with pytest.raises(StoreError, match="is not what was backed up"):
        put_back(target, tmp_path / "again")


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", '{"form": 9, "at": 1, "events": 1, "files": {}}', "[]", '{"files": 1}',
        '{"at": 1e999, "events": 0, "form": 1, "files": {}}', pytest.param("[" * 200_000, id="deep"),
    ],
)  # fmt: skip
def test_what_is_no_backup_is_refused(target, tmp_path, text):
    (target / MANIFEST).write_text(text)
    with pytest.raises(StoreError):
        put_back(target, tmp_path / "again")
    (target / MANIFEST).unlink()
    with pytest.raises(StoreError, match="is no backup"):
        put_back(target, tmp_path / "again")


def test_what_says_what_a_backup_is_is_an_ordinary_file_of_a_bounded_length(store, target, tmp_path):
    """A pipe would be waited for, a device read without end."""
    fill(store, [1])
    store.backup(target, NOW)
    manifest = target / MANIFEST
    manifest.write_text(manifest.read_text() + " " * (1 << 20) + "x")
    assert backup.read(target).events == 20
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(StoreError, match="is no backup"):
        put_back(target, tmp_path / "again")


def test_a_backup_of_a_newer_sentinel_is_refused_before_anything_is_made(store, target, tmp_path, monkeypatch):
    fill(store, [1])
    store.backup(target, NOW)
    told = rf"was written by a newer Sentinel \(tables `{migrate.HEAD}`, this one knows `0000`\)"
    monkeypatch.setattr(migrate, "HEAD", "0000")
    with pytest.raises(StoreError, match=told):
        put_back(target, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("text", ["who,when\n1,2\n", '{"app": "shop"}\n', "[" * 200_000], ids=["csv", "half", "deep"])
def test_a_file_that_tells_of_no_deleted_person_is_not_taken_for_one_that_does(store, target, tmp_path, text):
    """Whoever was deleted since the backup would be back, and nobody would know."""
    fill(store, [1])
    store.backup(target, NOW)
    (tmp_path / "file").write_text(text)
    with pytest.raises(StoreError, match=r"file` tells of no deleted person \(name the `deleted.jsonl` of a data"):
        put_back(target, tmp_path / "again", (tmp_path / "file",))
    assert not (tmp_path / "again").exists()
    (tmp_path / "file").write_text("")
    put_back(target, tmp_path / "again", (tmp_path / "file",))


@pytest.mark.parametrize("last", [EVENTS, CONTROL])
def test_a_restore_that_was_killed_is_done_again_and_nothing_starts_before(store, target, tmp_path, monkeypatch, last):
    """A server would begin anew in that folder, with nothing in it, and take events."""
    fill(store, [1])
    store.backup(target, NOW)
    again = tmp_path / "again"
    replace = Path.replace

    def killed(draft, name):
        if name.name == last:
            raise SystemExit
        replace(draft, name)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(SystemExit):
            put_back(target, again)
    with pytest.raises(StoreError, match="was broken off"):
        open_store(again)
    put_back(target, again)
    found = open_store(again)
    assert found.events.count("shop", Filter()) == 20
    found.close()


def test_a_backup_names_no_file_outside_itself(store, target, tmp_path):
    fill(store, [1])
    store.backup(target, NOW)
    text = (target / MANIFEST).read_text().replace(EVENTS, "../data/" + EVENTS)
    (target / MANIFEST).write_text(text)
    with pytest.raises(StoreError, match="form that is not known"):
        put_back(target, tmp_path / "again")


def test_a_folder_that_is_not_empty_or_open_to_others_takes_no_backup(store, target, tmp_path):
    target.chmod(0o755)
    with pytest.raises(StoreError, match="others may look into it"):
        store.backup(target, NOW)
    target.chmod(0o700)
    (target / "mine").write_text("x")
    with pytest.raises(StoreError, match="not empty"):
        store.backup(target, NOW)
    assert (target / "mine").read_text() == "x"
    for odd in (tmp_path / "nowhere", tmp_path / "a\0b"):
        with pytest.raises(StoreError, match="cannot take a backup"):
            store.backup(odd, NOW)


def test_a_backup_that_fails_leaves_an_empty_folder_and_the_store_as_it_was(store, target, monkeypatch):
    fill(store, [1])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy_control", full)
    with pytest.raises(StoreError, match=r"no backup was made in .*: No space left on device"):
        store.backup(target, NOW)
    assert list(target.iterdir()) == []
    fill(store, [2])
    assert store.events.count("shop", Filter()) == 40


def test_without_room_nothing_is_begun(store, target, monkeypatch):
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(StoreError, match=r"has room for 0 MiB"):
        store.backup(target, NOW)
    assert list(target.iterdir()) == []


def test_a_copy_that_does_not_open_is_no_backup(store, target, monkeypatch):
    fill(store, [1])
    monkeypatch.setattr(store._duck, "copy", lambda to: to.write_bytes(b"not a database" * 1000))
    with pytest.raises(StoreError, match="no backup was made"):
        store.backup(target, NOW)
    assert list(target.iterdir()) == []


def test_another_process_cannot_take_the_events_file_after_a_backup(store, target, tmp_path):
    """DuckDB's lock is one that a process loses when it closes the file anywhere."""
    fill(store, [1])
    store.backup(target, NOW)
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "data" / EVENTS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "lock" in ran.stderr
