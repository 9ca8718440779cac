"""The pictures in the pages are those that `make images` takes: all of them, of their size, small, each shown."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from docs.images.take import HERE, PICTURES

ROOT = Path(__file__).parents[2]
LARGEST = 300_000


def test_every_picture_that_is_taken_is_there_and_no_other() -> None:
    assert sorted(file.stem for file in HERE.glob("*.png")) == sorted(PICTURES)


def test_every_picture_is_shown_on_a_page() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"images/([\w-]+)\.png\)", page.read_text())}
    assert shown == set(PICTURES)


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_has_the_size_it_is_taken_with_and_is_small(name: str) -> None:
    content = (HERE / f"{name}.png").read_bytes()
    assert struct.unpack(">II", content[16:24]) == PICTURES[name].size
    assert len(content) <= LARGEST
