"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sentinel.core.errors import InputError


class Format(StrEnum):
    """How an answer is written."""

    text = "text"
    json = "json"


AsFormat = Annotated[Format, typer.Option("--format", help="`json` is for editors and other programs.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="Files and folders of playbooks and rules; the shipped ones if none is given.", metavar="PATH"),
]
Rules = Annotated[
    list[Path] | None,
    typer.Option("--rules", help="Files and folders of rules, instead of those beside the playbooks.", metavar="PATH"),
]
Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", help="A channel that exists, beside those of the settings.", metavar="NAME"),
]


def columns_of(option: str, pairs: Iterable[str]) -> dict[str, str]:
    """Return the field each CSV column fills, as an option says it in pairs `COLUMN=FIELD`."""
    found = {}
    for pair in pairs:
        column, _, field = pair.rpartition("=")
        if not column:
            raise InputError(f"`{option} {pair}` maps nothing", "write `COLUMN=FIELD`, such as `mail=user.email`")
        found[column] = field
    return found
