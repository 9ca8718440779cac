"""`sentinel test`: one line a test, a readable difference, JUnit, shuffling, and the exit code."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sentinel.cli.program import run
from sentinel.core.event import Event
from sentinel.enrich.enricher import Enricher

FILE = """playbook: p
title: A test
event: auth
where: not success
group_by: ip
window: 10m
when: {{count: 3}}
actions: [block_ip: {{for: 1h}}]
tests:
  - name: three in a row
    events:
      - {{at: 0s, event: auth, success: false, ip: 203.0.113.9, repeat: 3, every: 10s}}
    expect:
      - {{at: {at}, group: {{ip: 203.0.113.9}}, block_ip: 203.0.113.9}}
---
rule: r
title: A rule
event: auth
tests:
  - {{event: {{event: auth}}, matches: {matches}}}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTINEL_CHANNELS", raising=False)

    def write(at="20s", matches="true"):
        (tmp_path / "p.yaml").write_text(FILE.format(at=at, matches=matches))

    write()
    return write


def test_the_shipped_files_pass_their_own_tests(capsys, monkeypatch):
    monkeypatch.delenv("SENTINEL_CHANNELS", raising=False)
    assert run(["test"]) == 0
    assert capsys.readouterr().out.endswith(" passed, 0 failed\n")


