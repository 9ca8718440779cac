"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
