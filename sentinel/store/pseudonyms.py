"""What deleted persons are called wherever they were named: a hash in place of each name.

Anybody may choose to be called `playbook`, `enforce` or `email`, so our own words are left as they are: a name by
itself is replaced only where a value can stand, or where people write.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sentinel.engine.keys import renamed

_SHORTEST = 4  # characters of an identifier that is looked for without its type: shorter ones are found in anything
_WORDS = frozenset({"reason", "note", "text", "error", "why", "name"})  # where people write
_OURS = frozenset({
    "action", "app", "channel", "event", "field", "held", "kind", "label", "metric", "mode", "playbook", "scope",
    "severity", "target", "title", "type", "version",
})  # fmt: skip
_THEIRS = "properties"  # whatever lies in it is the application's


class Pseudonyms:
    """A deleted person's user keys and bare identifiers, in `names`, each with the pseudonym that replaces it."""

    def __init__(self, keys: Sequence[str], pseudonym: str) -> None:
        self.keys, self.pseudonym = keys, pseudonym
        typed = dict.fromkeys(keys, pseudonym)
        bare = {rest: pseudonym for key in typed if _is_looked_for(rest := key.partition(":")[2])}
        self.names = typed | bare
        self._any = _pattern(self.names)
        self._unlike = _pattern(typed.keys() | {name for name in bare if "@" in name})  # no word of ours is like these

    def put(self, value: Any, place: str) -> Any:
        """Return a text, or decoded JSON, with the names replaced; `place` is the column or key it is under."""
        if isinstance(value, str):
            return self._text(value, place)
        if isinstance(value, Mapping):
            return {
                self._replaced(self._unlike, key): self.put(item, place if place == _THEIRS else key)
                for key, item in value.items()
            }
        return [self.put(item, place) for item in value] if isinstance(value, list | tuple) else value

    def _text(self, text: str, place: str) -> str:
        if place in _WORDS:
            return self._replaced(self._any, text)
        if place == "q":  # a condition: nothing but what it has in quotes
            return re.sub(r"""(["'])(.*?)\1""", lambda found: found[1] + self._one(found[2]) + found[1], text)
        return self._replaced(self._unlike, text) if place in _OURS else self._one(text)

    def _one(self, text: str) -> str:
        """Return a value, or the key of a group, with the names replaced that it is or holds."""
        return self._replaced(self._unlike, str(renamed(text, self.names)))

    def _replaced(self, pattern: re.Pattern[str], text: str) -> str:
        return pattern.sub(lambda match: self.names[match[0]], text)


def _is_looked_for(name: str) -> bool:
    """Say whether an identifier is searched for without its type too: not an address, nor a very short one."""
    try:
        ipaddress.ip_network(name)
    except ValueError:
        return len(name) >= _SHORTEST
    return False


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds these names where they are not part of a longer one."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join(rf"(?<![\w.@+-]){re.escape(name)}(?![\w@+-])" for name in longest_first))
