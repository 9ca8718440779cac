"""The page on security is so: each test it names is there, each part of the threat model has tests, and fuzzing too."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from sentinel.settings import Settings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", PAGE)))
ATTACKERS = [
    "The application's users", "A stolen ingest key", "A stolen SDK key", "An analyst", "A hostile webhook receiver",
    "A neighbour tenant", "Someone on the network path",
]  # fmt: skip


def defined(file: Path) -> set[str]:
    """Return the names of a file's tests, those in classes behind the class's name."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return found


@pytest.mark.parametrize("name", NAMED)
def test_every_test_the_page_names_is_there(name):
    file, _, test = name.partition("::")
    assert (ROOT / file).exists(), file
    assert test in defined(ROOT / file)


def test_every_threat_has_a_control_and_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| ---"))]
    assert len(rows) > 45
    for row in rows:
        threat, control, shown = (cell.strip() for cell in row.strip("|").split(" | "))
        assert threat and control
        assert re.fullmatch(r"`tests/[^`]+`(, `tests/[^`]+`)*", shown), row


def test_every_setting_that_names_files_is_among_those_that_are_looked_after():
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| leads a file setting elsewhere")]
    files = {one.name for one in fields(Settings) if "Path" in str(one.type)} | {"network_lists", "config"}
    assert files >= {"data", "playbooks", "rules", "geo"}
    assert {name for name in files if f"`{name}`" not in row} == set()


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_every_attacker_has_a_part_with_tests(attacker):
    part = PAGE.partition(f"\n## {attacker}")[2].partition("\n## ")[0]
    assert part.count("`tests/") >= 4


def test_what_make_fuzz_runs_is_there():
    listed = re.search(r"^FUZZED := (.*?[^\\])$", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert listed
    files = listed[1].replace("\\", " ").split()
    assert len(files) >= 8
    assert [
        file for file in files if "given" not in (text := (ROOT / file).read_text()) and "machine" not in text
    ] == []
