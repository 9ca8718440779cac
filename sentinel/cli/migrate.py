"""`sentinel migrate`: copy a data folder into PostgreSQL, so that several servers can share it."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel import settings
from sentinel.cli.options import Config
from sentinel.cli.terminal import say
from sentinel.core.errors import SentinelError


def migrate(
    config: Config = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="The data folder to copy; by default that of the settings.", metavar="FOLDER"),
    ] = None,
    database: Annotated[str | None, typer.Option("--database", help="The PostgreSQL URL.", metavar="URL")] = None,
) -> None:
    """Copy a data folder into an empty PostgreSQL database and compare both; run it again to go on after a stop."""
    flags = {name: value for name, value in {"config": config, "data": data, "database": database}.items() if value}
    found = settings.read(flags)
    if found.database is None:
        raise SentinelError("`database` is not set", "name the PostgreSQL database to copy into")
    from sentinel.store.moving import move  # of an extra that many do without: `main` says what to install

    for moved in move(found.data, found.database, _tell):
        say(f"same  {moved.what}: {moved.sum.rows:,} rows, checksum {moved.sum.hash:016x}")
    say("Everything is there. Start servers with `database` and `windows` set; keep the folder until they do well.")


def _tell(what: str, done: int) -> None:
    say(f"      {what}" + (f": {done:,}" if done else ""))
