"""Where the shipped playbooks and rules are found."""

from __future__ import annotations

import pytest

from sentinel import content
from sentinel.core.errors import InputError


def test_a_wheels_own_folder_comes_before_the_checkouts(tmp_path, monkeypatch):
    here = tmp_path / "sentinel" / "content"
    monkeypatch.setattr(content, "HERE", here)
    (tmp_path / "rules").mkdir()
    here.mkdir(parents=True)
    assert content.folder("rules") == tmp_path / "rules"
    (here / "rules").mkdir()
    assert content.folder("rules") == here / "rules"


def test_a_missing_folder_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "HERE", tmp_path / "sentinel" / "content")
    with pytest.raises(InputError, match="no shipped folder `playbooks`"):
        content.folder("playbooks")
