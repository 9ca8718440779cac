"""YAML text as nodes that know where they stand. What the nodes should say is in the schema.

The parser's events are read instead of its composed nodes, because composing follows aliases, forgets anchors and keeps
duplicate keys. Every scalar stays the text that was written; nothing becomes a number, a date or a boolean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from sentinel.engine.problems import quote
from sentinel.loader.mistakes import Page
from sentinel.loader.syntax import explain

LARGEST = 1 << 20
DEEPEST = 32
MOST_BROKEN = 20

_SHOWN = 100  # characters of a text that a hint repeats
_MOST_PIECES = 16  # a text is put together of
_BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what YAML calls a line, so that our count is the parser's
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a node is written, from 1; `width` counts the characters of its first line."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as written; `style` is `'`, `"`, `|` or `>`, or empty where it is plain. `last` is its last line."""

    text: str
    style: str
    spot: Spot
    last: int

    @property
    def plain(self) -> bool:
        """Whether it is written without quotes, so that it may mean a number, a boolean or nothing."""
        return not self.style


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    spot: Spot


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file, each key once."""

    entries: tuple[tuple[Scalar, Node], ...]
    spot: Spot

    def get(self, key: str) -> Node | None:
        """Return the value of a key."""
        return next((value for name, value in self.entries if name.text == key), None)


@dataclass(frozen=True, slots=True)
class Broken:
    """Something whose mistake is already reported."""

    spot: Spot


Node: TypeAlias = Scalar | Sequence | Mapping | Broken


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file; `whole` is false where the file is no YAML from somewhere in it on.

    `sound` says that no mistake was found in it as it was read.
    """

    root: Node
    whole: bool = True
    sound: bool = True


def open_page(name: str, data: bytes) -> Page:
    """Return a file's page; where its bytes are no text that can be read, the page says so and has no document."""
    if len(data) > LARGEST:
        page = Page(name, [""])
        page.report(1, 1, 1, f"the file has more than {LARGEST:,} bytes", "split it into several files")
        page.legible = False
        return page
    text = data.decode("utf-8-sig", "replace")
    page = Page(name, _BREAKS.split(text))
    page.legible = _readable(page, data, text)
    return page


def _readable(page: Page, data: bytes, text: str) -> bool:
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = len(data[: error.start].decode("utf-8-sig", "replace"))
        hint = "this looks like UTF-16; save the file as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        page.report(*_position(text, start), 1, "the file is not UTF-8", hint or "save the file as UTF-8")
        return False
    if match := _FORBIDDEN.search(text):
        code = ord(match[0])
        page.report(*_position(text, match.start()), 1, f"the character U+{code:04X} is not allowed in YAML")
        return False
    return True


def _position(text: str, index: int) -> tuple[int, int]:
    lines = _BREAKS.split(text[:index])
    return len(lines), len(lines[-1]) + 1


def read_documents(page: Page) -> Iterator[Document]:
    """Yield the documents of a page. After what is no YAML the reading goes on at the next `---`."""
    if not page.legible:
        return
    first = 0
    for _ in range(MOST_BROKEN):
        reader = _Reader(page, first)
        yield from reader.documents()
        if reader.stopped is None:
            return
        page.legible = False
        later = range(max(reader.stopped, first + 1), len(page.lines))
        first = next((line for line in later if page.lines[line].startswith("---")), len(page.lines))
        if first == len(page.lines):
            return


@dataclass(slots=True)
class _Open:
    """A collection that is not at its end yet."""

    spot: Spot
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    key: Node | None = None
    is_mapping: bool = False
    in_braces: bool = False


