"""The shapes of single words in a file: how a text becomes an id, a duration, a number, a condition, a field.

A scalar is text until its shape says otherwise: only here does `10m` become microseconds and `true` a boolean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sentinel.core import event, moment
from sentinel.core.decision import check_to
from sentinel.core.duration import ENDLESS, format_duration, parse_duration
from sentinel.core.errors import DecisionError, DurationError
from sentinel.engine.expression import Expression, ExpressionError, compile_expression
from sentinel.engine.fields import FIELDS, OPEN, FieldSpec, find_field
from sentinel.engine.kinds import Kind
from sentinel.engine.problems import quote, suggest
from sentinel.loader.desk import Desk, Json, Shape, Wrong, is_null, listed, unexpected
from sentinel.loader.offsets import positions
from sentinel.loader.source import Mapping, Node, Scalar, Sequence, Spot

TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
LONGEST_ID = 64
_MANY = 10**12
_EMPTY = "write it, or leave its key out"
_QUOTES = "a text with `[` or `{` needs quotes"
DURATION = "^([0-9]+[smhd])+$"
SCALAR = {"type": ["string", "number", "boolean"]}  # other readers of YAML make numbers of what is text to us

_ID = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?", re.ASCII)
_SHARE = re.compile(r"[0-9]{1,3}(\.[0-9]+)?%", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Word(Shape):
    """A scalar; `convert` takes its node and may raise Wrong."""

    what: str
    convert: Callable[[Scalar, Desk], Any]
    json: Json = field(default_factory=lambda: dict(SCALAR))
    hint: str | None = None

    def read(self, node: Node, desk: Desk) -> Any:
        if not isinstance(node, Scalar) or is_null(node):
            raise unexpected(node, self.what, self.hint or (_EMPTY if is_null(node) else _QUOTES))
        return self.convert(node, desk)

    def schema(self) -> Json:
        return dict(self.json)


def text(what: str = "a text", longest: int = 10_000, *, empty: bool = False) -> Word:
    """Return the shape of any text."""

    def convert(node: Scalar, desk: Desk) -> str:
        if not empty and not node.text.strip():
            raise Wrong(f"{what} expected, not an empty one", _EMPTY)
        if len(node.text) > longest:
            raise Wrong(f"longer than {longest} characters", "say it in fewer")
        return node.text

    return Word(what, convert)


def identifier(what: str) -> Word:
    """Return the shape of a rule's or playbook's id."""

    def convert(node: Scalar, desk: Desk) -> str:
        if _ID.fullmatch(node.text) and len(node.text) <= LONGEST_ID:
            return node.text
        slug = re.sub(r"[^a-z0-9]+", "-", node.text.lower()).strip("-")[:LONGEST_ID]
        raise Wrong(
            f"{quote(node.text)} is no id: lower case, digits and `-`, at most {LONGEST_ID} characters",
            f"did you mean `{slug}`?" if slug else None,
        )

    kinds = ["string", "integer", "boolean"]  # an id of digits is a number to other readers of YAML
    return Word(what, convert, {"type": kinds, "pattern": f"^{_ID.pattern}$", "maxLength": LONGEST_ID, "minimum": 0})


def choice(what: str, options: Iterable[str]) -> Word:
    """Return the shape of one of a few words."""
    known = tuple(options)
    one_of = f"one of {listed(known)}"

    def convert(node: Scalar, desk: Desk) -> str:
        if node.text in known:
            return node.text
        raise Wrong(f"{quote(node.text)} is no {what}", suggest(node.text.lower(), known) or one_of)

    return Word(f"a {what}", convert, {"enum": list(known)}, one_of)


def _boolean(node: Scalar, desk: Desk) -> bool:
    if node.plain and node.text in TRUTHS:
        return TRUTHS[node.text]
    meant = node.text.lower()
    yes, no = meant in ("yes", "on", "y", "true", "1"), meant in ("no", "off", "n", "false", "0")
    hint = f"write `{'true' if yes else 'false'}`" + ("" if node.plain else " without quotes")
    raise Wrong(f"{_as_written(node)} is neither `true` nor `false`", hint if yes or no else None)


BOOLEAN = Word("`true` or `false`", _boolean, {"type": "boolean"})


def whole(least: int, most: int = _MANY) -> Word:
    """Return the shape of a whole number between two bounds."""

    def convert(node: Scalar, desk: Desk) -> int:
        if not node.plain or not _WHOLE.fullmatch(node.text):
            raise Wrong(f"a whole number expected, not {_as_written(node)}", _whole_hint(node))
        value = int(node.text)
        if not least <= value <= most:
            size = "small" if value < least else "large"
            raise Wrong(f"{value} is too {size}", f"write {least} to {most}" if most < _MANY else f"at least {least}")
        return value

    return Word("a whole number", convert, {"type": "integer", "minimum": least, "maximum": most})


def _finite(node: Scalar, desk: Desk) -> int | float:
    value = plain_value(node)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Wrong(f"a number expected, not {_as_written(node)}", _number_hint(node) or "such as `10` or `0.5`")


NUMBER = Word("a number", _finite, {"type": "number"})


def above(bound: int) -> Word:
    """Return the shape of a number larger than a bound."""

    def convert(node: Scalar, desk: Desk) -> int | float:
        value = _finite(node, desk)
        if value <= bound:
            raise Wrong(f"{node.text} is too small", f"write more than {bound}")
        return value

    return Word("a number", convert, {"type": "number", "exclusiveMinimum": bound})


def _percent(node: Scalar, desk: Desk) -> int | float:
    if not _SHARE.fullmatch(node.text.removeprefix("-")):
        bare = _NUMBER.fullmatch(node.text)
        raise Wrong(f"{quote(node.text)} is no share", f"did you mean `{node.text}%`?" if bare else "write `25%`")
    share = float(node.text.removesuffix("%"))
    if not 0 < share <= 100:
        raise Wrong(f"{quote(node.text)} is not more than 0% and at most 100%", "`mode: monitor` acts on nobody")
    return int(share) if share.is_integer() else share


PERCENT = Word("a share", _percent, {"type": "string", "pattern": f"^{_SHARE.pattern}$"}, "such as `25%`")


def _as_written(node: Scalar) -> str:
    return quote(node.text) if node.plain else f"the text {quote(node.text)}"


def _number_hint(node: Scalar) -> str | None:
    stripped = node.text.replace("_", "").replace(",", "").replace(" ", "").removeprefix("+").removeprefix(">=")
    if _NUMBER.fullmatch(node.text):
        return None if node.plain else f"write `{node.text}` without quotes"
    if _SHARE.fullmatch(stripped):
        return f"write `{float(stripped.removesuffix('%')) / 100:g}`"
    return f"write `{stripped}`" if _NUMBER.fullmatch(stripped) else None


def _whole_hint(node: Scalar) -> str:
    value = float(node.text) if node.plain and _NUMBER.fullmatch(node.text) else math.inf
    if abs(value) < _MANY:
        return f"write `{math.floor(value)}`" + ("" if value.is_integer() else f" or `{math.ceil(value)}`")
    return _number_hint(node) or "such as `10`"


def plain_value(node: Scalar) -> bool | int | float | str | None:
    """Return what JSON would say: a plain scalar may be a number, a boolean or null, anything else is text.

    Numbers with leading zeros, signs or underscores stay text: they are codes, not quantities.
    """
    if not node.plain:
        return node.text
    if is_null(node):
        return None
    if node.text in TRUTHS:
        return TRUTHS[node.text]
    match = _NUMBER.fullmatch(node.text)
    if match is None:
        return node.text
    value = float(node.text) if match[2] or match[3] else int(node.text)
    return value if math.isfinite(value) else node.text


TIME = Word("a time", lambda node, desk: plain_value(node))


def _duration(node: Scalar, endless: bool = False) -> int:
    try:
        return parse_duration(node.text, endless)
    except DurationError as error:
        raise Wrong(error.message, error.hint) from None


def duration(least: int = 1, most: int | None = None) -> Word:
    """Return the shape of a duration of at least, and at most, so many microseconds."""

    def convert(node: Scalar, desk: Desk) -> int:
        micros = _duration(node)
        if micros < least:
            raise Wrong(f"{quote(node.text)} is too short", "such as `1s` or `10m`")
        if most is not None and micros > most:
            raise Wrong(f"{quote(node.text)} is too long", f"at most `{format_duration(most)}`")
        return micros

    return Word("a duration", convert, {"type": "string", "pattern": DURATION}, "such as `30s`, `10m`, `1h30m`, `7d`")


def _term(node: Scalar, desk: Desk) -> int | None:
    if node.text == ENDLESS:
        return None
    micros = _duration(node, endless=True)
    if not micros:
        raise Wrong(f"{quote(node.text)} is too short", "leave the action out, or write how long it lasts")
    return micros


TERM = Word(
    "a duration",
    _term,
    {"type": "string", "pattern": f"^{ENDLESS}$|{DURATION}"},
    "such as `15m`, `[15m, 1h, 24h]` or `forever`",
)


def _date(node: Scalar, desk: Desk) -> int:
    hint = "a day such as `2030-01-31`; from its 00:00 UTC on the exception ends"
    if not _DATE.fullmatch(node.text):
        raise Wrong(f"{quote(node.text)} is no date", hint)
    try:
        return moment.from_datetime(datetime.strptime(node.text, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError:
        raise Wrong(f"there is no day {quote(node.text)}", hint) from None


DATE = Word("a date", _date, {"type": "string", "pattern": f"^{_DATE.pattern}$"}, "a day such as `2030-01-31`")


def _url(node: Scalar, desk: Desk) -> str:
    hint = "write `https://…` or a path such as `/help`"
    try:
        check_to("redirect", node.text)
        parts = urlsplit(node.text)
        sound = node.text.startswith("/") or bool(parts.hostname)
    except (DecisionError, ValueError):
        sound = False
    if not sound:
        raise Wrong(f"{quote(node.text)} is nowhere a browser can be sent", hint)
    return node.text


URL = Word("a URL", _url, {"type": "string", "pattern": "^https?://[!-~]+$|^/(?![/\\\\])[!-~]*$"})


def _channel(node: Scalar, desk: Desk) -> str:
    if desk.channels is not None and node.text not in desk.channels:
        hint = suggest(node.text, desk.channels) or (
            f"known are {listed(sorted(desk.channels)) or 'none'}; the settings' `channels` and `--channel` name others"
        )
        raise Wrong(f"there is no channel {quote(node.text)}", hint)
    return node.text


CHANNEL = Word("a channel's name", _channel)


_NAMES = "such as `auth` or `payment.*`"


def _event_name(node: Scalar, desk: Desk) -> str:
    if len(node.text) > event.NAME_LENGTH or not node.text.isprintable() or not node.text:
        raise Wrong(f"{quote(node.text)} is no event name: 1 to {event.NAME_LENGTH} printable characters", _NAMES)
    if node.text != node.text.strip():
        raise Wrong(f"{quote(node.text)} begins or ends with a blank", "leave the blank out")
    return node.text


EVENT_NAME = Word("an event's name", _event_name, SCALAR | {"maxLength": event.NAME_LENGTH}, _NAMES)


_NO_FIELD = ("none", "nil", "all", "app", "global", "everybody", "everyone", "*")


def _meant_field(text: str) -> str | None:
    """Return what to write where somebody gives none or several fields, or one that is to be computed."""
    if text.lower() in _NO_FIELD:
        return "`[]` is the whole app"
    if text.partition("/")[0] == "ip":
        return "`ip.network` is the /24 of an IPv4 address, and the /48 of an IPv6 address"
    if "(" in text or "/" in text:
        return "nothing is computed here: let the app send the value, such as `properties.mailbox`"
    fields = [part.strip() for part in text.split(",")]
    if len(fields) > 1 and all(isinstance(find_field(tuple(one.split("."))), FieldSpec) for one in fields):
        return f"several are a list: `[{', '.join(fields)}]`"
    return None


def field_name(use: str, allowed: Kind = Kind.TEXT | Kind.NUMBER | Kind.BOOL) -> Word:
    """Return the shape of a field's path whose value may be one of the kinds; `use` completes "cannot …"."""

    def convert(node: Scalar, desk: Desk) -> str:
        found = find_field(tuple(node.text.split(".")))
        if not isinstance(found, FieldSpec):
            raise Wrong(found.message, _meant_field(node.text) or found.hint)
        if not found.kind & allowed:
            raise Wrong(f"{quote(node.text)} is {found.kind}: it cannot {use}", f"name a field that is {allowed}")
        return node.text

    known = [name for name, spec in FIELDS.items() if spec.kind & allowed]
    spaces = "|".join(re.escape(name) for name, spec in OPEN.items() if spec.kind & allowed)
    others = [name for name in FIELDS if name not in known]
    own: Json = {"type": "string", "pattern": rf"^({spaces})\."} | ({"not": {"enum": others}} if others else {})
    return Word(
        "a field", convert, {"anyOf": [{"enum": known}, own]}, "a path such as `ip`, `user` or `properties.amount`"
    )


