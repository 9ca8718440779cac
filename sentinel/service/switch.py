"""The switch that stops all enforcement, for the server or for one app. Decisions stay as they are meanwhile."""

from __future__ import annotations

import threading

from sentinel.core.batch import Note
from sentinel.service.ports import Store

NAME = "enforcement"


class Switch:
    """Whether decisions are carried out; asked by every feed, so answered from memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._off: frozenset[str | None] = frozenset()
        self._reading = threading.Lock()  # what was read first is never taken for what was read last
        self.refresh()

    def on(self, app: str) -> bool:
        """Say whether an app's decisions are carried out."""
        return not self._off or (None not in self._off and app not in self._off)

    def state(self, app: str | None) -> bool:
        """Say how an app's own switch stands, None for the server's."""
        return app not in self._off

    def turn(self, app: str | None, on: bool, by: str, why: str, now: int) -> None:
        """Turn an app's switch, None for the server's."""
        line = Note(by, f"enforcement.{'on' if on else 'off'}", app or "server", why)
        self._store.settings.put(NAME, None if on else "off", by, now, app, line)
        self.refresh()

    def refresh(self) -> None:
        """Read the switches again: another process may have turned one."""
        with self._reading:
            apps: list[str | None] = [None, *(app.id for app in self._store.access.apps())]
            self._off = frozenset(app for app in apps if self._store.settings.get(NAME, app) == "off")
