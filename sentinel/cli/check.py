"""`sentinel check`."""

from __future__ import annotations

from typing import Any

from sentinel.cli.loading import load_content, report
from sentinel.cli.options import AsFormat, Channels, Format, Paths, Rules
from sentinel.cli.terminal import say, say_json
from sentinel.loader.assembly import Content
from sentinel.loader.mistakes import Mistake, PlaybookErrors


def check(paths: Paths = None, rules: Rules = None, channel: Channels = None, format: AsFormat = Format.text) -> int:
    """Check rules and playbooks; report every mistake of every file."""
    try:
        content = load_content(paths, rules, channel)
    except PlaybookErrors as errors:
        if format is Format.json:
            say_json({"mistakes": [_as_json(one) for one in errors.mistakes]}, indent=2)
        else:
            report(errors)
        return errors.exit_code
    if format is Format.json:
        found = {"rules": len(content.rules), "playbooks": len(content.playbooks)}
        say_json(found | {"mistakes": []}, indent=2)
    else:
        say(f"{_counted(content)}: no mistakes")
    return 0


def _counted(content: Content) -> str:
    rules, playbooks = len(content.rules), len(content.playbooks)
    return f"{rules} rule{'s' if rules != 1 else ''}, {playbooks} playbook{'s' if playbooks != 1 else ''}"


def _as_json(mistake: Mistake) -> dict[str, Any]:
    place = mistake.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "width": mistake.width,
        "message": mistake.message, "hint": mistake.hint,
    }  # fmt: skip