def _condition(node: Scalar, desk: Desk) -> Expression:
    try:
        return compile_expression(node.text, lists=desk.lists, strict=True)
    except ExpressionError as error:
        places = positions(node, desk.page.lines)
        for problem in error.problems:
            line, column = places(problem.offset)
            last = places(problem.offset + problem.length - 1)
            width = last[1] - column + 1 if last[0] == line else len(desk.page.lines[line - 1]) - column + 1
            desk.report(Spot(line, column, max(width, 1)), problem.message, problem.hint)
        raise Wrong from None


CONDITION = Word(
    "a condition", _condition, {"type": ["string", "boolean"]}, 'such as `not success` or `ip == "192.0.2.1"`'
)


@dataclass(frozen=True, slots=True)
class Anything(Shape):
    """JSON of any form."""

    only_objects: bool = False

    def read(self, node: Node, desk: Desk) -> Any:
        if self.only_objects and not isinstance(node, Mapping):
            raise unexpected(node, "names and values")
        return as_json(node)

    def schema(self) -> Json:
        return {"type": "object"} if self.only_objects else {}


def as_json(node: Node) -> Any:
    """Return a node as plain JSON; raises Wrong where a part of it is broken."""
    match node:
        case Scalar():
            return plain_value(node)
        case Sequence(items=items):
            return [as_json(item) for item in items]
        case Mapping(entries=entries):
            return {name.text: as_json(value) for name, value in entries}
    raise Wrong
