"""Hints for a key in the wrong place: where it belongs, derived from the schema of a playbook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinel.loader.desk import Home, Shape, listed
from sentinel.loader.schema import ACTIONS, EXEMPTION, PLAYBOOK, PLAYBOOK_TEST
from sentinel.loader.shapes import Key, Record, Worded

_ITEMS = {"exceptions": EXEMPTION, "tests": PLAYBOOK_TEST}
_MEAN_OTHERS = {"rule", "event", "where", "until", "title", "description"}  # something else, wherever else they stand


def _homes() -> Mapping[str, Home]:
    """Return where each key of a playbook belongs, by its name."""
    found: dict[str, Home] = {}
    for name, places in _gathered(_inside()).items():
        found[name] = Home(places[0], f"it belongs into {listed(places, 'or')}")
    for name, kinds in _gathered(_of_actions()).items():
        found.setdefault(name, Home("actions", f"it belongs into {listed(kinds, 'or')}, below a playbook's `actions:`"))
    for kind, key in ACTIONS.kinds.items():
        found[kind] = Home("actions", f"it belongs below a playbook's `actions:`, as `- {kind}: {_example(key)}`")
    for name in PLAYBOOK.keys:
        found[name] = Home("", "it belongs to a playbook itself, beside `playbook:`")
    return {name: home for name, home in found.items() if name not in _MEAN_OTHERS}


def _inside() -> Iterator[tuple[str, str]]:
    """Give each key within a key of a playbook, and that key."""
    for place, key in PLAYBOOK.keys.items():
        record = key.shape if isinstance(key.shape, Record) else _ITEMS.get(place)
        yield from ((name, place) for name in (record.keys if record else ()))


def _of_actions() -> Iterator[tuple[str, str]]:
    return ((name, kind) for kind, key in ACTIONS.kinds.items() for name in _record(key.shape).keys)


def _gathered(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, place in pairs:
        found.setdefault(name, []).append(place)
    return found


def _record(shape: Shape) -> Record:
    record = shape.record if isinstance(shape, Worded) else shape
    assert isinstance(record, Record)
    return record


def _example(key: Key) -> str:
    if isinstance(key.shape, Worded):
        return "all"
    needed = [name for name, one in _record(key.shape).keys.items() if one.required]
    return "{" + ", ".join(f"{name}: {'1h' if name == 'for' else '…'}" for name in needed) + "}"


HOMES = _homes()
