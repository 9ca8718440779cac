"""A hash of what a playbook says: the same for another layout, other comments, another spelling of the same duration.

The rules and lists that a playbook names are part of what it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from hashlib import sha256
from typing import Any

from sentinel.engine.expression import Expression
from sentinel.engine.kinds import Kind
from sentinel.engine.lists import ListValues
from sentinel.engine.nodes import Prepared, Span
from sentinel.engine.playbook import Place, Playbook, Rule

LENGTH = 12
_DETECTION = (
    "id",
    "rule",
    "events",
    "where",
    "group_by",
    "window",
    "when",
    "detector",
    "cooldown",
    "trust",
)
_MATCHING = ("events", "where")
_LEFT_OUT = ("version", "detection", "place")
_LATER = {"beside": (), "playbook": None}  # of tests; left out where not used, so that older files keep their version


def stamp(playbook: Playbook, lists: Mapping[str, ListValues]) -> Playbook:
    """Return the playbook with its `version` and its `detection` filled in."""
    everything = [field.name for field in fields(Playbook) if field.name not in _LEFT_OUT]
    version = _hash({name: _Canon(lists).of(getattr(playbook, name)) for name in everything})
    canon = _Canon(lists, named=False)
    said = {name: canon.of(getattr(playbook, name)) for name in _DETECTION}
    said["exceptions"] = [canon.of(replace(one, reason="")) for one in playbook.exceptions]
    return replace(playbook, version=version, detection=_hash(said))


def _hash(said: object) -> str:
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:LENGTH]


@dataclass(frozen=True, slots=True)
class _Canon:
    """Values as JSON: expressions as their trees with the lists they ask, places left out, rules' ids if `named`."""

    lists: Mapping[str, ListValues]
    named: bool = True

    def of(self, value: Any) -> Any:
        if isinstance(value, Expression):
            known = {name: sorted(self.lists[name].exact) for name in value.lists if name in self.lists}
            return ["expression", self.of(value.tree), known]
        if isinstance(value, Prepared):
            return self.of(value.literal)
        if isinstance(value, Rule):
            return {name: self.of(getattr(value, name)) for name in ("id", *_MATCHING)[not self.named :]}
        if is_dataclass(value):
            parts = {field.name: getattr(value, field.name) for field in fields(value)}
            kept = {name: part for name, part in parts.items() if not isinstance(part, Place | Span | Kind)}
            kept = {name: part for name, part in kept.items() if name not in _LATER or part != _LATER[name]}
            return [type(value).__name__, {name: self.of(part) for name, part in kept.items()}]
        if isinstance(value, Mapping):
            return {str(name): self.of(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(part) for part in value]
        return value
