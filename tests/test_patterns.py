"""No regular expression of ours thinks for long about a text, as those do whose steps grow with a power of it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import sentinel

LENGTH = 1_000
PATIENCE = (
    0.5  # seconds of this thread's own time: fifty times what the square of a text takes, and nothing beside more
)
SKIPPED = ("sentinel.sdk.django", "sentinel.store.migrations", "sentinel.cli.__main__")
PIECES = [
    "a", "A", "0", "1", " ", "\t", "\\", '"', '"a', "\\\"", "a.", "0.", "0 ", "0-", "x@", "(", "{", "`", ";for=",
    ',"', "a,", ":", "/", "\n", "é", "or ", "Aa", "1_", "*.", "0h", "a{", "a-", "_a",
]  # fmt: skip
FUNCTIONS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")
SHORT = 36  # of what doubles with every letter or two this is enough
STARTS = ["0", "a", '"', "(", "/", " ", "https://", "AND "]
ENDS = ["", "!", "\0", '"', "x", "\n!"]


def patterns() -> dict[str, re.Pattern[str]]:
    """Return every pattern of Sentinel's modules: those they hold compiled, and those written where they are used."""
    found: dict[str, re.Pattern[str]] = {}
    for info in pkgutil.walk_packages(sentinel.__path__, "sentinel."):
        if info.name.startswith(SKIPPED):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                found.setdefault(f"{info.name}.{name}", value)
        for line, text in written(module):
            found[f"{info.name}:{line}"] = re.compile(text)
    return found


def written(module: ModuleType) -> Iterator[tuple[int, str]]:
    """Give the line and the pattern of each `re.sub(…)` and its like in a module, a text or the name of one."""
    source = Path(module.__file__ or "").read_text()
    for node in ast.walk(ast.parse(source)) if "import re\n" in source else ():
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re":
            first = node.args[0] if node.args else None
            text = getattr(module, first.id, None) if isinstance(first, ast.Name) else getattr(first, "value", None)
            if called.attr in FUNCTIONS and isinstance(text, str):
                yield node.lineno, text


PATTERNS = patterns()


def test_there_are_patterns_to_look_at():
    assert len([name for name in PATTERNS if ":" not in name]) > 40
    assert len([name for name in PATTERNS if ":" in name]) > 12


@pytest.mark.parametrize("name", PATTERNS)
def test_no_text_makes_a_pattern_think_for_long(name):
    pattern = PATTERNS[name]
    for piece in PIECES:
        bodies = [(piece * LENGTH)[:LENGTH], *(start + (piece * SHORT)[:SHORT] for start in STARTS)]
        for text in [body + end for body in bodies for end in ENDS]:
            for read in (pattern.fullmatch, pattern.findall):  # the latter begins with a search
                started = time.thread_time()
                read(text)
                assert time.thread_time() - started < PATIENCE, (name, read.__name__, piece, text[-1:])


def test_a_pattern_that_would_think_for_long_is_seen():
    """Hold the test above to account."""
    started = time.thread_time()
    re.compile(r"(?:a|aa)+c").match("a" * 36)
    assert time.thread_time() - started > PATIENCE
