"""Pages lead somewhere: every link's file and heading is there, and every file that is named."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("examples/**/*.md")]
)
CODE = re.compile(r"```.*?```", re.DOTALL)
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FILE = re.compile(r"`?\b((?:sentinel|tests|bench)/[\w/.-]+\.(?:py|lua|md|json))\b")


@cache
def headings(page: Path) -> set[str]:
    """Return what links to a page's headings call them."""
    plain = (re.sub(r"[^\w\- ]", "", text.strip().lower()) for text in HEADING.findall(CODE.sub("", page.read_text())))
    return {text.replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_and_every_file_a_page_names_is_there(page):
    text = page.read_text()
    for name, heading in LINK.findall(CODE.sub("", text)):
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), name
        assert not heading or heading in headings(target), f"{name}#{heading}"
    assert [name for name in FILE.findall(text) if not (ROOT / name).exists()] == []


def test_the_files_on_the_path_of_an_event_are_there():
    path = (ROOT / "docs" / "architecture.md").read_text().partition("## The path of one event")[2].split("```")[1]
    named = re.findall(r"\b\w+(?:/\w+)+\.py\b", path)
    assert named
    assert [name for name in named if not (ROOT / "sentinel" / name).is_file()] == []
