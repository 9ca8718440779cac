"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sentinel.core.duration import parse_duration
from sentinel.core.errors import DurationError, InputError

_WHEN = "RFC 3339, or how long ago, such as `2h`"


class Format(StrEnum):
    """How an answer is written."""

    text = "text"
    json = "json"


class Input(StrEnum):
    """What event files are."""

    auto = "auto"
    ndjson = "ndjson"
    csv = "csv"


AsFormat = Annotated[Format, typer.Option("--format", help="`json` for editors and other programs.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="Files and folders of playbooks and rules; by default the shipped ones.", metavar="PATH"),
]
Rules = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules", help="Files and folders of rules to use instead of those beside the playbooks.", metavar="PATH"
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel", help="A channel that exists, besides those of the settings; may be repeated.", metavar="NAME"
    ),
]
As = Annotated[Input, typer.Option("--input", help="The files' format, if it cannot be told from their content.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map", help="Fill a field from a CSV column; `COLUMN=` leaves the column out.", metavar="COLUMN=FIELD"
    ),
]
Name = Annotated[str | None, typer.Option("--event", help="Name for events that have none.", metavar="NAME")]
Target = Annotated[str, typer.Argument(help="A user key such as `id:42`, an address or a network.")]
Scope = Annotated[
    str | None, typer.Option("--scope", help="user, ip or network; by default told from the value.", metavar="SCOPE")
]
Length = Annotated[str, typer.Option("--for", help="How long, such as `7d`, or `forever`.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is shown, and kept in the audit.")]
Over = Annotated[bool, typer.Option("--all", help="Also list those that have ended.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Show at most this many.")]
Since = Annotated[str | None, typer.Option("--from", help=f"Only since then: {_WHEN}.")]
Until = Annotated[str | None, typer.Option("--to", help=f"Only before then: {_WHEN}.")]
Config = Annotated[
    str | None,
    typer.Option(
        "--config", help="A TOML file of settings; else SENTINEL_CONFIG, else ./sentinel.toml.", metavar="FILE"
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first line that is no event.")]


def duration_of(option: str, text: str) -> int:
    """Return the microseconds an option asks for."""
    try:
        return parse_duration(text)
    except DurationError as error:
        raise InputError(f"`{option}`: {error.message}", error.hint) from None


def columns_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return the field each CSV column fills, as `--map` says it in pairs `COLUMN=FIELD`."""
    found = {}
    for pair in pairs:
        column, _, field = pair.rpartition("=")
        if not column:
            raise InputError(f"`--map {pair}` maps nothing", "write `COLUMN=FIELD`, such as `mail=user.email`")
        found[column] = field
    return found


def scope_of(value: str) -> str:
    """Return the scope a target looks like, be it an address or none that was meant as one: the server says so."""
    head = value.partition("/")[0]
    if "." in head and head.replace(".", "").isdigit():
        return "network" if "/" in value else "ip"
    if head.count(":") >= 2 and all(part == "" or _is_hex(part) for part in head.split(":")):
        return "network" if "/" in value else "ip"
    return "user"


def _is_hex(text: str) -> bool:
    return len(text) <= 4 and all(char in "0123456789abcdefABCDEF" for char in text)
