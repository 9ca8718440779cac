"""The properties of events by path, and the JSON type of each. Which type a path keeps is learnt by the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sentinel.core.record import Property

TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


def walk(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give the (path, value) of every property, outer objects before what is in them; a list is one value.

    Paths join names by dots; a name that holds a dot or a quote is written as JSON.
    """
    for key, item in value.items():
        path = prefix + (json.dumps(key, ensure_ascii=False) if "." in key or '"' in key else key)
        yield path, item
        if type(item) is dict:
            yield from walk(item, path + ".")


def conflicting(known: Iterable[Property], properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the known type of each path whose value has another type, by path; null has no type."""
    types = {one.path: one.type for one in known}
    found = ((path, TYPES.get(type(value))) for path, value in walk(properties))
    return {path: types[path] for path, kind in found if kind is not None and types.get(path, kind) != kind}
