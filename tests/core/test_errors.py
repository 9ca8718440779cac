"""Errors: one tree, drawn as it is, and texts that all look alike."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.core import errors
from sentinel.core.errors import DecisionError, EventError, SentinelError, StoreBusy

PACKAGE = Path(errors.__file__).parents[1]
HOME = "core.errors"
LINE = re.compile(r"(?P<before>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: {2,}(?P<what>\S.*?))?(?: +\((?P<module>[a-z.]+)\))?")


def drawn(text: str) -> Iterator[tuple[str, str, str]]:
    """Give the name, the parent and the module of each error of a drawing."""
    path: list[str] = []
    for line in text.splitlines():
        if found := LINE.fullmatch(line):
            depth = len(found["before"]) // 4
            path[depth:] = [found["name"]]
            if depth:
                yield found["name"], path[depth - 1], found["module"] or HOME


def _modules(package: Path) -> Iterator[tuple[str, str]]:
    for file in package.rglob("*.py"):
        yield ".".join(file.relative_to(package).with_suffix("").parts), file.read_text()


def defined(package: Path) -> Iterator[tuple[str, str, str]]:
    """Give the same of each class of a package that comes from SentinelError, framework files among them."""
    classes = [
        (node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases], module)
        for module, source in _modules(package)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    ]
    known, before = {"SentinelError"}, 0
    while len(known) > before:
        before = len(known)
        known |= {name for name, bases, _ in classes if known.intersection(bases)}
    for name, bases, module in classes:
        yield from ((name, base, module) for base in bases if base in known)


def test_the_drawing_of_the_tree_is_the_tree():
    assert sorted(drawn(errors.__doc__)) == sorted(defined(PACKAGE))


def test_an_error_that_is_not_drawn_is_noticed_wherever_it_hides(tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "file.py").write_text(
        "from sentinel.core import errors\nclass Base(errors.SentinelError): ...\n"
        "def make():\n    class Hidden(Base, ValueError): ...\n"
    )
    assert sorted(defined(tmp_path)) == [("Base", "SentinelError", "room.file"), ("Hidden", "Base", "room.file")]


def test_a_drawing_is_read_with_its_branches():
    text = "SentinelError\n├── One        a thing  (room.file)\n│   └── Two    more\n└── Three\n\nTexts start without"
    found = [("One", "SentinelError", "room.file"), ("Two", "One", HOME), ("Three", "SentinelError", HOME)]
    assert list(drawn(text)) == found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SentinelError("it went wrong"), "it went wrong"),
        (SentinelError("it went wrong", "do this"), "it went wrong (do this)"),
        (EventError("user.id", "too long", "shorten it"), "`user.id`: too long (shorten it)"),
        (DecisionError("until", "it is over"), "`until`: it is over"),
    ],
)
def test_the_place_comes_first_and_the_hint_last(error, text):
    assert str(error) == text


def test_fields_are_kept_beside_the_text():
    assert (EventError("a.b", "wrong").field, DecisionError("c", "wrong").field) == ("a.b", "c")
    assert (StoreBusy("busy").retry_after, StoreBusy("busy", retry_after=7).retry_after) == (1, 7)
    assert SentinelError("x").exit_code == 2
