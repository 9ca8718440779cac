"""Literal arguments of functions, prepared at load: patterns compiled, networks parsed, lists and time zones looked up.

So nothing of that can fail, or cost time, when an event is judged.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import TypeAlias
from zoneinfo import ZoneInfo

import re2

from sentinel.engine import lists
from sentinel.engine.lists import ListValues, Networks
from sentinel.engine.nodes import Field, ListOf, Literal, Node
from sentinel.engine.problems import Problems, quote, suggest

_MEMORY = 2 << 20  # bytes one pattern may take, program and cache
_RAW = """write r"\\bselect\\b": behind an r, backslashes are the pattern's"""
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Context:
    """What preparing needs: the named lists, and where to put problems."""

    lists: Mapping[str, ListValues]
    problems: Problems

    def refuse(self, node: Node, message: str, hint: str | None = None) -> None:
        """Record a problem with one node."""
        self.problems.at(node.span, message, hint)


# Takes the argument, the arguments before it and the context; None means refused, the problem recorded.
Prepare: TypeAlias = Callable[[Node, tuple[Node, ...], Context], object]


def _text(node: Node, context: Context, what: str, hint: str) -> str | None:
    if isinstance(node, Literal) and isinstance(node.value, str):
        return node.value
    context.refuse(node, f"{what} must be a text written out here", f"in quotes, {hint}")
    return None


def pattern(node: Node, beside: tuple[Node, ...], context: Context) -> object:
    """Compile an RE2 pattern."""
    text = _text(node, context, "a pattern", r'such as "^/wp-(admin|login)"')
    if text is None:
        return None
    wrong = next((char for char in text if char < "\t"), None)  # `\b` in a text is a backspace
    if wrong is not None:
        context.refuse(node, f"the pattern holds the character U+{ord(wrong):04X}", _RAW)
        return None
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "it cannot be read"
        context.refuse(node, f"not an RE2 pattern: {quote(reason)}", _pattern_hint(text))
        return None


def _pattern_hint(text: str) -> str | None:
    if re.search(r"\(\?<?[=!]", text):
        return "RE2 looks neither ahead nor behind: combine two `matches` with `and`, `not`"
    return "RE2 has no backreferences" if re.search(r"\\[1-9]", text) else None


def network_set(node: Node, beside: tuple[Node, ...], context: Context) -> Networks | None:
    """Parse one network, or a list of them."""
    items = node.items if isinstance(node, ListOf) else (node,)
    found = [_network(item, context) for item in items]
    if not found:
        context.refuse(node, "an empty list of networks holds no address")
    known = [network for network in found if network is not None]
    return lists.networks(known) if known and len(known) == len(found) else None


def _network(node: Node, context: Context) -> lists.Network | None:
    text = _text(node, context, "a network", 'such as "198.51.100.0/24"')
    if text is None:
        return None
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        context.refuse(node, f"{quote(text)} is not a network", 'write "198.51.100.0/24" or "2001:db8::/32"')
        return None
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        context.refuse(node, f"{quote(text)} has bits set behind its prefix", f'did you mean "{loose}"?')
        return None


_LISTS = "lists are the files of `rules/lists`, without `.txt`: a folder `rules` of your own hides the shipped ones"


def named_list(node: Node, beside: tuple[Node, ...], context: Context) -> ListValues | None:
    """Find a named list; looked up for `user`, its values are read as users."""
    name = _text(node, context, "a list's name", 'such as in_list(ip, "office")')
    if name is None:
        return None
    values = context.lists.get(name)
    if values is None:
        hint = suggest(name, context.lists) or _LISTS
        context.refuse(node, f"there is no list {quote(name)}", hint)
        return None
    return values.of_users() if isinstance(beside[0], Field) and beside[0].path == "user" else values


def zone(node: Node, beside: tuple[Node, ...], context: Context) -> tzinfo | None:
    """Find a time zone by its IANA name, or read an offset such as `+05:30`."""
    name = _text(node, context, "a time zone", 'such as "Europe/Paris"')
    if name is None:
        return None
    offset = _OFFSET.fullmatch(name)
    if name == "UTC":
        return timezone.utc
    if offset and int(offset[2]) < 24 and int(offset[3]) < 60:
        minutes = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(minutes if offset[1] == "+" else -minutes)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # KeyError: ZoneInfoNotFoundError
        context.refuse(node, f"there is no time zone {quote(name)}", 'such as "Europe/Paris", "UTC" or "+02:00"')
        return None
