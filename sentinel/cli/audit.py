"""`sentinel audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect
from sentinel.cli.options import AsFormat, Format, Limit, Since, Until

COLUMNS = ("at", "actor", "action", "target", "reason")


def audit(
    by: Annotated[
        str | None, typer.Option("--by", help="Only what `account:ana` did, or all but playbooks (`hand`).")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="Only this, such as `decision.lift`, or all of `decision`.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Only what was done to this, as a line shows it: `user id:42`.")
    ] = None,
    since: Since = None,
    until: Until = None,
    server: Annotated[bool, typer.Option("--server", help="What was done to the server itself.")] = False,
    limit: Limit = 100,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Show who did what, when and why, newest first."""
    asked = {"by": by, "action": action, "target": target, "from": since, "to": until}
    asked["server"] = "true" if server else None
    show.items(connect(url, key, app, data).items("/v1/audit", asked, limit), format, COLUMNS)
