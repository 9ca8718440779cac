"""`sentinel doctor` names the commonest mistakes, each in a line that says what to do."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentinel.cli import examined
from sentinel.cli.program import run
from sentinel.local import leave
from sentinel.store.embedded.backup import EVENTS
from tests import valkey
from tests.api.whole import PLAYBOOKS
from tests.api.whole import whole as run_whole
from tests.ports import free_port

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()


@pytest.fixture
def doctor(capsys, monkeypatch, tmp_path):
    """Run the doctor over a folder of its own; return its code and lines. `toml` is the file of settings."""
    monkeypatch.chdir(tmp_path)
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


def test_a_clock_that_was_never_set_is_named(doctor, monkeypatch):
    monkeypatch.setattr(examined.time, "time", lambda: 86400.0)
    code, said = doctor()
    assert code == 1 and "the clock shows 1970-01-02" in said


def test_few_files_are_named(doctor, monkeypatch):
    monkeypatch.setattr(examined.resource, "getrlimit", lambda _: (256, 1024))
    code, said = doctor()
    assert code == 1 and "at most 1024 files may be open" in said
    monkeypatch.setattr(examined.resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
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
    "a setting is misspelt, or not its kind": (
        test_a_setting_that_is_misspelt_is_named_with_what_was_meant,
        test_a_setting_that_is_not_its_kind_is_named,
    ),
    "the data folder is another user's, or others may look into it": (
        test_a_folder_that_cannot_be_written_is_named,
        test_a_folder_others_may_look_into_is_named,
    ),
    "the disk is nearly full": (test_a_disk_that_is_nearly_full_is_named,),
    "the port is taken, or `server.json` is of a server that died": (
        test_a_port_that_is_taken_is_named,
        test_a_server_that_died_is_not_taken_for_one_that_runs,
    ),
    "a playbook has a mistake, or none enforces": (
        test_a_mistake_inside_a_playbooks_file_is_named_with_its_place,
        test_playbooks_of_which_none_enforces_refuse_nobody,
    ),
    "no channel is set up": (test_notifications_without_a_channel_reach_the_log_alone,),
    "the settings' file with secrets can be read by others, `first-start.txt` was never deleted": (
        test_a_file_of_settings_with_secrets_is_its_owners_alone,
        test_first_secrets_that_lie_about_are_named,
    ),
    "HTTP without TLS beyond the machine; a proxy that is not in `trusted_proxies`": (
        test_what_stands_before_the_server_is_said,
    ),
    "no events come, no SDK asks for decisions, the switch is off": (
        test_a_server_that_nobody_uses_or_that_enforces_nothing_is_noted,
    ),
    "a geo database or a list of networks is missing or damaged, the clock was never set, few files may be open": (
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
