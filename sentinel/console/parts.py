"""Parameters and choices that several pages share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from sentinel.console.forms import Form
from sentinel.core.duration import ENDLESS

Id = Annotated[str, Path(max_length=128)]
Key = Annotated[str, Path(max_length=512)]
Given = Annotated[str, Query(max_length=512)]
Cursor = Annotated[str | None, Query(max_length=512)]

# How long, as people choose it.
LENGTHS = (
    ("1h", "an hour"), ("1d", "a day"), ("7d", "a week"), ("30d", "30 days"), ("90d", "90 days"),
    (ENDLESS, "for ever"),
)  # fmt: skip


def length(form: Form) -> str | None:
    """Return how long a form says something lasts, None for ever."""
    chosen = form.choice("for", [value for value, _ in LENGTHS])
    return None if chosen == ENDLESS else chosen
