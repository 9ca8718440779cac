"""Metadata as Moesif's servers take it: no dots in names, and one JSON type a name, the first that an app sent.

A name's type holds wherever the name stands. A value of another type is set aside, with its place and what was
expected; nothing is refused for it. Browsers are held to the types that servers fixed, and fix none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sentinel.core.duration import MINUTE
from sentinel.core.errors import EventError

MOST = 2_000  # names of one app whose types are fixed
LONGEST = 128
DEEPEST = 12
MOST_ASIDE = 50  # values of one event that are set aside; more are counted only
SETTING = "moesif.types"
_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


class Settings(Protocol):
    """What is set at run time; see `ports.Settings`."""

    def get(self, name: str, app: str | None = None) -> Any: ...
    def put(self, name: str, value: Any, by: str, now: int, app: str | None = None) -> None: ...


@dataclass(slots=True)
class Types:
    """The types of one app's names; `fresh` are those that are not kept yet."""

    of: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    read: int | None = None  # when the kept ones were read last

    def expected(self, name: str, kind: str, fixes: bool) -> str:
        """Return the type of a name; one not known yet is fixed as this one, by those who may."""
        known = self.of.get(name)
        if known is None and fixes and len(name) <= LONGEST and len(self.of) < MOST:
            self.of[name] = self.fresh[name] = kind
        return known or kind


class AllTypes:
    """The types of every app, kept among what is set at run time. `clock` gives microseconds since 1970."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._apps: dict[str, Types] = {}
        self._lock = threading.Lock()

    def known(self, app: str) -> Types | None:
        """Return an app's types where they were read of late; another process may have fixed some since."""
        found = self._apps.get(app)
        recent = found is not None and found.read is not None and self._clock() < found.read + MINUTE
        return found if recent else None

    def load(self, app: str) -> Types:
        """Return an app's types, read anew: what is kept goes before what was only just seen."""
        with self._lock:
            types = self._apps.setdefault(app, Types())
            types.of.update(self._settings().get(SETTING, app) or {})
            types.read = self._clock()
            return types

    def keep(self, app: str) -> None:
        """Write the types that were fixed since the last time, unless somebody else fixed them meanwhile."""
        with self._lock:
            types = self._apps[app]
            fresh, types.fresh = types.fresh, {}
            settings = self._settings()
            kept: Mapping[str, str] = settings.get(SETTING, app) or {}
            try:
                settings.put(SETTING, fresh | dict(kept), "moesif", self._clock(), app)
            except BaseException:
                types.fresh = fresh | types.fresh
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
    """Return metadata with names that have no dots and values of their names' types; what else there is goes aside."""
    return _object(metadata, types, fixes, aside, "", DEEPEST)


def _object(value: Mapping[str, Any], types: Types, fixes: bool, aside: Aside, path: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner, place in _named(value, path):
        kind = _TYPES.get(type(inner))
        if name in found:
            aside.put(place, "one value a name", _renamed(inner, depth - 1))
        elif kind is None:  # null fits everywhere
            found[name] = inner
        elif (expected := types.expected(name, kind, fixes)) != kind:
            aside.put(place, expected, _renamed(inner, depth - 1))
        else:
            found[name] = _value(inner, types, fixes, aside, place, depth - 1)
    return found


def _value(value: Any, types: Types, fixes: bool, aside: Aside, path: str, depth: int) -> Any:
    if type(value) is dict:
        _not_too_deep(depth)
        return _object(value, types, fixes, aside, path, depth)
    if type(value) is list:
        _not_too_deep(depth)
        return [_value(one, types, fixes, aside, f"{path}.{at}", depth - 1) for at, one in enumerate(value)]
    return value


def _renamed(value: Any, depth: int) -> Any:
    """Return a value whose names have no dots, and nothing else changed."""
    if type(value) is dict:
        _not_too_deep(depth)
        renamed: dict[str, Any] = {}
        for name, inner, _ in _named(value, ""):
            renamed.setdefault(name, _renamed(inner, depth - 1))
        return renamed
    if type(value) is list:
        _not_too_deep(depth)
        return [_renamed(one, depth - 1) for one in value]
    return value


def _named(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any, str]]:
    for name, inner in value.items():
        plain = name.replace(".", "_")
        yield plain, inner, f"{path}.{plain}" if path else plain


def _not_too_deep(depth: int) -> None:
    if depth <= 0:
        raise EventError("metadata", f"nested more than {DEEPEST} levels deep")
