"""Properties that SDKs send no value of: what asks for one is written well, and finds nobody, or everybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sentinel.core.scrub import Scrubber
from sentinel.engine.expression import Expression
from sentinel.engine.playbook import FirstSeen, Place, Playbook, Rule, Sequence
from sentinel.engine.select import selectors
from sentinel.loader.assembly import Content

_SENT = ("properties.", "request.params.")
MESSAGE = "an SDK sends `<redacted>` in its place, one text for everybody"
HINT = "call it otherwise, and send a keyed hash of it"


class Unsent(NamedTuple):
    """A field, and the rule or playbook that asks for it."""

    place: Place
    field: str


def unsent(content: Content) -> list[Unsent]:
    """Return the fields of secrets that rules and playbooks ask for, by their places."""
    scrubber = Scrubber()
    asked = [(one.place, _fields_of_rule(one)) for one in content.rules.values()]
    asked += [(one.place, _fields_of(one)) for one in content.playbooks.values()]
    found = {Unsent(place, field) for place, fields in asked for field in fields if _is_secret(field, scrubber)}
    return sorted(found, key=lambda one: (one.place.file, one.place.line, one.field))


def note_json(one: Unsent) -> dict[str, Any]:
    """Return what is said of such a field, as JSON."""
    place = one.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "field": one.field, "message": MESSAGE,
        "hint": HINT,
    }  # fmt: skip


def _is_secret(field: str, scrubber: Scrubber) -> bool:
    prefix = next((prefix for prefix in _SENT if field.startswith(prefix)), None)
    return prefix is not None and any(map(scrubber.is_secret, field.removeprefix(prefix).split(".")))


def _fields_of_rule(rule: Rule) -> Iterator[str]:
    yield from _asked(rule.where)


def _fields_of(playbook: Playbook) -> Iterator[str]:
    """Give the fields that a playbook itself asks for; those of its rules are the rules' own."""
    yield from playbook.group_by
    yield from (one.field for one in playbook.when if one.field)
    yield from (one.target for one in playbook.actions if one.target)
    for where in (*(one.where for one in playbook.when), *(one.where for one in playbook.exceptions)):
        yield from _asked(where)
    for selector in selectors(playbook):
        yield from _asked(selector.where)
    if isinstance(playbook.detector, Sequence):
        yield from (step.field for step in playbook.detector.steps if step.field)
    if isinstance(playbook.detector, FirstSeen):
        yield playbook.detector.field


def _asked(where: Expression | None) -> tuple[str, ...]:
    return where.fields if where is not None else ()
