"""Rename users in the state of windows: a deleted person goes on being counted under a pseudonym."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sentinel.engine import keys
from sentinel.windows.snapshot import dump
from sentinel.windows.tracker import Tracker

_pack, _unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


class Renaming:
    """The names to be given to users, by those they have."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._told = [*map(_pack, names), *(f"{len(name)}:{name}".encode() for name in names)]  # alone, and in a key

    def do(self, tracker: Tracker[Any]) -> None:
        """Rename users in a tracker. Of two groups that get one name the latter stays."""
        if not self._concerns(dump(tracker)):  # to look at all of it at once takes half of what its groups take
            return
        for groups in (tracker.groups.young, tracker.groups.old):
            for key, state in list(groups.items()):
                written = _pack(tracker.write(state))
                if self._concerns(_pack(key)) or self._concerns(written):
                    del groups[key]
                    groups[self._other(key)] = tracker.read(self._other(_unpack(written)))
        for findings in (tracker.findings.young, tracker.findings.old):
            for key in [key for key in findings if self._concerns(_pack(key))]:
                findings[self._other(key)] = findings.pop(key)
        extra = _pack(tracker.extra())
        if self._concerns(extra):
            tracker.resume(self._other(_unpack(extra)))

    def _concerns(self, data: bytes) -> bool:
        return any(one in data for one in self._told)

    def _other(self, value: Any) -> Any:
        return keys.renamed(value, self._names)
