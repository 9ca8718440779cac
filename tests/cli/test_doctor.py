"""`sentinel doctor` names the commonest mistakes, each in a line that says what to do."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentinel.actions.fetch import Fetcher
from sentinel.cli import doctor_checks
from sentinel.cli.program import run
from sentinel.local import leave
from sentinel.store.embedded.backup import CONTROL, EVENTS
from sentinel.store.embedded.store import open_store
from sentinel.store.folder import Folder
from tests import valkey
from tests.api.whole import PLAYBOOKS
from tests.api.whole import whole as run_whole
from tests.ports import free_port

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()


KNOCK = Fetcher.knock


@pytest.fixture
def doctor(capsys, monkeypatch, tmp_path):
    """Run the doctor over a folder of its own; return its code and lines. `toml` is the file of settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Fetcher, "knock", lambda *of: None)
    (tmp_path / "playbooks").mkdir(exist_ok=True)
    (tmp_path / "playbooks" / "all.yaml").write_text(PLAYBOOKS)

    def examine(toml="", mode=0o600):
        file = tmp_path / "sentinel.toml"
        file.write_text('playbooks = ["playbooks"]\nport = 0\n' + toml)
        file.chmod(mode)
        code = run(["doctor", "--data", str(tmp_path / "data")])
        return code, capsys.readouterr().out

    return examine


def test_nothing_is_bad_where_nothing_is(doctor):
    code, said = doctor('[channels.security]\nkind = "log"\n')
    assert code == 0 and "bad " not in said, said


def test_as_json_it_is_a_line_for_each_with_the_same_code(doctor, capsys):
    assert doctor("retentoin = '90d'\n")[0] == run(["doctor", "--format", "json"]) == 1
    (one,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert one["state"] == "bad" and "`retention`" in one["text"]


def test_a_setting_that_is_misspelt_is_named_with_what_was_meant(doctor):
    code, said = doctor("retentoin = '90d'\n")
    assert code == 1 and "did you mean `retention`?" in said


def test_a_disk_that_is_nearly_full_is_named(doctor, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=300 << 20))
    assert re.search(r"bad +300 MiB free where .* lies \(make room: events are refused once it is full\)", doctor()[1])


def test_playbooks_of_which_none_enforces_refuse_nobody(doctor, tmp_path):
    (tmp_path / "playbooks" / "all.yaml").write_text(PLAYBOOKS.replace("mode: enforce", "mode: monitor"))
    assert "note  no playbook enforces: nobody is refused" in doctor()[1]
    (tmp_path / "playbooks" / "all.yaml").write_text(PLAYBOOKS)
    assert "no playbook enforces" not in doctor()[1]


def test_notifications_without_a_channel_reach_the_log_alone(doctor):
    assert "note  notifications go to the log alone" in doctor()[1]
    assert "go to the log alone" not in doctor('[channels.security]\nkind = "log"\n')[1]


def test_an_exception_that_is_over_is_named(doctor, tmp_path):
    over = "exceptions: [{where: ip == device, until: 2025-01-01, reason: load test}]\nmode: enforce"
    text = PLAYBOOKS.replace("mode: enforce", over, 1)
    (tmp_path / "playbooks" / "all.yaml").write_text(text)
    code, said = doctor()
    assert code == 0 and "its exception `load test` ended on 2025-01-01 (take it out of `playbooks/all.yaml`)" in said
    (tmp_path / "playbooks" / "all.yaml").write_text(text.replace("2025-01-01", "2125-01-01"))
    assert "ended on" not in doctor()[1]


def test_a_folder_without_a_playbook_is_named(doctor, tmp_path):
    (tmp_path / "playbooks" / "all.yaml").rename(tmp_path / "playbooks" / "all.txt")
    code, said = doctor()
    assert code == 1 and "there are no playbooks" in said


