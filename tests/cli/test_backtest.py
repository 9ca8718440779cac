"""`sentinel backtest`: what reaches which stream, the exit code, and what a newcomer reads."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard

from sentinel.cli.program import run

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "data" / "demo.ndjson.gz")
PLAYBOOK = """playbook: p
title: A test
mode: {mode}
event: auth
where: not success
group_by: {group}
window: 10m
when: {{count: 3}}
actions: [block_ip: {{for: 1h, target: ip}}]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in a folder with one playbook and its burst of events."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTINEL_CHANNELS", raising=False)
    (tmp_path / "p.yaml").write_text(PLAYBOOK.format(mode="monitor", group="ip"))
    (tmp_path / "events.ndjson").write_text(lines())
    return tmp_path


def lines(count=3, ip="203.0.113.9", **fields):
    rows = (
        {"id": f"e{n}", "event": "auth", "timestamp": f"2026-01-05T00:00:{n:02}Z", "success": False, "ip": ip, **fields}
        for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_wait_that_ended_after_all_that_was_read_is_told_apart(here, capsys):
    """Whoever backtests a wait of a month over a week would else take everybody for missing."""
    asked = "playbook: p\nevent: auth\ngroup_by: ip\nabsent: {event: paid, within: 10s}\n"
    (here / "p.yaml").write_text(asked)
    ended = json.dumps({"id": "z", "event": "auth", "timestamp": "2026-01-05T00:00:15Z", "ip": "198.51.100.7"}) + "\n"
    said = "wait ended after the last event: what came then is not known, and may have ended it before"
    (here / "events.ndjson").write_text(lines(count=1) + ended)
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 0
    assert f"  1 {said}\n" in (out := capsys.readouterr().out) and "2 findings" in out
    (here / "events.ndjson").write_text(lines(count=1) + ended.replace('"auth"', '"other"'))
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 0
    assert "wait" not in capsys.readouterr().out


def test_what_windows_counted_no_further_is_told_as_at_least_so_many(here, capsys):
    """A program is told the number."""
    (here / "events.ndjson").write_text(lines(count=50))
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 0
    assert "count >= 3 " in capsys.readouterr().out
    assert run(["backtest", "p.yaml", "--events", "events.ndjson", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["tally"] == {"count": 3}


def test_the_demo_tells_a_newcomer_what_was_found_and_what_it_would_have_done(capsys):
    assert run(["backtest", "--events", DEMO]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in (
        "19,790 events",
        "as if its mode were `enforce`",
        "credential-stuffing",
        "block_ip",
        "harm:",
        "busiest",
    ):
        assert words in out


def test_json_is_a_finding_a_line_and_then_the_summary(here, capfdbinary):
    assert run(["backtest", "p.yaml", "--events", "events.ndjson", "--format", "json"]) == 0
    out, err = capfdbinary.readouterr()
    finding, last = map(json.loads, out.splitlines())
    assert (finding["group"], finding["event_id"], list(last), err) == ({"ip": "203.0.113.9"}, "e2", ["summary"], b"")
    assert finding["actions"] == [{"kind": "block_ip", "target": "203.0.113.9", "for_s": 3600}]


def test_the_same_run_gives_the_same_bytes(here, capfdbinary):
    outs = []
    for _ in range(2):
        run(["backtest", "p.yaml", "--events", "events.ndjson", "--format", "json"])
        outs.append(capfdbinary.readouterr().out)
    assert outs[0] == outs[1]


def test_json_cannot_steer_the_terminal_and_means_what_the_sender_wrote(here, capfdbinary):
    (here / "p.yaml").write_text(PLAYBOOK.format(mode="monitor", group="properties.name"))
    evil = "\x1b[2J\x7f\x9b2J\u202eZoë"
    (here / "events.ndjson").write_text(lines(properties={"name": evil}))
    assert run(["backtest", "p.yaml", "--events", "events.ndjson", "--format", "json"]) == 0
    out = capfdbinary.readouterr().out.decode()
    assert not {"\x1b", "\x7f", "\x9b", "\u202e"} & set(out)
    finding, last = map(json.loads, out.splitlines())
    assert finding["group"] == last["summary"]["busiest"][0]["group"] == {"properties.name": evil}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_packed_files_are_read(here, capsys, pack):
    (here / "packed").write_bytes(pack(lines().encode()))
    assert run(["backtest", "p.yaml", "--events", "packed"]) == 0
    assert "1 finding" in capsys.readouterr().out


def test_standard_input_is_read(here, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines().encode())))
    assert run(["backtest", "p.yaml", "--events", "-"]) == 0
    assert "3 events" in capsys.readouterr().out


def test_a_table_is_read_with_its_columns_mapped(here, capsys):
    rows = "".join(f"2026-01-05T00:00:0{n}Z,f,203.0.113.9\n" for n in range(3))
    (here / "logins.csv").write_text(f"when,ok,from\n{rows}")
    mapped = ["--map", "when=timestamp", "--map", "ok=success", "--map", "from=ip", "--event", "auth"]
    assert run(["backtest", "p.yaml", "--events", "logins.csv", *mapped]) == 0
    assert "block_ip 203.0.113.9 for 1h" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--events", "nowhere"], "sentinel: there is no file `nowhere`"),
        (["--events", "."], "sentinel: `.` is a folder (name the files in it)"),
        (["--events", "p.yaml"], "sentinel: `p.yaml` holds no events; line 1: not JSON"),
        (["--events", "half.gz"], "sentinel: `half.gz` ends in the middle of its packed data (was it copied whole?)"),
        (
            ["--events", "other"],
            "sentinel: `other` holds no events; line 1: `event`: missing (every event has a name)\n",
        ),
        (["--events", "binary"], "sentinel: `binary` is binary"),
        (["--events", "events.ndjson", "--map", "x"], "sentinel: `--map x` maps nothing"),
        (["--events", "events.ndjson", "--map", "x=ip"], "sentinel: `events.ndjson` is not CSV: it has no columns"),
        (["--events", "events.ndjson", "--lateness", "10"], "sentinel: `--lateness`: `10` is not a duration (a unit"),
        (["--events", "bad.ndjson", "--strict"], "sentinel: bad.ndjson:4: not JSON"),
        ([], "sentinel: "),
    ],
)
def test_input_that_cannot_be_used_is_one_line_and_exit_code_2(here, capsys, arguments, message):
    (here / "half.gz").write_bytes(gzip.compress(lines(500).encode())[:-20])
    (here / "binary").write_bytes(bytes(100))
    (here / "other").write_text("{}\n{}\n")
    (here / "bad.ndjson").write_text(lines() + "{oops\n")
    assert run(["backtest", "p.yaml", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message) and err.count("\n") == 1


def test_mistakes_in_playbooks_are_told_and_exit_code_1(here, capsys):
    (here / "p.yaml").write_text("playbook: p\n")
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "p.yaml:1:1: " in err


def test_rules_alone_find_nothing(here, capsys):
    (here / "r.yaml").write_text("rule: r\ntitle: r\nevent: a\n")
    assert run(["backtest", "r.yaml", "--events", "events.ndjson"]) == 2
    assert capsys.readouterr().err.startswith("sentinel: there is no playbook to judge")


def test_bad_lines_are_told_at_the_end_and_cost_nothing_else(here, capsys):
    (here / "events.ndjson").write_text(lines() + "{oops\n" + lines(1, ip="nowhere"))
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 0
    out = capsys.readouterr().out
    assert "2 lines are no events:" in out
    assert "events.ndjson:4: not JSON" in out and "events.ndjson:5: `ip`: `nowhere` is not an address" in out


def test_what_a_sender_wrote_cannot_steer_the_terminal(here, capsys):
    """Neither from a group, nor an id, nor a bad line, nor a file's name."""
    (here / "p.yaml").write_text(PLAYBOOK.format(mode="monitor", group="properties.name"))
    evil = "\x1b[2J\u202e\x07evil"
    bad = json.dumps({"id": "x", "event": "auth", "timestamp": evil})
    (here / "e\x1bvents").write_text(lines(properties={"name": evil}) + bad + "\n")
    assert run(["backtest", "p.yaml", "--events", "e\x1bvents"]) == 0
    out, _ = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert "\\x1b[2J\\u202e\\x07evil" in out


def test_one_of_something_is_told_as_one(here, capsys):
    (here / "events.ndjson").write_text(lines() + "no event\n")
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 0
    out = capsys.readouterr().out
    assert "harm: of 1 address blocked, 0 later looked like its owner (" in out
    assert "harm: of 0 users blocked, 0 later looked like their owners (" in out
    assert "\n1 line is no event:\n" in out


def test_own_modes_act_as_the_playbooks_say(here, capsys):
    assert run(["backtest", "p.yaml", "--events", "events.ndjson", "--own-modes"]) == 0
    out = capsys.readouterr().out
    assert "as if its mode" not in out and "block_ip was held back 1 time: monitor" in out


def test_a_playbook_that_is_off_is_named_as_left_out(here, capsys):
    (here / "q.yaml").write_text(PLAYBOOK.format(mode='"off"', group="ip").replace("playbook: p", "playbook: q"))
    assert run(["backtest", ".", "--events", "events.ndjson"]) == 0
    assert "left out, because they are off: q" in capsys.readouterr().out
    (here / "off.yaml").write_text(PLAYBOOK.format(mode="off", group="user"))
    assert run(["backtest", "p.yaml", "--against", "off.yaml", "--events", "events.ndjson"]) == 0
    assert "left out of the other, because they are off: p" in capsys.readouterr().out


def test_many_findings_are_told_shortly(here, capsys):
    rows = "".join(
        lines(ip=f"198.51.100.{n}", properties={"n": n}).replace('"id": "e', f'"id": "{n}-') for n in range(60)
    )
    (here / "events.ndjson").write_text(rows)
    assert run(["backtest", "p.yaml", "--events", "events.ndjson"]) == 0
    assert "and 10 more (--format json tells all)" in capsys.readouterr().out


def test_garbage_is_collected_again_afterwards(here, capsys):
    for arguments, code in ((["p.yaml", "--events", "events.ndjson"], 0), (["p.yaml", "--events", "nowhere"], 2)):
        assert (run(["backtest", *arguments]), gc.isenabled()) == (code, True)


def test_progress_is_shown_on_a_terminal_and_nowhere_else():
    """It goes to standard error and is gone at the end; the report is the same."""
    code = "import sys; from sentinel.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "backtest", "--events", DEMO]
    quiet = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=True)
    assert quiet.stderr == b""
    outlet, inlet = pty.openpty()
    shown = []

    def read():
        with suppress(OSError):  # nobody holds the terminal's other end any more
            while True:  # a terminal that nobody reads is full after some seconds, and its writer waits
                shown.append(os.read(outlet, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        seen = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=inlet, timeout=300, check=True)
    finally:
        os.close(inlet)
        reader.join(60)
        os.close(outlet)
    assert b"kB" in b"".join(shown)
    assert seen.stdout == quiet.stdout


class TestPlaces:
    """What a server knows of an address is known to a backtest too: the settings' lists, or others."""

    PLAYBOOK = (
        "playbook: t\nevent: auth\nwhere: network.kind == 'tor'\ngroup_by: ip\nwindow: 1m\nwhen: {count: 1}\n"
        "actions: [{block_ip: {for: 1h}}]\n"
    )

    @pytest.fixture
    def found(self, here, capsys):
        """Return how many findings a backtest has, and what it says of trouble."""
        (here / "t.yaml").write_text(self.PLAYBOOK)
        (here / "exits.txt").write_text("203.0.113.0/24\n")

        def run_it(*more):
            code = run(["backtest", "t.yaml", "--events", "events.ndjson", "--format", "json", *more])
            out, err = capsys.readouterr()
            return (json.loads(out.splitlines()[-1])["summary"]["findings"] if code == 0 else code), err

        return run_it

    def test_without_a_list_nobody_is_known(self, found):
        assert found() == (0, "")

    def test_the_lists_of_the_settings_are_asked(self, found, here, monkeypatch):
        monkeypatch.setenv("SENTINEL_NETWORK_LISTS", json.dumps({"tor": str(here / "exits.txt")}))
        assert found() == (1, "")
        (here / "none.txt").write_text("")
        assert found("--network-list", "tor=none.txt") == (0, "")

    def test_a_list_can_be_named(self, found):
        assert found("--network-list", "tor=exits.txt") == (1, "")

    def test_a_list_that_is_not_there_is_said_so(self, found):
        assert "there is no such file" in found("--network-list", "tor=nowhere.txt")[1]

    @pytest.mark.parametrize("pair", ["exits.txt", "=exits.txt", "tor="])
    def test_what_is_no_list_is_refused(self, found, pair):
        code, err = found("--network-list", pair)
        assert code == 2 and "is not KIND=FILE" in err
