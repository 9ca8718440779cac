"""Events as people read them: values that lead to the events that have them too, wherever in the event they lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from markupsafe import Markup

from sentinel.console.render import inert, short, valued
from sentinel.console.visit import Visit
from sentinel.service.search import clause, joined

LONGEST = 500  # characters of a condition: a page has a thousand of them
_TOLD = 80
_NAMES: Mapping[str, tuple[str, ...]] = {
    "identifiers": ("user",), "ip_labels": ("ip", "labels"), "user_labels": ("user", "labels"),
}  # fmt: skip
_LINK, _PASSED = '<a href="', '<a tabindex="-1" href="'


class Leaf(NamedTuple):
    """A property that holds no further ones: its name with those around it, and what it holds."""

    name: str
    value: Markup


class Piece(NamedTuple):
    """A part of a value's JSON; with a path it is the value there, or with `inside` one of the list there."""

    text: str
    path: tuple[str, ...] | None = None
    value: object = None
    inside: bool = False


class Narrowing:
    """Makes the values of events links that narrow the search `q`; `query` is what else the search asks for.

    A page has thousands of pieces, so they are escaped here and made markup once: it takes half as long.
    """

    def __init__(self, visit: Visit, q: str, **query: object) -> None:
        here = visit.url("/explorer", **query)
        self._here = f"{here}{'&amp;' if '?' in here else '?'}q="
        self._q = q

    def leaves(self, properties: Mapping[str, Any], most: int) -> Iterator[Leaf]:
        """Give the properties that lie innermost, each value as text or JSON of `most` characters.

        By keyboard their links are those in `json`: in a list they would be hundreds of stops.
        """
        for path, value in _innermost(properties):
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else valued(value)
            shown = f'<bdi class="value">{escape(inert(short(text, most)))}</bdi>'
            linked = self._linked(("properties", *path), value, False, shown, _PASSED)
            yield Leaf(".".join(path), Markup(linked))  # noqa: S704  all of it was escaped

    def json(self, event: Mapping[str, Any], most: int = 20_000) -> Markup:
        """Return an event as the API shows it, line by line: no character steers anything, what is cut is no link."""
        shown, left = [], most
        for text, path, value, inside in _pieces(event):
            left -= len(text)
            if left < 0:
                length = len(json.dumps(event, ensure_ascii=False, indent=2, default=str))
                shown.append(escape(f"{inert(text[:left])}… ({length:,} characters)"))
                break
            plain = escape(inert(text, len(text)))
            shown.append(self._linked(path, value, inside, plain) if path else plain)
        return Markup("".join(shown))  # noqa: S704  all of it was escaped

    def _linked(self, path: tuple[str, ...], value: object, inside: bool, text: str, begun: str = _LINK) -> str:
        """Return a text, which is HTML, as a link; as it is where no condition can ask for what it says."""
        found = clause((*_NAMES.get(path[0], path[:1]), *path[1:]), value, inside=inside)
        if found is None or path == ("id",) or len(wanted := joined(self._q, found)) > LONGEST:
            return text
        title = f'" title="Only {escape(short(found, _TOLD))}' if begun is _PASSED else ""  # JSON says where it stands
        return f'{begun}{self._here}{quote_plus(wanted)}{title}">{text}</a>'


def _innermost(value: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _innermost(inner, (*above, name))
        else:
            yield (*above, name), inner


def _pieces(
    value: Any, path: tuple[str, ...] | None = (), inside: bool = False, line: str = "\n"
) -> Iterator[Piece]:  # fmt: skip
    """Give what makes up a value's JSON, names sorted; no path leads to what lies in a list's lists and objects."""
    if not value or not isinstance(value, dict | list | tuple):
        yield Piece(json.dumps(value, ensure_ascii=False, default=str), path, value, inside)
        return
    path = None if inside else path
    line += "  "
    if isinstance(value, dict):
        for number, (name, inner) in enumerate(sorted(value.items())):
            yield Piece(f"{',' if number else '{'}{line}{json.dumps(name, ensure_ascii=False)}: ")
            yield from _pieces(inner, None if path is None else (*path, name), False, line)
    else:
        for number, inner in enumerate(value):
            yield Piece(f"{',' if number else '['}{line}")
            yield from _pieces(inner, path, True, line)
    yield Piece(line[:-2] + ("}" if isinstance(value, dict) else "]"))
