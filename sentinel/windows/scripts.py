"""The Lua sources in `lua/`, each behind the code that all kinds of state share."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from pathlib import Path

FOLDER = Path(__file__).parent / "lua"
ALONE = frozenset({"waits", "places", "beside"})  # they keep no groups
NAMES = ("count", "threshold", "steps", "first_seen", "travel", "spike", "absent", "finding", "peek", *sorted(ALONE))


@cache
def source(name: str) -> str:
    """Return a script's source."""
    text = (FOLDER / f"{name}.lua").read_text("utf-8")
    return text if name in ALONE else (FOLDER / "common.lua").read_text("utf-8") + text


@cache
def sha(name: str) -> str:
    """Return the name a server knows a script by."""
    return sha1(source(name).encode(), usedforsecurity=False).hexdigest()
