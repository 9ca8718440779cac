"""Files that change while the server runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentinel.core.errors import InputError
from sentinel.enrich.files import Watched
from tests.enrich.making import touched


def text(path: Path) -> str:
    found = path.read_text()
    if found == "bad":
        raise InputError("bad indeed")
    return found


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    writing = False

    def read(path: Path) -> str:
        found = path.read_text()
        if writing:
            path.write_text("newer still")
        return found

    watched = Watched(file, "file", read)
    touched(file).write_text("new")
    writing = True
    assert not watched.refresh()
    assert watched.value == "old"
    assert watched.problem == f"file `{file}`: changed while it was read (what was read before stays in use)"
    writing = False
    assert watched.refresh()
    assert (watched.value, watched.problem) == ("newer still", None)


def test_a_bad_file_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("bad")
    reads = []

    def read(path: Path) -> str:
        reads.append(path)
        return text(path)

    watched = Watched(file, "file", read)
    assert not watched.refresh()
    assert len(reads) == 1
    file.write_text("good")
    assert touched(file) and watched.refresh()
    assert watched.value == "good"


def test_a_file_of_the_same_size_put_in_place_of_another_is_noticed(tmp_path: Path) -> None:
    file, other = tmp_path / "f", tmp_path / "other"
    file.write_text("one")
    other.write_text("two")
    watched = Watched(touched(file), "file", text)
    touched(other).replace(file)
    assert watched.refresh()
    assert watched.value == "two"


def test_a_file_that_comes_back_unchanged_is_no_problem_any_more(tmp_path: Path) -> None:
    file, away = tmp_path / "f", tmp_path / "away"
    file.write_text("one")
    watched = Watched(file, "file", text)
    file.rename(away)
    assert not watched.refresh()
    assert "there is no such file" in str(watched.problem)
    away.rename(file)
    watched.refresh()
    assert (watched.value, watched.problem) == ("one", None)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_ordinary_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    """A pipe nobody writes to would be waited for, a device may have no end."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    watched = Watched(tmp_path / kind, "file", lambda path: pytest.fail(f"{path} was read"))
    assert watched.problem == f"file `{tmp_path / kind}`: not an ordinary file (nothing is known from it)"
    assert not watched.refresh() and watched.value is None
