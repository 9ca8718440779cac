"""`sentinel users`."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.options import AsFormat, Format
from sentinel.cli.terminal import many
from sentinel.core.errors import SentinelError

users = typer.Typer(help="Delete what is stored about a person.", no_args_is_help=True)


@users.callback()
def _group() -> None:
    """Delete what is stored about a person."""


@users.command("delete")
def delete_user(
    user: Annotated[str, typer.Argument(help="Any of their keys, such as `id:42` or `email:jane@example.com`.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept in the audit.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. The events cannot be brought back.")] = False,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Delete a person and their events for good.

    Links and labels are deleted too; elsewhere a keyed hash replaces their names. Blocks last until their end.
    """
    if not yes and not _sure(user):
        raise SentinelError("nothing was deleted", "`--yes` does not ask")
    done = connect(url, key, app, data).ask("DELETE", path_of("/v1/users", user), query={"why": why or None})
    show.one(done, format, f"{done['pseudonym']}  {many(done['events'], 'event')} deleted")


def _sure(user: str) -> bool:
    try:
        return typer.confirm(f"Delete everything of {user!r} for good?", err=True)
    except typer.Abort:  # there is nobody to ask
        typer.echo(err=True)
        return False
