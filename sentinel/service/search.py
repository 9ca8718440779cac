"""What people search for: a condition compiled with the server's lists, or turned into the file of a rule.

How searches are saved and events found is up to the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from sentinel.core.errors import SentinelError
from sentinel.core.text import whole
from sentinel.engine.expression import Expression, ExpressionError, compile_expression
from sentinel.engine.fields import FieldSpec, find_field
from sentinel.engine.kinds import Kind, kind_of_value
from sentinel.engine.playbook import Place
from sentinel.engine.problems import Problem
from sentinel.engine.syntax import LARGEST
from sentinel.loader.assembly import Content, assemble
from sentinel.loader.mistakes import Mistake, PlaybookErrors

LONGEST = 4096
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CHAIN = re.compile(r"(?:(?!\b(?:or|if|else)\b)[^#\n])*")  # may be continued by `and` as it is


class Flaw(NamedTuple):
    """One mistake in a condition: `q[offset : offset + length]`, line and column from 1, and as shown in files."""

    offset: int
    length: int
    line: int
    column: int
    message: str
    hint: str | None
    shown: str


class QueryError(SentinelError):
    """A condition that cannot be searched for, with every mistake in it."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.flaws = tuple(_flaw(source, problem) for problem in problems)
        first = self.flaws[0]
        place = f"column {first.column}" if first.line == 1 else f"line {first.line}, column {first.column}"
        super().__init__(f"`q`, {place}: {first.message}", first.hint)


def literal(value: str | int | float | bool | None) -> str:
    """Return a value as conditions spell it, and a text as YAML does too, in printable characters."""
    if not isinstance(value, str):
        return repr(value)
    return '"' + "".join(_spelt(char) for char in value) + '"'


def narrowed(q: str, field: str, value: str | int | float | bool | None, *, out: bool = False) -> str:
    """Return a condition that takes of what another does the events with a value alone, or with `out` all others."""
    if value is None:
        return joined(q, f"{field} {'!=' if out else '=='} None")
    if out:
        return joined(q, f"({field} == None or {field} != {literal(value)})")
    return joined(q, f"{field} == {literal(value)}")


def clause(path: tuple[str, ...], value: object, *, inside: bool = False) -> str | None:
    """Return the condition that a field has a value, with `inside` that its list holds it; None where none can say so.

    A name with a space or a dot in it, a number past 64 bits and half a character have no spelling.
    """
    if not isinstance(value, str | int | float) or (type(value) is int and abs(value) > LARGEST):
        return None
    kind = _kind(path)
    if kind is None or not kind & (Kind.LIST if inside else kind_of_value(value)):
        return None
    if isinstance(value, str) and whole(value) != value:
        return None
    field = ".".join(path)
    return f"{literal(value)} in {field}" if inside else f"{field} == {literal(value)}"


@lru_cache(maxsize=4096)
def _kind(path: tuple[str, ...]) -> Kind | None:
    """Return what a field may be, None where a condition cannot name it."""
    spec = find_field(path) if all(name.isidentifier() for name in path) else None
    return spec.kind if isinstance(spec, FieldSpec) else None


def joined(q: str, clause: str) -> str:
    """Return a condition that takes of what another does the events for which a clause holds."""
    if not q.strip():
        return clause
    return (
        f"{q} and {clause}" if _CHAIN.fullmatch(q) else f"({q}\n) and {clause}" if "#" in q else f"({q}) and {clause}"
    )


def _spelt(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()


class Searches:
    """Compiles conditions. `content` gives the rules and lists as they are loaded now."""

    def __init__(self, content: Callable[[], Content]) -> None:
        self._content = content

    def query(self, source: str | None) -> Expression | None:
        """Return a condition compiled, None for none; raises QueryError."""
        if source is None or not source.strip():
            return None
        if len(source) > LONGEST:
            raise SentinelError(f"`q`: longer than {LONGEST:,} characters", "make it a rule, in a file")
        try:
            return compile_expression(source, lists=self._content().lists)
        except ExpressionError as error:
            raise QueryError(source, error.problems) from None

    def rule(self, name: str, title: str, q: str | None, event: str | None) -> str:
        """Return the text of a rule that takes what a search finds, accepted by the loader as it is.

        Raises SentinelError where the name is taken or no name, and where there is nothing to take.
        """
        if name in self._content().rules:
            raise SentinelError(f"`name`: there is a rule `{name}` already", "choose another")
        return self._made("rule", name, title, q, event)

    def playbook(
        self, name: str, title: str, q: str | None, event: str | None, *, group: str, window: str, count: str,
        threshold: float,
    ) -> str:  # fmt: skip
        """Return the text of a playbook that counts what a search finds: `event`s, or how many different of a field.

        It watches only. `group` is empty for the whole app. Raises what `rule` raises.
        """
        if name in self._content().playbooks:
            raise SentinelError(f"`name`: there is a playbook `{name}` already", "choose another")
        when = f"count: {threshold}" if count == "event" else f"distinct: {{{count}: {threshold}}}"
        more = f"group_by: {group or '[]'}\nwindow: {window}\nwhen: {{{when}}}\n"
        return self._made("playbook", name, title, q, event, more)

    def _made(self, kind: str, name: str, title: str, q: str | None, event: str | None, more: str = "") -> str:
        if self.query(q) is None and event is None:
            raise SentinelError(f"`q`: a {kind} needs a condition or an event's name")
        if not _ID.fullmatch(name):
            raise SentinelError(f"`name`: `{name[:64]}` is no {kind}'s name", "small letters, digits and single `-`")
        text = _file_text(kind, name, title or name, q, event, more)
        try:
            assemble({f"{name}.yaml": text.encode()}, self._content().lists)
        except PlaybookErrors as errors:
            first = errors.mistakes[0]
            raise SentinelError(f"this cannot be a {kind}: {first.message}", first.hint) from None
        return text


def _file_text(kind: str, name: str, title: str, q: str | None, event: str | None, more: str) -> str:
    lines = [f"{kind}: {name}", f"title: {literal(title)}"]
    lines += ["mode: monitor"] if kind == "playbook" else []
    lines += [] if event is None else [f"event: {literal(event)}"]
    lines += [] if q is None or not q.strip() else [f"where: {literal(' '.join(q.split()) if _plain(q) else q)}"]
    return "\n".join(lines) + "\n" + more


def _plain(q: str) -> bool:
    """Say whether blanks may be joined: outside of texts they mean nothing, but for the end of a comment's line."""
    return not set(q) & set("\"'#")


def _flaw(source: str, problem: Problem) -> Flaw:
    line = source.split("\n")[problem.line] if problem.line < source.count("\n") + 1 else ""
    place = Place("q", problem.line + 1, problem.column + 1)
    shown = str(Mistake(place, problem.message, problem.hint, line, problem.length))
    return Flaw(problem.offset, problem.length, place.line, place.column, problem.message, problem.hint, shown)
