"""What is written well and hardly meant: values no SDK sends, several names in one, a `*` that stands for itself, the
beginning of a user without the user's kind, and more new things than are remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeGuard

from sentinel.core.identity import DEFAULT_ORDER
from sentinel.core.scrub import Scrubber
from sentinel.engine.expression import Expression
from sentinel.engine.nodes import Call, Compare, Field, ListOf, Literal, Node, walk
from sentinel.engine.playbook import FirstSeen, Place, Playbook, Rule, Sequence
from sentinel.engine.problems import quote
from sentinel.engine.select import selectors
from sentinel.loader.assembly import Content

_SENT = ("properties.", "request.params.")
_PARTED = re.compile(r",\s*|\s+(?:or|OR|\|\|?)\s+|\|\|?")
_PARTS_OF_TEXTS = ("contains", "startswith", "endswith")
_FEW = ("agent.", "network.", "event", "success", "trust", "request.method", "request.status")  # values that an app has


class Note(NamedTuple):
    """Something of a rule or playbook that its author should look at again; `field` is what it is about."""

    place: Place
    field: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.place}: note: {quote(self.field)}: {self.message}\n    hint: {self.hint}"


def notes(content: Content) -> list[Note]:
    """Return what there is to note of rules and playbooks, by their places."""
    scrubber = Scrubber()
    found = {note for rule in content.rules.values() for note in _of_rule(rule, scrubber)}
    found |= {note for playbook in content.playbooks.values() for note in _of_playbook(playbook, scrubber)}
    return sorted(found, key=lambda one: (one.place.file, one.place.line, one.field))


def note_json(one: Note) -> dict[str, Any]:
    """Return a note as JSON."""
    place = one.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "field": one.field, "message": one.message,
        "hint": one.hint,
    }  # fmt: skip


def _of_rule(rule: Rule, scrubber: Scrubber) -> Iterator[Note]:
    wheres = (rule.where,) if rule.where is not None else ()
    yield from _about(rule.place, rule.events, wheres, (), scrubber)


def _of_playbook(playbook: Playbook, scrubber: Scrubber) -> Iterator[Note]:
    """Give what a playbook itself says; what its rules say is the rules' own."""
    own = tuple(selectors(playbook))
    wheres = (*(one.where for one in playbook.when), *(one.where for one in playbook.exceptions))
    asked = tuple(where for where in (*wheres, *(one.where for one in own)) if where is not None)
    events = tuple(name for one in own for name in one.events)
    yield from _about(playbook.place, events, asked, tuple(_named(playbook)), scrubber)
    new = playbook.detector
    if isinstance(new, FirstSeen) and not playbook.group_by and not new.field.startswith(_FEW):
        said = "of the whole app 64 values are remembered, and one that was forgotten is new again"
        instead = f"`group_by: {new.field}`, `when: {{count: 1}}` and a long `cooldown`"
        yield Note(playbook.place, new.field, said, instead)


def _about(
    place: Place, events: tuple[str, ...], wheres: tuple[Expression, ...], fields: tuple[str, ...], scrubber: Scrubber
) -> Iterator[Note]:
    for field in (*fields, *(field for where in wheres for field in where.fields)):
        if _is_secret(field, scrubber):
            said = "an SDK sends `<redacted>` in its place, one text for everybody"
            yield Note(place, field, said, "call it otherwise, and send a keyed hash of it")
    for name in events:
        parts = _PARTED.split(name)
        if len(parts) > 1 and all(parts):
            yield Note(place, name, "this is the name of one event", f"several are a list: `[{', '.join(parts)}]`")
    for where in wheres:
        yield from (Note(place, text, "`*` stands for itself here", hint) for text, hint in _starred(where))
        for text in _without_kind(where):
            yield Note(place, text, "a user begins with its kind, such as `id:`", f'write "id:{text}"')


def _is_secret(field: str, scrubber: Scrubber) -> bool:
    prefix = next((prefix for prefix in _SENT if field.startswith(prefix)), None)
    return prefix is not None and any(map(scrubber.is_secret, field.removeprefix(prefix).split(".")))


def _named(playbook: Playbook) -> Iterator[str]:
    """Give the fields that a playbook names outside its conditions."""
    yield from playbook.group_by
    yield from (one.field for one in playbook.when if one.field)
    yield from (one.target for one in playbook.actions if one.target)
    if isinstance(playbook.detector, Sequence):
        yield from (step.field for step in playbook.detector.steps if step.field)
    if isinstance(playbook.detector, FirstSeen):
        yield playbook.detector.field


def _starred(where: Expression) -> Iterator[tuple[str, str]]:
    """Give each text that begins or ends with a `*` beside what it is compared with, and what to write instead."""
    for node in walk(where.tree):
        pairs: list[tuple[Node, Node]] = []
        if isinstance(node, Compare):
            for left, _, right in node.pairs():
                items = right.items if isinstance(right, ListOf) else (right,)
                pairs += [pair for item in items for pair in ((left, item), (item, left))]
        elif isinstance(node, Call) and node.function in _PARTS_OF_TEXTS:
            pairs.append((node.arguments[0], node.arguments[1]))
        for known, literal in pairs:
            if isinstance(literal, Literal) and isinstance(literal.value, str) and not isinstance(known, Literal):
                yield from _star(known, literal, where.source)


def _star(known: Node, literal: Literal, source: str) -> Iterator[tuple[str, str]]:
    text = source[literal.span.start : literal.span.end].strip("rR").strip("'\"")  # a user's key begins with its kind
    plain = text.strip("*")
    if plain == text or not plain:
        return
    if isinstance(known, Field) and known.path == "event":
        yield text, f"the key `event: {text}` takes such names"
        return
    function = "endswith" if text.startswith("*") else "startswith"
    function = "contains" if text.startswith("*") and text.endswith("*") else function
    asked = source[known.span.start : known.span.end]
    yield text, f'write `{function}({asked}, "{plain}")`'


def _without_kind(where: Expression) -> Iterator[str]:
    """Give each text that no user key begins with, where a function of `user` asks for it.

    Only a comparison of `user` itself reads `u1` as `id:u1`.
    """
    for node in walk(where.tree):
        texts: tuple[Node, ...] = ()
        if _asks_user(node, "startswith"):
            texts = node.arguments[1:]
        elif isinstance(node, Compare) and any(_asks_user(one, "lower") for one in node.operands):
            texts = node.operands
        for text in texts:
            for one in text.items if isinstance(text, ListOf) else (text,):
                if isinstance(one, Literal) and isinstance(one.value, str) and not _begins_user(one.value):
                    yield one.value


def _asks_user(node: Node, function: str) -> TypeGuard[Call]:
    """Say whether a node is a call of this function on `user`."""
    first = node.arguments[0] if isinstance(node, Call) and node.function == function else None
    return isinstance(first, Field) and first.path == "user"


def _begins_user(text: str) -> bool:
    return ":" in text or any(f"{kind}:".startswith(text) for kind in DEFAULT_ORDER)
