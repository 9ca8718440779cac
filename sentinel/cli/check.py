"""`sentinel check`."""

from __future__ import annotations

from typing import Any

from sentinel.cli.loading import load_content, report, within
from sentinel.cli.options import AsFormat, Channels, Format, Paths, Rules
from sentinel.cli.terminal import many, say, say_json
from sentinel.core.errors import InputError
from sentinel.loader.mistakes import Mistake, PlaybookErrors
from sentinel.loader.notes import note_json, notes


def check(paths: Paths = None, rules: Rules = None, channel: Channels = None, format: AsFormat = Format.text) -> int:
    """Check rules and playbooks; report every mistake of every file.

    It also notes what is valid but probably not meant: values that no SDK sends, several names in one, a `*` in a text.
    """
    try:
        content = load_content(paths, rules, channel)
    except PlaybookErrors as errors:
        if format is Format.json:
            say_json({"mistakes": [_as_json(one) for one in errors.mistakes]}, indent=2)
        else:
            report(errors)
        return errors.exit_code
    named = within(content, paths)
    if format is Format.json:
        found = {"rules": len(named.rules), "playbooks": len(named.playbooks)}
        say_json(found | {"mistakes": [], "notes": [note_json(one) for one in notes(named)]}, indent=2)
    elif not named.rules and not named.playbooks:
        raise InputError("there is no rule and no playbook to check", "they lie in files `*.yaml` and `*.yml`")
    else:
        more = len(content.rules) - len(named.rules)
        beside = f", with {many(more, 'rule')} from elsewhere" if more else ""
        say(f"{many(len(named.rules), 'rule')}, {many(len(named.playbooks), 'playbook')}{beside}: no mistakes")
        for one in notes(named):
            say(str(one))
    return 0


def _as_json(mistake: Mistake) -> dict[str, Any]:
    place = mistake.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "width": mistake.width,
        "message": mistake.message, "hint": mistake.hint,
    }  # fmt: skip
