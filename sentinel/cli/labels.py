"""`sentinel labels`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect
from sentinel.cli.options import AsFormat, Format, Length, Limit, Over, scope_of
from sentinel.core.duration import ENDLESS

labels = typer.Typer(
    help="List the labels of users and addresses, put them on and take them off.", no_args_is_help=True
)
COLUMNS = ("kind", "target", "name", "until", "by", "made")
Target = Annotated[str, typer.Argument(help="A user key such as `id:42`, or an address.")]
Name = Annotated[str, typer.Argument(help="The label's name.")]
KindOption = Annotated[
    str | None, typer.Option("--kind", help="user or ip; by default told from the target.", metavar="KIND")
]


@labels.command("list")
def list_labels(
    target: Annotated[str | None, typer.Option("--target", help="Only those of this user or address.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only those of this name.")] = None,
    kind: KindOption = None,
    over: Over = False,
    limit: Limit = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """List labels, the newest first."""
    kind = kind or (None if target is None else _kind(target))
    query = {"kind": kind, "target": target, "name": name, "all": "true" if over else None}
    found = connect(url, key, app, data).items("/v1/labels", query, limit)
    show.items(found, format, COLUMNS)


@labels.command("put")
def put_label(
    target: Target,
    name: Name,
    kind: KindOption = None,
    length: Length = ENDLESS,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Put a label on a user or an address, seen from the next event on."""
    new = {"kind": kind or _kind(target), "target": target, "name": name, "for": length}
    made = connect(url, key, app, data).ask("POST", "/v1/labels", new)
    show.one(made, format, f"{made['kind']} {made['target']}: {made['name']} until {made['until'] or 'taken off'}")


@labels.command("take")
def take_label(
    target: Target,
    name: Name,
    kind: KindOption = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Take a label off."""
    query = {"kind": kind or _kind(target), "target": target, "name": name}
    connect(url, key, app, data).ask("DELETE", "/v1/labels", query=query)


def _kind(target: str) -> str:
    return "user" if scope_of(target) == "user" else "ip"
