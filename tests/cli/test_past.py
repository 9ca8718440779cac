"""Judging on what a server has stored, running or not; comparing two versions; suggesting thresholds."""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack, closing

import pytest

from sentinel.cli import past
from sentinel.cli.program import run
from sentinel.local import leave
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.suggest import Asked, Suggest
from sentinel.service.trials.summary import summary
from tests.api.served import wait_for
from tests.api.whole import whole as run_whole
from tests.service.stories import playbooks, windows

PLAYBOOK = """playbook: p
title: A test
mode: monitor
event: auth
where: not success
group_by: {group}
window: 10m
when: {{count: {count}}}
actions: [block_ip: {{for: 1h, target: ip}}]
"""
NOW = time.time()
OTHER = {"event": "page.viewed", "user": "u1", "ip": "203.0.113.9", "timestamp": NOW - 50, "id": "other"}


def events(count, ip, user="u1", ago=60.0):
    row = {"event": "auth", "success": False, "ip": ip}
    return [{**row, "id": f"{ip}-{n}", "user": user, "timestamp": NOW - ago + n} for n in range(count)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that has stored three failed logins of one address, two of another, and three of a month ago."""
    with run_whole(tmp_path_factory.mktemp("server")) as whole:
        leave(whole.server.settings.data, f"http://127.0.0.1:{whole.client.port}", whole.server.token)
        sdk = whole.using("sdk")
        who = {"id": "77", "email": "w@b.example"}
        sdk.post("/v1/events", {"event": "auth", "success": True, "user": who, "timestamp": NOW - 100, "id": "link"})
        answer = sdk.post("/v1/events", events(3, "203.0.113.9", {"email": "w@b.example"}) + events(2, "203.0.113.10"))
        assert answer.json["accepted"] == 5, answer.body
        sdk.post("/v1/import", events(3, "203.0.113.11", ago=40 * 86400))
        outbox = whole.server.store.outbox
        wait_for(lambda: any(one.done for one in outbox.list("one").items))  # told where commands write to, too
        yield whole


@pytest.fixture
def ask(server, capfdbinary, monkeypatch, tmp_path):
    """Run a command beside the server's data folder and return its code, lines and errors."""
    monkeypatch.setenv("SENTINEL_DATA", str(server.server.settings.data))
    monkeypatch.setenv("SENTINEL_APP", "one")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PLAYBOOK.format(group="ip", count=3))
    (tmp_path / "q.yaml").write_text(PLAYBOOK.format(group="ip", count=2))

    def command(*words):
        code = run([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return code, out.decode().splitlines(), err.decode()

    return command


def found(answer):
    code, lines, err = answer
    assert code == 0, err
    *rows, last = map(json.loads, lines)
    return rows, last["summary"]


class TestExport:
    def test_events_come_in_the_order_of_time_within_the_span(self, server):
        answer = server.using("read").get(f"/v1/events/export?from={NOW - 1000}")
        assert answer.headers["content-type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in answer.body.splitlines()]
        assert [row["id"] for row in rows][:2] == ["link", "203.0.113.10-0"] and len(rows) == 6
        assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
        assert rows[1]["user"] == "id:u1"
        everything = server.using("read").get("/v1/events/export").body.splitlines()
        assert len(everything) == 9
        before = server.using("read").get(f"/v1/events/export?to={NOW - 1000}").body.splitlines()
        assert len(before) == 3

    def test_an_empty_answer_is_empty(self, server):
        assert server.using("read", "two").get("/v1/events/export").body == b""

    def test_a_time_that_is_none_is_refused(self, server):
        assert server.using("read").get("/v1/events/export?from=soon").status == 422


class TestSince:
    def test_a_running_server_is_asked(self, ask):
        (row,), total = found(ask("backtest", "p.yaml", "--since", "1d", "--format", "json"))
        assert (row["group"], row["tally"]) == ({"ip": "203.0.113.9"}, {"count": 3})
        assert (total["events"], total["order"], total["addresses"]["targets"]) == (6, "as in the store", 1)

    def test_further_back_what_was_imported_is_judged_like_everything_else(self, ask):
        rows, total = found(ask("backtest", "p.yaml", "--since", "60d", "--format", "json"))
        assert [row["group"]["ip"] for row in rows] == ["203.0.113.11", "203.0.113.9"]
        assert (total["historical"], total["addresses"]["targets"]) == (0, 2)

    def test_a_person_is_the_one_that_was_found(self, ask, tmp_path):
        (tmp_path / "u.yaml").write_text(PLAYBOOK.format(group="user", count=3))
        (row,), _ = found(ask("backtest", "u.yaml", "--since", "1d", "--format", "json"))
        assert row["group"] == {"user": "id:77"}

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "past events are needed (give `--events FILE`, or `--since 30d` for what a server stored)"),
            (
                ["--events", "x", "--since", "1d"],
                "`--events` and `--since` are two sources of past events (leave one of them out)",
            ),
        ],
    )
    def test_there_is_one_source(self, ask, words, said):
        code, _, err = ask("backtest", "p.yaml", *words)
        assert (code, err) == (2, f"sentinel: {said}\n")


