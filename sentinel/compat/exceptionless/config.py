"""The settings that an app's Exceptionless clients fetch, with a version that tells them when to fetch them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sentinel.core.duration import SECOND
from sentinel.edge.errors import ApiError
from sentinel.service.ports import Store

SETTING = "compat.exceptionless.config"
MOST = 100
LONGEST_NAME = 200
LONGEST_VALUE = 2000
_STALE = 2 * SECOND


class Config(NamedTuple):
    """The settings of an app's clients and their version, which is 0 before any was set."""

    version: int
    settings: Mapping[str, str]


class Configs:
    """The settings of all apps. Other processes learn of a change within two seconds."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[str, tuple[int, Config]] = {}

    def fresh(self, app: str) -> Config | None:
        """Return an app's settings from memory, None where they must be read anew."""
        held = self._held.get(app)
        return held[1] if held is not None and 0 <= self._clock() - held[0] < _STALE else None

    def read(self, app: str) -> Config:
        """Return an app's settings."""
        found = _config(self._store.settings.get(SETTING, app))
        self._held[app] = (self._clock(), found)
        return found

    def put(self, app: str, name: str, value: str | None, by: str) -> None:
        """Set a setting, or with None take it away."""
        if not 0 < len(name) <= LONGEST_NAME:
            raise ApiError("malformed", f"`key`: not a name of 1 to {LONGEST_NAME} characters")

        def change(kept: Any) -> dict[str, Any]:
            found = _config(kept)
            changed = {key: one for key, one in found.settings.items() if key != name}
            if value is not None:
                changed[name] = value
            if len(changed) > MOST:
                raise ApiError("invalid", f"more than {MOST} settings")
            return {"version": found.version + 1, "settings": changed}

        self._store.settings.change(SETTING, change, by, self._clock(), app)
        self._held.pop(app, None)


def _config(kept: Any) -> Config:
    return Config(kept["version"], kept["settings"]) if kept else Config(0, {})
