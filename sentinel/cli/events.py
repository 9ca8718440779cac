"""`sentinel events`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect
from sentinel.cli.options import AsFormat, Format, Since, Until
from sentinel.core.errors import SentinelError

USUAL = 50  # events shown where nobody says how many
COLUMNS = ("timestamp", "event", "user", "ip", "success", "id")


def events(
    q: Annotated[str | None, typer.Option("--q", help="Only events that meet this condition.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Only events of this name.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only events of this user, such as `id:42`.")] = None,
    ip: Annotated[str | None, typer.Option("--ip", help="Only events from this address or network.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most this many; 50, or with --follow any number.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show events as they come in.")] = False,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Search events, newest first, or follow them as they come."""
    if follow and (since or until):
        raise SentinelError("`--follow` tells events as they come", "leave out `--from` and `--to`")
    client = connect(url, key, app, data)
    wanted = {"q": q, "event": event, "user": user, "ip": ip}
    if not follow:
        found = client.items("/v1/events", wanted | {"from": since, "to": until}, limit or USUAL)
        show.items(found, format, COLUMNS)
        return
    try:
        for one in islice(client.events("/v1/events/tail", wanted), limit):
            show.items([one], format, COLUMNS, heads=False)
    except KeyboardInterrupt:
        return