@pytest.mark.parametrize("case", ["p", "everything", "nothing", "odd names", "many names", "emit"])
def test_what_a_server_is_asked_for_comes_to_what_all_of_it_does(server, ask, monkeypatch, case):
    """Only events of the names that matter are read, where these can be told."""
    changes = {"everything": "event: ['*']", "nothing": "event: never"}
    text = PLAYBOOK.format(group="ip", count=2).replace("event: auth", changes.get(case, "event: auth"))
    text = text.replace("actions: [", "actions: [emit: {event: odd}, ") if case == "emit" else text
    if case == "nothing":  # whom it would block, it asks where they logged in
        text = text.partition("actions")[0].replace("not success", "ip != None")
    if case == "odd names":
        monkeypatch.setattr(past, "_PLAIN", re.compile("x"))
    if case == "many names":
        monkeypatch.setattr(past, "NAMES", 1)
    read = []
    lines = past.Client.lines
    monkeypatch.setattr(past.Client, "lines", lambda self, path, query: read.append(query) or lines(self, path, query))
    source = past.Stored("1d", None, None, "one", server.server.settings.data)
    plan = Plan(playbooks(text), windows)
    with closing(Backtest(plan)) as full, closing(Backtest(plan)) as few:
        full.run_stored(source.batches())
        source.judge(few)
        assert (list(few.findings.lines()), summary(few)) == (list(full.findings.lines()), summary(full))
    told = {"p": 'event in ["auth"]', "everything": 'event in ["auth"]'}
    assert [one.get("q") for one in read] == ([None] if case == "nothing" else [None, told.get(case)])


MEASURED = """playbook: counts
event: auth
where: not success
group_by: ip
window: 10m
when: {distinct: {user: 2}, count: 2}
actions: [block_ip: {for: 1h}, emit: {event: odd}]
---
playbook: surges
event: au*
group_by: []
window: 1m
spike: {factor: 2, baseline: 1h, min: 1}
---
playbook: waits
event: auth
where: success
group_by: user
absent: {event: never, within: 1h}
---
playbook: novelties
event: auth
group_by: []
first_seen: {field: ip, history: 30d, after: 1}
"""


@pytest.mark.parametrize("running", [True, False])
def test_thresholds_are_suggested_from_what_matters_as_from_all(tmp_path, monkeypatch, running):
    """Only events that playbooks match are read, and no login more: nobody is acted on."""
    given, counted = [], past.Run._counted
    monkeypatch.setattr(
        past.Run, "_counted", lambda run, batches: (given.append(len(one)) or one for one in counted(run, batches))
    )
    with ExitStack() as stack:
        whole = stack.enter_context(run_whole(tmp_path))
        whole.using("sdk").post("/v1/events", [*events(3, "203.0.113.9"), *events(2, "203.0.113.10", "u2"), OTHER])
        if running:
            leave(tmp_path / "data", f"http://127.0.0.1:{whole.client.port}", whole.server.token)
        else:
            stack.close()
        source = past.Stored("1d", None, None, "one", tmp_path / "data")
        full, few = (Suggest(Asked(playbooks(MEASURED), 600_000_000)) for _ in range(2))
        full.run_stored(source.batches())
        source.judge(few)
    assert (few.report(99), few.account.events, few.order) == (full.report(99), 6, full.order)
    assert sum(given) == 6 + 5


def test_where_no_server_runs_its_store_is_opened(tmp_path, monkeypatch, capfdbinary):
    with run_whole(tmp_path) as whole:
        whole.using("sdk").post("/v1/events", events(3, "203.0.113.9"))
        whole.using("sdk").post("/v1/import", events(3, "203.0.113.11", ago=40 * 86400))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PLAYBOOK.format(group="ip", count=3))
    capfdbinary.readouterr()
    for most in (past.AT_ONCE, 0):  # it lets go of the store
        monkeypatch.setattr(past, "AT_ONCE", most)
        words = ["backtest", "p.yaml", "--since", "60d", "--data", "data", "--app", "one", "--format", "json"]
        assert run(words) == 0
        *rows, last = map(json.loads, capfdbinary.readouterr().out.splitlines())
        assert [row["group"]["ip"] for row in rows] == ["203.0.113.11", "203.0.113.9"]
        assert last["summary"]["historical"] == 0, "what was imported is judged like everything else"
    assert run(["backtest", "p.yaml", "--since", "1d", "--data", "data", "--app", "none"]) == 2
    assert b"there is no app `none`" in capfdbinary.readouterr().err


def test_a_folder_without_a_store_is_said_so_and_stays_without(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PLAYBOOK.format(group="ip", count=3))
    assert run(["backtest", "p.yaml", "--since", "1d", "--data", "nothing"]) == 2
    assert "`nothing` holds no store" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


