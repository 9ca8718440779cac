"""What the documents say of rules and playbooks is so: their examples work, every key and shipped file is named."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = (DOCS / "playbooks.md").read_text()


def _shipped() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    rules = {}
    for path in (ROOT / "rules").glob("*.yaml"):
        rule = yaml.safe_load(path.read_text())
        rules[rule["rule"]] = rule
    for path in sorted((ROOT / "playbooks").glob("*.yaml")):
        playbook = yaml.safe_load(path.read_text())
        yield playbook, rules[playbook["rule"]]


def _words(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _threshold(kind: str, asked: Any) -> str:
    if kind == "count":
        return f"{asked} events"
    if kind == "ratio":
        return f"a share of {asked['gte']} where `{asked['where']}`"
    (name, number), *none = asked.items()
    assert not none
    return f"{number} different `{name}`" if kind == "distinct" else f"a {kind} of {number} of `{name}`"


def _row(playbook: dict[str, Any], rule: dict[str, Any]) -> str:
    name = playbook["playbook"]
    events = _words(rule.get("event", "any"))
    asked = " and ".join(_threshold(kind, value) for kind, value in playbook["when"].items())
    group = _words(playbook["group_by"]) or "the whole app"
    link = f"[{name}](../playbooks/{name}.yaml)"
    return f"| {link} | {playbook['mode']} | {events} | {group} | {asked} in {playbook['window']} |"


def test_the_table_of_shipped_playbooks_is_what_the_files_say() -> None:
    rows = [line for line in REFERENCE.splitlines() if "](../playbooks/" in line]
    assert rows == [_row(playbook, rule) for playbook, rule in _shipped()]


@pytest.mark.parametrize("page", sorted(path.name for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]))
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    path = ROOT / page if page == "README.md" else next(DOCS.rglob(page))
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_every_link_within_the_reference_leads_to_a_heading() -> None:
    slugs = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in REFERENCE.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", REFERENCE)) <= slugs
