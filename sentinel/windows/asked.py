"""One watch as the scripts in Redis or Valkey see it: its arguments, its keys, and how their answers are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sentinel.engine.windows import Absent, Hit, Opening, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.names import GroupNames, Names, digest
from sentinel.windows.scripted import read_text, scripted


class Asked:
    """What the scripts need for one watch: their arguments, and the names of its keys, which change with the epoch."""

    def __init__(self, watch: Watch, limits: Limits, names: Names) -> None:
        self.watch = watch
        self.scripted = scripted(watch, limits)
        self._names = names
        self._version = f"{watch.window} {watch.detector} {watch.shape} {limits.lateness}"
        self.ready = f"{watch.id}:{digest(self._version, size=8)}"
        self.waiting = isinstance(watch.detector, Absent)
        self.call_after(b"")

    def call_after(self, epoch: bytes) -> None:
        """Name the keys after an epoch, so that none reads what an unfinished one before it left behind."""
        version = f"{self._version} {epoch.hex()}"
        self.keys = GroupNames(self._names, self.watch.id, version)
        self.waits = self._names.of("waits", self.watch.id, version) if self.waiting else ""


def opening_of(asked: Asked, hit: Hit, answer: Sequence[Any]) -> Opening:
    """Return the opening behind one entry of a script's answer, as `tell` in `lua/common.lua` writes it."""
    _, at, id, approximate, gone, tally, ids = answer
    events = tuple(map(read_text, ids)) or (read_text(id),)
    return Opening(hit, at, read_text(id), asked.scripted.shown(tally), bool(approximate), bool(gone), events)
