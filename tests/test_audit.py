"""The audit of packages: an advisory fails the check, and what was not looked up is never called good."""

from __future__ import annotations

import pytest

from tests import audit

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "X-1", "fix_versions": ["2.1"]}, {"id": "X-2", "fix_versions": []}],
}
SKIPPED = {"name": "c", "skip_reason": "not found and could not be audited"}


def test_an_advisory_is_bad_and_says_where_it_is_fixed():
    found = audit.judge({"dependencies": [GOOD, BAD]})
    assert (found.bad, found.known) == (True, True)
    assert found.lines == [
        "b 2: X-1 (fixed in 2.1)",
        "b 2: X-2 (fixed in none yet)",
        "2 of 2 packages audited, 2 advisories",
    ]


def test_what_was_skipped_is_said_not_to_be_audited():
    found = audit.judge({"dependencies": [GOOD, *[SKIPPED] * 7]})
    assert (found.bad, found.known) == (False, False)
    assert found.lines[0] == "NOT AUDITED, for no advisory service answered for them: c, c, c, c, c and 2 more"
    assert found.lines[1] == "1 of 8 packages audited, 0 advisories"


@pytest.mark.parametrize(("must", "code"), [("", 0), ("must", 1)])
def test_without_the_service_it_says_so_and_fails_only_where_it_must_not_be_missed(monkeypatch, capsys, must, code):
    asked = []
    monkeypatch.setenv("AUDIT", must)
    monkeypatch.setattr(
        audit, "ask", lambda pins: asked.append(pins) or audit.Verdict(["NOT AUDITED: gone"], False, False)
    )
    assert audit.main() == code
    assert capsys.readouterr().out == "audit: NOT AUDITED: gone\n"
    assert [len(pins) for pins in asked] == [1]  # no other is asked for


@pytest.mark.parametrize(("bad", "code"), [(False, 0), (True, 1)])
def test_with_the_service_every_pin_is_asked_for(monkeypatch, bad, code):
    asked = []
    monkeypatch.setattr(audit, "ask", lambda pins: asked.append(pins) or audit.Verdict([], bad, True))
    assert audit.main() == code
    assert len(asked[1]) > 50
