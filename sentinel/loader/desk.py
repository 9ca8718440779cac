"""What reading a file needs throughout: the desk that collects its mistakes, and the base class of shapes.

A shape says what a node of YAML must look like. The composite shapes are in shapes.py, single words in words.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sentinel.engine.lists import ListValues
from sentinel.engine.problems import quote
from sentinel.loader.mistakes import Page
from sentinel.loader.source import Broken, Mapping, Node, Scalar, Sequence, Spot

Json = dict[str, Any]
FAULTY = object()
LISTED = 30  # names in one hint
_NULLS = ("", "~", "null", "Null", "NULL")


class Wrong(Exception):
    """A value is not what its shape asks for. Without a message, the mistake was reported already."""

    def __init__(self, message: str | None = None, hint: str | None = None, at: Spot | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


class Home(NamedTuple):
    """Where a key belongs: the key of a playbook it stands below, empty where below none; and that as a hint."""

    below: str
    hint: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What reading one file needs: the page that takes the mistakes, and the names that exist outside it.

    `homes` says where keys belong that stand in the wrong place.
    """

    page: Page
    lists: Dict[str, ListValues] = field(default_factory=dict)
    channels: frozenset[str] | None = None
    homes: Dict[str, Home] = field(default_factory=dict)

    def report(self, spot: Spot, message: str, hint: str | None = None) -> None:
        """Record a mistake at a node's place."""
        self.page.report(spot.line, spot.column, spot.width, message, hint)

    def read(self, shape: Shape, node: Node) -> Any:
        """Return what a node says, or FAULTY once its mistake is recorded."""
        try:
            return shape.read(node, self)
        except Wrong as wrong:
            if wrong.message is not None:
                self.report(wrong.at or node.spot, wrong.message, wrong.hint)
            return FAULTY


class Shape(ABC):
    """What may stand at one place of a file; `hint` shows what that looks like."""

    hint: str | None = None

    @abstractmethod
    def read(self, node: Node, desk: Desk) -> Any:
        """Return what the node says; raises Wrong."""

    @abstractmethod
    def schema(self) -> Json:
        """Return the JSON Schema of the same."""


def is_null(node: Node) -> bool:
    """Say whether a node is an empty value, `~` or `null`."""
    return isinstance(node, Scalar) and node.plain and node.text in _NULLS


def listed(names: Iterable[str], last: str = "") -> str:
    """Return names in backticks, with commas between, the last joined by a word if one is given."""
    quoted = [f"`{name}`" for name in names]
    if not last or len(quoted) < 2:
        return ", ".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def first(names: list[str]) -> list[str]:
    """Return as many names as a hint lists, and `…` where there are more."""
    return [*names[:LISTED], *(["…"] if len(names) > LISTED else [])]


def bounded(number: int, most: int) -> None:
    """Raise Wrong where a number of things is more than `most`."""
    if number > most:
        raise Wrong(f"{number} are too many", f"at most {most:,}")


def unexpected(node: Node, what: str, hint: str | None = None) -> Wrong:
    """Return the error for a node that is no `what`; without a message where the node was reported as broken."""
    if isinstance(node, Broken):
        return Wrong()
    if template := as_template(node):
        return Wrong(f"the text {quote(template)} needs quotes", f'write `"{template}"`')
    found = "keys and values" if isinstance(node, Mapping) else "a list" if isinstance(node, Sequence) else ""
    return Wrong(f"{what} expected, not {found or _shown(node)}", hint)


def as_template(node: Node) -> str | None:
    """Return `{n}` where a node is that text without its quotes, which YAML takes for a key without a value."""
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return None
    name, value = node.entries[0]
    bare = is_null(value) and not getattr(value, "text", "") and value.spot.line == node.spot.line
    return f"{{{name.text}}}" if bare and name.spot.column == node.spot.column + 1 else None


def _shown(node: Node) -> str:
    return "nothing" if is_null(node) else quote(node.text) if isinstance(node, Scalar) else "this"
