"""`sentinel test --mutate`: changes that no test notices are told, and are a no."""

from __future__ import annotations

import pytest

from sentinel.cli.program import run

PLAYBOOK = """\
playbook: p
event: a
group_by: user
window: 10m
when: {count: 2}
tests:
  - name: two
    events: [{at: 0s, event: a, user: u1}, {at: 9m59s, event: a, user: u1}]
    expect: [{at: 9m59s, group: {user: u1}}]
  - name: not two
    events: [{at: 0s, event: a, user: "u{n}", repeat: 2, every: 1s}, {at: 10m, event: a, user: u0}]
    expect: []
"""
FOREIGN = """\
  - name: another event
    events: [{at: 0s, event: a, user: u1}, {at: 1s, event: b, user: u1}]
    expect: []
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_change_that_no_test_notices_is_told_and_the_code_is_1(here, capsys):
    (here / "p.yaml").write_text(PLAYBOOK)
    assert run(["test", "p.yaml", "--mutate"]) == 1
    shown = capsys.readouterr().out
    assert "2 passed, 0 failed" in shown
    assert "unnoticed  p: event: any\n      p.yaml:1:1\n6 changes, 1 unnoticed\n" in shown


def test_where_every_change_is_noticed_the_code_is_0(here, capsys):
    (here / "p.yaml").write_text(PLAYBOOK + FOREIGN)
    assert run(["test", "p.yaml", "--mutate"]) == 0
    assert "6 changes, 0 unnoticed" in capsys.readouterr().out


def test_a_playbook_whose_tests_fail_is_not_changed(here, capsys):
    """Every change of it would be noticed, which tells nothing."""
    (here / "p.yaml").write_text(PLAYBOOK.replace("count: 2", "count: 3"))
    assert run(["test", "p.yaml", "--mutate"]) == 1
    assert "changes" not in capsys.readouterr().out
