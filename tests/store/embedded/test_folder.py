"""The data folder: one server, its owner's eyes only, and no file is harmed that cannot be used."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from sentinel.core.errors import SentinelError, StoreError
from sentinel.core.record import App, Filter
from sentinel.store import migrate
from sentinel.store.embedded import control
from sentinel.store.embedded.store import CONTROL, EVENTS, open_store
from tests.contract.values import NOW, batch, event, put


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "sentinel.lock"}


def filled(folder):
    store = open_store(folder)
    store.access.add_app(App("shop"), "test", NOW)
    put(store, batch(events=tuple(event(f"e{n}") for n in range(50))))
    store.project()
    store.close()


def test_a_second_server_is_told_who_has_the_folder(tmp_path):
    store = open_store(tmp_path / "data")
    with pytest.raises(StoreError, match=f"`{tmp_path / 'data'}` is in use by process {os.getpid()}"):
        open_store(tmp_path / "data")
    store.close()
    open_store(tmp_path / "data").close()


def test_a_server_that_died_does_not_hold_the_folder(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from sentinel.store.embedded.store import open_store\n"
        "open_store(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], timeout=300, check=False)
    assert ran.returncode == -signal.SIGKILL
    open_store(tmp_path / "data").close()


def test_nobody_else_can_read_what_is_kept(tmp_path):
    mask = os.umask(0)
    try:
        store = open_store(tmp_path / "data")
        store.access.add_app(App("shop"), "test", NOW)
        put(store, batch(events=(event("a"),)))
        store.project()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()}
        assert f"{EVENTS}.wal" in modes
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        store.close()
    finally:
        os.umask(mask)


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used as data folder: it is a file"):
        open_store(tmp_path / "file")


def test_a_folder_that_may_not_be_made_is_to_be_made_for_the_user(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError) as told:
        open_store(tmp_path / "data")
    assert str(told.value).endswith("Permission denied (make it first, for the user that runs Sentinel)")


@pytest.mark.parametrize("name", ["notes.txt", "var", "sentinel.toml"])
def test_a_folder_of_other_things_is_refused_and_stays_as_open_as_it_is(tmp_path, name):
    """Whoever names `/var` by mistake must not shut everybody else out of it."""
    (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(StoreError, match=f"is not empty: it has `{name}`"):
        open_store(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("name", [".bashrc", "lost+found", "deleted.jsonl", "lists", "server.json", "first-start.txt"])
def test_what_a_home_a_disk_or_an_earlier_server_leaves_is_no_hindrance(tmp_path, name):
    (tmp_path / name).touch()
    open_store(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_folder_that_is_nobody_else_s_may_hold_what_it_holds(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "playbooks").mkdir()
    open_store(tmp_path).close()
    assert (tmp_path / "playbooks").is_dir()


def cut(data):
    return data[: len(data) // 2 + 100]


def flip(data):
    middle = len(data) // 2 // 4096 * 4096
    return data[:middle] + bytes(4096) + data[middle + 4096 :]


def other(data):
    return b"This is no database at all.\n" * 200


@pytest.mark.parametrize("damage", [cut, flip, other])
def test_a_damaged_control_file_is_refused_and_not_touched(tmp_path, damage):
    filled(tmp_path / "data")
    path = tmp_path / "data" / CONTROL
    path.write_bytes(damage(path.read_bytes()))
    before = contents(tmp_path / "data")
    with pytest.raises(StoreError, match=f"`{path}` is damaged") as error:
        open_store(tmp_path / "data")
    assert "move the data folder away, then `sentinel restore` a backup" in str(error.value)
    after = contents(tmp_path / "data")
    assert {name: after[name] for name in before} == before


def foreign(path, mode):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("CREATE TABLE bookmarks (page TEXT)")
    connection.commit()
    return connection


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("checked", [True, False])
def test_another_programs_database_is_refused_and_nothing_is_written(tmp_path, monkeypatch, mode, checked):
    if not checked:
        monkeypatch.setattr(control, "LARGEST_CHECK", 0)
    data = tmp_path / "data"
    data.mkdir()
    foreign(data / CONTROL, mode).close()
    before = contents(data)
    with pytest.raises(StoreError, match=r"is another program's database: it has tables, and no `journal`") as error:
        open_store(data)
    assert "data folder of its own" in str(error.value)
    assert contents(data) == before


def test_another_programs_database_is_refused_while_its_log_is_not_in_it_yet(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    other = foreign(data / CONTROL, "wal")
    before = {name: held for name, held in contents(data).items() if not name.endswith("-shm")}
    assert before[f"{CONTROL}-wal"]
    with pytest.raises(StoreError, match="is another program's database"):
        open_store(data)
    assert {name: held for name, held in contents(data).items() if not name.endswith("-shm")} == before
    other.close()


def test_another_programs_events_file_is_refused_and_not_written_to(tmp_path):
    filled(tmp_path / "data")
    path = tmp_path / "data" / EVENTS
    path.unlink()
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE events (id INTEGER)")
    before = path.read_bytes()
    store = open_store(tmp_path / "data")
    assert "the file is another program's" in store.health().explorer
    store.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_control_file_beside_stored_events_is_refused(tmp_path, left):
    """Else the new journal would count from one again, and events with known numbers would be passed over."""
    filled(tmp_path / "data")
    for file in (tmp_path / "data").glob(f"{CONTROL}*"):
        file.unlink()
    if left is not None:
        (tmp_path / "data" / CONTROL).write_bytes(left)
    with pytest.raises(StoreError, match="is missing or empty, but"):
        open_store(tmp_path / "data")


def test_an_older_control_file_does_not_hide_new_events(tmp_path):
    """After a backup of the control file was put back, the stored events reach further than its journal."""
    data = tmp_path / "data"
    open_store(data).close()
    store = open_store(data)
    store.access.add_app(App("shop"), "test", NOW)
    store.close()
    backup = (data / CONTROL).read_bytes()
    filled(data)
    (data / CONTROL).write_bytes(backup)
    store = open_store(data)
    put(store, batch(events=(event("new"),)))
    assert store.events.count("shop", Filter()) == 51
    store.close()


def test_the_events_of_another_store_are_not_taken_for_ones_own(tmp_path):
    filled(tmp_path / "one")
    filled(tmp_path / "two")
    stranger = (tmp_path / "one" / EVENTS).read_bytes()
    (tmp_path / "two" / EVENTS).write_bytes(stranger)
    store = open_store(tmp_path / "two")
    assert "the events of another store" in store.health().explorer
    put(store, batch(events=(event("a"),)))
    with pytest.raises(SentinelError, match="another store"):
        store.events.count("shop", Filter())
    store.close()
    assert (tmp_path / "two" / EVENTS).read_bytes() == stranger


def test_tables_of_a_newer_sentinel_are_refused(tmp_path):
    filled(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / CONTROL) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="newer Sentinel"):
        open_store(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / CONTROL) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (migrate.HEAD,))
    connection.close()
    open_store(tmp_path / "data").close()
