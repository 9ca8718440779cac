"""`sentinel decisions`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Client, Data, Secret, Url, connect
from sentinel.cli.options import AsFormat, Format
from sentinel.cli.terminal import complain

decisions = typer.Typer(help="List decisions, make them by hand, lift them.", no_args_is_help=True)
COLUMNS = ("id", "kind", "scope", "value", "until", "playbook", "reason")


@decisions.command("list")
def list_decisions(
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    value: Annotated[str | None, typer.Option("--value", help="Only those of this target.")] = None,
    playbook: Annotated[str | None, typer.Option("--playbook", help="Only those of this playbook.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """List the decisions in force, newest first."""
    query = {"all": "true" if over else None, "value": value, "playbook": playbook}
    found = paged(connect(url, key, app, data), "/v1/decisions", query, limit)
    show.items(found, format, COLUMNS)


@decisions.command("add")
def add_decision(
    kind: Annotated[str, typer.Argument(help="block, redirect, challenge or allow.")],
    value: Annotated[str, typer.Argument(help="A user key such as `id:42`, an address, or a network.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is shown and audited.")],
    scope: Annotated[str | None, typer.Option("--scope", help="user, ip or network; else as the value looks.")] = None,
    length: Annotated[str, typer.Option("--for", help="How long, such as `1h`, or `forever`.")] = "1h",
    to: Annotated[str | None, typer.Option("--to", help="Where a redirect leads.")] = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Decide by hand; every connected SDK knows at once."""
    new = {"kind": kind, "scope": scope or scope_of(value), "value": value, "reason": why, "for": length}
    made = connect(url, key, app, data).ask("POST", "/v1/decisions", new | ({"to": to} if to else {}))
    for warning in made["warnings"]:
        complain(warning)
    show.one(made, format, f"{made['id']}  {made['kind']} {made['value']} until {made['until'] or 'lifted'}")


@decisions.command("lift")
def lift_decision(
    id: Annotated[str, typer.Argument(help="The decision's id.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is shown and audited.")] = "",
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """End a decision for good: the finding behind it never decides again."""
    connect(url, key, app, data).ask("DELETE", f"/v1/decisions/{quote(id, safe='')}", query={"why": why or None})


def paged(client: Client, path: str, query: dict[str, Any], limit: int) -> Iterator[Any]:
    """Give the items of as many pages as it takes."""
    cursor = None
    while limit > 0:
        page = client.ask("GET", path, query={**query, "limit": min(limit, 1000), "cursor": cursor})
        yield from page["items"]
        limit -= len(page["items"])
        cursor = page["cursor"]
        if cursor is None:
            return


def scope_of(value: str) -> str:
    """Return the scope a target looks like."""
    head = value.partition("/")[0]
    if head.count(".") == 3 and head.replace(".", "").isdigit():
        return "network" if "/" in value else "ip"
    if head.count(":") >= 2 and all(part == "" or _is_hex(part) for part in head.split(":")):
        return "network" if "/" in value else "ip"
    return "user"


def _is_hex(text: str) -> bool:
    return len(text) <= 4 and all(char in "0123456789abcdefABCDEF" for char in text)
