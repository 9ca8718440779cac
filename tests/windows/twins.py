"""Windows in memory beside windows in Valkey that two processes share: fed alike, they must answer alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from typing import Any

from sentinel.engine.windows import Hit, Opening, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.link import Link, open_link
from sentinel.windows.memory import MemoryWindows
from sentinel.windows.valkey import ValkeyWindows
from tests import valkey

_apps = count()


@cache
def links() -> tuple[Link, Link]:
    """Return the links of two processes to one server."""
    return open_link(valkey.shared().url), open_link(valkey.shared().url)


def shared(watches: Iterable[Watch], limits: Limits | None = None, on: Sequence[Link] = ()) -> list[ValkeyWindows]:
    """Return the windows of processes, of an app of their own: one on each link."""
    app = f"app-{next(_apps)}"
    made = [ValkeyWindows(link, app, watches, limits) for link in on or links()]
    made[0].mark(b"1")
    for windows in made:
        windows.begin(b"1")
    return made


class Twins:
    """Memory, and Valkey through two processes in turn."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        self.span = watch.window
        self.memory = MemoryWindows([watch], limits)
        self.shared = shared([watch], limits)
        self._turns = count()
        self._taken: set[tuple[str, int, str]] = set()
        self.opened: list[Opening] = []

    def hit(self, hit: Hit, newest: int, again: bool = False) -> list[Opening]:
        """Feed both, and say what opened; with `again` the other process does the call once more."""
        wanted = self.memory.hit([hit], newest)
        first, second = self._both()
        found = first.hit([hit], newest)
        before = (hit.key, hit.at, hit.id) in self._taken
        self._taken.add((hit.key, hit.at, hit.id))
        if before:  # memory tells more again than this very hit had opened
            assert {plain(one) for one in found} <= {plain(one) for one in self.opened}
        else:
            assert unnamed(found) == unnamed(wanted)
            assert all(self._named(one) for one in (*found, *wanted))
            assert all(one.events or not other.events for one, other in zip(found, wanted, strict=True))
            self.opened += found
        if again:
            told = second.hit([hit], newest)
            assert unnamed(told) == unnamed(found)
            assert all(set(one.events) <= set(other.events) for one, other in zip(told, found, strict=True))
        return found

    def _named(self, one: Opening) -> bool:
        """Say whether the events named are hits of the window; which of them were let go already is each one's own."""
        window = range(one.at - self.span + 1, one.at + 1)
        return set(one.events) <= {id for key, at, id in self._taken if key == one.hit.key and at in window}

    def due(self, watermark: int) -> list[Opening]:
        """Let time pass for both."""
        wanted = sorted(self.memory.due(watermark), key=lambda one: (one.at, one.id))
        found = self._both()[0].due(watermark)
        assert found == wanted
        return found

    def _both(self) -> tuple[ValkeyWindows, ValkeyWindows]:
        turn = next(self._turns) % 2
        return self.shared[turn], self.shared[1 - turn]


def unnamed(openings: Sequence[Opening]) -> list[Opening]:
    """Return findings without the events they name, of which a group that has many keeps some."""
    return [one._replace(events=()) for one in openings]


def plain(one: Opening) -> tuple[Any, ...]:
    """Return what tells a finding from others."""
    return one.hit.key, one.at, one.id, one.tally
