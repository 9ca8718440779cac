"""`sentinel deliveries`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.options import AsFormat, Format, Limit
from sentinel.core.errors import InputError

deliveries = typer.Typer(
    help="List notifications and webhooks, and try again those that were given up.", no_args_is_help=True
)
COLUMNS = ("id", "made", "channel", "kind", "attempts", "done", "dead", "bundle", "error")


@deliveries.command("list")
def list_deliveries(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    bundle: Annotated[int | None, typer.Option(help="Only those that this bundle stands for.")] = None,
    limit: Limit = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """List deliveries to channels, made and waiting, the newest first."""
    asked = {"dead": "true" if dead else None, "bundle": None if bundle is None else str(bundle)}
    found = connect(url, key, app, data).items("/v1/outbox", asked, limit)
    show.items(found, format, COLUMNS)


@deliveries.command("retry")
def retry_deliveries(
    id: Annotated[str | None, typer.Argument(help="The delivery's id, as `sentinel deliveries list` shows it.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Instead of an id: all that were given up.")] = False,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Try again a delivery that was given up, under the same id."""
    if (id is None) != all:
        raise InputError("try what again?", "give a delivery's id, or `--all`")
    server = connect(url, key, app, data)
    if id is not None:
        server.ask("POST", path_of("/v1/outbox", id) + "/revive")
    else:
        typer.echo(f"{server.ask('POST', '/v1/outbox/revive')['revived']} tried again")
