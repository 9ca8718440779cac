"""The composite shapes (records, lists, tables): they read YAML nodes and, by the same declaration, become JSON Schema.

Single words are in words.py; what rules and playbooks look like is in schema.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sentinel.engine.problems import quote, suggest
from sentinel.loader.desk import FAULTY, Desk, Json, Shape, Wrong, as_template, bounded, is_null, listed, unexpected
from sentinel.loader.source import Broken, Mapping, Node, Scalar, Sequence, Spot

LONGEST_WORD = 60
MOST_ITEMS = 100

_WORD = re.compile(r"[A-Za-z][\w.-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record: what it holds, what it is for, and what stands for it where it is left out."""

    shape: Shape
    doc: str = ""
    required: bool = False
    default: Any = None

    @property
    def hint(self) -> str | None:
        """What the key is for, as a hint."""
        return self.doc[:1].lower() + self.doc[1:].rstrip(".") or None

    def schema(self) -> Json:
        """Return the JSON Schema of the key's value."""
        described = {"description": self.doc} if self.doc else {}
        default = {"default": self.default} if isinstance(self.default, str | bool | int) else {}
        return self.shape.schema() | described | default


@dataclass(slots=True)
class Reading:
    """What a record says: values by key, defaults included. What could not be read is left out."""

    node: Mapping
    values: dict[str, Any]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def __getitem__(self, key: str) -> Any:
        return self.values.get(key)

    def written(self, key: str) -> bool:
        """Say whether the file has the key, whatever it says there."""
        return self.node.get(key) is not None

    def spot(self, key: str) -> Spot:
        """Return where the key's value is written, else where the record is."""
        value = self.node.get(key)
        return value.spot if value is not None else self.node.spot

    def key_spot(self, key: str) -> Spot:
        """Return where the key itself is written, else where the record is."""
        return next((name.spot for name, _ in self.node.entries if name.text == key), self.node.spot)


class Apart(NamedTuple):
    """A key that cannot stand beside others, and why."""

    name: str
    others: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Record(Shape):
    """A mapping with known keys. Of the keys in each tuple of `one_of` at least one must be there.

    `needs` maps keys to others that they need beside them, `apart` lists keys that cannot stand together. `synonyms`
    maps words of other tools to ours, `elsewhere` words for what is written in another way to a hint that says how.
    `told` marks records of what happens, such as events of tests: no hint says that a key belongs to the playbook.
    """

    what: str
    keys: Dict[str, Key]
    one_of: tuple[tuple[str, ...], ...] = ()
    needs: Dict[str, tuple[str, ...]] = field(default_factory=dict)
    apart: tuple[Apart, ...] = ()
    synonyms: Dict[str, str] = field(default_factory=dict)
    elsewhere: Dict[str, str] = field(default_factory=dict)
    hint: str | None = None
    told: bool = False

    def read(self, node: Node, desk: Desk) -> Reading:
        if not isinstance(node, Mapping):
            raise unexpected(node, self.what, self._example(node))
        values = {name: key.default for name, key in self.keys.items() if not key.required}
        meant = set()
        for name, value in node.entries:
            key = self.keys.get(name.text)
            if key is None:
                meant.add(self._unknown(name, desk))
                continue
            found = desk.read(key.shape, value)
            values[name.text] = found
            if found is FAULTY:
                del values[name.text]
        self._clashes(node, desk)
        self._missing(node, {name.text for name, _ in node.entries} | meant, desk)
        return Reading(node, values)

    def _example(self, node: Node) -> str:
        """Return what to write as a hint; where a single word is written there, it is put into the example."""
        hint = self.hint or f"write `{next(iter(self.keys))}: …` and so on"
        given = node.text if isinstance(node, Scalar) and _WORD.fullmatch(node.text) else ""
        return hint.replace("…", given) if given and "{" in hint else hint

    def _unknown(self, name: Scalar, desk: Desk) -> str:
        """Report a key that is not known; return the key that is probably meant, empty where none is near."""
        if name.text in self.elsewhere:
            desk.report(name.spot, f"unknown key {quote(name.text)}", self.elsewhere[name.text])
            return next(iter(self.keys))  # it stands for something, so that nothing is said to be missing beside it
        home = None if self.told or name.text in self.synonyms else desk.homes.get(name.text)
        if home is not None:
            desk.report(name.spot, f"{quote(name.text)} is no key of {self.what}", home.hint)
            return home.below
        meant = "" if desk.page.crowded else self._nearest(name.text)
        hint = f"did you mean `{meant}`?" if meant else f"known are {listed(self.keys)}"
        desk.report(name.spot, f"unknown key {quote(name.text)}", hint)
        return meant

    def _nearest(self, name: str) -> str:
        word = name.lower().replace("-", "_")[:LONGEST_WORD]
        close = difflib.get_close_matches(word, self.keys, n=1)
        return self.synonyms.get(word) or (close[0] if close else "")

    def _clashes(self, node: Mapping, desk: Desk) -> None:
        """Report each key that stands beside one that it cannot stand beside."""
        spots = {name.text: name.spot for name, _ in node.entries}
        reported = set()
        for name, others, why in self.apart:
            beside = next((other for other in others if other in spots), None)
            if name in spots and beside and name not in reported:
                reported.add(name)
                desk.report(spots[name], f"{quote(name)} cannot stand beside {quote(beside)}", why)

    def _missing(self, node: Mapping, named: set[str], desk: Desk) -> None:
        needed = {name for key in named & self.needs.keys() for name in self.needs[key]}
        missing = [name for name, key in self.keys.items() if (key.required or name in needed) and name not in named]
        if missing:
            hint = self.keys[missing[0]].hint if len(missing) == 1 else self.hint
            desk.report(node.spot, f"{self.what} needs {listed(missing, 'and')}", hint)
        for names in self.one_of:
            if not named & set(names):
                desk.report(
                    node.spot, f"{self.what} needs {listed(names, 'or')}", self.hint or self.keys[names[0]].hint
                )

    def schema(self) -> Json:
        found: Json = {
            "type": "object",
            "properties": {name: key.schema() for name, key in self.keys.items()},
            "additionalProperties": False,
        }
        if required := [name for name, key in self.keys.items() if key.required]:
            found["required"] = required
        if self.needs:
            found["dependentRequired"] = {name: list(needed) for name, needed in self.needs.items()}
        rules: list[Json] = [{"anyOf": [{"required": [name]} for name in names]} for names in self.one_of]
        rules += [{"not": {"required": [one.name, other]}} for one in self.apart for other in one.others]
        return found | ({"allOf": rules} if rules else {})


