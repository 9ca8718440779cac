"""`sentinel allow`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.options import AsFormat, Format, Length, Limit, Over, Scope, Target, Why, scope_of
from sentinel.core.duration import ENDLESS

allow = typer.Typer(
    help="List, add and remove allowances: users, addresses and networks that no playbook acts on.",
    no_args_is_help=True,
)
COLUMNS = ("id", "scope", "value", "until", "reason", "by", "made")


@allow.command("list")
def list_allowances(
    over: Over = False,
    value: Annotated[str | None, typer.Option("--value", help="Only those about this target.")] = None,
    limit: Limit = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """List the users, addresses and networks that no playbook acts on."""
    query = {"all": "true" if over else None, "value": value}
    found = connect(url, key, app, data).items("/v1/allow", query, limit)
    show.items(found, format, COLUMNS)


@allow.command("add")
def add_allowance(
    value: Target,
    why: Why,
    scope: Scope = None,
    length: Length = ENDLESS,
    lift: Annotated[bool, typer.Option("--lift/--no-lift", help="Also lift what playbooks decided about it.")] = True,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Keep playbooks from acting on a user, address or network.

    If there is an allowance already, it gets the new end and reason.
    """
    new = {"scope": scope or scope_of(value), "value": value, "reason": why, "for": length, "lift": lift}
    made = connect(url, key, app, data).ask("POST", "/v1/allow", new)
    show.one(made, format, f"{made['id']}  {made['scope']} {made['value']} until {made['until'] or 'taken back'}")


@allow.command("remove")
def remove_allowance(
    id: Annotated[str, typer.Argument(help="The allowance's id, as `sentinel allow list` shows it.")],
    why: Why = "",
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Remove an allowance."""
    connect(url, key, app, data).ask("DELETE", path_of("/v1/allow", id), query={"why": why or None})
