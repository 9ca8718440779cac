"""What is wrong with a value of a request, in words for people: those of FastAPI and pydantic are made for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sentinel.core.number import plural

_INTEGER, _BOOLEAN = "not a whole number", "neither `true` nor `false`"
# By the type of the mistake: https://docs.pydantic.dev/latest/errors/validation_errors/
_TOLD: Mapping[str, str] = {
    "missing": "missing",
    "extra_forbidden": "not a field of what is taken here",
    "string_type": "not a text",
    "int_type": _INTEGER, "int_parsing": _INTEGER, "int_from_float": _INTEGER, "int_parsing_size": _INTEGER,
    "bool_type": _BOOLEAN, "bool_parsing": _BOOLEAN,
    "list_type": "not a list", "tuple_type": "not a list",
    "dict_type": "not an object", "model_type": "not an object", "model_attributes_type": "not an object",
    "greater_than_equal": "less than {ge}", "less_than_equal": "more than {le}",
    "greater_than": "not more than {gt}", "less_than": "not less than {lt}",
}  # fmt: skip


def told(mistake: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return what is wrong with a value, one of those that pydantic lists, and what to write where that is known."""
    kind, given, bounds = mistake["type"], mistake["input"], mistake.get("ctx", {})
    if kind == "literal_error":
        known = re.findall("'([^']*)'", bounds["expected"])
        return f"`{str(given)[:40]}` is not known", f"one of {', '.join(known)}"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        least, most = bounds.get("min_length"), bounds.get("max_length")
        what = "character" if isinstance(given, str) else "value"
        if most is not None:
            return f"more than {most} {plural(most, what)}", None
        return f"fewer than {least} {plural(least, what)}" if given else "empty", None
    if kind in _TOLD:
        return _TOLD[kind].format(**bounds), None
    said = str(mistake["msg"]).removeprefix("Value error, ")
    return said[:1].lower() + said[1:300], None
