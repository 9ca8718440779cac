"""What reaches a terminal: plain text, whatever a file, an event or an argument contains.

No colours, tables or progress bars here; a command that wants them gives rich a `Text`, never markup.
"""

from __future__ import annotations

import sys


def plain(text: str) -> str:
    """Return `text` with every character that could steer a terminal written as its escape.

    Newlines and tabs stay. Control, direction, private and undecodable characters and odd spaces become `\\x1b`,
    `\\u202e` and so on.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def say(text: str) -> None:
    """Print `text` and a newline to standard output, defused."""
    print(plain(text))  # noqa: T201


def complain(text: str) -> None:
    """Print `text` and a newline to standard error, defused and signed with the command's name."""
    print(plain(f"sentinel: {text}"), file=sys.stderr)  # noqa: T201