def test_each_test_is_one_line(here, capsys):
    assert run(["test", "p.yaml"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("ok    r: event 1\nok    p: three in a row\n2 passed, 0 failed\n", "")


PHONES = """playbook: p
title: One browser, many accounts
rule: by-a-program
group_by: device
window: 10m
when: {distinct: {user: 3}}
actions: [emit: {event: program.seen}]
tests:
  - name: three users of one user agent
    events:
      - {at: 0s, event: signup, user: "u{n}", request: {user_agent: curl/8.5.0}, repeat: 3, every: 10s}
      - {at: 0s, event: signup, user: "v{n}", request: {user_agent: "curl/8.{n}"}, repeat: 3, every: 10s}
      - {at: 0s, event: signup, user: "w{n}", request: {user_agent: Firefox}, repeat: 3, every: 10s}
      - {at: 0s, event: signup, user: "x{n}", device: "d{n}", request: {user_agent: curl/8.5.0}, repeat: 3, every: 10s}
    expect:
      - {at: 20s, group: {device: DEVICE}}
---
rule: by-a-program
title: A program signs up
event: signup
where: agent.bot
tests:
  - {event: {event: signup, request: {user_agent: curl/8.5.0}}, matches: true}
  - {event: {event: signup, request: {user_agent: Firefox}}, matches: false}
"""


def test_an_event_of_a_test_has_the_agent_and_the_device_of_its_user_agent_as_on_a_server(here, tmp_path, capsys):
    found = Event()
    found.request = {"user_agent": "curl/8.5.0"}
    Enricher().enrich(found)
    for device, code in ((found.device, 0), ("other", 1)):
        (tmp_path / "p.yaml").write_text(PHONES.replace("DEVICE", device))
        assert run(["test", "p.yaml"]) == code
        out = capsys.readouterr().out
        assert ("+ at 20s: device " + found.device in out) == bool(code), out


def test_of_rules_that_a_file_needs_the_tests_run_where_they_are_named_too(here, tmp_path, monkeypatch, capsys):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(FILE.partition("---\n")[2].format(matches="false"))
    for rule, shipped in (("r", False), ("login-failed", True)):
        own = FILE.partition("---\n")[0].format(at="20s").replace("event: auth\nwhere: not success", f"rule: {rule}")
        folder = tmp_path / ("elsewhere" if shipped else "playbooks")
        folder.mkdir()
        (folder / "p.yaml").write_text(own)
        monkeypatch.chdir(folder)
        if shipped:
            (tmp_path / "rules" / "r.yaml").unlink()
            (tmp_path / "rules").rmdir()
        for path in ("p.yaml", ".", folder, "../" + folder.name):
            assert run(["test", str(path)]) == 0
            assert capsys.readouterr().out == "ok    p: three in a row\n1 passed, 0 failed\n"
        if not shipped:
            assert run(["test", ".", "../rules"]) == 1
            assert "FAIL  r: event 1" in capsys.readouterr().out


def test_a_failure_is_told_with_its_place_and_the_difference(here, capsys):
    here(at="10s")
    assert run(["test", "p.yaml"]) == 1
    assert capsys.readouterr().out == (
        "ok    r: event 1\n"
        "FAIL  p: three in a row\n"
        "      p.yaml:10:5\n"
        "      what was expected (-) is not what was found (+):\n"
        "      - at 10s: ip 203.0.113.9, block_ip 203.0.113.9 (line 14)\n"
        "      + at 20s: ip 203.0.113.9, block_ip 203.0.113.9\n"
        "1 passed, 1 failed\n"
    )


def test_a_rule_that_fails_its_test_fails_the_run(here, capsys):
    here(matches="false")
    assert run(["test", "p.yaml"]) == 1
    assert "FAIL  r: event 1\n      p.yaml:20:5\n      the rule matches this event" in capsys.readouterr().out


def test_junit_holds_every_outcome(here, capsys, tmp_path):
    here(at="10s")
    assert run(["test", "p.yaml", "--junit", "out.xml"]) == 1
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "2", "1")
    rule, playbook = suite
    assert (rule.get("classname"), rule.get("name"), len(rule)) == ("r", "event 1", 0)
    assert (playbook.get("file"), playbook.get("line")) == ("p.yaml", "10")
    assert "+ at 20s" in playbook[0].text and playbook[0].tag == "failure"


def test_junit_that_cannot_be_written_is_told(here, capsys):
    assert run(["test", "p.yaml", "--junit", "no/such/folder.xml"]) == 2
    assert capsys.readouterr().err == "sentinel: `no/such/folder.xml` cannot be written: No such file or directory\n"


@pytest.mark.parametrize(("text", "lines"), [("row", 1), ("THREE", 1), ("p:", 1), ("r: event", 1), ("", 2)])
def test_only_tests_that_hold_the_text_are_run(here, capsys, text, lines):
    assert run(["test", "p.yaml", "-k", text]) == 0
    assert capsys.readouterr().out.count("ok  ") == lines


def test_a_text_that_no_test_holds_is_a_failure(here, capsys):
    """A misspelt filter in a build must not look like success."""
    assert run(["test", "p.yaml", "-k", "zzz"]) == 1
    assert capsys.readouterr().err == "sentinel: there is no test that holds `zzz`\n"


def test_a_file_without_tests_is_a_failure_that_says_where_they_go(here, tmp_path, capsys):
    (tmp_path / "bare.yaml").write_text("rule: bare\nevent: auth\n")
    assert run(["test", "bare.yaml"]) == 1
    assert capsys.readouterr().err == "sentinel: there are no tests (write some below `tests:` in the file)\n"


def test_shuffling_prints_seeds_that_can_be_repeated(here, capsys):
    assert run(["test", "p.yaml", "--shuffle"]) == 0
    out = capsys.readouterr().out
    assert "ok    p: three in a row (shuffled 20 times)\n" in out and "shuffled with the seeds " in out
    assert run(["test", "p.yaml", "--seed", "7"]) == 0
    assert "shuffled with the seeds 7 to 7" in capsys.readouterr().out


def test_mistakes_come_before_tests(here, capsys, tmp_path):
    (tmp_path / "p.yaml").write_text("playbook: p\n")
    assert run(["test", "p.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "p.yaml:1:1: " in err


GUESSED = """playbook: guessed
event: auth
where: not success
group_by: user
window: 10m
when: {count: 2}
actions: [emit: {event: account.guessed}]
"""
BESIDE = """playbook: beside
event: account.guessed
group_by: user
window: 1h
when: {count: 1}
tests:
  - name: with the other
    with: guessed
    events: [{at: 0s, event: auth, success: false, user: u1, repeat: 2, every: 1s}]
    expect: [{at: 1s, playbook: guessed, group: {user: u1}}, {at: 1s, group: {user: u1}}]
"""


def test_of_a_file_or_a_part_those_its_tests_run_with_are_looked_for_in_the_folder_playbooks(tmp_path, capsys):
    """And no test of theirs is run. Elsewhere it fails, for nobody knows how large the folder is."""
    (tmp_path / "playbooks" / "a").mkdir(parents=True)
    (tmp_path / "playbooks" / "guessed.yaml").write_text(GUESSED + "tests: [{name: x, events: [], expect: []}]\n")
    place = tmp_path / "playbooks" / "a" / "beside.yaml"
    place.write_text(BESIDE)
    assert run(["test", str(place)]) == 0
    assert capsys.readouterr().out == "ok    beside: with the other\n1 passed, 0 failed\n"
    assert run(["test", str(place.parent)]) == run(["check", str(place.parent)]) == run(["test", str(tmp_path)]) == 0
    (tmp_path / "beside.yaml").write_text(BESIDE)
    capsys.readouterr()
    assert run(["test", str(tmp_path / "beside.yaml")]) == 1
    assert "it runs with `guessed`, which these paths do not hold" in capsys.readouterr().out


def test_in_a_folder_an_unknown_playbook_beside_is_a_mistake_and_in_one_file_it_is_none(tmp_path, capsys):
    (tmp_path / "beside.yaml").write_text(BESIDE)
    assert run(["check", str(tmp_path / "beside.yaml")]) == 0
    assert run(["check", str(tmp_path)]) == 1
    assert "beside.yaml:8:11: there is no playbook `guessed`" in capsys.readouterr().err
    (tmp_path / "beside.yaml").write_text(BESIDE.replace("with: guessed", "with: new-device"))
    assert run(["check", str(tmp_path)]) == 1
    (hint,) = [line for line in capsys.readouterr().err.splitlines() if "new-device.yaml" in line]
    assert hint.startswith("    hint: it is a shipped one: copy `") and hint.endswith("/new-device.yaml` to yours")
