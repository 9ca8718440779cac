"""`sentinel schema`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sentinel.cli.terminal import say_json
from sentinel.loader.schema import json_schema


class Kind(StrEnum):
    """The two kinds of document."""

    rule = "rule"
    playbook = "playbook"


def schema(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only this kind; by default files may hold both.")] = None,
) -> None:
    """Print the JSON Schema of rules and playbooks, for editors."""
    say_json(json_schema(kind.value if kind else None), indent=2)
