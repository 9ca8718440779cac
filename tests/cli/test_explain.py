"""`sentinel explain`: what people read about an event, a group and a decision."""

from __future__ import annotations

import io
import json

import pytest

from sentinel.cli.program import run
from sentinel.local import leave
from tests.api.whole import whole as run_whole

PLAYBOOK = """playbook: p
title: A test
mode: enforce
event: auth
where: not success and properties.amount > 5
group_by: ip
window: 10m
when: {count: 3}
---
playbook: q
event: signup
group_by: ip
window: 10m
when: {count: 3}
"""
EVENT = {"id": "e1", "event": "auth", "timestamp": "2026-01-05T00:00:00Z", "success": False, "ip": "203.0.113.9"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with run_whole(tmp_path_factory.mktemp("server")) as whole:
        leave(whole.server.settings.data, f"http://127.0.0.1:{whole.client.port}", whole.server.token)
        yield whole


@pytest.fixture
def ask(capsys, monkeypatch, tmp_path):
    """Run `sentinel explain` in a folder with two playbooks and return its code, lines and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    (tmp_path / "day.ndjson").write_text(json.dumps(EVENT) + "\n")

    def command(*words, stdin=None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = run(["explain", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return command


@pytest.fixture
def ask_server(ask, server, monkeypatch):
    monkeypatch.setenv("SENTINEL_DATA", str(server.server.settings.data))
    monkeypatch.setenv("SENTINEL_APP", "one")
    return ask


LOCAL = [
    "auth e1 at 2026-01-05T00:00:00Z",
    "",
    "playbook p (enforce) does not count: the condition does not hold",
    "  yes  not success    success = false",
    "  ?    properties.amount > 5    properties.amount = missing",
    "",
    "1 playbooks do not look at events named `auth`",
]


def test_an_event_of_a_file_is_explained_without_a_server(ask):
    assert ask("p.yaml", "--events", "day.ndjson", "--id", "e1") == (0, LOCAL, "")


def test_an_event_on_standard_input_too(ask):
    assert ask("p.yaml", stdin=json.dumps(EVENT)) == (0, LOCAL, "")


def test_as_json_it_is_what_the_api_answers(ask):
    _, (line,), _ = ask("p.yaml", "--format", "json", stdin=json.dumps(EVENT))
    found = json.loads(line)
    assert [one["id"] for one in found["playbooks"]] == ["p", "q"]
    assert found["playbooks"][0]["parts"][0]["clauses"][1]["truth"] is None


@pytest.mark.parametrize(
    ("words", "stdin", "text"),
    [
        (["p.yaml", "--events", "day.ndjson", "--id", "e2"], None, "`day.ndjson` holds no event `e2`"),
        (["p.yaml", "--id", "e2"], None, "`--events` and `--id` belong together"),
        (["p.yaml", "--event", "x", "--decision", "y"], None, "one question at a time"),
        (["p.yaml"], "[", "standard input is not one event as JSON"),
        (["p.yaml"], '{"event": 5}', "`event`: not a text"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(ask, words, stdin, text):
    code, lines, err = ask(*words, stdin=stdin)
    assert (code, lines) == (2, [])
    assert err.startswith(f"sentinel: {text}") and err.count("\n") == 1


def test_what_a_sender_wrote_cannot_steer_the_terminal(ask):
    _, lines, _ = ask("p.yaml", stdin=json.dumps({**EVENT, "id": "\x9b", "properties": {"amount": "\x1b[2J"}}))
    assert not any("\x1b" in line for line in lines)


def test_a_server_explains_its_event_its_group_and_its_decision(ask_server, server):
    server.fail("203.0.113.9", user="u1", times=1, id="told")
    assert "playbook three-failures (enforce) counts for ip 203.0.113.9" in ask_server("--event", "told")[1]
    server.fail("203.0.113.9", user="u1", times=1)
    _, lines, _ = ask_server("--group", "ip=203.0.113.9")
    assert lines[:3] == [
        "three-failures (enforce), ip 203.0.113.9",
        "  count: 2 of >= 3",
        "  fires: 1 more matching event, in one window of 10m",
    ]
    server.fail("203.0.113.9", user="u1", times=1)
    assert not [line for line in lines if line.startswith("  nobody acts")]
    _, lines, _ = ask_server("--group", "ip=127.0.0.1")
    assert "  nobody acts on ip 127.0.0.1: private or local address" in lines
    (made,) = server.using("read").get("/v1/decisions?value=203.0.113.9").json["items"]
    _, lines, _ = ask_server("--decision", made["id"])
    lines = lines[lines.index("block ip 203.0.113.9") :]  # the server of the test logs to the same place
    assert lines[1].endswith(": Three failed logins from one address") and "by playbook three-failures" in lines[1]
    assert lines[2].startswith("  in force until ")
    assert "  count: >= 3 of >= 3" in lines


def test_a_decision_that_was_lifted_says_by_whom_and_why(ask_server, server):
    admin = server.using("admin")
    made = admin.post("/v1/decisions", {"kind": "block", "scope": "user", "value": "v", "reason": "abuse"}).json
    admin.delete(f"/v1/decisions/{made['id']}?why=mistake")
    _, lines, _ = ask_server("--decision", made["id"])
    assert lines[1].endswith(": abuse") and lines[2].startswith("  lifted ") and lines[2].endswith(": mistake")


@pytest.mark.parametrize(
    ("kind", "does"),
    [("block", "holds at logins alone: open sessions go on"), ("allow", "lets logins through")],
)
def test_what_a_decision_about_logins_does_is_told_by_its_kind(ask_server, server, kind, does):
    new = {"kind": kind, "scope": "user", "value": f"{kind}ed", "reason": "x", "logins_only": True}
    made = server.using("admin").post("/v1/decisions", new).json
    assert f"  it {does}" in ask_server("--decision", made["id"])[1]


def test_a_group_that_no_playbook_has_alone_is_said_so(ask_server):
    assert (
        ask_server("--group", "usr=x")[2] == "sentinel: `group`: no playbook groups by `usr` (did you mean `user`?)\n"
    )