class _Reader:
    """Reads documents from one line on, until the end or until something that is no YAML."""

    def __init__(self, page: Page, first: int) -> None:
        self._page = page
        self._first = first
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._before = page.count
        self._refused: tuple[int, str] | None = None
        self.stopped: int | None = None

    def documents(self) -> Iterator[Document]:
        parser = yaml.CSafeLoader("\n".join(self._page.lines[self._first :]))
        try:
            while self.stopped is None and (event := parser.get_event()) is not None:
                if isinstance(event, yaml.DocumentEndEvent) and self._root is not None:
                    yield Document(self._root, sound=self._page.count == self._before)
                    self._root, self._before = None, self._page.count
                elif not isinstance(event, yaml.DocumentStartEvent | yaml.StreamStartEvent):
                    self._take(event)
        except yaml.YAMLError as error:
            self._stop(error)
        finally:
            parser.dispose()
        if self.stopped is not None and self._stack and self._stack[0].is_mapping:
            yield Document(self._close(self._stack[0]), whole=False)

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event))
        elif isinstance(event, yaml.AliasEvent):
            self._put(self._refuse(event, "aliases are not allowed", "write the value out"))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._properties(event)
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._put(self._close(self._stack.pop()))

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        spot = self._spot(event)
        if len(self._stack) == DEEPEST:
            self._page.report(spot.line, spot.column, 1, f"nested more than {DEEPEST} levels deep")
            self.stopped = len(self._page.lines)
        else:
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._stack.append(_Open(spot, is_mapping=is_mapping, in_braces=is_mapping and bool(event.flow_style)))

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        self._properties(event)
        if event.tag is not None:
            return Broken(self._spot(event))
        assert event.end_mark is not None
        return Scalar(event.value, event.style or "", self._spot(event), event.end_mark.line + self._first + 1)

    def _properties(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, "anchors are not allowed", "write the value out where it is needed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(event, f"the tag {quote(tag)} is not allowed", "quote the text; in a condition write `not`")

    def _refuse(self, event: yaml.Event, message: str, hint: str) -> Broken:
        spot = self._spot(event)
        if (spot.line, message) != self._refused:  # a line full of aliases is one mistake
            self._page.report(spot.line, spot.column, spot.width, message, hint)
        self._refused = spot.line, message
        return Broken(spot)

    def _spot(self, event: yaml.Event) -> Spot:
        start, end = event.start_mark, event.end_mark
        assert start is not None and end is not None
        line = start.line + self._first
        rest = len(self._page.lines[line]) - start.column if line < len(self._page.lines) else 1
        scalar = isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
        width = 1 if not scalar else end.column - start.column if end.line == start.line else rest
        return Spot(line + 1, start.column + 1, max(width, 1))

    def _put(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if not parent.is_mapping:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            self._enter(parent, parent.key, node)
            parent.key = None

    def _enter(self, parent: _Open, key: Node, value: Node) -> None:
        spot = key.spot
        if isinstance(key, Broken):
            return
        if not isinstance(key, Scalar):
            self._page.report(spot.line, spot.column, 1, "a key must be a text", "a text with `{` or `[` needs quotes")
        elif key.plain and key.text == "<<":
            self._page.report(spot.line, spot.column, 2, "merge keys are not allowed", "write the values out")
        elif key.text in parent.entries:
            first = parent.entries[key.text][0].spot.line
            message = f"duplicate key {quote(key.text)}"
            self._page.report(spot.line, spot.column, spot.width, message, f"it is already set in line {first}")
        else:
            parent.entries[key.text] = key, value

    def _close(self, opened: _Open) -> Node:
        if not opened.is_mapping:
            return Sequence(tuple(opened.items), opened.spot)
        entries = list(opened.entries.values())
        return Mapping(tuple(self._joined(entries) if opened.in_braces else entries), opened.spot)

    def _joined(self, entries: list[tuple[Scalar, Node]]) -> Iterator[tuple[Scalar, Node]]:
        """Yield the entries of braces; report a call such as `f(a, b)` without quotes, which its commas cut in pieces.

        YAML takes each piece for a key without a value.
        """
        past = 0
        for number, (name, value) in enumerate(entries):
            if number < past:
                continue
            pieces = _pieces(value, entries[number + 1 : number + 1 + _MOST_PIECES])
            past = number + 1 + len(pieces)
            if not pieces:
                yield name, value
                continue
            assert isinstance(value, Scalar)
            whole, spot = ", ".join([value.text, *pieces]), value.spot
            hint = f"write `'{whole}'`" if "'" not in whole and len(whole) <= _SHOWN else "put quotes around all of it"
            self._page.report(spot.line, spot.column, spot.width, "inside `{…}` a `,` ends the text", hint)
            yield name, Broken(spot)

    def _stop(self, error: yaml.YAMLError) -> None:
        fault, self.stopped = explain(error, self._page.lines, self._first)
        self._page.report(fault.line + 1, fault.column + 1, fault.width, fault.message, fault.hint)


def _pieces(value: Node, following: list[tuple[Scalar, Node]]) -> list[str]:
    """Return the following keys up to the one that closes the brackets a text leaves open; none if none does."""
    deep = value.text.count("(") - value.text.count(")") if isinstance(value, Scalar) and value.plain else 0
    found: list[str] = []
    for name, none in following if deep > 0 else ():
        if not isinstance(none, Scalar) or none.text or none.style:
            return []
        found.append(name.text)
        deep += name.text.count("(") - name.text.count(")")
        if deep <= 0:
            return found
    return []