@dataclass(frozen=True, slots=True)
class Listing(Shape):
    """A list of one shape; faulty items are left out."""

    item: Shape
    what: str = "a list"
    fewest: int = 0
    most: int = 10_000

    def read(self, node: Node, desk: Desk) -> tuple[Any, ...]:
        if not isinstance(node, Sequence):
            hint = "write `[]` for none" if is_null(node) and not self.fewest else "begin each item with `- `"
            raise unexpected(node, self.what, hint)
        if len(node.items) < self.fewest:
            fewest = f" of at least {self.fewest}" if self.fewest > 1 else ""
            found = "one alone" if node.items else "an empty one"
            raise Wrong(f"{self.what}{fewest} expected, not {found}", self.item.hint)
        bounded(len(node.items), self.most)
        values = (desk.read(self.item, item) for item in node.items)
        return tuple(value for value in values if value is not FAULTY)

    def schema(self) -> Json:
        return (
            {"type": "array", "items": self.item.schema()}
            | ({"minItems": self.fewest} if self.fewest else {})
            | {"maxItems": self.most}
        )


@dataclass(frozen=True, slots=True)
class OneOrMore(Shape):
    """One word, or a list of different ones; read as a tuple. With `distinct` none may come twice."""

    item: Shape
    what: str
    fewest: int = 1
    most: int = MOST_ITEMS
    distinct: bool = True

    def read(self, node: Node, desk: Desk) -> tuple[Any, ...]:
        if isinstance(node, Mapping | Broken):
            raise unexpected(node, self.what, self.item.hint)
        if isinstance(node, Scalar):
            return (self.item.read(node, desk),)
        if len(node.items) < self.fewest:
            raise Wrong(f"{self.what} expected, not an empty list", self.item.hint)
        bounded(len(node.items), self.most)
        found: list[Any] = []
        for item in node.items:
            value = desk.read(self.item, item)
            if self.distinct and value in found:
                desk.report(item.spot, f"{quote(str(value))} is given twice", "once is enough")
            elif value is not FAULTY:
                found.append(value)
        return tuple(found)

    def schema(self) -> Json:
        item = self.item.schema()
        unique = {"uniqueItems": True} if self.distinct else {}
        return {
            "anyOf": [item, {"type": "array", "items": item, "minItems": self.fewest, "maxItems": self.most} | unique]
        }


