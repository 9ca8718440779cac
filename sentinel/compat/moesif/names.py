"""Metadata as Moesif's servers take it: no dots in names, and one JSON type for each name, the first that an app sent.

The type of a name holds wherever the name stands. A value of another type is set aside, with its place and the type
that was expected; nothing is refused for it. Browsers are held to the types that servers set, and set none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sentinel.core.duration import MINUTE
from sentinel.core.properties import TYPES
from sentinel.core.scrub import CUT

MOST = 2_000  # names of one app whose types are fixed
LONGEST = 128
DEEPEST = 12
MOST_ASIDE = 50  # values of one event that are set aside; more are counted only
SETTING = "moesif.types"
_LARGEST = 2**63


class Settings(Protocol):
    """What is set at run time; see `ports.Settings`."""

    def get(self, name: str, app: str | None = None) -> Any: ...
    def change(self, name: str, how: Callable[[Any], Any], by: str, now: int, app: str | None = None) -> Any: ...


@dataclass(slots=True)
class Types:
    """The types of one app's names; `fresh` says that some were fixed since they were last written to the store."""

    of: dict[str, str] = field(default_factory=dict)
    fresh: bool = False
    read: int | None = None  # when the kept ones were read last

    def expected(self, name: str, kind: str, fixes: bool) -> str:
        """Return the type of a name; where it has none yet, `kind`, which becomes its type if the caller `fixes`."""
        known = self.of.get(name)
        if known is None and fixes and len(name) <= LONGEST and len(self.of) < MOST:
            self.of[name] = kind
            self.fresh = True
        return known or kind


class AllTypes:
    """The types of every app, kept among what is set at run time. `clock` gives microseconds since 1970."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._apps: dict[str, Types] = {}

    def known(self, app: str) -> Types | None:
        """Return an app's types if they were read in the last minute, else None."""
        found = self._apps.get(app)
        recent = found is not None and found.read is not None and self._clock() < found.read + MINUTE
        return found if recent else None

    def load(self, app: str) -> Types:
        """Read an app's types again and return them; a type that is stored wins over one fixed here since."""
        types = self._apps.setdefault(app, Types())
        types.of.update(self._settings().get(SETTING, app) or {})
        types.read = self._clock()
        return types

    def keep(self, app: str) -> None:
        """Write the types that were fixed here; where another process wrote one first, its type is taken over."""
        types = self._apps[app]
        types.fresh = False  # from here on: what another thread fixes meanwhile is kept now or the next time
        try:
            kept = self._settings().change(SETTING, lambda held: types.of | (held or {}), "moesif", self._clock(), app)
        except BaseException:
            types.fresh = True
            raise
        types.of.update(kept)


class Aside:
    """What of one event did not fit: values of another type, and second values of a name."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self.count = 0

    def put(self, path: str, expected: str, value: Any) -> None:
        """Set a value aside."""
        self.count += 1
        if len(self.values) < MOST_ASIDE:
            self.values.append({"path": path[:512], "expected": expected, "value": value})


def fitted(metadata: Mapping[str, Any], types: Types, fixes: bool, aside: Aside) -> dict[str, Any]:
    """Return metadata with `_` for dots in names and only values of their name's type; all others go to `aside`."""
    return _Fitting(types, fixes, aside).object(metadata, "", DEEPEST)


@dataclass(frozen=True, slots=True)
class _Fitting:
    types: Types
    fixes: bool
    aside: Aside

    def object(self, value: Mapping[str, Any], path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, inner in value.items():
            plain = name.replace(".", "_")
            place = f"{path}.{plain}" if path else plain
            wrong = "one value a name" if plain in found else self._wrong(plain, inner, depth - 1)
            if wrong is not None:
                self.aside.put(place, wrong, renamed(inner, depth - 1))
            else:
                found[plain] = self._value(inner, place, depth - 1)
        return found

    def _value(self, value: Any, path: str, depth: int) -> Any:
        if type(value) is dict:
            return self.object(value, path, depth)
        return self._list(value, path, depth) if type(value) is list else value

    def _list(self, value: list[Any], path: str, depth: int) -> list[Any]:
        found = []
        for at, one in enumerate(value):
            place = f"{path}.{at}"
            if (wrong := _unkept(one, depth - 1)) is not None:
                self.aside.put(place, wrong, renamed(one, depth - 1))
                one = None
            found.append(self._value(one, place, depth - 1))
        return found

    def _wrong(self, name: str, value: Any, depth: int) -> str | None:
        """Return what was expected instead of a value, None where it may stay; null may stay everywhere."""
        kind = TYPES.get(type(value))
        wrong = _unkept(value, depth)
        if kind is None or wrong is not None:
            return wrong
        expected = self.types.expected(name, kind, self.fixes)
        return None if expected == kind else expected


def renamed(value: Any, depth: int = DEEPEST) -> Any:
    """Return a value with `_` for dots in names; what the store cannot hold becomes a text."""
    if _unkept(value, depth) is not None:
        return str(value)[:64] if type(value) is int else CUT
    if type(value) is dict:
        found: dict[str, Any] = {}
        for name, inner in value.items():
            found.setdefault(name.replace(".", "_"), renamed(inner, depth - 1))
        return found
    return [renamed(one, depth - 1) for one in value] if type(value) is list else value


def _unkept(value: Any, depth: int) -> str | None:
    """Return what was expected of a value that the store cannot hold, None for any other."""
    if depth <= 0 and type(value) in (dict, list):
        return f"at most {DEEPEST} levels"
    return "an integer of 64 bits" if type(value) is int and not -_LARGEST <= value < _LARGEST else None
