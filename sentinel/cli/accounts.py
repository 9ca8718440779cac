"""`sentinel accounts`: who may sign in to the console."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel import settings
from sentinel.cli import show
from sentinel.cli.client import Client, Data, Secret, Url, connect
from sentinel.cli.options import AsFormat, Format
from sentinel.core.errors import InputError, SentinelError

accounts = typer.Typer(help="List, invite, change and remove the people who use the console.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name they sign in with, such as `ana@example.com`.")]
Apps = Annotated[
    list[str] | None,
    typer.Option("--app", help="Only this app, may be repeated; by default every app.", metavar="APP"),
]


@accounts.command("list")
def list_accounts(url: Url = None, key: Secret = None, data: Data = None, format: AsFormat = Format.text) -> None:
    """List the accounts."""
    found = connect(url, key, None, data).ask("GET", "/v1/accounts")
    show.items(found["items"], format, ("name", "role", "apps", "made", "seen", "ready"))


@accounts.command("add")
def add_account(
    name: Name, role: Annotated[str, typer.Option("--role", help="viewer, analyst or admin.")] = "viewer",
    app: Apps = None, url: Url = None, key: Secret = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Invite somebody: print a link where they choose a password."""
    client = connect(url, key, None, data)
    made = client.ask("POST", "/v1/accounts", {"name": name, "role": role, "apps": app or ["*"]})
    _invite(client, made, format)


@accounts.command("change")
def change_account(
    name: Name, role: Annotated[str | None, typer.Option("--role", help="viewer, analyst or admin.")] = None,
    app: Annotated[
        list[str] | None, typer.Option("--app", help="Only this app, may be repeated; `*`: every app.", metavar="APP")
    ] = None,
    url: Url = None, key: Secret = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Give somebody another role, or other apps."""
    given = {field: value for field, value in {"role": role, "apps": app}.items() if value}
    if not given:
        raise InputError("there is nothing to change", "give `--role` or `--app`")
    client = connect(url, key, None, data)
    made = client.ask("PATCH", f"/v1/accounts/{_id(client, name)}", given)
    show.one(made, format, f"changed {made['name']}: {made['role']} of {', '.join(made['apps'])}")


@accounts.command("reset")
def reset_account(
    name: Name, url: Url = None, key: Secret = None, data: Data = None, format: AsFormat = Format.text
) -> None:
    """Remove a password and print a link for a new one. Its owner is signed out everywhere."""
    client = connect(url, key, None, data)
    _invite(client, client.ask("POST", f"/v1/accounts/{_id(client, name)}/reset"), format)


@accounts.command("remove")
def remove_account(name: Name, url: Url = None, key: Secret = None, data: Data = None) -> None:
    """Remove somebody, and sign them out everywhere."""
    client = connect(url, key, None, data)
    client.ask("DELETE", f"/v1/accounts/{_id(client, name)}")


def _id(client: Client, name: str) -> str:
    for account in client.ask("GET", "/v1/accounts")["items"]:
        if account["name"] == name.strip().casefold():
            return str(account["id"])
    raise SentinelError(f"there is no account `{name[:80]}`", "`sentinel accounts list` shows them")


def _invite(client: Client, made: dict[str, Any], format: Format) -> None:
    link = f"{settings.read().public_url or client.url}/welcome#{made['code']}"
    show.one(made | {"link": link}, format, f"{made['name']} chooses a password within three days, once, at\n{link}")
