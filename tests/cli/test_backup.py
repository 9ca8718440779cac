"""`sentinel backup` and `sentinel restore`, beside a running server and without one."""

from __future__ import annotations

import stat
from contextlib import closing

import pytest

from sentinel.cli.program import run
from sentinel.core.record import Account, App, Filter
from sentinel.local import leave
from sentinel.service.upkeep import BACKED
from sentinel.store.embedded.store import open_store
from sentinel.store.postgres.store import open_postgres
from tests import postgres
from tests.api.whole import whole as run_whole
from tests.contract.conftest import migrated
from tests.contract.values import NOW, batch, decision, event, make_link, put


@pytest.fixture
def ask(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SENTINEL_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def running(tmp_path):
    with run_whole(tmp_path) as whole:
        leave(tmp_path / "data", f"http://127.0.0.1:{whole.client.port}", whole.server.token)
        whole.fail("203.0.113.9")
        yield whole


def test_a_running_server_is_backed_up_and_restored_elsewhere(running, ask, tmp_path):
    code, out, err = ask("backup", tmp_path / "backup")
    assert (code, err) == (0, "")
    assert "backed up 3 events and everything else to " in out
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    assert running.local.get("/v1/audit?server=true").json["items"][0]["target"] == "backed_up"
    code, out, err = ask("restore", tmp_path / "backup", "--data", tmp_path / "again")
    assert (code, err) == (0, "")
    assert "as it was at 20" in out and "revoke again what was revoked since" in out
    store = open_store(tmp_path / "again")
    assert store.events.count("one", Filter()) == 3
    assert [one.value for one in store.decisions.delta("one", 0, 0).added] == ["203.0.113.9"]
    assert store.audit.list(None).items[0].action == "restore"
    store.close()


def test_folders_may_be_named_from_where_one_stands(ask, tmp_path, monkeypatch):
    monkeypatch.delenv("SENTINEL_DATA")
    open_store(tmp_path / "sentinel-data").close()
    code, out, err = ask("backup", "copies/today")
    assert (code, err) == (0, "")
    assert out.startswith("backed up 0 events and everything else to copies/today: ")
    (tmp_path / "sentinel-data").rename(tmp_path / "sentinel-data.old")
    code, out, err = ask("restore", "copies/today")
    assert (code, err) == (0, "")
    assert out.startswith("restored sentinel-data as it was at 20")


def test_the_folder_of_a_running_server_is_not_restored_into(running, ask, tmp_path):
    assert ask("backup", tmp_path / "backup")[0] == 0
    code, _, err = ask("restore", tmp_path / "backup")
    assert code == 2 and "a server runs with the data folder" in err


def test_keys_of_apps_make_no_backup_and_no_path_is_taken_that_is_not_whole(running, tmp_path):
    assert running.using("admin").post("/v1/backup", {"folder": str(tmp_path / "b")}).status == 403
    for folder in ("b", "/nowhere/b", str(tmp_path), "/tmp/a\u0000b"):
        assert running.local.post("/v1/backup", {"folder": folder}).status == 422


def test_without_a_server_the_folder_itself_is_backed_up(ask, tmp_path):
    open_store(tmp_path / "data").close()
    assert ask("backup", tmp_path / "backup")[0] == 0
    with closing(open_store(tmp_path / "data")) as store:
        assert store.settings.get(BACKED) == store.audit.list(None).items[0].at, "the figure tells of it too"
    assert ask("restore", tmp_path / "backup", "--data", tmp_path / "again")[0] == 0


def test_what_cannot_be_backed_up_or_restored_is_told_and_leaves_no_folder(ask, tmp_path):
    code, _, err = ask("backup", tmp_path / "backup")
    assert code == 2 and "there is no data folder" in err
    assert not (tmp_path / "backup").exists()
    open_store(tmp_path / "data").close()
    code, _, err = ask("backup", tmp_path / "data")
    assert code == 2 and "it is not empty" in err
    (tmp_path / "file").write_text("")
    code, _, err = ask("backup", tmp_path / "file" / "below")
    assert code == 2 and "cannot be made: Not a directory" in err
    code, _, err = ask("restore", tmp_path, "--data", tmp_path / "again")
    assert code == 2 and "is no backup" in err
    code, _, err = ask("restore", tmp_path, "--data", tmp_path / "again", "--deleted", tmp_path / "no")
    assert code == 2


@pytest.fixture
def database():
    server = postgres.shared()
    names = [server.make(migrated())]
    yield lambda like=None: names.append(server.make(like or names[0])) or names[-1]
    for name in names:
        server.drop(name)


def test_a_file_is_no_folder(ask, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert f"`{file}` cannot be made: there is a file of that name" in ask("backup", file)[2]
    assert "cannot be used as data folder: it is a file" in ask("backup", tmp_path / "new", "--data", file)[2]


def test_a_database_that_was_put_back_is_made_ready_for_its_servers(database, ask, tmp_path):
    """Who was deleted stays deleted, sessions are void, and no SDK goes on from a list there is no more."""
    url = postgres.shared().url
    name = database()
    with closing(open_postgres(url(name))) as store:
        store.access.add_app(App("shop"), "test", NOW)
        put(store, batch(events=(event("a", user={"id": "1"}), event("b")), decisions=(decision("d", until=None),)))
        store.accounts.invite(Account("a1", "ann", "admin"), NOW + 10, "test", NOW)
        token, link = store.accounts.begin("a1", None, NOW + 10**12, NOW), make_link(store, "setup", NOW + 10, NOW)
        revision = store.decisions.revision("shop")
    earlier = database(like=name)
    with closing(open_postgres(url(name), folder=tmp_path)) as store:
        store.deletions.delete("shop", "id:1", "ann", "", NOW + 5)
    code, out, err = ask("restore", "--database", url(earlier), "--deleted", tmp_path / "deleted.jsonl")
    assert (code, err) == (0, "")
    assert "every SDK takes the whole decision list anew" in out and "empty the Redis or Valkey" in out
    with closing(open_postgres(url(earlier))) as store:
        assert [kept.event.id for kept in store.events.search("shop", Filter()).items] == ["b"]
        delta = store.decisions.delta("shop", revision + 1, NOW)
        assert (delta.reset, [one.id for one in delta.added]) == (True, ["d"])
        assert store.decisions.delta("shop", delta.revision, NOW).reset is False
        assert store.accounts.session(token, NOW, 10**12) is None
        assert not store.access.good_link("setup", link, NOW)
        assert store.audit.list(None).items[0].action == "restore"


def test_a_database_is_not_made_ready_while_servers_use_it(database, ask, monkeypatch):
    monkeypatch.setattr("sentinel.store.postgres.news._LEAVING", 0.2)
    url = postgres.shared().url(database())
    with closing(open_postgres(url)):
        code, _, err = ask("restore", "--database", url)
    assert code == 2 and "in use by another server" in err


def test_a_backup_of_files_is_not_restored_into_a_database_and_a_missing_one_is_asked_for(ask, tmp_path):
    code, _, err = ask("restore", tmp_path / "backup", "--database", "postgresql://127.0.0.1:1/x")
    assert code == 2 and "call this without a backup" in err
    code, _, err = ask("restore")
    assert code == 2 and "name the folder that `sentinel backup` made" in err
    code, _, err = ask("restore", "--database", "postgresql://127.0.0.1:1/x", "--deleted", tmp_path / "none")
    assert code == 2 and "there is no file" in err and "leave `--deleted` out" in err
