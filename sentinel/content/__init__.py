"""Where the playbooks, the rules and the demo's shop lie that the product ships. It finds folders and reads no file."""

from __future__ import annotations

from pathlib import Path

from sentinel.core.errors import InputError

HERE = Path(__file__).parent


def folder(name: str) -> Path:
    """Return the shipped folder `playbooks`, `rules`, `geo` or `shop`: a wheel's own, else the checkout's."""
    for place in (HERE / name, HERE.parents[1] / name, HERE.parents[1] / "examples" / name):
        if place.is_dir():
            return place
    raise InputError(f"no shipped folder `{name}`", "name a folder of your own")