@dataclass(frozen=True, slots=True)
class Table(Shape):
    """Names of the author's choice, each with a value; read as a dict in the order of the file."""

    what: str
    name: Shape
    value: Shape
    fewest: int = 1
    most: int = MOST_ITEMS
    hint: str | None = None

    def read(self, node: Node, desk: Desk) -> dict[Any, Any]:
        if not isinstance(node, Mapping):
            raise unexpected(node, self.what, self.hint)
        if len(node.entries) < self.fewest:
            raise Wrong(f"{self.what} expected, not `{{}}`")
        bounded(len(node.entries), self.most)
        found = ((desk.read(self.name, name), desk.read(self.value, value)) for name, value in node.entries)
        return {name: value for name, value in found if name is not FAULTY and value is not FAULTY}

    def schema(self) -> Json:
        names = {key: value for key, value in self.name.schema().items() if key != "type"}
        bounds = {"minProperties": self.fewest, "maxProperties": self.most}
        return {"type": "object", "propertyNames": names, "additionalProperties": self.value.schema()} | bounds


class Picked(NamedTuple):
    """One of several kinds, what was read for it, and where its name is written."""

    kind: str
    value: Any
    spot: Spot


@dataclass(frozen=True, slots=True)
class Tagged(Shape):
    """One key that says which kind it is, and what belongs to that kind; read as Picked.

    `elsewhere` are words of other tools for what is said in another way, and how.
    """

    what: str
    kinds: Dict[str, Key]
    elsewhere: Dict[str, str] = field(default_factory=dict)

    def read(self, node: Node, desk: Desk) -> Picked:
        if isinstance(node, Scalar) and _WORD.fullmatch(node.text) and node.text not in self.kinds and node.plain:
            raise self._no_kind(node, desk)
        if not isinstance(node, Mapping) or not node.entries:
            meant = node.text if isinstance(node, Scalar) and node.text in self.kinds else next(iter(self.kinds))
            raise unexpected(node, f"an {self.what}", f"write `{meant}: {{…}}`")
        name, value = node.entries[0]
        key = self.kinds.get(name.text)
        if key is None:
            raise self._no_kind(name, desk)
        if len(node.entries) > 1:
            raise self._crowded(name, value, node.entries[1][0])
        found = desk.read(key.shape, value)
        if found is FAULTY:
            raise Wrong
        return Picked(name.text, found, name.spot)

    def _no_kind(self, name: Scalar, desk: Desk) -> Wrong:
        home = desk.homes.get(name.text)
        known = home.hint if home else suggest(name.text, self.kinds) or f"known are {listed(self.kinds)}"
        hint = self.elsewhere.get(name.text.lower(), known)
        return Wrong(f"there is no {self.what} {quote(name.text)}", hint, name.spot)

    def _crowded(self, name: Scalar, value: Node, second: Scalar) -> Wrong:
        if second.text in self.kinds:
            return Wrong(f"this is a second {self.what}", "begin each with `- `", second.spot)
        hint = f"indent it below `{name.text}:`" if is_null(value) else f"it belongs into `{name.text}: {{…}}`"
        return Wrong(f"{quote(second.text)} does not stand below `{name.text}`", hint, second.spot)

    def schema(self) -> Json:
        kinds = {name: key.schema() for name, key in self.kinds.items()}
        bounds = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
        return {"type": "object", "properties": kinds} | bounds


@dataclass(frozen=True, slots=True)
class Either(Shape):
    """One shape for a single word, another for keys and values."""

    word: Shape
    record: Shape

    def read(self, node: Node, desk: Desk) -> Any:
        as_record = isinstance(node, Mapping) and not as_template(node)
        return (self.record if as_record else self.word).read(node, desk)

    def schema(self) -> Json:
        return {"anyOf": [self.word.schema(), self.record.schema()]}


@dataclass(frozen=True, slots=True)
class Worded(Shape):
    """A record, or one word in its place; `keys` are the values that the word stands for."""

    word: Shape
    record: Record
    keys: Dict[str, Any]

    def read(self, node: Node, desk: Desk) -> Any:
        if isinstance(node, Mapping):
            return self.record.read(node, desk)
        self.word.read(node, desk)
        return Reading(Mapping((), node.spot), dict(self.keys))

    def schema(self) -> Json:
        return {"anyOf": [self.word.schema(), self.record.schema()]}
