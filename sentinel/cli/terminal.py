"""What reaches a terminal is plain text, whatever a file, an event or an argument contains.

No colours, tables or progress bars here; a command that wants them gives rich a `Text`, never markup.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from sentinel.core.number import plural
from sentinel.core.text import legible

_ODD = re.compile(r"[^ -~\n]")  # what may have to be escaped


def plain(text: str) -> str:
    """Return `text` with every character that could steer a terminal written as its escape.

    Newlines and tabs stay; what `legible` does not leave becomes `\\x1b`, `\\u202e` and so on.
    """
    return legible(text, kept="\n\t")


def many(number: int, what: str) -> str:
    """Return how many there are of something as people read it: `1 event`, `1,234 events`."""
    return f"{number:,} {plural(number, what)}"


def say(text: str) -> None:
    """Print `text` and a newline to standard output, defused."""
    print(plain(text))  # noqa: T201


def say_json(value: Any, indent: int | None = None) -> None:
    """Print `value` as JSON to standard output, defused and JSON still."""
    narrow = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")  # and lacks letters
    print(plain_json(json.dumps(value, ensure_ascii=narrow, indent=indent)))  # noqa: T201


def plain_json(text: str) -> str:
    """Return JSON that means the same, every character that could steer a terminal written as JSON's own escape."""
    return _ODD.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable():
        return char
    return json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f"  # which JSON itself does not escape


def complain(text: str) -> None:
    """Print `text` and a newline to standard error, defused and signed with the command's name."""
    print(plain(f"sentinel: {text}"), file=sys.stderr)  # noqa: T201
