"""From the texts of files to their rules and playbooks, all checked. Which files there are is in content.py."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from sentinel.engine.expression import ListValues
from sentinel.engine.playbook import Place, Playbook, Rule
from sentinel.engine.problems import quote, suggest
from sentinel.engine.select import rules_of
from sentinel.loader.chains import Built, check_chains
from sentinel.loader.checks import check_playbook
from sentinel.loader.desk import FAULTY, Desk, first, is_null, listed
from sentinel.loader.detectors import DETECTORS
from sentinel.loader.homes import HOMES
from sentinel.loader.joint_tests import Read, check_joint_tests
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.loader.playbook import build_playbook, selections
from sentinel.loader.rule import build_rule, check_rule
from sentinel.loader.schema import KINDS
from sentinel.loader.shapes import Reading
from sentinel.loader.source import Document, Scalar, open_page, read_documents
from sentinel.loader.source import Mapping as MappingNode

_FINDS = DETECTORS.keys() | {"group_by", "actions"}  # a rule that has one of these was to be a playbook
_TELLTALES = _FINDS | {"window", "cooldown", "mode", "severity", "guard"}


@dataclass(frozen=True, slots=True)
class Content:
    """What was loaded: rules and playbooks by id, lists by name, each in the order of the files."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)
    lists: Mapping[str, ListValues] = field(default_factory=dict)


EMPTY = Content()


def assemble(
    files: Mapping[str, bytes],
    lists: Mapping[str, ListValues] | None = None,
    *,
    base: Content = EMPTY,
    channels: frozenset[str] | None = None,
    tested: Container[str] | None = None,
) -> Content:
    """Return the content of files, given by name; raises PlaybookErrors with every mistake of all of them.

    Rules and lists of `base` stand in where the files have none of that name; of its rules the result holds those
    that are used. `channels` are the names that actions may tell, None for any. `tested` are the files in which each
    playbook that a test runs with must exist, None for all files.
    """
    known = {**base.lists, **(lists or {})}
    desks = [Desk(open_page(name, data), known, channels, HOMES) for name, data in files.items()]
    found = [(desk, document) for desk in desks for document in read_documents(desk.page)]
    rules = _Rules(base.rules)
    for desk, document in found:
        if _kind(document) == "rule":
            rules.take(desk, document)
    rules.complete = all(desk.page.legible for desk in desks)
    playbooks = _Playbooks(rules)
    for desk, document in found:
        if _kind(document) != "rule":
            playbooks.take(desk, document)
    built = check_chains(playbooks.built)
    check_joint_tests(playbooks.read, playbooks.places if rules.complete else None, tested)
    mistakes = [mistake for desk in desks for mistake in desk.page.mistakes()]
    if mistakes:
        raise PlaybookErrors(mistakes)
    used = {rule.id: rule for playbook in built.values() for rule in rules_of(playbook)}
    return Content(used | rules.built, built, known)


def _kind(document: Document) -> str | None:
    """Return which kind of document it is, or means to be; None if it is neither."""
    root = document.root
    if not isinstance(root, MappingNode):
        return None
    if root.get("playbook") is not None:
        return "playbook"
    names = {name.text for name, _ in root.entries}
    if root.get("rule") is not None and not names & _FINDS:
        return "rule"
    return "playbook" if names & _TELLTALES else None


class _Rules:
    """The rules read so far. `complete` is false where a file is in part no YAML: more rules may stand there."""

    def __init__(self, base: Mapping[str, Rule]) -> None:
        self.built: dict[str, Rule] = {}
        self.complete = True
        self._base = base
        self._places: dict[str, Place] = {}

    def take(self, desk: Desk, document: Document) -> None:
        id = _claim("rule", desk, document, self._places)
        reading, before = _read("rule", desk, document)
        if reading is None:
            return
        check_rule(reading, desk)
        if id is not None and document.sound and desk.page.count == before:
            self.built[id] = build_rule(reading, desk)

    def find(self, reading: Reading, desk: Desk) -> Rule | None:
        """Return the rule a playbook names; one that exists nowhere is a mistake."""
        id = reading["rule"]
        rule = self.built.get(id) or self._base.get(id)
        if id is not None and rule is None and id not in self._places and self.complete:
            hint = None if desk.page.crowded else self._hint(id)
            desk.report(reading.spot("rule"), f"there is no rule {quote(id)}", hint)
        return rule

    def _hint(self, id: str) -> str:
        known = sorted(self._places.keys() | self._base.keys())
        beside = "" if self._base else "; a folder `rules` of your own stands in for the shipped rules"
        none = f"known are {listed(first(known))}{beside}" if known else "there are no rules at all"
        return suggest(id, known) or none


class _Playbooks:
    """The playbooks read so far."""

    def __init__(self, rules: _Rules) -> None:
        self.built: dict[str, Built] = {}
        self.read: dict[str, Read] = {}
        self.places: dict[str, Place] = {}
        self._rules = rules

    def take(self, desk: Desk, document: Document) -> None:
        if _kind(document) is None:
            _neither(desk, document)
            return
        id = _claim("playbook", desk, document, self.places)
        reading, before = _read("playbook", desk, document)
        if reading is None:
            return
        if id is not None:
            self.read[id] = Read(reading, desk)
        named = {one["rule"]: self._rules.find(one, desk) for one in selections(reading)}
        rules = {id: rule for id, rule in named.items() if rule is not None}
        check_playbook(reading, rules, desk)
        sound = document.sound and desk.page.count == before
        if id is not None and sound and len(rules) == len(named.keys() - {None}):
            self.built[id] = Built(build_playbook(reading, rules, desk), reading, desk)


def _neither(desk: Desk, document: Document) -> None:
    root = document.root
    if is_null(root) or not document.whole:
        return
    names = [name.text for name, _ in root.entries] if isinstance(root, MappingNode) else []
    hint = next(filter(None, (suggest(name.lower(), KINDS) for name in names)), None)
    desk.report(root.spot, "neither a rule nor a playbook", hint or "a document starts with `rule: …` or `playbook: …`")


def _claim(kind: str, desk: Desk, document: Document, places: dict[str, Place]) -> str | None:
    """Return a document's id and note its place; None where there is none, or another document has it already.

    The id counts even if the rest of the document is broken, so that nobody is told that it does not exist.
    """
    node = document.root.get(kind) if isinstance(document.root, MappingNode) else None
    if not isinstance(node, Scalar) or is_null(node):
        return None
    if node.text in places:
        message = f"there is a {kind} {quote(node.text)} already"
        desk.report(node.spot, message, f"it stands in {places[node.text]}")
        return None
    places[node.text] = Place(desk.page.name, node.spot.line, node.spot.column)
    return node.text


def _read(kind: str, desk: Desk, document: Document) -> tuple[Reading | None, int]:
    """Return what a document says, None where nothing can be told, and how many mistakes there were before."""
    before = desk.page.count
    reading: Any = desk.read(KINDS[kind], document.root) if document.whole else FAULTY
    return (None if reading is FAULTY else reading), before