@pytest.mark.parametrize(
    ("private", "why"), [("false", "its address 127.0.0.1 is refused"), ("true", "Connection refused")]
)
def test_a_channel_that_cannot_be_reached_is_named_and_told_nothing(doctor, monkeypatch, private, why):
    monkeypatch.setattr(Fetcher, "knock", KNOCK)
    url = f"http://127.0.0.1:{free_port()}/secret-path"
    lines = f'kind = "webhook"\nurl = "{url}"\nsecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\n'
    code, said = doctor(f"allow_private_webhooks = {private}\n[channels.security]\n{lines}")
    assert code == 1 and re.search(rf"bad +channel `security`: .*{why}", said) and "secret-path" not in said


def test_a_channel_that_takes_connections_is_no_matter(doctor, monkeypatch):
    monkeypatch.setattr(Fetcher, "knock", KNOCK)
    with socket.create_server(("127.0.0.1", 0)) as taking:
        url = f"http://127.0.0.1:{taking.getsockname()[1]}/x"
        lines = f'kind = "webhook"\nurl = "{url}"\nsecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\n'
        assert "channel `security`" not in doctor(f"allow_private_webhooks = true\n[channels.security]\n{lines}")[1]
        taking.settimeout(60)
        taken, _ = taking.accept()
        with taken:
            assert taken.recv(1) == b""


def test_a_digest_to_a_channel_there_is_not_is_named(doctor):
    code, said = doctor('digest = "daily"\ndigest_channel = "boss"\n')
    assert code == 1 and "bad   `digest_channel`: there is no channel `boss`" in said


def test_a_file_of_settings_with_secrets_is_its_owners_alone(doctor):
    secret = '[channels.security]\nkind = "webhook"\nurl = "https://hooks.example/x"\n'
    code, said = doctor(secret, 0o644)
    assert code == 1 and "others may read `sentinel.toml`" in said
    assert "others may read" not in doctor(secret)[1]
    assert "others may read" not in doctor("", 0o644)[1]


def test_first_secrets_that_lie_about_are_named(doctor, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "first-start.txt").write_text("x")
    assert "still holds the first secrets" in doctor()[1]


def test_what_stands_before_the_server_is_said(doctor):
    assert "plain HTTP beyond this machine" in doctor('host = "0.0.0.0"\n')[1]
    said = doctor('public_url = "https://s.example"\n')[1]
    assert "no proxy is trusted" in said and "plain HTTP" not in said
    assert "no proxy is trusted" not in doctor('public_url = "https://s.example"\ntrusted_proxies = ["10.0.0.1"]\n')[1]
    said = doctor('forwarded_header = "forwarded"\n')[1]
    assert "`forwarded_header` says nothing while no proxy is trusted" in said


def test_proxies_among_which_are_strangers_are_named(doctor):
    code, said = doctor('trusted_proxies = ["0.0.0.0/0"]\n')
    assert code == 1 and "`trusted_proxies`: in `0.0.0.0/0` are strangers" in said
    assert "are strangers" not in doctor('trusted_proxies = ["10.0.0.0/8", "fd00::/48"]\n')[1]


def test_a_clock_that_was_never_set_is_named(doctor, monkeypatch):
    monkeypatch.setattr(doctor_checks.time, "time", lambda: 86400.0)
    code, said = doctor()
    assert code == 1 and "the clock shows 1970-01-02" in said


