"""`sentinel doctor` names the commonest mistakes, each in a line that says what to do."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest

from sentinel.cli import examined
from sentinel.cli.program import run
from sentinel.local import leave
from tests.api.whole import PLAYBOOKS
from tests.api.whole import whole as run_whole

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


def test_a_setting_that_is_misspelt_is_named_with_what_was_meant(doctor):
    code, said = doctor("retentoin = '90d'\n")
    assert code == 1 and "did you mean `retention`?" in said


def test_a_disk_that_is_nearly_full_is_named(doctor, monkeypatch):
    monkeypatch.setattr("sentinel.cli.doctor.LITTLE", 1 << 60)
    assert re.search(r"bad +[\d.]+ GiB free", doctor()[1])


def test_playbooks_of_which_none_enforces_refuse_nobody(doctor, tmp_path):
    (tmp_path / "playbooks" / "all.yaml").write_text(PLAYBOOKS.replace("mode: enforce", "mode: monitor"))
    assert "note  no playbook enforces: nobody is refused" in doctor()[1]
    (tmp_path / "playbooks" / "all.yaml").write_text(PLAYBOOKS)
    assert "no playbook enforces" not in doctor()[1]


def test_notifications_without_a_channel_reach_the_log_alone(doctor):
    assert "note  notifications go to the log alone" in doctor()[1]
    assert "go to the log alone" not in doctor('[channels.security]\nkind = "log"\n')[1]


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


def test_the_ten_mistakes_are_in_the_manual():
    table = OPERATING.partition("| the mistake |")[2].partition("\n\n")[0]
    assert len(table.splitlines()[2:]) == 10
