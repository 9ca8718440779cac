"""`sentinel decisions`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.options import AsFormat, Format, Length, Limit, Over, Scope, Target, Why, scope_of
from sentinel.cli.terminal import complain
from sentinel.core.errors import InputError
from sentinel.core.number import plural

decisions = typer.Typer(help="List decisions, make them by hand, lift them.", no_args_is_help=True)
COLUMNS = ("id", "kind", "scope", "value", "until", "playbook", "by", "reason")


@decisions.command("list")
def list_decisions(
    over: Over = False,
    value: Annotated[str | None, typer.Option("--value", help="Only those about this target.")] = None,
    playbook: Annotated[str | None, typer.Option("--playbook", help="Only those of this playbook.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Only decisions by hand, of `account:ana` or of anybody (`hand`).")
    ] = None,
    limit: Limit = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """List the decisions in force, newest first."""
    query = {"all": "true" if over else None, "value": value, "playbook": playbook, "by": by}
    found = connect(url, key, app, data).items("/v1/decisions", query, limit)
    show.items(found, format, COLUMNS)


@decisions.command("add")
def add_decision(
    kind: Annotated[str, typer.Argument(help="block, redirect, challenge or allow.")],
    value: Target,
    why: Why,
    scope: Scope = None,
    length: Length = "1h",
    to: Annotated[str | None, typer.Option("--to", help="Where a redirect leads.")] = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Decide by hand; every connected SDK learns of it at once."""
    new = {"kind": kind, "scope": scope or scope_of(value), "value": value, "reason": why, "for": length}
    made = connect(url, key, app, data).ask("POST", "/v1/decisions", new | ({"to": to} if to else {}))
    for warning in made["warnings"]:
        complain(warning)
    show.one(made, format, f"{made['id']}  {made['kind']} {made['value']} until {made['until'] or 'lifted'}")


@decisions.command("lift")
def lift_decision(
    id: Annotated[str | None, typer.Argument(help="The decision's id.")] = None,
    playbook: Annotated[
        str | None, typer.Option("--playbook", help="Instead of an id: all that this playbook decided.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Instead of an id: all by hand, of `account:ana` or of anybody (`hand`).")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="With --playbook or --by: only this kind.")] = None,
    why: Why = "",
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Lift a decision for good, or all of a playbook or of people.

    The findings behind them never decide again.
    """
    several = {"playbook": playbook, "by": by, "kind": kind}
    if any(several.values()) if id is not None else not (playbook or by):
        raise InputError("lift what?", "give a decision's id, or `--playbook ID`, or `--by WHO`")
    server, query = connect(url, key, app, data), {"why": why or None}
    if id is not None:
        server.ask("DELETE", path_of("/v1/decisions", id), query=query)
    else:
        done = server.ask("DELETE", "/v1/decisions", query=query | several)
        typer.echo(f"{done['lifted']} {plural(done['lifted'], 'decision')} lifted")