def test_few_files_are_named(doctor, monkeypatch):
    monkeypatch.setattr(doctor_checks.resource, "getrlimit", lambda _: (256, 1024))
    code, said = doctor()
    assert code == 1 and "at most 1024 files may be open" in said
    monkeypatch.setattr(doctor_checks.resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    assert "may be open" not in doctor()[1]


def test_a_server_that_nobody_uses_or_that_enforces_nothing_is_noted(doctor, tmp_path):
    with run_whole(tmp_path) as whole:
        leave(tmp_path / "data", f"http://127.0.0.1:{whole.client.port}", whole.server.token)
        said = doctor()[1]
        assert "no events of `one` in a day" in said and "good  the running server says ok" in said
        whole.fail("203.0.113.9")
        said = doctor()[1]
        assert "no events of `one`" not in said and "no SDK asks for the decisions of `one`" in said
        assert "switched off" not in said
        assert "note  5 keys of `one`, for all that is known, nobody used in 90 days: `one " in said
        whole.server._mark_keys()
        said = doctor()[1]
        assert "note  4 keys of `one`" in said and "`one sdk`" not in said and " and 1 more (revoke with" in said
        whole.using("admin").ask("PUT", "/v1/enforcement", {"on": False, "why": "test"})
        said = doctor()[1]
        assert "enforcement of `one` is switched off" in said and "enforcement of `two`" not in said


def test_a_server_that_died_is_not_taken_for_one_that_runs(doctor, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    leave(tmp_path / "data", "http://127.0.0.1:9", "token")
    code, said = doctor()
    assert code == 1 and "no server answers at `http://127.0.0.1:9`" in said


def test_a_setting_that_is_not_its_kind_is_named(doctor):
    code, said = doctor('retention = "soon"\n')
    assert code == 1 and "bad   `sentinel.toml: retention`: " in said


def test_a_folder_that_cannot_be_written_is_named(doctor, monkeypatch, tmp_path):
    monkeypatch.setattr("sentinel.cli.doctor.os.access", lambda path, mode: False)
    code, said = doctor()
    assert code == 1 and f"the data folder `{tmp_path / 'data'}` cannot be written" in said


def test_a_folder_others_may_look_into_is_named(doctor, tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    code, said = doctor()
    assert code == 1 and f"others may look into `{tmp_path / 'data'}`" in said


def _damaged(data):
    (data / CONTROL).write_bytes(b"no database at all, and yet of some length" * 100)


def _newer(data):
    open_store(data).close()
    with closing(sqlite3.connect(data / CONTROL)) as file, file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")


def _anothers(data):
    data.chmod(0o755)
    (data / "letters.txt").write_text("")


@pytest.mark.parametrize(
    ("make", "why"),
    [(_damaged, "is damaged"), (_newer, "was written by a newer Sentinel"), (_anothers, "it has `letters.txt`")],
)
def test_files_that_a_server_would_refuse_are_named(doctor, tmp_path, make, why):
    (tmp_path / "data").mkdir(mode=0o700)
    make(tmp_path / "data")
    before = sorted((one.name, one.read_bytes()) for one in (tmp_path / "data").iterdir())
    code, said = doctor()
    assert code == 1 and re.search(rf"bad +`{tmp_path / 'data'}.*{why}", said), said
    assert sorted((one.name, one.read_bytes()) for one in (tmp_path / "data").iterdir()) == before


def test_files_that_a_server_has_open_are_left_alone(doctor, tmp_path):
    with closing(Folder(tmp_path / "data")):
        _damaged(tmp_path / "data")
        assert doctor()[0] == 0


@pytest.mark.parametrize(
    ("disk", "why"),
    [
        ({"f_flag": os.ST_RDONLY}, "lies on a disk that can only be read"),
        ({"f_favail": 0}, "no further file can be made"),
    ],
)
def test_a_disk_that_takes_nothing_is_named(doctor, monkeypatch, disk, why):
    usual = {"f_flag": 0, "f_files": 1000, "f_favail": 10, "f_frsize": 4096, "f_blocks": 1 << 30, "f_bfree": 1 << 30}
    there = SimpleNamespace(**{**usual, "f_bavail": 1 << 30, **disk})
    monkeypatch.setattr("sentinel.cli.doctor.os.statvfs", lambda path: there)
    code, said = doctor()
    assert code == 1 and why in said


def test_a_file_in_the_folders_place_is_named(doctor, tmp_path):
    (tmp_path / "data").write_text("")
    code, said = doctor()
    assert code == 1 and f"the data folder `{tmp_path / 'data'}` cannot be: `{tmp_path / 'data'}` is a file" in said


def test_a_folder_of_another_user_is_named_and_all_else_looked_at(doctor, monkeypatch, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    inside = f"{tmp_path / 'data'}{os.sep}"
    really = Path.stat

    def stat(path, **how):
        if str(path).startswith(inside):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, **how)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr("sentinel.cli.doctor.os.access", lambda path, mode: False)
    code, said = doctor('[network_lists]\ntor = "https://lists.example/tor"\n')
    assert code == 1 and f"the data folder `{tmp_path / 'data'}` cannot be written" in said
    assert "no server is running" in said


def test_root_is_told_whose_folder_it_is(doctor, monkeypatch, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    monkeypatch.setattr("sentinel.cli.doctor.os.geteuid", lambda: os.getuid() + 1)
    assert f"note  `{tmp_path / 'data'}` is another user's" in doctor()[1]


def test_a_port_that_is_taken_is_named(doctor, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("SENTINEL_PORT", str(port))
        code, said = doctor()
    assert code == 1 and f"`127.0.0.1:{port}` cannot be listened at: Address already in use (set `port`)" in said


def test_a_mistake_inside_a_playbooks_file_is_named_with_its_place(doctor, tmp_path):
    (tmp_path / "playbooks" / "all.yaml").write_text(PLAYBOOKS.replace("window: 10m", "widow: 10m", 1))
    code, said = doctor()
    assert code == 1 and re.search(r"bad +playbooks/all\.yaml:8:1: .*`widow`", said), said


def test_a_geo_database_that_is_cut_off_is_named(doctor, tmp_path):
    whole = (Path(__file__).parents[2] / "sentinel" / "content" / "geo" / "demo-city.mmdb").read_bytes()
    (tmp_path / "city.mmdb").write_bytes(whole[: len(whole) // 2])
    code, said = doctor(f'geo = ["{tmp_path / "city.mmdb"}"]\n')
    assert code == 1 and f"bad   geo database `{tmp_path / 'city.mmdb'}`: " in said


def test_a_list_with_a_line_that_is_no_network_is_named_with_the_line(doctor, tmp_path):
    (tmp_path / "tor.txt").write_text("192.0.2.1\n<html>\n")
    code, said = doctor(f'[network_lists]\ntor = ["{tmp_path / "tor.txt"}"]\n')
    assert code == 1 and re.search(rf"bad +list of tor networks `{tmp_path}/tor.txt`.*line 2", said), said


def test_a_server_whose_events_cannot_be_searched_is_looked_at_to_the_end(doctor, tmp_path):
    with run_whole(tmp_path) as whole:
        whole.fail("203.0.113.9")
    file = tmp_path / "data" / EVENTS
    file.write_bytes(os.urandom(file.stat().st_size))
    with run_whole(tmp_path) as whole:
        leave(tmp_path / "data", f"http://127.0.0.1:{whole.client.port}", whole.server.token)
        whole.using("admin", "two").ask("PUT", "/v1/enforcement", {"on": False, "why": "test"})
        code, said = doctor()
    assert code == 1 and re.search(rf"bad +the running server says degraded: .*{file}", said)
    assert "note  whether `one` is used cannot be said: " in said
    assert "enforcement of `two` is switched off" in said


class TestWindows:
    """What a Redis or Valkey would do to a server that is told to keep its windows there."""

    def test_one_that_cannot_be_reached_is_named_without_its_password(self, doctor):
        code, said = doctor(f'windows = "redis://:hunter2@127.0.0.1:{free_port()}/0"\n')
        assert code == 1 and re.search(r"bad +`windows`: Redis or Valkey cannot be used: ", said)
        assert "hunter2" not in said
        assert said.count("see that Redis or Valkey runs") == 1

    def test_one_that_would_let_keys_go_is_named(self, doctor):
        server = valkey.Server("--maxmemory-policy", "allkeys-lru")
        try:
            code, said = doctor(f'windows = "{server.url}/0"\n')
        finally:
            server.end()
        assert code == 1 and "the server's `maxmemory-policy` is `allkeys-lru`" in said

    def test_one_that_is_full_is_named(self, doctor):
        server = valkey.Server("--maxmemory", "1mb")
        try:
            code, said = doctor(f'windows = "{server.url}/0"\n')
        finally:
            server.end()
        assert code == 1 and re.search(r"bad +Redis or Valkey is \d+% full: .*\(raise `maxmemory`\)", said)

    def test_one_that_is_right_is_good_and_nothing_is_written_to_it(self, doctor):
        server = valkey.Server("--appendonly", "yes", "--appendfsync", "always")
        try:
            code, said = doctor(f'windows = "{server.url}/0"\n')
            assert server.client().dbsize() == 0
        finally:
            server.end()
        assert code == 0 and "good  Redis or Valkey takes windows" in said and "is killed forgets" not in said

    def test_one_that_writes_nothing_down_is_noted(self, doctor):
        code, said = doctor(f'windows = "{valkey.shared().url}/0"\n')
        assert code == 0 and "note  a Redis or Valkey that is killed forgets its last moments" in said

    def test_without_the_client_it_is_said_what_to_install(self, doctor, monkeypatch):
        monkeypatch.delitem(sys.modules, "sentinel.windows.link", raising=False)
        monkeypatch.setitem(sys.modules, "redis", None)
        code, said = doctor('windows = "redis://127.0.0.1:6379/0"\n')
        assert code == 1 and "pip install 'sentinel-playbooks[redis]'" in said


MISTAKES = {
    "a setting is misspelt, or its value is of the wrong kind": (
        test_a_setting_that_is_misspelt_is_named_with_what_was_meant,
        test_a_setting_that_is_not_its_kind_is_named,
    ),
    "the data folder belongs to another user, others may look into it, or its files cannot be used": (
        test_a_folder_that_cannot_be_written_is_named,
        test_a_folder_others_may_look_into_is_named,
        test_files_that_a_server_would_refuse_are_named,
    ),
    "the disk is nearly full or read-only, or takes no more files": (
        test_a_disk_that_is_nearly_full_is_named,
        test_a_disk_that_takes_nothing_is_named,
    ),
    "the port is taken, or `server.json` was left by a server that died": (
        test_a_port_that_is_taken_is_named,
        test_a_server_that_died_is_not_taken_for_one_that_runs,
    ),
    "a playbook has a mistake or an expired exception, or none enforces": (
        test_a_mistake_inside_a_playbooks_file_is_named_with_its_place,
        test_playbooks_of_which_none_enforces_refuse_nobody,
        test_an_exception_that_is_over_is_named,
    ),
    "no channel is set up, or one cannot be reached": (
        test_notifications_without_a_channel_reach_the_log_alone,
        test_a_channel_that_cannot_be_reached_is_named_and_told_nothing,
    ),
    "others can read the settings file with its secrets, or `first-start.txt` was never deleted": (
        test_a_file_of_settings_with_secrets_is_its_owners_alone,
        test_first_secrets_that_lie_about_are_named,
    ),
    "HTTP without TLS beyond the machine; a proxy missing from `trusted_proxies`, or strangers in it": (
        test_what_stands_before_the_server_is_said,
        test_proxies_among_which_are_strangers_are_named,
    ),
    "no events come in, no SDK asks for decisions, or the switch is off": (
        test_a_server_that_nobody_uses_or_that_enforces_nothing_is_noted,
    ),
    "a geo database or list is missing, damaged or cannot be fetched; the clock was never set; few files may be open": (
        test_a_geo_database_that_is_cut_off_is_named,
        test_a_list_with_a_line_that_is_no_network_is_named_with_the_line,
        test_a_clock_that_was_never_set_is_named,
        test_few_files_are_named,
    ),
}


def test_each_of_the_ten_mistakes_in_the_manual_has_its_test():
    table = OPERATING.partition("| the mistake |")[2].partition("\n\n")[0]
    told = [line.strip("| ").partition(" |")[0] for line in table.splitlines()[2:]]
    assert told == list(MISTAKES) and len(told) == 10