class TestAgainst:
    def test_only_what_differs_is_told_and_the_summary_of_each(self, ask):
        rows, total = found(ask("backtest", "q.yaml", "--against", "p.yaml", "--since", "1d", "--format", "json"))
        assert [(row["only"], row["group"]["ip"]) for row in rows] == [
            ("this", "203.0.113.10"), ("this", "203.0.113.9"), ("other", "203.0.113.9"),
        ]  # fmt: skip
        assert (total["this"]["findings"], total["other"]["findings"]) == (2, 1)
        assert total["only"]["this"] == {"findings": 2, "users": [], "addresses": ["203.0.113.10"]}
        assert total["only"]["other"] == {"findings": 1, "users": [], "addresses": []}
        assert total["this"]["harm"]["addresses"] == {"blocked": 2, "owners": 0}

    def test_the_same_twice_differs_in_nothing(self, ask):
        rows, total = found(ask("backtest", "p.yaml", "--against", "p.yaml", "--since", "1d", "--format", "json"))
        assert rows == []
        assert total["only"]["this"] == total["only"]["other"] == {"findings": 0, "users": [], "addresses": []}

    def test_people_read_a_table(self, ask):
        _, lines, _ = ask("backtest", "q.yaml", "--against", "p.yaml", "--since", "1d")
        text = "\n".join(lines)
        assert "  findings                     2     2      1          1" in text
        assert "  addresses acted on           2     1      1          0" in text
        assert "2 findings of this alone" in text
        assert "1 address of this alone: 203.0.113.10" in text

    def test_standard_input_cannot_be_read_twice(self, ask):
        code, _, err = ask("backtest", "p.yaml", "--against", "q.yaml", "--events", "-")
        assert (code, err.startswith("sentinel: standard input cannot be read twice")) == (2, True)


class TestSuggest:
    def test_the_distribution_and_a_threshold_are_told(self, ask):
        code, lines, _ = ask("suggest", "p.yaml", "--since", "1d", "--percentile", "50")
        assert (code, lines[0]) == (0, "6 events, as in the store")
        assert lines[2] == "p: count, the highest of each of 2 groups"
        assert lines[3].split() == ["p50", "p75", "p90", "p95", "p99", "p99.9", "highest"]
        assert lines[4].split() == ["2", "3", "3", "3", "3", "3", "3"]
        assert lines[5:7] == [
            "  now        >= 3: 1 group would fire",
            "  suggested  >= 3: 1 group would fire (percentile 50)",
        ]
        assert "    3  ip 203.0.113.9" in lines

    def test_as_json_it_is_a_metric_a_line(self, ask):
        _, (line,), _ = ask("suggest", "p.yaml", "--since", "60d", "--format", "json")
        one = json.loads(line)
        assert (one["playbook"], one["metric"], one["measured"]) == ("p", "count", 3)
        assert one["suggested"] == {"percentile": 99.9, "threshold": 4, "fires": 0, "needs": 1000}

    def test_a_file_will_do_too(self, ask, tmp_path):
        (tmp_path / "day.ndjson").write_text("".join(json.dumps(one) + "\n" for one in events(4, "203.0.113.9")))
        _, lines, _ = ask("suggest", "p.yaml", "--events", "day.ndjson")
        assert lines[5:9] == [
            "  now        >= 3: 1 group would fire",
            "  suggested  >= 5: 0 groups would fire (percentile 99.9)",
            "  of 1 group that percentile is the highest, be it an attacker's; it takes 1,000:",
            "  look back for longer",
        ]

    def test_of_few_groups_it_says_which_percentile_would_leave_one_out(self, ask, tmp_path):
        day = [one for n in range(7) for one in events(4 if n else 40, f"203.0.113.{n}")]
        (tmp_path / "day.ndjson").write_text("".join(json.dumps(one) + "\n" for one in day))
        lines = ask("suggest", "p.yaml", "--events", "day.ndjson")[1]
        assert lines[7:9] == [
            "  of 7 groups that percentile is the highest, be it an attacker's; it takes 1,000:",
            "  look back for longer, or ask for percentile 85.7 or a lower one",
        ]
        lines = ask("suggest", "p.yaml", "--events", "day.ndjson", "--percentile", "85.7")[1]
        assert lines[6:8] == ["  suggested  >= 5: 1 group would fire (percentile 85.7)", "    40  ip 203.0.113.0"]

    def test_playbooks_without_a_threshold_are_said_so(self, ask, tmp_path):
        (tmp_path / "t.yaml").write_text(
            "playbook: t\ngroup_by: user\nwindow: 1h\nsequence: [{event: a}, {event: b}]\n"
        )
        code, _, err = ask("suggest", "t.yaml", "--since", "1d")
        assert (code, err.partition(" (")[0]) == (2, "sentinel: there is no playbook with a threshold to suggest")
