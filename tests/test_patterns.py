"""No regular expression of ours thinks for long about a text, as those do whose steps grow with a power of it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time

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
ENDS = ["", "!", "\0", '"', "x", "\n!"]


def patterns() -> dict[str, re.Pattern[str]]:
    """Return every compiled pattern that a module of Sentinel holds."""
    found: dict[str, re.Pattern[str]] = {}
    for info in pkgutil.walk_packages(sentinel.__path__, "sentinel."):
        if not info.name.startswith(SKIPPED):
            for name, value in vars(importlib.import_module(info.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    found.setdefault(f"{info.name}.{name}", value)
    return found


PATTERNS = patterns()


def test_there_are_patterns_to_look_at():
    assert len(PATTERNS) > 40


@pytest.mark.parametrize("name", PATTERNS)
def test_no_text_makes_a_pattern_think_for_long(name):
    pattern = PATTERNS[name]
    for piece in PIECES:
        body = (piece * LENGTH)[:LENGTH]
        for text in [body + end for end in ENDS]:
            for read in (pattern.fullmatch, pattern.findall):  # the latter begins with a search
                started = time.thread_time()
                read(text)
                assert time.thread_time() - started < PATIENCE, (name, read.__name__, piece, text[-1:])


def test_a_pattern_that_would_think_for_long_is_seen():
    """Hold the test above to account."""
    started = time.thread_time()
    re.compile(r"(?:a|aa)+c").match("a" * 36)
    assert time.thread_time() - started > PATIENCE
