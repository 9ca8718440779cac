"""`sentinel apps`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.options import AsFormat, Format
from sentinel.core.errors import InputError

apps = typer.Typer(help="List, add and change the apps of a server.", no_args_is_help=True)


@apps.command("list")
def list_apps(
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text
) -> None:
    """List the apps."""
    found = connect(url, key, app, data).ask("GET", "/v1/apps")
    show.items(found["items"], format, ("id", "name", "made", "retention", "identifiers"))


@apps.command("add")
def add_app(
    id: Annotated[str, typer.Argument(help="Lower case, digits and `-`.")],
    name: Annotated[str, typer.Option("--name", help="A name for people.")] = "",
    url: Url = None, key: Secret = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Add an app, separate from all others."""
    made = connect(url, key, None, data).ask("POST", "/v1/apps", {"id": id, "name": name})
    show.one(made, format, f"added {made['id']}: make a key for it with `sentinel keys create sdk --app {made['id']}`")


@apps.command("change")
def change_app(
    id: Annotated[str, typer.Argument(help="The app's id.")],
    name: Annotated[str | None, typer.Option("--name", help="A name for people.")] = None,
    retention: Annotated[
        str | None, typer.Option("--retention", help="How long its events are kept, such as `90d`, or `none`.")
    ] = None,
    identifiers: Annotated[
        str | None, typer.Option("--identifiers", help="What identifies its users, in order, such as `id,email`.")
    ] = None,
    ipv6: Annotated[
        int | None, typer.Option("--ipv6", help="Prefix length by which IPv6 addresses are grouped.", min=32, max=128)
    ] = None,
    url: Url = None, key: Secret = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Change an app's name, retention, identifiers or IPv6 prefix."""
    names = None if identifiers is None else [name.strip() for name in identifiers.split(",")]
    change = {"name": name, "retention": retention, "identifiers": names, "ipv6": ipv6}
    given = {field: value for field, value in change.items() if value is not None}
    if not given:
        raise InputError("there is nothing to change", "give `--name`, `--retention`, `--identifiers` or `--ipv6`")
    made = connect(url, key, None, data).ask("PATCH", path_of("/v1/apps", id), given)
    show.one(made, format, f"changed {made['id']}")
