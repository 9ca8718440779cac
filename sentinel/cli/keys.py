"""`sentinel keys`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.options import AsFormat, Format, Limit
from sentinel.core.errors import SentinelError

keys = typer.Typer(help="Make, list and revoke the keys of an app.", no_args_is_help=True)


@keys.command("list")
def list_keys(
    limit: Limit = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """List an app's keys without their secrets, those in use first."""
    found = connect(url, key, app, data).items("/v1/keys", {}, limit)
    show.items(found, format, ("id", "scope", "protocol", "name", "made", "used", "revoked", "origins"))


@keys.command("create")
def create_key(
    scope: Annotated[str, typer.Argument(help="sdk, ingest, browser, read or admin.")],
    name: Annotated[str, typer.Option("--name", help="What the key is for.")] = "",
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="An origin for a browser key; may be repeated.", metavar="URL")
    ] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", help="The foreign client that the key is for.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--setting", help="The client's setting; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Make a key and print it; it cannot be shown again. With --protocol, that protocol is answered from now on."""
    new: dict[str, Any] = {"scope": scope, "name": name, "origins": origin or []}
    if protocol is not None or setting:
        new |= {"protocol": protocol, "settings": dict(_setting(one) for one in setting or ())}
    made = connect(url, key, app, data).ask("POST", "/v1/keys", new)
    show.one(made, format, made["secret"])


@keys.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(help="The key's id, as `sentinel keys list` shows it.")],
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Revoke a key; its streams end within five seconds."""
    connect(url, key, app, data).ask("DELETE", path_of("/v1/keys", id))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SentinelError(f"`--setting`: `{text}` is no setting", "write `name=value`")
    return name, value
